import type { OidcSettings } from "../../../config/oidc-options.ts";
import { PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { addEffect, type Trx } from "../../../store/database.ts";
import { accountError } from "../authenticate/principals.ts";
import { heldRoles, permissionsOf } from "../authorize.ts";
import { type AccountContext, recordChange } from "../context.ts";
import { applyGroups } from "../group-rights/apply-groups.ts";
import { membershipsOf } from "../projects/queries.ts";
import { hasSecondFactor } from "../sessions/factor-state.ts";
import { openOrChallenge, startLogin } from "../sessions/login.ts";
import type { ClientInfo } from "../sessions/sessions.ts";
import { createUser, namesOf, plainName } from "../users/create-user.ts";
import { usersWith, writeUser } from "../users/queries.ts";
import { endUnlinked, findIdentity, linkIdentity, tokensSealContext } from "./identities.ts";
import type { PersonAnswer } from "./provider.ts";

/**
 * Opens a session of the account that is linked with the provider's, or a challenge for its second factor. An unknown
 * person gets a new account, which waits for approval until it has a role.
 * @throws ACCOUNT_PENDING, ACCOUNT_DISABLED, ACCOUNT_UNVERIFIED, ACCOUNT_NOT_LINKED, REGISTRATION_CLOSED
 */
export async function signInWith(
  ctx: AccountContext,
  settings: OidcSettings,
  answer: PersonAnswer,
  client: ClientInfo,
) {
  const outcome = await ctx.db.write(async (trx) => {
    const { userId, isNew } = await accountOf(ctx, settings, answer, trx);
    const account = await usersWith(trx, "id", userId).select("status").executeTakeFirst();
    // A disabled account gets no rights for the day on which it is enabled again.
    if (account?.status !== "active" && account?.status !== "pending")
      return accountError(account?.status ?? "disabled");
    const hasRole = await noteAnswer(ctx, settings, userId, answer, trx);
    const status = account.status === "pending" && hasRole ? "active" : account.status;
    if (isNew && status === "pending" && ctx.config.auth.registration === "closed")
      throw new PrismError("REGISTRATION_CLOSED", "There is no account for you, and registration is closed");
    // The new account stays, which an error would roll back.
    if (status !== "active") return accountError(status);
    if (status !== account.status) {
      await writeUser(trx, userId, { status, updatedAt: ctx.clock.now() });
      await recordChange(ctx, "user.update", "user", userId, { changed: ["status"], status }, trx, userId);
      addEffect(trx, { type: "rights-changed", of: "user", userId });
    }
    const endsAt = ctx.clock.now() + settings.sessionMax;
    const opening = { via: viaOf(settings), sid: answer.sid, endsAt };
    return answer.hasTrustedFactor
      ? startLogin(ctx, userId, client, trx, { secondFactor: "provider" }, opening)
      : openOrChallenge(ctx, userId, client, trx, {}, opening);
  });
  if (outcome instanceof PrismError) throw outcome;
  return outcome;
}

/** How its sessions were opened, and what gave the rights of its groups. */
export function viaOf({ name }: OidcSettings): `oidc:${string}` {
  return `oidc:${name}`;
}

/** Keeps what a provider said of a linked person. @returns whether the account has a role now */
export async function noteAnswer(
  ctx: AccountContext,
  settings: OidcSettings,
  userId: string,
  { issuer, subject, groups, refreshToken, email, username, name }: PersonAnswer,
  trx: Trx,
): Promise<boolean> {
  const { roles, projects, groupsEvery } = settings;
  const identity = await findIdentity({ issuer, subject, provider: settings.name }, trx);
  if (!identity) throw new TypeError("the identity is linked in this transaction");
  const now = ctx.clock.now();
  const token = groupsEvery === null ? undefined : refreshToken;
  const sealed =
    token === undefined ? identity.tokens : ctx.box.seal(tokensSealContext(identity.id), Buffer.from(token));
  await trx
    .updateTable("identities")
    .set({
      ...{ provider: settings.name, name: email ?? username ?? name ?? identity.name, lastUsedAt: now, groupsAt: now },
      tokens: groupsEvery === null ? null : sealed,
    })
    .where("id", "=", identity.id)
    .execute();
  const isRenamed = !ctx.config.auth.oidc.some(({ name: each }) => each === identity.provider);
  if (isRenamed) await endUnlinked(ctx, userId, trx);
  if (groups === null) return (await heldRoles(userId, trx)).length > 0;
  return applyGroups(ctx, { userId, source: viaOf(settings), roles, projects }, groups, trx);
}

async function accountOf(
  ctx: AccountContext,
  settings: OidcSettings,
  answer: PersonAnswer,
  trx: Trx,
): Promise<{ readonly userId: string; readonly isNew: boolean }> {
  const { issuer, subject, name, username, email } = answer;
  const identity = { issuer, subject, provider: settings.name, name: email ?? username ?? name };
  const linked = await findIdentity(identity, trx);
  if (linked) return { userId: linked.userId, isNew: false };
  // An address that an account has not confirmed says nothing of its owner.
  const sameAddress =
    email === undefined
      ? undefined
      : await usersWith(trx, "email", plainName(email))
          .select("id")
          .where("isEmailVerified", "=", 1)
          .executeTakeFirst();
  if (sameAddress) {
    if (settings.link !== "email_verified" || !(await mayLinkByAddress(sameAddress.id, issuer, trx)))
      throw new PrismError(
        "ACCOUNT_NOT_LINKED",
        "There is an account with your mail address; link it on your account page",
      );
    await linkIdentity(ctx, sameAddress.id, identity, trx, { byUser: sameAddress.id });
    return { userId: sameAddress.id, isNew: false };
  }
  const id = uuidv7();
  await createUser(
    ctx,
    {
      ...{ id, name: name ?? username ?? "", isEmailVerified: true },
      ...(await freeNames({ email, username }, trx)),
      status: settings.provision ? "active" : "pending",
      roles: settings.provision ? ["User"] : [],
    },
    trx,
    "issuer",
  );
  await linkIdentity(ctx, id, identity, trx, { byUser: id });
  return { userId: id, isNew: true };
}

/** Rights with which others can be taken. */
const MANAGING: readonly string[] = ["users:manage", "roles:manage", "system:manage"];

/**
 * An address may pass to another person: it opens no account with a way in of its own, with rights over others, or with
 * another person of the same provider.
 */
export async function mayLinkByAddress(userId: string, issuer: string, trx: Trx): Promise<boolean> {
  const user = await usersWith(trx, "id", userId).select("passwordHash").executeTakeFirst();
  const linked = trx.selectFrom("identities").select("id").where("userId", "=", userId).where("issuer", "=", issuer);
  const roles = await heldRoles(userId, trx);
  const isAdmin =
    roles.some(({ name }) => name === "Admin") ||
    permissionsOf(roles).some((each) => MANAGING.includes(each)) ||
    (await membershipsOf(trx, userId)).some(({ role }) => role === "owner");
  if (user?.passwordHash !== null || isAdmin || (await hasSecondFactor(userId, trx))) return false;
  return (await linked.executeTakeFirst()) === undefined;
}

/** Of the names that a provider gives, those that are valid and free: the subject identifies the person. */
async function freeNames(
  given: { readonly email: string | undefined; readonly username: string | undefined },
  trx: Trx,
) {
  const free: { email?: string; username?: string } = {};
  for (const column of ["email", "username"] as const) {
    try {
      const value = namesOf({ [column]: given[column] })[column];
      if (value !== undefined && !(await usersWith(trx, column, value).select("id").executeTakeFirst()))
        free[column] = value;
    } catch {
      // Not valid here.
    }
  }
  return free;
}
