import { PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { toRfc3339, toRfc3339OrNull } from "../../../core/time/clock.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import { type Granter, requireMayManage } from "../authorize.ts";
import { type AccountContext, recordChange } from "../context.ts";
import { applyGroups } from "../group-rights/apply-groups.ts";
import { revokeSessions } from "../sessions/sessions.ts";
import { keepingWayIn } from "../sessions/ways-in.ts";
import { findUser, usersWith, writeUser } from "../users/queries.ts";

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
 * Links an account of a provider. One that made an account of its own, which waits for approval still, moves and that
 * account ends. @returns its id. @throws IDENTITY_TAKEN
 */
export async function linkIdentity(
  ctx: AccountContext,
  userId: string,
  { issuer, subject, provider, name }: Subject,
  trx: Trx,
  byUser?: string,
): Promise<string> {
  const now = ctx.clock.now();
  const held = await findIdentity({ issuer, subject, provider }, trx);
  if (held?.userId === userId) return held.id;
  if (held) {
    const owner = await usersWith(trx, "id", held.userId).select(["status", "passwordHash"]).executeTakeFirst();
    if (owner?.status !== "pending" || owner.passwordHash !== null)
      throw new PrismError("IDENTITY_TAKEN", "Another account is linked with this account of the provider");
    await writeUser(trx, held.userId, { status: "disabled", deletedAt: now, updatedAt: now });
    await recordChange(ctx, "user.update", "user", held.userId, { changed: ["deletedAt"] }, trx, byUser);
    await trx.deleteFrom("identities").where("userId", "=", held.userId).execute();
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

/** @param granter who manages users; an own one is linked by its provider's proof. @throws USER_NOT_FOUND, IDENTITY_TAKEN, PRIVILEGE_ESCALATION */
export async function prepareIdentity(
  ctx: AccountContext,
  userId: string,
  subject: Subject,
  granter: Granter,
): Promise<string> {
  if (granter.userId === userId)
    throw new PrismError("INVALID_STATE", "Link your own account with POST /api/v1/users/me/identities");
  return ctx.db.write(async (trx) => {
    await findUser(trx, userId);
    await requireMayManage(userId, granter, trx);
    return linkIdentity(ctx, userId, subject, trx);
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
    const isLast = all.every((each) => each.id === id || each.provider !== provider);
    if (provider === null || !isLast) return;
    const via = issuer.startsWith("proxy:") ? issuer : `oidc:${provider}`;
    await revokeSessions(ctx, userId, "provider", trx, keepSession, { via });
    await applyGroups(ctx, { userId, source: via, roles: {}, projects: {} }, [], trx);
  });
}
