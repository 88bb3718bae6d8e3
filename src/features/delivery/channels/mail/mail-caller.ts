import type { Accepted, Caller } from "../../sender.ts";
import { mailFailure } from "./mail-failure.ts";
import type { Mail, Mailer } from "./mailer.ts";

/** Hands mails to a mail server. Its 250 means that it has taken responsibility (RFC 5321 section 4.2.5). */
export class MailCaller implements Caller<Mail> {
  readonly #mailer: Mailer;

  constructor(mailer: Mailer) {
    this.#mailer = mailer;
  }

  get isConfigured(): boolean {
    return this.#mailer.isConfigured;
  }

  async call(mail: Mail): Promise<Accepted> {
    try {
      return { providerId: await this.#mailer.send(mail) };
    } catch (error) {
      throw mailFailure(error);
    }
  }

  close(): void {
    this.#mailer.close();
  }
}
