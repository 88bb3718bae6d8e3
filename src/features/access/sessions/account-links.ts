import { randomInt } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { invalidField, PrismError } from "../../../core/errors.ts";
import { addEffect, type Trx } from "../../../store/database.ts";
import type { UserStatus } from "../../../store/schema.ts";
import { type AccountContext, recordChange } from "../context.ts";
import { plainName } from "../users/create-user.ts";
import { usersWith, writeUser } from "../users/queries.ts";
import { requireLocalLogin } from "./local-login.ts";
import { requirePassword, setPassword } from "./login.ts";
import {
  accountLabel,
  addOneTimeToken,
  consumeOneTimeToken,
  linkExpired,
  openOneTimeTokens,
  ownerOfOneTimeToken,
} from "./mail-links.ts";
import type { ClientInfo } from "./sessions.ts";

/** Limits per kind of mail: one in this time, and this many valid links, against floods. */
const PAUSE_MS = 60_000;
const MAX_LINKS = 5;
/** Milliseconds, at random in between. */
const LOOK_UP_AFTER_MS = [50, 250] as const;

type MailedKind = "verify_email" | "reset_password";

interface MailedAccount {
  readonly id: string;
  readonly status: UserStatus;
  readonly isEmailVerified: number;
}

/*
 * Links in mails. A request for such a mail is answered before any look-up, so that neither the
 * answer nor its timing reveals whether an account exists.
 */

/**
 * Sends another verification link to an account whose address is unverified; an active account asks
 * for its own only. Returns at once. @param callerId null without a session
 */
export function resendVerification(ctx: AccountContext, email: string, callerId: string | null): void {
  sendLink(ctx, email, "verify_email", ({ id, status, isEmailVerified }) => {
    return isEmailVerified === 0 && status !== "disabled" && (status !== "active" || id === callerId);
  });
}

/** Sends a link to reset the password. Returns at once. */
export function forgotPassword(ctx: AccountContext, email: string): void {
  sendLink(ctx, email, "reset_password", ({ status }) => status !== "disabled");
}

/** Resolves when all requests so far are processed, up to the jobs that send the mails. */
export async function linksIdle(ctx: AccountContext): Promise<void> {
  await Promise.all(ctx.linksUnderWay);
}

/**
 * Confirms an address. A password is checked against the one that was chosen at the registration: Prism's page
 * asks for it, so that an owner of the mailbox who clicks does not open the account of a stranger who entered the
 * address. For the same reason an active account confirms its address in its own session.
 * @param password undefined: a page of PulseBoard asked for none, and without a session the token is enough there
 * @param callerId null without a session
 * @returns the new status: active, or pending if approval is missing. @throws LINK_EXPIRED, FORBIDDEN,
 * VALIDATION_FAILED, INVALID_CREDENTIALS, RATE_LIMITED, OVERLOADED
 */
export async function verifyEmail(
  ctx: AccountContext,
  { token, password }: { readonly token: string; readonly password?: string | undefined },
  callerId: string | null,
  client: ClientInfo,
): Promise<UserStatus> {
  const { db } = ctx;
  if (password !== undefined || callerId !== null) {
    const ownerId = await ownerOfOneTimeToken(ctx.clock, token, "verify_email", db.read);
    const owner = await usersWith(db.read, "id", ownerId).select(["status", "passwordHash"]).executeTakeFirst();
    if (owner?.status === "unverified" && owner.passwordHash !== null) {
      if (password === undefined) throw invalidField("body", "password", "is required: that of the registration");
      await requirePassword(ctx, ownerId, password, client);
    }
  }
  return db.write(async (trx) => {
    const userId = await consumeOneTimeToken(ctx.clock, token, "verify_email", trx);
    const account = await usersWith(trx, "id", userId).select(["status", "username", "name"]).executeTakeFirst();
    // An old mail must not reopen an account that was disabled since.
    if (!account || account.status === "disabled") throw linkExpired();
    if (account.status === "active" && userId !== callerId) {
      const message = `Sign in to ${accountLabel(account)} and open the link again: it confirms the address for this account`;
      throw new PrismError("FORBIDDEN", message);
    }
    await writeUser(trx, userId, { isEmailVerified: 1 });
    return account.status === "unverified" ? openVerified(ctx, userId, trx) : account.status;
  });
}

