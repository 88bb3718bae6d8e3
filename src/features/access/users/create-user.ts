import { createToken } from "../../../core/crypto/tokens.ts";
import { invalidField, PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { TOKEN_SCOPES, type TokenScope } from "../../../core/permissions.ts";
import { cleanText, normalised } from "../../../core/text/clean-text.ts";
import { isTimezone } from "../../../core/time/clock.ts";
import { addEffect, type ReadDb, type Trx } from "../../../store/database.ts";
import { type RecordContext, recordChange } from "../context.ts";
import { storedSources } from "../group-rights/sources.ts";
import { usersWith, writeUser } from "./queries.ts";
import type { ImportedAccount } from "./schema.ts";
import { ServiceToken } from "./service-token.ts";

/** The names a login can use: exactly one of these. */
export type LoginNames = UserNames & { readonly login?: string | undefined };

type Column = "email" | "username" | "phone";

export interface LoginName {
  /** In normalised form, so that all spellings count as one: the key of failed logins. */
  readonly key: string;
  /** Columns to search, in this order. */
  readonly columns: readonly Column[];
}

/** E.164. */
const PHONE = /^\+[1-9]\d{6,14}$/;

/** Normalises a mail address or username for storage and comparison. */
export function plainName(text: string): string {
  return normalised(text, "NFC").trim().toLowerCase();
}

/** Removes separators from a phone number. */
export function plainPhone(text: string): string {
  return plainName(text).replaceAll(/[\s().-]/g, "");
}

export function isPhone(text: string): boolean {
  return PHONE.test(text);
}

/** @throws VALIDATION_FAILED unless exactly one is given */
export function loginNameOf(names: LoginNames): LoginName {
  const given = (["login", "email", "username", "phone"] as const).filter((name) => names[name] !== undefined);
  const [kind] = given;
  if (given.length !== 1 || kind === undefined) {
    const message = "give one of login, email, username and phone";
    throw invalidField("body", "login", message);
  }
  const text = String(names[kind]);
  const phone = plainPhone(text);
  // Neither addresses nor usernames start with a plus sign, so this is a phone number.
  if (kind === "phone" || (kind === "login" && isPhone(phone))) return { key: phone, columns: ["phone"] };
  // No username contains an @: clients with a single field send the address as a username.
  if (kind === "username" && text.includes("@")) return { key: plainName(text), columns: ["email"] };
  return { key: plainName(text), columns: kind === "login" ? ["email", "username"] : [kind] };
}

/** The account of a login name in any status, or undefined, with the same queries for both. */
export async function findByLoginName({ key, columns }: LoginName, db: ReadDb) {
  const found = await Promise.all(
    columns.map((column) =>
      usersWith(db, column, key).select(["id", "status", "passwordHash", "passwordChangedAt"]).executeTakeFirst(),
    ),
  );
  return found.find((user) => user !== undefined);
}

export interface UserContext extends RecordContext {
  /** Default time zone; UTC if missing. */
  readonly timezone?: string;
}

/**
 * @property id undefined: a new one. @property roles names of roles. @property isEmailVerified
 * whether the address is known to be the user's: undefined means no.
 */
export type NewUser = Omit<ImportedAccount, "roles"> & {
  readonly roles: readonly string[];
  readonly isEmailVerified?: boolean;
};

export interface NewServiceToken {
  readonly userId: string;
  readonly name: string;
  /** Undefined: all rights of the user. */
  readonly scopes?: readonly TokenScope[] | undefined;
  readonly expiresAt?: number | undefined;
}

/** Excludes separators of addresses (RFC 5322 section 3.2.3), so that it is one address. */
const EMAIL = /^[^\s@\p{Cc}\p{Cf}\p{Cs},;:<>()[\]\\"]{1,64}@[^\s@\p{Cc}\p{Cf}\p{Cs},;:<>()[\]\\"]{1,190}$/u;
/** `me` is the caller, in every place that takes a user. */
const USERNAME = /^(?!me$)[a-z0-9][a-z0-9._-]{1,63}$/;

/**
 * @param by how the account was created, for the audit trail.
 * @throws VALIDATION_FAILED, INVALID_TIMEZONE, EMAIL_TAKEN, USERNAME_TAKEN, PHONE_TAKEN,
 * ID_CONFLICT, ROLE_NOT_FOUND
 */
export async function createUser(
  ctx: UserContext,
  user: NewUser,
  trx: Trx,
  by?: "import" | "issuer" | "file",
): Promise<{ id: string; email: string | null }> {
  const names = namesOf(user);
  if (user.externalId === undefined && user.id === undefined) requireLoginName(names);
  requireTimezone(user.timezone);
  if (user.id !== undefined) await requireNewId(user.id, trx);
  await requireFree({ ...names, externalId: user.externalId }, null, trx);
  const now = ctx.clock.now();
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
      isEmailVerified: names.email !== undefined && user.isEmailVerified === true ? 1 : 0,
      name: cleanText(user.name ?? names.username ?? ""),
      status: user.status ?? "active",
      timezone: user.timezone ?? ctx.timezone ?? "UTC",
      hasChosenTimezone: typeof user.timezone === "string" ? 1 : 0,
      ...(user.locale === undefined ? {} : { locale: user.locale }),
      passwordChangedAt: user.passwordHash === undefined ? null : now,
      createdAt: now,
      updatedAt: now,
    })
    .execute();
  const roleIds = new Set<string>();
  const sources = storedSources({ [by === "file" ? by : "hand"]: "" });
  for (const name of user.roles) roleIds.add(await roleIdOf(trx, name));
  for (const roleId of roleIds) {
    await trx.insertInto("user_roles").values({ userId: id, roleId, createdAt: now, sources }).execute();
  }
  // Holders of a role are recipients of rules.
  addEffect(trx, { type: "rights-changed", of: "user", userId: id });
  const metadata = { roles: [...roleIds], ...(by === undefined ? {} : { by }) };
  await recordChange(ctx, "user.register", "user", id, metadata, trx);
  return { id, email: names.email ?? null };
}

