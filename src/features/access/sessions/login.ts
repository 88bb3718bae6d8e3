import type * as v from "valibot";
import { invalidField, PrismError } from "../../../core/errors.ts";
import { addEffect, type ReadDb, type Trx } from "../../../store/database.ts";
import type { UserStatus } from "../../../store/schema.ts";
import { accountError } from "../authenticate/principals.ts";
import { type AccountContext, recordChange, recordFailedLogin } from "../context.ts";
import { useSetupToken } from "../first-start.ts";
import { requirePossible, requireStrong } from "../passwords/password-text.ts";
import { acceptInvitation, invitationOfToken, type OpenInvitation } from "../projects/invitations.ts";
import {
  activateInvited,
  createUser,
  findByLoginName,
  type LoginNames,
  loginNameOf,
  type NewUser,
  plainName,
  requireLoginName,
} from "../users/create-user.ts";
import { usersWith, writeUser } from "../users/queries.ts";
import { factorsOf, hasSecondFactor } from "./factor-state.ts";
import { requireLocalLogin } from "./local-login.ts";
import { KNOWN_PAIR_MS } from "./login-backoff.ts";
import {
  addOneTimeToken,
  consumeOneTimeToken,
  createOneTimeToken,
  linkExpired,
  type Opening,
  ownerOfOneTimeToken,
  revokeOneTimeTokens,
} from "./mail-links.ts";
import type { RegisterBody } from "./schema.ts";
import type { FactorName } from "./second-factor.ts";
import {
  type ClientInfo,
  hasSessionFrom,
  type OpenSession,
  openSession,
  revokeSession,
  revokeSessions,
} from "./sessions.ts";

/** @property projectInviteToken of a link: the new account is verified and joins the project. */
export type Registration = v.InferOutput<typeof RegisterBody>;

/** The result of a successful login. */
export interface Login {
  readonly userId: string;
  readonly accessToken: string;
  /** Epoch ms. */
  readonly accessExpiresAt: number;
  readonly session: OpenSession;
}

/** The result of a first step: a challenge when the second factor is still to be proved. */
export type FirstStep = Login | Challenge;

/** @property factors that the second step can prove */
interface Challenge {
  readonly challenge: string;
  readonly factors: readonly FactorName[];
}

/**
 * @returns a login too if the account is active at once and the policy is `open`.
 * @throws REGISTRATION_CLOSED, LOCAL_LOGIN_OFF, FORBIDDEN (setup token), LINK_EXPIRED (invitation), WEAK_PASSWORD,
 * INVALID_TIMEZONE, EMAIL_TAKEN, USERNAME_TAKEN, PHONE_TAKEN, OVERLOADED
 */
export async function register(
  ctx: AccountContext,
  registration: Registration,
  client: ClientInfo,
): Promise<{ userId: string; status: UserStatus; login: Login | null }> {
  const { config, passwords, db } = ctx;
  const { setupToken, inviteToken, password, email, username, phone } = registration;
  if (inviteToken === undefined) requireLoginName(registration);
  const isInvited = setupToken !== undefined || inviteToken !== undefined;
  const invited = inviteToken === undefined ? null : await invitedAccount(ctx, inviteToken, db.read);
  // The first administrator must be able to begin.
  if (setupToken === undefined) await requireLocalLogin(ctx, db.read, invited?.id ?? null);
  if (config.auth.registration === "closed" && !isInvited)
    throw new PrismError("REGISTRATION_CLOSED", "Registration is closed; ask an administrator");
  if (registration.projectInviteToken !== undefined)
    await requireInvitation(ctx, registration, registration.projectInviteToken, db.read);
  requireStrong(password, config.auth.passwordMin, [email, username, phone, invited?.email, invited?.username]);
  const passwordHash = await passwords.hash(password);
  const { made, session } = await db.write(async (trx) => {
    const made = await makeAccount(ctx, registration, passwordHash, trx);
    if (made.verifyToken !== null && made.email !== null)
      await ctx.mail.send("verify-email", made.email, made.verifyToken, trx);
    const isLoggedIn = made.status === "active" && (config.auth.registration === "open" || isInvited);
    return { made, session: isLoggedIn ? await startLogin(ctx, made.userId, client, trx) : null };
  });
  return { userId: made.userId, status: made.status, login: session && (await loginOf(ctx, session)) };
}

