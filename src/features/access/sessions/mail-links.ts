import { randomBytes } from "node:crypto";
import type { Clock, EpochMs } from "../../../core/clock.ts";
import { PrismError } from "../../../core/errors.ts";
import type { Logger } from "../../../core/log.ts";
import { hashToken } from "../../../core/tokens.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";

export type OneTimeKind = "verify_email" | "reset_password" | "invite";

const HOUR_MS = 3_600_000;
const LINK_LIFE_MS: Readonly<Record<OneTimeKind, number>> = {
  verify_email: 24 * HOUR_MS,
  reset_password: HOUR_MS,
  invite: 7 * 24 * HOUR_MS,
};
const TOKEN_BYTES = 32;

/** @returns the token; earlier ones of this kind are good no more. */
export async function createOneTimeToken(clock: Clock, userId: string, kind: OneTimeKind, trx: Trx): Promise<string> {
  await revokeOneTimeTokens(clock, userId, trx, kind);
  return addOneTimeToken(clock, userId, kind, trx);
}

/** @returns the token; earlier ones stay good until their time is over. */
export async function addOneTimeToken(clock: Clock, userId: string, kind: OneTimeKind, trx: Trx): Promise<string> {
  const token = randomBytes(TOKEN_BYTES).toString("base64url");
  const expiresAt = clock.now() + LINK_LIFE_MS[kind];
  await trx
    .insertInto("one_time_tokens")
    .values({ hash: hashToken(token), userId, kind, expiresAt })
    .execute();
  return token;
}

/**
 * @returns the user it was made for. @throws LINK_EXPIRED when it is unknown, used, or too old:
 * which of them is nobody's business
 */
export async function consumeOneTimeToken(clock: Clock, token: string, kind: OneTimeKind, trx: Trx): Promise<string> {
  const now = clock.now();
  const found = await trx
    .updateTable("one_time_tokens")
    .set({ usedAt: now })
    .where("hash", "=", hashToken(token))
    .where("kind", "=", kind)
    .where("usedAt", "is", null)
    .where("expiresAt", ">", now)
    .returning("userId")
    .executeTakeFirst();
  if (!found) throw linkExpired();
  return found.userId;
}

/**
 * The user a token was made for, as long as it is good: to refuse early what would be refused
 * anyway. @throws LINK_EXPIRED
 */
export async function ownerOfOneTimeToken(clock: Clock, token: string, kind: OneTimeKind, db: ReadDb): Promise<string> {
  const found = await db
    .selectFrom("one_time_tokens")
    .select("userId")
    .where("hash", "=", hashToken(token))
    .where("kind", "=", kind)
    .where("usedAt", "is", null)
    .where("expiresAt", ">", clock.now())
    .executeTakeFirst();
  if (!found) throw linkExpired();
  return found.userId;
}

/** How many tokens of a kind are good, and whether one of them was made in the last `withinMs`. */
export async function openOneTimeTokens(
  clock: Clock,
  userId: string,
  kind: OneTimeKind,
  withinMs: number,
  db: ReadDb,
): Promise<{ readonly count: number; readonly isRecent: boolean }> {
  const now = clock.now();
  const open = await db
    .selectFrom("one_time_tokens")
    .select("expiresAt")
    .where("userId", "=", userId)
    .where("kind", "=", kind)
    .where("usedAt", "is", null)
    .where("expiresAt", ">", now)
    .execute();
  // One that seems to be made later than now is from before the clock was set back.
  const ages = open.map(({ expiresAt }) => now + LINK_LIFE_MS[kind] - expiresAt);
  return { count: open.length, isRecent: ages.some((age) => age >= 0 && age < withinMs) };
}

/** @param kind all kinds by default: the account has changed hands or is closed. */
export async function revokeOneTimeTokens(clock: Clock, userId: string, trx: Trx, kind?: OneTimeKind): Promise<void> {
  let update = trx.updateTable("one_time_tokens").set({ usedAt: clock.now() });
  if (kind) update = update.where("kind", "=", kind);
  await update.where("userId", "=", userId).where("usedAt", "is", null).execute();
}

/** Said of every link that opens nothing. */
export function linkExpired(): PrismError {
  return new PrismError("LINK_EXPIRED", "The link has expired or was used");
}