/** Activates an invited account with the password and profile its owner chose. */
export async function activateInvited(
  ctx: RecordContext,
  userId: string,
  user: Omit<NewUser, "roles"> & { passwordHash: string },
  trx: Trx,
): Promise<void> {
  const { username, phone } = namesOf(user);
  requireTimezone(user.timezone);
  // The mail address stays the one that was invited.
  await requireFree({ username, phone }, userId, trx);
  const now = ctx.clock.now();
  await writeUser(trx, userId, {
    status: "active",
    passwordHash: user.passwordHash,
    passwordChangedAt: now,
    updatedAt: now,
    ...(username === undefined ? {} : { username }),
    ...(phone === undefined ? {} : { phone }),
    ...(user.name === undefined ? {} : { name: cleanText(user.name) }),
    ...(typeof user.timezone === "string" ? { timezone: user.timezone, hasChosenTimezone: 1 } : {}),
  });
  addEffect(trx, { type: "rights-changed", of: "user", userId });
  await recordChange(ctx, "user.register", "user", userId, { by: "invitation" }, trx);
}

/** @returns the token, which is shown only once. @throws SCOPE_MISSING for an unknown scope. */
export async function createServiceToken(
  ctx: RecordContext,
  { userId, name, scopes, expiresAt }: NewServiceToken,
  trx: Trx,
): Promise<{ id: string; token: string }> {
  const unknown = scopes?.find((scope) => !TOKEN_SCOPES.includes(scope));
  if (unknown !== undefined) throw new PrismError("SCOPE_MISSING", `${unknown} is not a scope`);
  const { token, prefix, hash } = createToken("prt");
  const id = uuidv7();
  const row = {
    ...{ ...ServiceToken.initial, id, userId, name, hash, prefix },
    ...{ scopes: JSON.stringify(scopes ?? TOKEN_SCOPES), expiresAt: expiresAt ?? null, createdAt: ctx.clock.now() },
  };
  await trx.insertInto("service_tokens").values(row).execute();
  await recordChange(ctx, "token.create", "serviceToken", id, { userId }, trx);
  return { id, token };
}