/** Ends the wait for the confirmation of the address. @returns the new status */
async function openVerified(ctx: AccountContext, userId: string, trx: Trx): Promise<UserStatus> {
  const status = ctx.config.auth.registration === "open" ? "active" : "pending";
  await writeUser(trx, userId, { status });
  await recordChange(ctx, "user.update", "user", userId, { changed: ["status"], status }, trx, userId);
  addEffect(trx, { type: "rights-changed", of: "user", userId });
  return status;
}

/**
 * Sets a link's password and ends all sessions. It opens an account that waits for its address: the link came to
 * it, and the password of the registration, perhaps a stranger's, ends. @throws LINK_EXPIRED, LOCAL_LOGIN_OFF, WEAK_PASSWORD,
 * OVERLOADED
 */
export async function resetPassword(
  ctx: AccountContext,
  token: string,
  password: string,
  client: ClientInfo,
): Promise<void> {
  const { db, backoff } = ctx;
  // Before the password is hashed, because hashing is expensive.
  const userId = await ownerOfOneTimeToken(ctx.clock, token, "reset_password", db.read);
  await requireLocalLogin(ctx, db.read, userId);
  const account = await usersWith(db.read, "id", userId)
    .select(["status", "email", "username", "phone"])
    .executeTakeFirst();
  if (!account || account.status === "disabled") throw linkExpired();
  await setPassword(ctx, userId, password, {
    before: async (trx) => {
      await consumeOneTimeToken(ctx.clock, token, "reset_password", trx);
      // The link came to this mailbox: a change of the address revokes it.
      await writeUser(trx, userId, { isEmailVerified: account.email === null ? 0 : 1 });
      const now = await usersWith(trx, "id", userId).select("status").executeTakeFirst();
      if (now?.status === "unverified") await openVerified(ctx, userId, trx);
    },
  });
  // Access to the mailbox proves the owner: earlier failed logins must not delay them.
  for (const name of [account.email, account.username, account.phone])
    if (name !== null) backoff.trust(name, client.ip);
}

function sendLink(
  ctx: AccountContext,
  email: string,
  kind: MailedKind,
  isMeant: (account: MailedAccount) => boolean,
): void {
  const { mail, log } = ctx;
  if (!mail.isConfigured) {
    mail.warnUnconfigured();
    return;
  }
  const work = makeLink(ctx, plainName(email), kind, isMeant)
    .catch((error: unknown) => {
      const code = error instanceof PrismError ? error.code : "INTERNAL";
      log.warn({ err: error, code, kind }, "cannot create account link");
    })
    .finally(() => ctx.linksUnderWay.delete(work));
  ctx.linksUnderWay.add(work);
}

/** Does nothing for an unknown account, or if a link was sent recently. */
async function makeLink(
  ctx: AccountContext,
  email: string,
  kind: MailedKind,
  isMeant: (account: MailedAccount) => boolean,
): Promise<void> {
  const { db, mail } = ctx;
  // Long after the answer, so that neither it nor a request behind it takes longer for a known address.
  await delay(randomInt(...LOOK_UP_AFTER_MS));
  const account = await usersWith(db.read, "email", email)
    .select(["id", "status", "isEmailVerified", "username", "name"])
    .executeTakeFirst();
  if (!account || !isMeant(account)) return;
  await db.write(async (trx) => {
    const { count, isRecent } = await openOneTimeTokens(ctx.clock, account.id, kind, PAUSE_MS, trx);
    if (isRecent || count >= MAX_LINKS) return;
    // Earlier links stay valid: a stranger's request must not invalidate the owner's link.
    const token = await addOneTimeToken(ctx.clock, account.id, kind, trx);
    const page = kind === "reset_password" ? "reset-password" : "verify-email";
    if (page === "verify-email" && account.status === "active") await mail.confirmation(email, account, token, trx);
    else await mail.send(page, email, token, trx);
  });
}
