import type { Clock, EpochMs } from "../../../core/clock.ts";
import type { Logger } from "../../../core/log.ts";
import type { Trx } from "../../../store/database.ts";
import { LINK_LIFE_MS } from "./one-time-tokens.ts";

/** The pages that links in mails open. */
export const ACCOUNT_PAGE_NAMES = ["verify-email", "reset-password", "invite", "project-invitation"] as const;
export type AccountPage = (typeof ACCOUNT_PAGE_NAMES)[number];

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
 * The mails that accounts need. Each is enqueued in the transaction that makes its link, and sent in the background: how long a mail server takes
 * would tell who has an account.
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

  async verifyEmail(to: string, token: string, trx: Trx): Promise<void> {
    const lines = [
      "Someone (hopefully you) created an account with this address.",
      `Confirm it within a day: ${this.link("verify-email", token)}`,
      codeLine(token),
      "If it was not you, there is nothing to do.",
    ];
    await this.#send({ to, subject: "Confirm your mail address", lines, lifeMs: LINK_LIFE_MS.verify_email }, trx);
  }

  async resetPassword(to: string, token: string, trx: Trx): Promise<void> {
    const lines = [
      "Someone (hopefully you) asked for a new password.",
      `Choose one within an hour: ${this.link("reset-password", token)}`,
      codeLine(token),
      "If it was not you, there is nothing to do: the old one stays.",
    ];
    await this.#send({ to, subject: "Choose a new password", lines, lifeMs: LINK_LIFE_MS.reset_password }, trx);
  }

  async invite(to: string, token: string, trx: Trx): Promise<void> {
    const lines = [
      "An administrator has made an account for you.",
      `Choose a password within a week: ${this.link("invite", token)}`,
      codeLine(token),
    ];
    await this.#send({ to, subject: "You are invited", lines, lifeMs: LINK_LIFE_MS.invite }, trx);
  }

  /** @param invitation whose names are chosen by users: only what cannot make a link of its own is shown. */
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
    await this.#send({ to, subject: "You are invited to a project", lines, lifeMs: LINK_LIFE_MS.invite }, trx);
  }

  link(page: AccountPage, token: string): string {
    // After the hash it reaches no server's log.
    return `${this.#parts.pagesUrl()}/${page}#token=${token}`;
  }

  async #send(
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