/** @throws TOKEN_NOT_FOUND */
export async function revokeServiceToken(ctx: RecordContext, id: string, trx: Trx): Promise<void> {
  const token = await trx
    .updateTable("service_tokens")
    .set({ revokedAt: ctx.clock.now() })
    .where("id", "=", id)
    .where("revokedAt", "is", null)
    .returning("userId")
    .executeTakeFirst();
  if (!token) throw new PrismError("TOKEN_NOT_FOUND", "No such service token");
  addEffect(trx, { type: "rights-changed", of: "token", tokenId: id, userId: token.userId });
  await ctx.audit.record({ action: "token.revoke", resourceType: "serviceToken", resourceId: id }, { trx });
}

async function roleIdOf(trx: Trx, name: string): Promise<string> {
  const role = await trx.selectFrom("roles").select("id").where("name", "=", name).executeTakeFirst();
  if (!role) throw new PrismError("ROLE_NOT_FOUND", `No such role: ${name}`);
  return role.id;
}

/** The id of a deleted account stays in use. @throws ID_CONFLICT */
async function requireNewId(id: string, trx: Trx): Promise<void> {
  const holder = await trx.selectFrom("users").select("id").where("id", "=", id).executeTakeFirst();
  if (!holder) return;
  throw new PrismError("ID_CONFLICT", "An account has, or had, this id", {
    details: [{ path: "id", code: "ID_CONFLICT", message: "is taken" }],
  });
}

/** A registration needs a mail address or username. @throws VALIDATION_FAILED */
export function requireLoginName({ email, username }: UserNames): void {
  if (email === undefined && username === undefined) throw invalid("email", "give a mail address or a username");
}

/** @throws INVALID_TIMEZONE for an unknown IANA zone */
export function requireTimezone(timezone: string | null | undefined, path = "timezone"): void {
  if (timezone === undefined || timezone === null || isTimezone(timezone)) return;
  const message = "must be an IANA time zone such as Europe/Berlin";
  throw new PrismError("INVALID_TIMEZONE", `${path}: ${message}`, {
    details: [{ path, code: "INVALID_TIMEZONE", message }],
  });
}

export interface UserNames {
  readonly email?: string | undefined;
  readonly username?: string | undefined;
  readonly phone?: string | undefined;
}

/** Normalises the names. @throws VALIDATION_FAILED */
export function namesOf(user: UserNames): UserNames {
  const email = user.email === undefined ? undefined : plainName(user.email);
  const username = user.username === undefined ? undefined : plainName(user.username);
  const phone = user.phone === undefined ? undefined : plainPhone(user.phone);
  if (email !== undefined && !EMAIL.test(email)) throw invalid("email", "must be a mail address");
  if (username !== undefined && !USERNAME.test(username))
    throw invalid("username", "must be 2 to 64 of a-z, 0-9, dot, dash, underscore, and not me");
  if (phone !== undefined && !isPhone(phone))
    throw invalid("phone", "must be a number with country code, such as +4930123456");
  return { email, username, phone };
}

const TAKEN = {
  email: ["EMAIL_TAKEN", "mail address"],
  username: ["USERNAME_TAKEN", "username"],
  phone: ["PHONE_TAKEN", "phone number"],
  externalId: ["ID_CONFLICT", "external id"],
} as const;

/**
 * @param owner the account that may have the names already. @throws VALIDATION_FAILED,
 * EMAIL_TAKEN, USERNAME_TAKEN, PHONE_TAKEN, ID_CONFLICT
 */
export async function requireFree(
  names: { readonly [C in keyof typeof TAKEN]?: string | null | undefined },
  owner: string | null,
  trx: Trx,
): Promise<void> {
  if (names.externalId === "me") throw invalid("externalId", "must not be me, which is the caller");
  for (const column of ["email", "username", "phone", "externalId"] as const) {
    const value = names[column];
    if (value === undefined || value === null) continue;
    const holder = await usersWith(trx, column, value).select("id").executeTakeFirst();
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
