import type { Clock } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import { uuidv7 } from "../../core/ids.ts";
import { DEFAULT_KEY_SCOPES, type KeyScope } from "../../core/permissions.ts";
import { createToken } from "../../core/tokens.ts";
import { addEffect, type Trx } from "../../store/database.ts";
import type { AuditTrail } from "../audit/index.ts";

export interface NewKey {
  readonly projectId: string;
  readonly name: string;
  readonly scopes?: readonly KeyScope[] | undefined;
  readonly expiresAt?: number | undefined;
  readonly rateLimit?: number | undefined;
  readonly createdBy: string | null;
}

/** A key as it is shown: its secret only in the answer that made it. */
export interface IssuedKey {
  readonly id: string;
  readonly name: string;
  readonly prefix: string;
  readonly scopes: readonly KeyScope[];
  readonly expiresAt: number | null;
  readonly key: string;
}

/** Makes, rotates and revokes the API keys of projects; over HTTP and from the command line alike. */
export class KeyAdmin {
  readonly #audit: AuditTrail;
  readonly #clock: Clock;

  constructor(audit: AuditTrail, clock: Clock) {
    this.#audit = audit;
    this.#clock = clock;
  }

  async create(key: NewKey, trx: Trx): Promise<IssuedKey> {
    const issued = await this.#insert(key, trx);
    await this.#record("key.create", issued.id, key.projectId, trx);
    return issued;
  }

  /** A new key in place of an old one, which ends after the grace. @throws API_KEY_NOT_FOUND */
  async rotate(
    projectId: string,
    keyId: string,
    graceMs: number,
    createdBy: string | null,
    trx: Trx,
  ): Promise<IssuedKey> {
    const old = await this.#find(projectId, keyId, trx);
    const now = this.#clock.now();
    const issued = await this.#insert(
      {
        projectId,
        name: old.name,
        scopes: JSON.parse(old.scopes) as KeyScope[],
        expiresAt: old.expiresAt ?? undefined,
        rateLimit: old.rateLimit ?? undefined,
        createdBy,
      },
      trx,
    );
    const end = Math.min(now + graceMs, old.expiresAt ?? Number.POSITIVE_INFINITY);
    await trx
      .updateTable("api_keys")
      .set(graceMs === 0 ? { revokedAt: now } : { expiresAt: end })
      .where("id", "=", keyId)
      .execute();
    addEffect(trx, { type: "rights-changed", of: "key", keyId });
    await this.#record("key.rotate", keyId, projectId, trx, { newKeyId: issued.id, graceMs });
    return issued;
  }

  /** @throws API_KEY_NOT_FOUND, also for one that has been revoked before. */
  async revoke(projectId: string, keyId: string, trx: Trx): Promise<void> {
    await this.#find(projectId, keyId, trx);
    await trx.updateTable("api_keys").set({ revokedAt: this.#clock.now() }).where("id", "=", keyId).execute();
    addEffect(trx, { type: "rights-changed", of: "key", keyId });
    await this.#record("key.revoke", keyId, projectId, trx);
  }

  async #find(projectId: string, keyId: string, trx: Trx) {
    const key = await trx
      .selectFrom("api_keys")
      .selectAll()
      .where("id", "=", keyId)
      .where("projectId", "=", projectId)
      .where("revokedAt", "is", null)
      .executeTakeFirst();
    if (!key) throw new PrismError("API_KEY_NOT_FOUND", "No such API key");
    return key;
  }

  async #insert(
    { projectId, name, scopes = DEFAULT_KEY_SCOPES, expiresAt, rateLimit, createdBy }: NewKey,
    trx: Trx,
  ): Promise<IssuedKey> {
    const { token, prefix, hash } = createToken("prk");
    const id = uuidv7();
    await trx
      .insertInto("api_keys")
      .values({
        id,
        projectId,
        name,
        prefix,
        hash,
        scopes: JSON.stringify(scopes),
        rateLimit: rateLimit ?? null,
        expiresAt: expiresAt ?? null,
        createdBy,
        createdAt: this.#clock.now(),
      })
      .execute();
    return { id, name, prefix, scopes, expiresAt: expiresAt ?? null, key: token };
  }

  async #record(
    action: string,
    keyId: string,
    projectId: string,
    trx: Trx,
    more: Readonly<Record<string, string | number>> = {},
  ): Promise<void> {
    const entry = { action, resourceType: "apiKey", resourceId: keyId, metadata: { projectId, ...more } };
    await this.#audit.record(entry, { trx });
  }
}