async function makeAccount(
  ctx: AccountContext,
  registration: Registration,
  passwordHash: string,
  trx: Trx,
): Promise<{ userId: string; status: UserStatus; email: string | null; verifyToken: string | null }> {
  const { config } = ctx;
  const { inviteToken, setupToken } = registration;
  if (inviteToken !== undefined) {
    await invitedAccount(ctx, inviteToken, trx);
    const userId = await consumeOneTimeToken(ctx.clock, inviteToken, "invite", trx);
    await activateInvited(ctx, userId, { ...registration, passwordHash }, trx);
    return { userId, status: "active", email: null, verifyToken: null };
  }
  if (setupToken !== undefined) await useSetupToken(setupToken, trx);
  const { projectInviteToken } = registration;
  const invitation = projectInviteToken
    ? await requireInvitation(ctx, registration, projectInviteToken, trx)
    : undefined;
  const isOpen = config.auth.registration === "open";
  // A link from a mail verifies the address.
  const isConfirmed = setupToken !== undefined || invitation !== undefined;
  const mustVerify = isOpen && config.auth.requireEmailVerification && !isConfirmed;
  const status = setupToken !== undefined ? "active" : !isOpen ? "pending" : mustVerify ? "unverified" : "active";
  const roles = setupToken !== undefined ? ["Admin"] : isOpen ? ["User"] : [];
  // Without a mail server the link of an invitation goes to its inviter, who is no administrator.
  const isEmailVerified = setupToken !== undefined || (invitation !== undefined && ctx.mail.isConfigured);
  const account: NewUser = { ...registration, status, roles, passwordHash, isEmailVerified };
  const { id, email } = await createUser(ctx, account, trx);
  if (invitation) await acceptInvitation(ctx, invitation, id, trx);
  const verifyToken =
    mustVerify && email !== null ? await createOneTimeToken(ctx.clock, id, "verify_email", trx) : null;
  return { userId: id, status, email, verifyToken };
}

/** A link's invitation, which must be for the address. @throws LINK_EXPIRED, VALIDATION_FAILED */
async function requireInvitation(
  ctx: AccountContext,
  { email = "" }: Registration,
  token: string,
  db: ReadDb | Trx,
): Promise<OpenInvitation> {
  const invitation = await invitationOfToken(ctx, token, db);
  if (plainName(email) === invitation.email) return invitation;
  throw invalidField("body", "email", "must be the address that was invited");
}

/** The account of an invitation; it may have been disabled, or its owner have come another way. @throws LINK_EXPIRED */
async function invitedAccount(ctx: AccountContext, inviteToken: string, db: ReadDb) {
  const userId = await ownerOfOneTimeToken(ctx.clock, inviteToken, "invite", db);
  const account = await accountOf(userId, db);
  if (!account || account.status === "disabled" || account.passwordHash !== null || account.lastLoginAt !== null)
    throw linkExpired();
  return account;
}

/**
 * A wrong password, an unknown name and an account without a password give the same answer after
 * the same time.
 * @throws INVALID_CREDENTIALS, RATE_LIMITED, OVERLOADED, VALIDATION_FAILED for an invalid password;
 * ACCOUNT_PENDING, ACCOUNT_DISABLED and ACCOUNT_UNVERIFIED for the correct password only; LOCAL_LOGIN_OFF
 */
export async function checkPassword(
  ctx: AccountContext,
  names: LoginNames,
  password: string,
  client: ClientInfo,
): Promise<FirstStep> {
  const { db, passwords } = ctx;
  const name = loginNameOf(names);
  await requireLocalLogin(ctx, db.read);
  const user = await guessPassword(ctx, name.key, password, client, () => findByLoginName(name, db.read));
  if (!user) throw new PrismError("INVALID_CREDENTIALS", "The login name or the password is wrong");
  if (user.status !== "active") {
    await recordFailedLogin(ctx, user.id, user.status);
    throw accountError(user.status);
  }
  await requireLocalLogin(ctx, db.read, user.id);
  const newHash = await renewedHash(passwords, user.passwordHash, password);
  const opened = await db.write(async (trx) => {
    // Read again: while the password was checked the account may have changed.
    const now = await accountOf(user.id, trx);
    if (!now || now.passwordChangedAt !== user.passwordChangedAt)
      throw new PrismError("INVALID_CREDENTIALS", "The login name or the password is wrong");
    if (now.status !== "active") throw accountError(now.status);
    if (newHash !== null && now.passwordHash === user.passwordHash)
      await writeUser(trx, user.id, { passwordHash: newHash });
    return openOrChallenge(ctx, user.id, client, trx);
  });
  return firstStepOf(ctx, opened);
}

