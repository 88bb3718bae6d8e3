import type { Logger } from "../../../core/log.ts";
import type { Mailer } from "../../delivery/index.ts";

/** The pages that links in mails open. */
export const ACCOUNT_PAGE_NAMES = ["verify-email", "reset-password", "invite", "project-invitation"] as const;
export type AccountPage = (typeof ACCOUNT_PAGE_NAMES)[number];

/** The mails that accounts need. Sent in the background: how long a mail server takes would tell who has an account. */
export class AccountMail {
  readonly #mailer: Mailer;
  readonly #pagesUrl: () => string;
  readonly #log: Logger;
  readonly #underWay = new Set<Promise<unknown>>();
  #hasWarned = false;

  /** @param pagesUrl where the pages of {@link ACCOUNT_PAGE_NAMES} are, without a slash at the end. */
  constructor(mailer: Mailer, pagesUrl: () => string, log: Logger) {
    this.#mailer = mailer;
    this.#pagesUrl = pagesUrl;
    this.#log = log;
  }

  /** Without a mail server a link has to be handed over by other means. */
  get isConfigured(): boolean {
    return this.#mailer.isConfigured;
  }

  /** Tells the operator, once, that people ask for mails which nobody can send. */
  warnUnconfigured(): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    this.#log.warn({}, "a mail was asked for and none can be sent: smtp.host is not set");
  }

  verifyEmail(to: string, token: string): void {
    this.#send(to, "Confirm your mail address", [
      "Somebody, probably you, has registered this address.",
      `Confirm it within a day: ${this.link("verify-email", token)}`,
      codeLine(token),
      "If it was not you, there is nothing to do.",
    ]);
  }

  resetPassword(to: string, token: string): void {
    this.#send(to, "Choose a new password", [
      "Somebody, probably you, asks for a new password.",
      `Choose one within an hour: ${this.link("reset-password", token)}`,
      codeLine(token),
      "If it was not you, there is nothing to do: the old one stays.",
    ]);
  }

  invite(to: string, token: string): void {
    this.#send(to, "You are invited", [
      "An administrator has made an account for you.",
      `Choose a password within a week: ${this.link("invite", token)}`,
      codeLine(token),
    ]);
  }

  /** @param invitation whose names are chosen by users: only what cannot make a link of its own is shown. */
  projectInvitation(
    to: string,
    { projectName, inviterName }: { readonly projectName: string; readonly inviterName: string },
    token: string,
  ): void {
    this.#send(to, "You are invited to a project", [
      `${plainWords(inviterName) || "A user"} invites you to the project "${plainWords(projectName)}" on Prism.`,
      `Look at the invitation within a week: ${this.link("project-invitation", token)}`,
      codeLine(token),
      "If you do not know what this is about, there is nothing to do.",
    ]);
  }

  link(page: AccountPage, token: string): string {
    // Behind the hash it reaches no server's log.
    return `${this.#pagesUrl()}/${page}#token=${token}`;
  }

  /** Resolves when every mail so far has been taken by the mail server, or given up. */
  async idle(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  #send(to: string, subject: string, lines: readonly string[]): void {
    if (!this.isConfigured) {
      this.warnUnconfigured();
      return;
    }
    const sent: Promise<unknown> = this.#mailer
      .send({ to, subject, text: `${lines.join("\n\n")}\n` })
      .catch((error: unknown) => {
        this.#log.warn({ err: error, subject }, "a mail could not be sent");
      })
      .finally(() => this.#underWay.delete(sent));
    this.#underWay.add(sent);
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