/** The pages that links in mails open. */
export const ACCOUNT_PAGE_NAMES = ["verify-email", "reset-password", "invite", "project-invitation"] as const;
type AccountPage = (typeof ACCOUNT_PAGE_NAMES)[number];

const MAILS = {
  "verify-email": {
    subject: "Confirm your mail address",
    lifeMs: LINK_LIFE_MS.verify_email,
    opening: "Someone (hopefully you) created an account with this address.",
    request: "Confirm it within a day",
    closing: ["If it was not you, there is nothing to do."],
  },
  "reset-password": {
    subject: "Choose a new password",
    lifeMs: LINK_LIFE_MS.reset_password,
    opening: "Someone (hopefully you) asked for a new password.",
    request: "Choose one within an hour",
    closing: ["If it was not you, there is nothing to do: the old one stays."],
  },
  invite: {
    subject: "You are invited",
    lifeMs: LINK_LIFE_MS.invite,
    opening: "An administrator has made an account for you.",
    request: "Choose a password within a week",
    closing: [],
  },
} as const;

export interface AccountMailParts {
  /** Without a mail server a link has to be handed over by other means. */
  readonly isConfigured: boolean;
  readonly clock: Clock;
  readonly log: Logger;
  /** Where the pages of {@link ACCOUNT_PAGE_NAMES} are, without a slash at the end. */
  pagesUrl(): string;
  /** Has a mail sent by a job that is part of the transaction, up to the expiry of its link. */
  enqueue(
    mail: { readonly to: string; readonly subject: string; readonly text: string; readonly expiresAt: EpochMs },
    trx: Trx,
  ): Promise<void>;
}

/**
 * The mails that accounts need. Each is enqueued in the transaction that makes its link, and sent
 * in the background: how long a mail server takes would tell who has an account.
 */
export class AccountMail {
  readonly #parts: AccountMailParts;
  #hasWarned = false;

  constructor(parts: AccountMailParts) {
    this.#parts = parts;
  }

  get isConfigured(): boolean {
    return this.#parts.isConfigured;
  }

  /** Tells the operator, once, that people ask for mails which cannot be sent. */
  warnUnconfigured(): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    this.#parts.log.warn({}, "a mail was asked for and none can be sent: smtp.host is not set");
  }

  async send(page: keyof typeof MAILS, to: string, token: string, trx: Trx): Promise<void> {
    const { subject, lifeMs, opening, request, closing } = MAILS[page];
    const lines = [opening, `${request}: ${this.link(page, token)}`, codeLine(token), ...closing];
    await this.#enqueue({ to, subject, lines, lifeMs }, trx);
  }

  /**
   * @param invitation whose names are chosen by users: only what cannot make a link of its own is
   * shown.
   */
  async projectInvitation(
    to: string,
    { projectName, inviterName }: { readonly projectName: string; readonly inviterName: string },
    token: string,
    trx: Trx,
  ): Promise<void> {
    const lines = [
      `${plainWords(inviterName) || "A user"} invites you to the project "${plainWords(projectName)}" on Prism.`,
      `Look at the invitation within a week: ${this.link("project-invitation", token)}`,
      codeLine(token),
      "If you do not know what this is about, there is nothing to do.",
    ];
    await this.#enqueue({ to, subject: "You are invited to a project", lines, lifeMs: LINK_LIFE_MS.invite }, trx);
  }

  link(page: AccountPage, token: string): string {
    // After the hash it reaches no server's log.
    return `${this.#parts.pagesUrl()}/${page}#token=${token}`;
  }

  async #enqueue(
    { to, subject, lines, lifeMs }: { to: string; subject: string; lines: readonly string[]; lifeMs: number },
    trx: Trx,
  ): Promise<void> {
    const { isConfigured, clock, enqueue } = this.#parts;
    if (!isConfigured) {
      this.warnUnconfigured();
      return;
    }
    await enqueue({ to, subject, text: `${lines.join("\n\n")}\n`, expiresAt: clock.now() + lifeMs }, trx);
  }
}

/** Letters, digits and spaces, with what joins words: no address can be written with them. */
function plainWords(text: string): string {
  return text
    .replace(/[^\p{L}\p{M}\p{N} '&+_-]/gu, " ")
    .replace(/ +/g, " ")
    .trim()
    .slice(0, 100);
}

/** Apps have no address that a link could open: they ask for the code. */
function codeLine(token: string): string {
  return `If your app asks for a code: ${token}`;
}
