import { PrismError } from "../../../core/errors.ts";
import { addEffect } from "../../../store/database.ts";
import type { UserStatus } from "../../../store/schema.ts";
import { type AccountContext, recordChange } from "../context.ts";
import { plainName } from "../users/create-user.ts";
import { usersWith, writeUser } from "../users/queries.ts";
import { setPassword } from "./login.ts";
import {
  addOneTimeToken,
  consumeOneTimeToken,
  linkExpired,
  type OneTimeKind,
  openOneTimeTokens,
  ownerOfOneTimeToken,
} from "./mail-links.ts";
import type { ClientInfo } from "./sessions.ts";

/**
 * One mail of a kind in this time, and so many links that are good at once: an address must not be
 * filled with mail.
 */
const PAUSE_MS = 60_000;
const MAX_LINKS = 5;

/*
 * What the links in mails do. A request for such a mail is answered before anything is looked up:
 * neither the answer nor its time tells whether there is an account.
 */

/** Sends another confirmation link to an account that waits for one. Returns at once. */
export function resendVerification(ctx: AccountContext, email: string): void {
  sendLink(ctx, email, "verify_email", (status) => status === "unverified");
}

/** Sends a link to choose a new password. Returns at once. */
export function forgotPassword(ctx: AccountContext, email: string): void {
  sendLink(ctx, email, "reset_password", (status) => status !== "disabled");
}

/** Resolves when what was asked for so far has been done, up to the jobs that send the mails. */
export async function linksIdle(ctx: AccountContext): Promise<void> {
  await Promise.all(ctx.linksUnderWay);
}

/**
 * @returns what the account is now: active, or pending where somebody has yet to approve it.
 * @throws LINK_EXPIRED
 */
export async function verifyEmail(ctx: AccountContext, token: string): Promise<UserStatus> {
  const { db, config } = ctx;
  return db.write(async (trx) => {
    const userId = await consumeOneTimeToken(ctx.clock, token, "verify_email", trx);
    const account = await usersWith(trx, "id", userId).select("status").executeTakeFirst();
    // An account that was closed since is not opened by an old mail.
    if (!account || account.status === "disabled") throw linkExpired();
    if (account.status !== "unverified") return account.status;
    const status = config.auth.registration === "open" ? "active" : "pending";
    await writeUser(trx, userId, { status });
    await recordChange(ctx, "user.update", "user", userId, { changed: ["status"], status }, trx, userId);
    addEffect(trx, { type: "rights-changed", of: "user", userId });
    return status;
  });
}

/**
 * Sets the password of the account that a link was sent to; all its sessions end. @throws
 * LINK_EXPIRED, WEAK_PASSWORD, OVERLOADED
 */
export async function resetPassword(
  ctx: AccountContext,
  token: string,
  password: string,
  client: ClientInfo,
): Promise<void> {
  const { db, backoff } = ctx;
  // Before the password is hashed: hashing is dear, and must not be had for the asking.
  const userId = await ownerOfOneTimeToken(ctx.clock, token, "reset_password", db.read);
  const account = await usersWith(db.read, "id", userId)
    .select(["status", "email", "username", "phone"])
    .executeTakeFirst();
  if (!account || account.status === "disabled") throw linkExpired();
  await setPassword(ctx, userId, password, {
    before: async (trx) => {
      await consumeOneTimeToken(ctx.clock, token, "reset_password", trx);
    },
  });
  // The mailbox has shown who is here: guesses, from here or elsewhere, do not keep the owner
  // waiting.
  for (const name of [account.email, account.username, account.phone])
    if (name !== null) backoff.trust(name, client.ip);
}

function sendLink(
  ctx: AccountContext,
  email: string,
  kind: Exclude<OneTimeKind, "invite">,
  isMeant: (status: UserStatus) => boolean,
): void {
  const { mail, log } = ctx;
  if (!mail.isConfigured) {
    mail.warnUnconfigured();
    return;
  }
  const work = makeLink(ctx, plainName(email), kind, isMeant)
    .catch((error: unknown) => {
      const code = error instanceof PrismError ? error.code : "INTERNAL";
      log.warn({ err: error, code, kind }, "a link could not be made");
    })
    .finally(() => ctx.linksUnderWay.delete(work));
  ctx.linksUnderWay.add(work);
}

/** Nothing where no account is meant, or one was sent just now. */
async function makeLink(
  ctx: AccountContext,
  email: string,
  kind: Exclude<OneTimeKind, "invite">,
  isMeant: (status: UserStatus) => boolean,
): Promise<void> {
  const { db, mail } = ctx;
  // The answer goes out first.
  await new Promise((resolve) => setImmediate(resolve));
  const account = await usersWith(db.read, "email", email).select(["id", "status"]).executeTakeFirst();
  if (!account || !isMeant(account.status)) return;
  await db.write(async (trx) => {
    const { count, isRecent } = await openOneTimeTokens(ctx.clock, account.id, kind, PAUSE_MS, trx);
    if (isRecent || count >= MAX_LINKS) return;
    // Earlier links stay good: a stranger who asks for one more must not spoil the one that its
    // owner is about to open.
    const token = await addOneTimeToken(ctx.clock, account.id, kind, trx);
    await mail.send(kind === "verify_email" ? "verify-email" : "reset-password", email, token, trx);
  });
}
