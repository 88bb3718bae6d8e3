import { randomBytes } from "node:crypto";
import { hashToken } from "../../../core/crypto/tokens.ts";
import { PrismError } from "../../../core/errors.ts";
import { plainWords } from "../../../core/text/clean-text.ts";
import { type Clock, type EpochMs, HOUR_MS, MINUTE_MS } from "../../../core/time/clock.ts";
import type { Uses } from "../../../module/feature.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";

/**
 * Of a link in a mail; `sign_in` of a link that the operator makes; `second_factor` of a login that
 * lacks the second factor.
 */
export type OneTimeKind = "verify_email" | "reset_password" | "invite" | "sign_in" | "second_factor";

/** How a session is opened. */
export interface Opening {
  /** `oidc:<name>` or `proxy:<name>`; undefined: by a password, a link or a passkey. */
  readonly via?: string | undefined;
  /** The provider's name of the session. */
  readonly sid?: string | undefined;
  /** Epoch ms: it ends then at the latest, however often it is refreshed. */
  readonly endsAt?: number | undefined;
}

export const LINK_LIFE_MS: Readonly<Record<OneTimeKind, number>> = {
  verify_email: 24 * HOUR_MS,
  reset_password: HOUR_MS,
  invite: 7 * 24 * HOUR_MS,
  sign_in: 15 * MINUTE_MS,
  second_factor: 5 * MINUTE_MS,
};
const TOKEN_BYTES = 32;

/** @returns the token; invalidates earlier ones of this kind. */
export async function createOneTimeToken(clock: Clock, userId: string, kind: OneTimeKind, trx: Trx): Promise<string> {
  await revokeOneTimeTokens(clock, userId, trx, kind);
  return addOneTimeToken(clock, userId, kind, trx);
}

/**
 * @param opening how the session of a challenge is opened. @returns the token; earlier ones stay valid until they
 * expire.
 */
export async function addOneTimeToken(
  clock: Clock,
  userId: string,
  kind: OneTimeKind,
  trx: Trx,
  opening?: Opening,
): Promise<string> {
  const token = randomBytes(TOKEN_BYTES).toString("base64url");
  const expiresAt = clock.now() + LINK_LIFE_MS[kind];
  await trx
    .insertInto("one_time_tokens")
    .values({ hash: hashToken(token), userId, kind, expiresAt, opening: opening ? JSON.stringify(opening) : null })
    .execute();
  return token;
}

/** @returns its user. @throws LINK_EXPIRED for an unknown, used or expired one alike */
export async function consumeOneTimeToken(clock: Clock, token: string, kind: OneTimeKind, trx: Trx): Promise<string> {
  return (await consume(clock, token, kind, trx)).userId;
}

/** Uses a challenge of the second factor up. @returns how its session is opened. @throws LINK_EXPIRED */
export async function consumeChallenge(
  clock: Clock,
  challenge: string,
  trx: Trx,
): Promise<{ readonly userId: string; readonly opening: Opening }> {
  const { userId, opening } = await consume(clock, challenge, "second_factor", trx);
  return { userId, opening: opening === null ? {} : (JSON.parse(opening) as Opening) };
}

async function consume(clock: Clock, token: string, kind: OneTimeKind, trx: Trx) {
  const now = clock.now();
  const found = await trx
    .updateTable("one_time_tokens")
    .set({ usedAt: now })
    .where("hash", "=", hashToken(token))
    .where("kind", "=", kind)
    .where("usedAt", "is", null)
    .where("expiresAt", ">", now)
    .returning(["userId", "opening"])
    .executeTakeFirst();
  if (!found) throw linkExpired();
  return found;
}

/** The user of a valid token, for an early refusal. @throws LINK_EXPIRED */
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

/** Number of valid tokens of a kind, and whether one was created in the last `withinMs`. */
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
  // A token that appears to be made in the future was made before the clock was set back.
  const ages = open.map(({ expiresAt }) => now + LINK_LIFE_MS[kind] - expiresAt);
  return { count: open.length, isRecent: ages.some((age) => age >= 0 && age < withinMs) };
}

/** @param kinds all by default: the account has a new owner or is disabled. */
export async function revokeOneTimeTokens(
  clock: Clock,
  userId: string,
  trx: Trx,
  ...kinds: readonly OneTimeKind[]
): Promise<void> {
  let update = trx.updateTable("one_time_tokens").set({ usedAt: clock.now() });
  if (kinds.length > 0) update = update.where("kind", "in", kinds);
  await update.where("userId", "=", userId).where("usedAt", "is", null).execute();
}

export function linkExpired(): PrismError {
  return new PrismError("LINK_EXPIRED", "The link has expired or was used; ask for another one");
}

/** The pages that links in mails open. */
type AccountPage = "verify-email" | "reset-password" | "invite" | "project-invitation";

