import * as v from "valibot";
import { createToken } from "../../../core/crypto/tokens.ts";
import { PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { DEFAULT_KEY_SCOPES, KEY_SCOPES, type KeyScope } from "../../../core/permissions.ts";
import { column, json, orNull, type RowOf, resource, stored, time } from "../../../http/api/resource.ts";
import { doc } from "../../../http/api/shapes.ts";
import type { Uses } from "../../../module/feature.ts";
import { addEffect, type Trx } from "../../../store/database.ts";
import { type RecordContext, recordChange } from "../context.ts";

declare module "../../../store/schema.ts" {
  interface Schema {
    api_keys: RowOf<typeof ApiKey>;
  }
}

/** Acts for its project, with no more than its scopes. */
export const ApiKey = resource("ApiKey", "An API key, without its secret", "api_keys", () => ({
  id: stored(v.string()),
  name: stored(v.string()),
  prefix: stored(v.string()),
  scopes: stored(v.array(v.picklist(KEY_SCOPES)), json<KeyScope[]>()),
  expiresAt: stored(v.nullable(v.string()), orNull(time)),
  lastUsedAt: stored(v.nullable(v.string()), orNull(time)).or(null),
  createdBy: stored(doc(v.nullable(v.string()), "Id of the user who made it: it ends when that member is removed")),
  createdAt: stored(v.string(), time),
  projectId: column(v.string()),
  hash: column(v.string()),
  rateLimit: column(v.nullable(v.number())).or(null),
  revokedAt: column(v.nullable(v.number())).or(null),
}));
export type StoredKey = RowOf<typeof ApiKey>;

/** A key with the scopes that it has now. */
export function keyView({ principals }: Pick<Uses<"principals">, "principals">, key: StoredKey) {
  return { ...ApiKey.view(key), scopes: principals.scopesOf(key) };
}

export interface NewKey {
  readonly projectId: string;
  readonly name: string;
  readonly scopes?: readonly KeyScope[] | undefined;
  readonly expiresAt?: number | undefined;
  readonly rateLimit?: number | undefined;
  readonly createdBy: string | null;
}

/** A key with its secret, returned only when it is created. */
export type IssuedKey = Awaited<ReturnType<typeof insertKey>>;

export async function createKey(ctx: RecordContext, key: NewKey, trx: Trx): Promise<IssuedKey> {
  const issued = await insertKey(ctx, key, trx);
  await recordChange(ctx, "key.create", "apiKey", issued.id, { projectId: key.projectId }, trx);
  return issued;
}

/** Replaces a key, which expires after the grace period. @throws API_KEY_NOT_FOUND */
export async function rotateKey(
  ctx: RecordContext,
  projectId: string,
  keyId: string,
  graceMs: number,
  createdBy: string | null,
  trx: Trx,
): Promise<IssuedKey> {
  const old = await findKey(projectId, keyId, trx);
  const now = ctx.clock.now();
  const issued = await insertKey(
    ctx,
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
  await recordChange(ctx, "key.rotate", "apiKey", keyId, { projectId, newKeyId: issued.id, graceMs }, trx);
  return issued;
}

/** @throws API_KEY_NOT_FOUND, also for a revoked one. */
export async function revokeKey(ctx: RecordContext, projectId: string, keyId: string, trx: Trx): Promise<void> {
  await findKey(projectId, keyId, trx);
  await trx.updateTable("api_keys").set({ revokedAt: ctx.clock.now() }).where("id", "=", keyId).execute();
  addEffect(trx, { type: "rights-changed", of: "key", keyId });
  await recordChange(ctx, "key.revoke", "apiKey", keyId, { projectId }, trx);
}

async function findKey(projectId: string, keyId: string, trx: Trx) {
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

async function insertKey(
  ctx: RecordContext,
  { projectId, name, scopes = DEFAULT_KEY_SCOPES, expiresAt, rateLimit, createdBy }: NewKey,
  trx: Trx,
) {
  const { token, prefix, hash } = createToken("prk");
  const row: StoredKey = {
    ...ApiKey.initial,
    ...{ id: uuidv7(), projectId, name, prefix, hash, createdBy, createdAt: ctx.clock.now() },
    ...{ scopes: JSON.stringify(scopes), rateLimit: rateLimit ?? null, expiresAt: expiresAt ?? null },
  };
  await trx.insertInto("api_keys").values(row).execute();
  const view = ApiKey.view(row);
  return { id: row.id, name, prefix, scopes: view.scopes, key: token, expiresAt: view.expiresAt };
}
