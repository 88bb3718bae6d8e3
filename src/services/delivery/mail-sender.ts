import type { Database, ReadDb, Trx } from "../../store/database.ts";
import type { Mailer } from "../mailer.ts";
import { mailFailure } from "./mail-failure.ts";
import { mailOf } from "./mail-text.ts";
import { type Accepted, type Attempt, DeadTarget, type Sender, type Target } from "./sender.ts";

export interface MailSenderParts {
  readonly database: Database;
  readonly mailer: Mailer;
}

/** Notifications as mail, to the address of the account. The server's 250 means that it has taken responsibility (RFC 5321 section 4.2.5). */
export class MailSender implements Sender {
  readonly channel = "email";
  readonly #database: Database;
  readonly #mailer: Mailer;

  constructor({ database, mailer }: MailSenderParts) {
    this.#database = database;
    this.#mailer = mailer;
  }

  get isConfigured(): boolean {
    return this.#mailer.isConfigured;
  }

  async targets(userIds: readonly string[], _notification: unknown, db: ReadDb | Trx): Promise<readonly Target[]> {
    const rows = await db
      .selectFrom("users")
      .select("id")
      .where("id", "in", userIds)
      .where("email", "is not", null)
      .execute();
    return rows.map(({ id }) => ({ userId: id, target: "" }));
  }

  /** The address is the one of now: who changed it meanwhile is reached at the new one. */
  async send({ delivery, notification }: Attempt): Promise<Accepted> {
    const user = await this.#database.read
      .selectFrom("users")
      .select("email")
      .where("id", "=", delivery.userId)
      .executeTakeFirst();
    if (!user?.email) throw new DeadTarget("the account has no mail address any more");
    try {
      return { providerId: await this.#mailer.send({ to: user.email, ...mailOf(notification, delivery.id) }) };
    } catch (error) {
      throw mailFailure(error);
    }
  }

  check(): Promise<void> {
    return this.#mailer.check();
  }
}
