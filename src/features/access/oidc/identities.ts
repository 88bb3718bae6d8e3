import { PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { toRfc3339, toRfc3339OrNull } from "../../../core/time/clock.ts";
import type { Deletions } from "../../../module/feature.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import { type Granter, heldRoles, requireMayManage } from "../authorize.ts";
import { type AccountContext, recordChange } from "../context.ts";
import { applyGroups } from "../group-rights/apply-groups.ts";
import { isOfGroups, readSources } from "../group-rights/sources.ts";
import { membershipsOf } from "../projects/queries.ts";
import { revokeSessions } from "../sessions/sessions.ts";
import { keepingWayIn } from "../sessions/ways-in.ts";
import { findUser, usersWith } from "../users/queries.ts";
import { removeAccount } from "../users/user-lifecycle.ts";

/** An account of a provider, unique by issuer and subject. A proxy's header has the issuer `proxy:<name>`. */
export interface Subject {
  readonly issuer: string;
  readonly subject: string;
  /** The provider's name in the configuration. */
  readonly provider: string;
  /** What the provider calls the person. */
  readonly name?: string | undefined;
}

/** Seal context of a provider's refresh token. */
export function tokensSealContext(identityId: string): string {
  return `identities.tokens.${identityId}`;
}

export async function findIdentity({ issuer, subject }: Subject, db: ReadDb | Trx) {
  const same = db.selectFrom("identities").selectAll().where("issuer", "=", issuer).where("subject", "=", subject);
  return same.executeTakeFirst();
}

/** The accounts of providers that sign a user in, first linked first. */
export async function listIdentities(db: ReadDb | Trx, userId: string) {
  const rows = await db.selectFrom("identities").selectAll().where("userId", "=", userId).orderBy("id").execute();
  return rows.map(({ id, issuer, subject, provider, name, linkedAt, lastUsedAt }) => ({
    ...{ id, issuer, subject, provider, name },
    linkedAt: toRfc3339(linkedAt),
    lastUsedAt: toRfc3339OrNull(lastUsedAt),
  }));
}

/**
 * @property byUser who links the own account. @property granter who manages users: also the account that gives way.
 * @property deletions undefined: no account gives way
 */
interface Linking {
  readonly byUser?: string;
  readonly granter?: Granter;
  readonly deletions?: Deletions;
}

/**
 * Links an account of a provider. One that made an account of its own, which waits for approval still and was given
 * nothing, moves and that account ends. @returns its id. @throws IDENTITY_TAKEN, PRIVILEGE_ESCALATION
 */
export async function linkIdentity(
  ctx: AccountContext,
  userId: string,
  { issuer, subject, provider, name }: Subject,
  trx: Trx,
  { byUser, granter, deletions }: Linking = {},
): Promise<string> {
  const now = ctx.clock.now();
  const held = await findIdentity({ issuer, subject, provider }, trx);
  if (held?.userId === userId) return held.id;
  if (held) {
    if (!deletions || !(await isOfSignInAlone(held.userId, trx)))
      throw new PrismError("IDENTITY_TAKEN", "Another account is linked with this account of the provider");
    if (granter) await requireMayManage(held.userId, granter, trx);
    await removeAccount(ctx, deletions, held.userId, now, trx, byUser);
  }
  const id = uuidv7();
  const values = { id, issuer, subject, userId, provider, name: name ?? null, linkedAt: now };
  await trx
    .insertInto("identities")
    .values({ ...values, lastUsedAt: null, tokens: null, groupsAt: null })
    .execute();
  await recordChange(ctx, "user.identity_link", "user", userId, { provider, issuer }, trx, byUser);
  return id;
}

/** Whether a sign-in made the account and no person has given it anything since. */
async function isOfSignInAlone(userId: string, trx: Trx): Promise<boolean> {
  const account = await usersWith(trx, "id", userId).select(["status", "passwordHash"]).executeTakeFirst();
  const invited = trx.selectFrom("one_time_tokens").select("kind").where("userId", "=", userId);
  return (
    account?.status === "pending" &&
    account.passwordHash === null &&
    (await heldRoles(userId, trx)).length === 0 &&
    (await membershipsOf(trx, userId)).length === 0 &&
    (await invited.where("kind", "=", "invite").executeTakeFirst()) === undefined
  );
}

/** @param granter who manages users; an own one is linked by its provider's proof. @throws USER_NOT_FOUND, IDENTITY_TAKEN, PRIVILEGE_ESCALATION */
export async function prepareIdentity(
  ctx: AccountContext,
  userId: string,
  subject: Subject,
  granter: Granter,
  deletions: Deletions,
): Promise<string> {
  if (granter.userId === userId)
    throw new PrismError("INVALID_STATE", "Link your own account with POST /api/v1/users/me/identities");
  return ctx.db.write(async (trx) => {
    await findUser(trx, userId);
    await requireMayManage(userId, granter, trx);
    return linkIdentity(ctx, userId, subject, trx, { granter, deletions });
  });
}

/**
 * Removes a way in: its sessions end, but for one, and what its groups gave. @param granter null: the owner, who keeps a
 * way in. @throws IDENTITY_NOT_FOUND, PRIVILEGE_ESCALATION; INVALID_STATE for the owner's last way in
 */
export async function unlinkIdentity(
  ctx: AccountContext,
  { id, userId, keepSession }: { readonly id: string; readonly userId: string; readonly keepSession: string | null },
  granter: Granter | null,
): Promise<void> {
  await ctx.db.write(async (trx) => {
    const all = await trx.selectFrom("identities").selectAll().where("userId", "=", userId).execute();
    const found = all.find((each) => each.id === id);
    if (!found) throw new PrismError("IDENTITY_NOT_FOUND", "No such linked account");
    const { provider, issuer } = found;
    const remove = () => trx.deleteFrom("identities").where("id", "=", id).execute();
    if (granter) await requireMayManage(userId, granter, trx);
    await (granter ? remove() : keepingWayIn(ctx, userId, trx, remove));
    await recordChange(ctx, "user.identity_unlink", "user", userId, { provider, issuer }, trx);
    await endUnlinked(ctx, userId, trx, keepSession);
  });
}

/**
 * Ends the sessions, but for one, and takes away the rights of providers that a user has no identity of, also under
 * names that are no longer in the settings.
 */
export async function endUnlinked(
  ctx: AccountContext,
  userId: string,
  trx: Trx,
  keepSession: string | null = null,
): Promise<void> {
  const identities = await trx.selectFrom("identities").selectAll().where("userId", "=", userId).execute();
  const linked = new Set(
    identities.map(({ issuer, provider }) => (issuer.startsWith("proxy:") ? issuer : `oidc:${provider}`)),
  );
  const sessions = trx.selectFrom("sessions").select("via").distinct().where("userId", "=", userId);
  for (const { via } of await sessions.where("revokedAt", "is", null).where("via", "is not", null).execute())
    if (via !== null && !linked.has(via)) await revokeSessions(ctx, userId, "provider", trx, keepSession, { via });
  const rights = [...(await heldRoles(userId, trx)), ...(await membershipsOf(trx, userId))];
  const sources = new Set(rights.flatMap(({ sources: stored }) => Object.keys(readSources({ sources: stored }))));
  for (const source of sources)
    if (isOfGroups(source) && !linked.has(source))
      await applyGroups(ctx, { userId, source, roles: {}, projects: {} }, [], trx);
}
