import type * as v from "valibot";
import { PrismError } from "../../../core/errors.ts";
import { cleanText } from "../../../core/text/clean-text.ts";
import type { Deletions } from "../../../module/feature.ts";
import { addEffect, type ReadDb, type Trx } from "../../../store/database.ts";
import type { Flag, UserStatus } from "../../../store/schema.ts";
import { type Granter, heldRoles, requireMayManage } from "../authorize.ts";
import { type AccountContext, recordChange } from "../context.ts";
import { hasAdmin } from "../first-start.ts";
import { type OwnSource, ownOf, readSources } from "../group-rights/sources.ts";
import { replaceRoles } from "../group-rights/user-roles.ts";
import { deletePasskeys } from "../passkeys/stored.ts";
import { endKeysOf, endOwnershipOf, endTopicRights, keysChanged } from "../projects/leftovers.ts";
import { ownKey } from "../sessions/login.ts";
import { revokeOneTimeTokens } from "../sessions/mail-links.ts";
import { clearFactorFailures, factorKey } from "../sessions/second-factor.ts";
import { revokeSessions } from "../sessions/sessions.ts";
import { namesOf, requireFree, requireTimezone } from "./create-user.ts";
import { usersWith, writeUser } from "./queries.ts";
import type { PatchBody } from "./schema.ts";

/** Changes of an account; missing members stay. Roles: the names of all roles after the change. */
export type UserPatch = v.InferOutput<typeof PatchBody> & { readonly locale?: string | undefined };

const COLUMNS = ["name", "email", "username", "phone", "externalId", "timezone", "locale", "status"] as const;

type Account = { readonly [C in (typeof COLUMNS)[number]]: string | null } & {
  readonly status: UserStatus;
  readonly hasChosenTimezone: Flag;
  readonly isEmailVerified: Flag;
};

/*
 * The lifecycle of an account: `pending` → `active` (approved) or `disabled` (rejected), `active` ↔
 * `disabled`, `unverified` → either. Each change, its roles and its audit rows share a transaction.
 * It revokes the sessions, tokens and links of a disabled account and stops its API keys, whose sockets
 * close once it is on disk.
 */

/**
 * @param roles all roles after the change; default: those that it has, or `User`. @throws USER_NOT_FOUND,
 * INVALID_STATE, ROLE_NOT_FOUND, PRIVILEGE_ESCALATION
 */
export async function approveUser(
  ctx: AccountContext,
  id: string,
  given: readonly string[] | undefined,
  granter: Granter,
): Promise<void> {
  await changeManaged(ctx, id, granter, async (user, now, trx) => {
    requirePending(user);
    // Who invited it held their rights, and so does the granter: else `managedUser` refused. A registration has none.
    const held = await heldRoles(id, trx);
    const names = held.map(({ name }) => name);
    const byGroups = held.filter((role) => ownOf(readSources(role)) === undefined).map(({ name }) => name);
    const roles = given ? [...given, ...byGroups] : names.length > 0 ? names : ["User"];
    // Who approves an account has seen its address.
    await writeUser(trx, id, { status: "active", isEmailVerified: user.email === null ? 0 : 1, updatedAt: now });
    await replaceRoles(id, roles, granter, now, trx);
    const all = (await heldRoles(id, trx)).map((role) => role.id);
    await recordChange(ctx, "user.approve", "user", id, { roles: all }, trx);
    addEffect(trx, { type: "announced", event: "user:approved", data: { userId: id, roles: all } });
  });
}

/**
 * @param isReasonGiven recorded in the audit trail; the reason itself is not, because it may name
 * people (docs/security.md).
 * @throws USER_NOT_FOUND, INVALID_STATE, PRIVILEGE_ESCALATION
 */
export async function rejectUser(
  ctx: AccountContext,
  id: string,
  isReasonGiven: boolean,
  granter: Granter,
): Promise<void> {
  await changeManaged(ctx, id, granter, async (user, now, trx) => {
    requirePending(user);
    await writeUser(trx, id, { status: "disabled", updatedAt: now });
    // A pending invitation link must not open the account.
    await revokeCredentials(ctx, id, now, trx);
    await recordChange(ctx, "user.reject", "user", id, { isReasonGiven }, trx);
  });
}