/** Null: the hash is as it should be, or cannot be renewed now. A correct login must not fail for that. */
async function renewedHash(
  passwords: AccountContext["passwords"],
  hash: string | null,
  password: string,
): Promise<string | null> {
  return hash !== null && passwords.isOutdated(hash) ? passwords.hash(password).catch(() => null) : null;
}

export type Opened = OpenSession | Challenge;

/** Opens a session, or a challenge for an account with a second factor, whose session is opened the same way. */
export async function openOrChallenge(
  ctx: AccountContext,
  userId: string,
  client: ClientInfo,
  trx: Trx,
  how?: Readonly<Record<string, string>>,
  opening: Opening = {},
): Promise<Opened> {
  if (!(await hasSecondFactor(userId, trx))) return startLogin(ctx, userId, client, trx, how, opening);
  // Earlier challenges stay: others who know the password must not prevent the owner's login.
  const challenge = await addOneTimeToken(ctx.clock, userId, "second_factor", trx, opening);
  return { challenge, factors: await factorsOf(ctx, userId, trx) };
}

export async function firstStepOf(ctx: AccountContext, opened: Opened): Promise<FirstStep> {
  return "challenge" in opened ? opened : loginOf(ctx, opened);
}

/**
 * Whether the owner of a login name has logged in from this address in the last thirty days.
 * Survives restarts, because sessions store their address.
 */
export async function isKnownClient(
  { backoff, db, clock }: AccountContext,
  names: LoginNames,
  client: ClientInfo,
): Promise<boolean> {
  const name = loginNameOf(names);
  if (backoff.isKnown(name.key, client.ip)) return true;
  const user = await findByLoginName(name, db.read);
  const since = clock.now() - KNOWN_PAIR_MS;
  // Also for an unknown name: it must cost as many queries.
  const isKnown = await hasSessionFrom(user?.id ?? "", client.ip, since, db.read);
  if (isKnown) backoff.recall(name.key, client.ip);
  return isKnown;
}

/**
 * One guess at a password, counted as failed until it proves correct. A guess that never reaches
 * bcrypt does not count.
 * @param find the account. @returns the account with this password; null without one.
 * @throws RATE_LIMITED, OVERLOADED, VALIDATION_FAILED
 */
async function guessPassword<A extends { readonly id: string; readonly passwordHash: string | null }>(
  ctx: AccountContext,
  key: string,
  password: string,
  client: ClientInfo,
  find: () => Promise<A | undefined>,
): Promise<A | null> {
  const { backoff, passwords } = ctx;
  requirePossible(password);
  const attempt = backoff.begin(key, client.ip);
  let account: A | undefined;
  let isRight: boolean;
  try {
    account = await find();
    isRight = await passwords.verify(password, account?.passwordHash ?? null);
  } catch (error) {
    attempt.withdrawn();
    throw error;
  }
  if (account && isRight) {
    attempt.succeeded();
    return account;
  }
  await recordFailedLogin(ctx, account?.id ?? null, account ? "password" : "unknown");
  return null;
}

/** An account whose password was right, and the password's version. */
export interface PasswordOwner {
  readonly userId: string;
  readonly passwordChangedAt: number | null;
}

/**
 * The account of a login name and its password, for protocols that send both with each request. No
 * session is opened. An account with a second factor is refused: its clients use a token.
 * @throws INVALID_CREDENTIALS, LOCAL_LOGIN_OFF, RATE_LIMITED, OVERLOADED, VALIDATION_FAILED
 */
export async function passwordOwner(
  ctx: AccountContext,
  login: string,
  password: string,
  ip: string,
): Promise<PasswordOwner> {
  const name = loginNameOf({ login });
  const client = { ip, userAgent: "" };
  await requireLocalLogin(ctx, ctx.db.read);
  const user = await guessPassword(ctx, name.key, password, client, () => findByLoginName(name, ctx.db.read));
  if (user?.status !== "active" || (await hasSecondFactor(user.id, ctx.db.read)))
    throw new PrismError("INVALID_CREDENTIALS", "The login name or the password is wrong");
  await requireLocalLogin(ctx, ctx.db.read, user.id);
  const { id: userId, passwordChangedAt, passwordHash } = user;
  const newHash = await renewedHash(ctx.passwords, passwordHash, password);
  if (newHash !== null)
    await ctx.db.write(async (trx) => {
      if ((await accountOf(userId, trx))?.passwordHash === passwordHash)
        await writeUser(trx, userId, { passwordHash: newHash });
    });
  return { userId, passwordChangedAt };
}

