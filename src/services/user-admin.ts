import { cleanText } from "../base/clean-text.ts";
import type { Clock } from "../base/clock.ts";
import { PrismError } from "../base/errors.ts";
import { uuidv7 } from "../base/ids.ts";
import { PERMISSIONS, type Permission } from "../base/permissions.ts";
import { createToken } from "../base/tokens.ts";
import type { Trx } from "../store/database.ts";
import type { UserStatus } from "../store/schema.ts";
import type { AuditService } from "./audit.ts";

export interface NewUser {
  readonly email?: string | undefined;
  readonly username?: string | undefined;
  readonly name?: string | undefined;
  readonly externalId?: string | undefined;
  readonly status?: UserStatus | undefined;
  readonly timezone?: string | undefined;
  /** Names of roles. */
  readonly roles: readonly string[];
}

export interface NewServiceToken {
  readonly userId: string;
  readonly name: string;
  /** Absent: all the user may do. */
  readonly scopes?: readonly Permission[] | undefined;
  readonly expiresAt?: number | undefined;
}

const EMAIL = /^[^\s@\p{Cc}]{1,64}@[^\s@\p{Cc}]{1,190}$/u;
const USERNAME = /^[a-z0-9][a-z0-9._-]{2,63}$/;

/** Makes users and their service tokens; used by the command line on the data directory. */
export class UserAdmin {
  readonly #audit: AuditService;
  readonly #clock: Clock;

  constructor(audit: AuditService, clock: Clock) {
    this.#audit = audit;
    this.#clock = clock;
  }

  /** @throws VALIDATION_FAILED, EMAIL_TAKEN, USERNAME_TAKEN, ROLE_NOT_FOUND */
  async create(user: NewUser, trx: Trx): Promise<{ id: string }> {
    const email = user.email?.trim().toLowerCase();
    const username = user.username?.trim().toLowerCase();
    if (email === undefined && username === undefined) throw invalid("email", "give a mail address or a username");
    if (email !== undefined && !EMAIL.test(email)) throw invalid("email", "must be a mail address");
    if (username !== undefined && !USERNAME.test(username))
      throw invalid("username", "must be 3 to 64 of a-z, 0-9, dot, dash, underscore");
    if (email !== undefined && (await isTaken(trx, "email", email)))
      throw new PrismError("EMAIL_TAKEN", "The mail address is taken");
    if (username !== undefined && (await isTaken(trx, "username", username)))
      throw new PrismError("USERNAME_TAKEN", "The username is taken");
    const now = this.#clock.now();
    const id = uuidv7();
    await trx
      .insertInto("users")
      .values({
        id,
        email: email ?? null,
        username: username ?? null,
        externalId: user.externalId ?? null,
        name: cleanText(user.name ?? username ?? ""),
        status: user.status ?? "active",
        ...(user.timezone ? { timezone: user.timezone } : {}),
        createdAt: now,
        updatedAt: now,
      })
      .execute();
    const roleIds = new Set<string>();
    for (const name of user.roles) roleIds.add(await roleIdOf(trx, name));
    for (const roleId of roleIds) {
      await trx.insertInto("user_roles").values({ userId: id, roleId, createdAt: now }).execute();
    }
    await this.#audit.record(
      { action: "user.register", resourceType: "user", resourceId: id, metadata: { roles: [...roleIds] } },
      { trx },
    );
    return { id };
  }

  /** @returns the token, which is shown this once. @throws SCOPE_MISSING for a scope that no permission has. */
  async createToken(
    { userId, name, scopes, expiresAt }: NewServiceToken,
    trx: Trx,
  ): Promise<{ id: string; token: string }> {
    const unknown = scopes?.find((scope) => !PERMISSIONS.includes(scope));
    if (unknown !== undefined) throw new PrismError("SCOPE_MISSING", `${unknown} is not a permission`);
    const { token, prefix, hash } = createToken("prt");
    const id = uuidv7();
    await trx
      .insertInto("service_tokens")
      .values({
        id,
        userId,
        name,
        hash,
        prefix,
        scopes: JSON.stringify(scopes ?? PERMISSIONS),
        expiresAt: expiresAt ?? null,
        createdAt: this.#clock.now(),
      })
      .execute();
    await this.#audit.record(
      { action: "token.create", resourceType: "serviceToken", resourceId: id, metadata: { userId } },
      { trx },
    );
    return { id, token };
  }

  /** @throws TOKEN_NOT_FOUND */
  async revokeToken(id: string, trx: Trx): Promise<void> {
    const { numUpdatedRows } = await trx
      .updateTable("service_tokens")
      .set({ revokedAt: this.#clock.now() })
      .where("id", "=", id)
      .where("revokedAt", "is", null)
      .executeTakeFirst();
    if (Number(numUpdatedRows) === 0) throw new PrismError("TOKEN_NOT_FOUND", "No such service token");
    await this.#audit.record({ action: "token.revoke", resourceType: "serviceToken", resourceId: id }, { trx });
  }
}

async function roleIdOf(trx: Trx, name: string): Promise<string> {
  const role = await trx.selectFrom("roles").select("id").where("name", "=", name).executeTakeFirst();
  if (!role) throw new PrismError("ROLE_NOT_FOUND", `No such role: ${name}`);
  return role.id;
}

async function isTaken(trx: Trx, column: "email" | "username", value: string): Promise<boolean> {
  const user = await trx
    .selectFrom("users")
    .select("id")
    .where(column, "=", value)
    .where("deletedAt", "is", null)
    .executeTakeFirst();
  return user !== undefined;
}

function invalid(path: string, message: string): PrismError {
  return new PrismError("VALIDATION_FAILED", `${path}: ${message}`, { details: [{ path, message }] });
}