/** A change without an effect writes nothing. @throws as {@link updateIn}, and LAST_ADMIN */
export async function updateUser(ctx: AccountContext, id: string, patch: UserPatch, granter: Granter): Promise<void> {
  await keepingAdmin(ctx, async (trx) => {
    await updateUserIn(ctx, id, patch, granter, trx);
  });
}

/**
 * {@link update} as part of a transaction of {@link keepingAdmin}.
 * @returns the changed members.
 * @throws USER_NOT_FOUND, EMAIL_TAKEN, USERNAME_TAKEN, PHONE_TAKEN, ID_CONFLICT, INVALID_STATE
 * (activating a pending account), ROLE_NOT_FOUND, PRIVILEGE_ESCALATION, RIGHTS_FROM_GROUPS, INVALID_TIMEZONE,
 * VALIDATION_FAILED
 */
export async function updateUserIn(
  ctx: AccountContext,
  id: string,
  patch: UserPatch,
  granter: Granter,
  trx: Trx,
  source: OwnSource = "hand",
): Promise<readonly string[]> {
  const user = await managedUser(id, granter, trx);
  const now = ctx.clock.now();
  const values = changedValues(user, patch);
  await requireFree(values, id, trx);
  if (values.status === "active" && user.status === "pending")
    throw new PrismError("INVALID_STATE", "The account is pending: approve or reject it");
  const roles = patch.roles
    ? await replaceRoles(id, patch.roles, granter, now, trx, source)
    : { added: [], removed: [] };
  const areRolesChanged = roles.added.length + roles.removed.length > 0;
  if (areRolesChanged) await keysChanged(id, trx);
  const verified = verification(user, patch, granter, id);
  const changed = [...Object.keys(values), ...(verified === null ? [] : ["emailVerified"])];
  const hasChosen: Flag = patch.timezone === undefined ? user.hasChosenTimezone : patch.timezone === null ? 0 : 1;
  if (hasChosen !== user.hasChosenTimezone && values.timezone === undefined) changed.push("timezone");
  if (areRolesChanged) changed.push("roles");
  if (changed.length === 0) return changed;
  const flags = { hasChosenTimezone: hasChosen, isEmailVerified: verified ?? user.isEmailVerified };
  await writeUser(trx, id, { ...values, ...flags, updatedAt: now });
  // A link sent to the old address must not open the account.
  if (values.email !== undefined) await revokeOneTimeTokens(ctx.clock, id, trx);
  const { status } = values;
  addEffect(trx, { type: "rights-changed", of: "user", userId: id });
  const metadata = { changed, ...(status ? { status } : {}), ...(areRolesChanged ? roles : {}) };
  await recordChange(ctx, "user.update", "user", id, metadata, trx);
  if (status === "disabled") {
    await revokeCredentials(ctx, id, now, trx);
    await recordChange(ctx, "user.lock", "user", id, {}, trx);
  } else if (status === "active") await recordChange(ctx, "user.unlock", "user", id, {}, trx);
  return changed;
}

/**
 * Keeps the zone of the user's browser for mails and quiet hours, unless the user chose one.
 * @param isTooSoon only checks it. @returns whether it was kept. @throws INVALID_TIMEZONE
 */
export async function noteBrowserTimezone(
  { db }: Pick<AccountContext, "db">,
  id: string,
  timezone: string,
  isTooSoon: boolean,
): Promise<boolean> {
  requireTimezone(timezone, "browserTimezone");
  const differs = (source: ReadDb | Trx) =>
    usersWith(source, "id", id).select("id").where("hasChosenTimezone", "=", 0).where("timezone", "!=", timezone);
  if (isTooSoon || (await differs(db.read).executeTakeFirst()) === undefined) return false;
  return db.write(async (trx) => {
    if ((await differs(trx).executeTakeFirst()) === undefined) return false;
    await writeUser(trx, id, { timezone });
    addEffect(trx, { type: "answers-changed", of: "profile", userId: id });
    return true;
  });
}