/** @param session `id` null: the credential has none. @param all ends all of the user's sessions */
export async function logout(
  ctx: AccountContext,
  { id, userId }: { readonly id: string | null; readonly userId: string },
  all: boolean,
): Promise<void> {
  await ctx.db.write(async (trx) => {
    if (all) await revokeSessions(ctx, userId, "logout", trx);
    else if (id === null || !(await revokeSession(ctx, id, userId, "logout", trx))) return;
    const metadata = id === null ? { all } : { sessionId: id, all };
    await recordChange(ctx, "auth.logout", "user", userId, metadata, trx, userId);
  });
}

/** @returns false when it had ended already. */
export async function endSession(
  ctx: AccountContext,
  { id, userId }: { readonly id: string; readonly userId: string },
): Promise<boolean> {
  const reason = "revoked";
  return ctx.db.write(async (trx) => {
    if (!(await revokeSession(ctx, id, userId, reason, trx))) return false;
    await recordChange(ctx, "auth.logout", "user", userId, { sessionId: id, reason }, trx);
    return true;
  });
}

/**
 * Asks the owner of an account for the password again; guesses are slowed down like logins.
 * @throws INVALID_CREDENTIALS, RATE_LIMITED, OVERLOADED, VALIDATION_FAILED
 */
export async function requirePassword(
  ctx: AccountContext,
  userId: string,
  password: string,
  client: ClientInfo,
): Promise<void> {
  const account = await guessPassword(ctx, ownKey(userId), password, client, () => accountOf(userId, ctx.db.read));
  if (!account) throw new PrismError("INVALID_CREDENTIALS", "The password is wrong");
}

/** No login name starts with a tab: guesses at those do not slow the owner down here. */
export function ownKey(userId: string): string {
  return `\tid:${userId}`;
}

/** Sets a password, ends all sessions but one. @throws WEAK_PASSWORD, OVERLOADED, USER_NOT_FOUND */
export async function setPassword(
  ctx: AccountContext,
  userId: string,
  password: string,
  { keepSession = null, before }: { keepSession?: string | null; before?: (trx: Trx) => Promise<void> } = {},
): Promise<void> {
  const { db, passwords, clock, config } = ctx;
  const account = await accountOf(userId, db.read);
  if (!account) throw new PrismError("USER_NOT_FOUND", "No such user");
  requireStrong(password, config.auth.passwordMin, [account.email, account.username, account.phone]);
  const passwordHash = await passwords.hash(password);
  await db.write(async (trx) => {
    await before?.(trx);
    const now = clock.now();
    await writeUser(trx, userId, { passwordHash, passwordChangedAt: now, updatedAt: now });
    await revokeSessions(ctx, userId, "password", trx, keepSession);
    await revokeOneTimeTokens(ctx.clock, userId, trx, "reset_password", "sign_in", "second_factor");
    await recordChange(ctx, "user.update", "user", userId, { changed: ["password"] }, trx, userId);
    addEffect(trx, { type: "rights-changed", of: "user", userId });
  });
}

/** @param how for the audit trail, besides the session. */
export async function startLogin(
  ctx: AccountContext,
  userId: string,
  client: ClientInfo,
  trx: Trx,
  how: Readonly<Record<string, string>> = {},
  opening: Opening = {},
): Promise<OpenSession> {
  const session = await openSession(ctx, userId, client, trx, opening);
  await writeUser(trx, userId, { lastLoginAt: ctx.clock.now() });
  const by = opening.via === undefined ? {} : { via: opening.via };
  await recordChange(ctx, "auth.login", "user", userId, { sessionId: session.id, ...by, ...how }, trx, userId);
  return session;
}

/** Signing is done outside the transaction. */
export async function loginOf(ctx: AccountContext, session: OpenSession): Promise<Login> {
  const { token, expiresAt } = await ctx.accessTokens.issue(session.userId, session.id, { latest: session.endsAt });
  return { userId: session.userId, accessToken: token, accessExpiresAt: expiresAt, session };
}

async function accountOf(userId: string, db: ReadDb) {
  return usersWith(db, "id", userId)
    .select(["id", "status", "passwordHash", "passwordChangedAt", "lastLoginAt", "email", "username", "phone"])
    .executeTakeFirst();
}
