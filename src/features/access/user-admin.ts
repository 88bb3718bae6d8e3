import { cleanText } from "../../core/clean-text.ts";
import type { Clock } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import { uuidv7 } from "../../core/ids.ts";
import { TOKEN_SCOPES, type TokenScope } from "../../core/permissions.ts";
import { isTimezone } from "../../core/timezone.ts";
import { createToken } from "../../core/tokens.ts";
import { addEffect, type Trx } from "../../store/database.ts";
import type { UserStatus } from "../../store/schema.ts";
import type { AuditService } from "../audit/index.ts";
import { isPhone, plainName, plainPhone } from "./accounts/login-name.ts";

export interface NewUser {
  /** A UUID; absent: a new one. */
  readonly id?: string | undefined;
  readonly email?: string | undefined;
  readonly username?: string | undefined;
  readonly phone?: string | undefined;
  readonly passwordHash?: string | undefined;
  readonly name?: string | undefined;
  readonly externalId?: string | undefined;
  readonly status?: UserStatus | undefined;
  readonly timezone?: string | undefined;
  readonly locale?: string | undefined;
  /** Names of roles. */
  readonly roles: readonly string[];
}

export interface NewServiceToken {
  readonly userId: string;
  readonly name: string;
  /** Absent: all the user may do. */
  readonly scopes?: readonly TokenScope[] | undefined;
  readonly expiresAt?: number | undefined;
}

/** Without what separates addresses in a mail's head (RFC 5322 section 3.2.3): one address is one address. */
const EMAIL = /^[^\s@\p{Cc}\p{Cf}\p{Cs},;:<>()[\]\\"]{1,64}@[^\s@\p{Cc}\p{Cf}\p{Cs},;:<>()[\]\\"]{1,190}$/u;
const USERNAME = /^[a-z0-9][a-z0-9._-]{2,63}$/;

/** Makes users and their service tokens, for the routes and for the command line on the data directory. */
export class UserAdmin {
  readonly #audit: AuditService;
  readonly #clock: Clock;
  readonly #timezone: string;

  /** @param timezone of users who say none. */
  constructor(audit: AuditService, clock: Clock, timezone = "UTC") {
    this.#audit = audit;
    this.#clock = clock;
    this.#timezone = timezone;
  }

  /**
   * @param by how the account came to be, for the audit trail.
   * @throws VALIDATION_FAILED, INVALID_TIMEZONE, EMAIL_TAKEN, USERNAME_TAKEN, PHONE_TAKEN, ID_CONFLICT, ROLE_NOT_FOUND
   */
  async create(user: NewUser, trx: Trx, by?: "import" | "issuer"): Promise<{ id: string; email: string | null }> {
    const names = namesOf(user);
    if (user.externalId === undefined && user.id === undefined) requireLoginName(names);
    requireTimezone(user.timezone);
    if (user.id !== undefined) await requireNewId(user.id, trx);
    await requireFree({ ...names, externalId: user.externalId }, null, trx);
    const now = this.#clock.now();
    const id = user.id ?? uuidv7();
    await trx
      .insertInto("users")
      .values({
        id,
        email: names.email ?? null,
        username: names.username ?? null,
        phone: names.phone ?? null,
        passwordHash: user.passwordHash ?? null,
        externalId: user.externalId ?? null,
        name: cleanText(user.name ?? names.username ?? ""),
        status: user.status ?? "active",
        timezone: user.timezone ?? this.#timezone,
        ...(user.locale === undefined ? {} : { locale: user.locale }),
        passwordChangedAt: user.passwordHash === undefined ? null : now,
        createdAt: now,
        updatedAt: now,
      })
      .execute();
    const roleIds = new Set<string>();
    for (const name of user.roles) roleIds.add(await roleIdOf(trx, name));
    for (const roleId of roleIds) {
      await trx.insertInto("user_roles").values({ userId: id, roleId, createdAt: now }).execute();
    }
    // Rules reach those who hold a role.
    addEffect(trx, { type: "rights-changed", of: "user", userId: id });
    const metadata = { roles: [...roleIds], ...(by === undefined ? {} : { by }) };
    await this.#audit.record({ action: "user.register", resourceType: "user", resourceId: id, metadata }, { trx });
    return { id, email: names.email ?? null };
  }