const MAILS = {
  "verify-email": {
    subject: "Confirm your mail address",
    lifeMs: LINK_LIFE_MS.verify_email,
    opening: "Someone (hopefully you) created an account with this address.",
    request: "Confirm it within a day",
    closing: [
      "It asks for the password that was chosen with the account.",
      "If it was not you, there is nothing to do: without your confirmation the account stays closed.",
    ],
  },
  "reset-password": {
    subject: "Choose a new password",
    lifeMs: LINK_LIFE_MS.reset_password,
    opening: "Someone (hopefully you) asked for a new password.",
    request: "Choose one within an hour",
    closing: ["If it was not you, there is nothing to do: your password stays as it is."],
  },
  invite: {
    subject: "You are invited",
    lifeMs: LINK_LIFE_MS.invite,
    opening: "An administrator has created an account for you.",
    request: "Choose a password within a week",
    closing: [],
  },
} as const;

export interface AccountMailParts extends Uses<"clock" | "log"> {
  /** Without a mail server a link must be passed on by other means. */
  isConfigured(): boolean;
  /** Address of the pages of {@link AccountPage}, without a trailing slash. */
  pagesUrl(): string;
  /** Enqueues a mail as a job in the transaction, to be sent before its link expires. */
  enqueue(
    mail: {
      readonly to: string;
      readonly subject: string;
      readonly text: string;
      readonly expiresAt: EpochMs;
      /** The project that it is of. */
      readonly projectId: string | null;
    },
    trx: Trx,
  ): Promise<void>;
}

/**
 * The mails of accounts. Each is enqueued in the transaction that creates its link and sent in the
 * background: waiting for the mail server would reveal which accounts exist.
 */
export class AccountMail {
  readonly #parts: AccountMailParts;
  #hasWarned = false;

  constructor(parts: AccountMailParts) {
    this.#parts = parts;
  }

  get isConfigured(): boolean {
    return this.#parts.isConfigured();
  }

  /** Warns the operator once that mails were requested and cannot be sent. */
  warnUnconfigured(): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    this.#parts.log.warn({}, "cannot send a requested mail: smtp.host is not set");
  }

  async send(page: keyof typeof MAILS, to: string, token: string, trx: Trx): Promise<void> {
    const { subject, lifeMs, opening, request, closing } = MAILS[page];
    const lines = [opening, `${request}: ${this.link(page, token)}`, codeLine(token), ...closing];
    await this.#enqueue({ to, subject, lines, lifeMs }, trx);
  }

  /** For an active account: its address is confirmed in a session of this account only. */
  async confirmation(to: string, account: NamedAccount, token: string, trx: Trx): Promise<void> {
    const { subject, lifeMs, request } = MAILS["verify-email"];
    const lines = [
      `Someone wants notifications for ${accountLabel(account)} on Prism at this address.`,
      `If this is your account, sign in to it. ${request}: ${this.link("verify-email", token)}`,
      codeLine(token),
      "If it is not your account, there is nothing to do.",
    ];
    await this.#enqueue({ to, subject, lines, lifeMs }, trx);
  }

  /** @param invitation its names are users' own: only characters that form no link are shown. */
  async projectInvitation(
    to: string,
    {
      projectId,
      projectName,
      inviterName,
    }: { readonly projectId: string; readonly projectName: string; readonly inviterName: string },
    token: string,
    trx: Trx,
  ): Promise<void> {
    const lines = [
      `${plainWords(inviterName) || "A user"} invites you to the project "${plainWords(projectName)}" on Prism.`,
      `Look at the invitation within a week: ${this.link("project-invitation", token)}`,
      codeLine(token),
      "If you do not know what this is about, there is nothing to do.",
    ];
    const subject = "You are invited to a project";
    await this.#enqueue({ to, subject, lines, lifeMs: LINK_LIFE_MS.invite, projectId }, trx);
  }

  link(page: AccountPage, token: string): string {
    // In the fragment, so that it reaches no server log.
    return `${this.#parts.pagesUrl()}/${page}#token=${token}`;
  }

  async #enqueue(
    {
      to,
      subject,
      lines,
      lifeMs,
      projectId = null,
    }: { to: string; subject: string; lines: readonly string[]; lifeMs: number; projectId?: string | null },
    trx: Trx,
  ): Promise<void> {
    const { clock, enqueue } = this.#parts;
    if (!this.isConfigured) {
      this.warnUnconfigured();
      return;
    }
    const text = `${lines.join("\n\n")}\n`;
    await enqueue({ to, subject, text, expiresAt: clock.now() + lifeMs, projectId }, trx);
  }
}

interface NamedAccount {
  readonly username: string | null;
  readonly name: string | null;
}

/** The account as its mails and errors name it: without characters that form a link. */
export function accountLabel({ username, name }: NamedAccount): string {
  const label = plainWords(username ?? name ?? "");
  return label === "" ? "an account without a name" : `the account "${label}"`;
}

/** Apps cannot open a link: they ask for the code. */
function codeLine(token: string): string {
  return `If your app asks for a code: ${token}`;
}