/**
 * A soft delete: references to the user stay readable, but the account can no longer be used.
 * @throws USER_NOT_FOUND, LAST_ADMIN
 */
export async function removeUser(
  ctx: AccountContext,
  deletions: Deletions,
  id: string,
  granter: Granter,
): Promise<void> {
  await changeManaged(ctx, id, granter, (_user, now, trx) => removeAccount(ctx, deletions, id, now, trx));
}

/** {@link removeUser} as part of a transaction. The caller has checked that it may be removed. */
export async function removeAccount(
  ctx: AccountContext,
  deletions: Deletions,
  id: string,
  now: number,
  trx: Trx,
  byUser?: string,
): Promise<void> {
  await revokeCredentials(ctx, id, now, trx);
  await writeUser(trx, id, { status: "disabled", passwordHash: null, deletedAt: now, updatedAt: now });
  await trx.deleteFrom("project_members").where("userId", "=", id).execute();
  await endOwnershipOf(id, null, trx);
  await trx.deleteFrom("second_factors").where("userId", "=", id).execute();
  await trx.deleteFrom("identities").where("userId", "=", id).execute();
  await deletePasskeys(id, trx);
  await trx.deleteFrom("push_devices").where("userId", "=", id).execute();
  await deletions.user(trx, id, now);
  await endKeysOf(ctx, { userId: id, projectId: null, by: "user.delete" }, trx);
  await endTopicRights(trx, id, null);
  await recordChange(ctx, "user.update", "user", id, { changed: ["deletedAt"] }, trx, byUser);
  addEffect(trx, { type: "rights-changed", of: "user", userId: id });
}

/** Ends all sessions of an account. @throws USER_NOT_FOUND, PRIVILEGE_ESCALATION */
export async function signOutUser(ctx: AccountContext, id: string, granter: Granter): Promise<void> {
  await ctx.db.write(async (trx) => {
    await managedUser(id, granter, trx);
    const ended = await revokeSessions(ctx, id, "revoked", trx);
    if (ended > 0) await recordChange(ctx, "auth.logout", "user", id, { all: true, reason: "revoked" }, trx);
  });
}

/**
 * Clears the failed logins of an account, from all addresses; an address with too many of them stays
 * closed. @throws USER_NOT_FOUND, PRIVILEGE_ESCALATION
 */
export async function unlockUser(ctx: AccountContext, id: string, granter: Granter): Promise<void> {
  const { email, username, phone } = await ctx.db.write(async (trx) => {
    const user = await managedUser(id, granter, trx);
    await clearFactorFailures(id, trx);
    await recordChange(ctx, "user.unlock", "user", id, { forgotten: "failed logins" }, trx);
    return user;
  });
  const names = [email, username, phone].filter((name) => name !== null);
  ctx.backoff.forget([...names, ownKey(id), factorKey(id)]);
}

/** Changes accounts in one transaction. @throws LAST_ADMIN without an active administrator left */
export async function keepingAdmin<T>(ctx: AccountContext, work: (trx: Trx) => Promise<T>): Promise<T> {
  return ctx.db.write((trx) => requireAdminKept(ctx, work, trx));
}

/** The result or error of {@link keepingAdmin}, without changing anything. */
export async function rehearse<T>(ctx: AccountContext, work: (trx: Trx) => Promise<T>): Promise<T> {
  const results: T[] = [];
  const rollBack = new Error("nothing is to be changed");
  try {
    await ctx.db.write(async (trx) => {
      results.push(await requireAdminKept(ctx, work, trx));
      throw rollBack;
    });
  } catch (error) {
    if (error !== rollBack) throw error;
  }
  return results[0] as T;
}