  /** Somebody who was invited takes the account over: with a password of their own, and what else they say of themselves. */
  async acceptInvitation(
    userId: string,
    user: Omit<NewUser, "roles"> & { passwordHash: string },
    trx: Trx,
  ): Promise<void> {
    const { username, phone } = namesOf(user);
    requireTimezone(user.timezone);
    // The mail address is the one that the invitation went to.
    await requireFree({ username, phone }, userId, trx);
    const now = this.#clock.now();
    await trx
      .updateTable("users")
      .set({
        status: "active",
        passwordHash: user.passwordHash,
        passwordChangedAt: now,
        updatedAt: now,
        ...(username === undefined ? {} : { username }),
        ...(phone === undefined ? {} : { phone }),
        ...(user.name === undefined ? {} : { name: cleanText(user.name) }),
        ...(user.timezone === undefined ? {} : { timezone: user.timezone }),
      })
      .where("id", "=", userId)
      .execute();
    addEffect(trx, { type: "rights-changed", of: "user", userId });
    await this.#audit.record(
      { action: "user.register", resourceType: "user", resourceId: userId, metadata: { by: "invitation" } },
      { trx },
    );
  }

  /** @returns the token, which is shown this once. @throws SCOPE_MISSING for a scope that no permission has. */
  async createToken(
    { userId, name, scopes, expiresAt }: NewServiceToken,
    trx: Trx,
  ): Promise<{ id: string; token: string }> {
    const unknown = scopes?.find((scope) => !TOKEN_SCOPES.includes(scope));
    if (unknown !== undefined) throw new PrismError("SCOPE_MISSING", `${unknown} is not a scope`);
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
        scopes: JSON.stringify(scopes ?? TOKEN_SCOPES),
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
    const token = await trx
      .updateTable("service_tokens")
      .set({ revokedAt: this.#clock.now() })
      .where("id", "=", id)
      .where("revokedAt", "is", null)
      .returning("userId")
      .executeTakeFirst();
    if (!token) throw new PrismError("TOKEN_NOT_FOUND", "No such service token");
    addEffect(trx, { type: "rights-changed", of: "token", tokenId: id, userId: token.userId });
    await this.#audit.record({ action: "token.revoke", resourceType: "serviceToken", resourceId: id }, { trx });
  }
}

async function roleIdOf(trx: Trx, name: string): Promise<string> {
  const role = await trx.selectFrom("roles").select("id").where("name", "=", name).executeTakeFirst();
  if (!role) throw new PrismError("ROLE_NOT_FOUND", `No such role: ${name}`);
  return role.id;
}

/** An account that was removed keeps its id. @throws ID_CONFLICT */
async function requireNewId(id: string, trx: Trx): Promise<void> {
  const holder = await trx.selectFrom("users").select("id").where("id", "=", id).executeTakeFirst();
  if (!holder) return;
  throw new PrismError("ID_CONFLICT", "There is, or was, an account with this id", {
    details: [{ path: "id", code: "ID_CONFLICT", message: "is taken" }],
  });
}

/** Who registers gives a name that mails or logins know. @throws VALIDATION_FAILED */
export function requireLoginName({ email, username }: UserNames): void {
  if (email === undefined && username === undefined) throw invalid("email", "give a mail address or a username");
}

/** @throws INVALID_TIMEZONE for what is no zone of the IANA database */
export function requireTimezone(timezone: string | undefined): void {
  if (timezone === undefined || isTimezone(timezone)) return;
  const message = "must be an IANA time zone such as Europe/Berlin";
  throw new PrismError("INVALID_TIMEZONE", `timezone: ${message}`, {
    details: [{ path: "timezone", code: "INVALID_TIMEZONE", message }],
  });
}

export interface UserNames {
  readonly email?: string | undefined;
  readonly username?: string | undefined;
  readonly phone?: string | undefined;
}

/** The names in the form they are stored and compared in. @throws VALIDATION_FAILED */
export function namesOf(user: UserNames): UserNames {
  const email = user.email === undefined ? undefined : plainName(user.email);
  const username = user.username === undefined ? undefined : plainName(user.username);
  const phone = user.phone === undefined ? undefined : plainPhone(user.phone);
  if (email !== undefined && !EMAIL.test(email)) throw invalid("email", "must be a mail address");
  if (username !== undefined && !USERNAME.test(username))
    throw invalid("username", "must be 3 to 64 of a-z, 0-9, dot, dash, underscore");
  if (phone !== undefined && !isPhone(phone))
    throw invalid("phone", "must be a number with country code, such as +4930123456");
  return { email, username, phone };
}

/** What one user at a time can have. */
const TAKEN = {
  email: ["EMAIL_TAKEN", "mail address"],
  username: ["USERNAME_TAKEN", "username"],
  phone: ["PHONE_TAKEN", "phone number"],
  externalId: ["ID_CONFLICT", "external id"],
} as const;

/** @param owner who may have the names already. @throws EMAIL_TAKEN, USERNAME_TAKEN, PHONE_TAKEN, ID_CONFLICT */
export async function requireFree(
  names: { readonly [C in keyof typeof TAKEN]?: string | null | undefined },
  owner: string | null,
  trx: Trx,
): Promise<void> {
  for (const column of ["email", "username", "phone", "externalId"] as const) {
    const value = names[column];
    if (value === undefined || value === null) continue;
    const holder = await trx
      .selectFrom("users")
      .select("id")
      .where(column, "=", value)
      .where("deletedAt", "is", null)
      .executeTakeFirst();
    const [code, what] = TAKEN[column];
    if (holder && holder.id !== owner)
      throw new PrismError(code, `Another account has this ${what}`, {
        details: [{ path: column, code, message: "is taken" }],
      });
  }
}

function invalid(path: string, message: string): PrismError {
  return new PrismError("VALIDATION_FAILED", `${path}: ${message}`, { details: [{ path, code: "VALUE", message }] });
}