/** {@link keepingAdmin} as part of a transaction. @throws LAST_ADMIN */
export async function requireAdminKept<T>(ctx: AccountContext, work: (trx: Trx) => Promise<T>, trx: Trx): Promise<T> {
  const isDevelopment = ctx.config.env === "development";
  const hadAdmin = await hasAdmin(trx, isDevelopment);
  const result = await work(trx);
  if (hadAdmin && !(await hasAdmin(trx, isDevelopment)))
    throw new PrismError("LAST_ADMIN", "Prism keeps at least one active administrator");
  return result;
}

/** @throws USER_NOT_FOUND, PRIVILEGE_ESCALATION, LAST_ADMIN */
async function changeManaged(
  ctx: AccountContext,
  id: string,
  granter: Granter,
  change: (user: Account, now: number, trx: Trx) => Promise<void>,
): Promise<void> {
  await keepingAdmin(ctx, async (trx) => {
    await change(await managedUser(id, granter, trx), ctx.clock.now(), trx);
    addEffect(trx, { type: "rights-changed", of: "user", userId: id });
  });
}

/** An account that the granter may change. @throws USER_NOT_FOUND, PRIVILEGE_ESCALATION */
async function managedUser(id: string, granter: Granter, trx: Trx): Promise<Account> {
  const user = await usersWith(trx, "id", id)
    .select([...COLUMNS, "hasChosenTimezone", "isEmailVerified"])
    .executeTakeFirst();
  if (!user) throw new PrismError("USER_NOT_FOUND", "No such user");
  await requireMayManage(id, granter, trx);
  return user;
}

async function revokeCredentials(ctx: AccountContext, userId: string, now: number, trx: Trx): Promise<void> {
  await revokeSessions(ctx, userId, "account", trx);
  await revokeOneTimeTokens(ctx.clock, userId, trx);
  const tokens = await trx
    .updateTable("service_tokens")
    .set({ revokedAt: now })
    .where("userId", "=", userId)
    .where("revokedAt", "is", null)
    .returning("id")
    .execute();
  for (const { id } of tokens) addEffect(trx, { type: "rights-changed", of: "token", tokenId: id, userId });
  // API keys stay, but are refused while the account is disabled.
  await keysChanged(userId, trx);
  // Subscriptions of sessions are deleted with them; a service token may have added others.
  await trx.deleteFrom("push_devices").where("userId", "=", userId).where("kind", "=", "webpush").execute();
}

/**
 * The new value of `isEmailVerified`; null: unchanged. An address that users enter themselves is
 * unverified; one that a manager of users enters, also the present one again, is verified.
 */
function verification(user: Account, { email }: UserPatch, granter: Granter, id: string): 0 | 1 | null {
  if (email === undefined) return null;
  const isManager = granter.userId !== id || granter.permissions.has("users:manage");
  const isSame = namesOf({ email }).email === user.email;
  const verified = isManager || (isSame && user.isEmailVerified === 1) ? 1 : 0;
  return verified === user.isEmailVerified ? null : verified;
}

function requirePending({ status }: Account): void {
  if (status !== "pending") throw new PrismError("INVALID_STATE", `The account is ${status}, not pending`);
}

/** The changed columns in normalised form. @throws VALIDATION_FAILED, INVALID_TIMEZONE */
function changedValues(user: Account, patch: UserPatch) {
  requireTimezone(patch.timezone);
  const { email, username, phone } = namesOf({ ...patch, phone: patch.phone ?? undefined });
  const wanted = {
    ...patch,
    email,
    username,
    phone: patch.phone === null ? null : phone,
    // Without a choice the zone of the last browser stays in use.
    timezone: patch.timezone ?? undefined,
    name: patch.name === undefined ? undefined : cleanText(patch.name),
  };
  const entries = COLUMNS.map((column) => [column, wanted[column]] as const);
  const changed = entries.filter(([column, value]) => value !== undefined && value !== user[column]);
  return Object.fromEntries(changed) as Omit<UserPatch, "roles" | "timezone"> & { readonly timezone?: string };
}
