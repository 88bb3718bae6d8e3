import type { Config } from "../../../../config/load.ts";
import type { Database, ReadDb, Trx } from "../../../../store/database.ts";
import { type AttemptFacts, PreparedSender } from "../../prepared-sender.ts";
import { DeadTarget, type Target } from "../../sender.ts";
import { MailCaller } from "./mail-caller.ts";
import { mailOf } from "./mail-text.ts";
import type { Mail, Mailer } from "./mailer.ts";
import { unsubscribeHeaders } from "./unsubscribe.ts";

export interface MailSenderParts {
  readonly database: Database;
  readonly mailer: Mailer;
  readonly config: Pick<Config, "publicUrl" | "secrets">;
}

/** Notifications as mail, to the address of the account. */
export class MailSender extends PreparedSender<Mail> {
  readonly channel = "email";
  protected readonly caller: MailCaller;
  readonly #database: Database;
  readonly #mailer: Mailer;
  readonly #config: MailSenderParts["config"];

  constructor({ database, mailer, config }: MailSenderParts) {
    super();
    this.#config = config;
    this.#database = database;
    this.#mailer = mailer;
    this.caller = new MailCaller(mailer);
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
  async prepare({ delivery, notification }: AttemptFacts): Promise<Mail> {
    const user = await this.#database.read
      .selectFrom("users")
      .select(["email", "timezone"])
      .where("id", "=", delivery.userId)
      .executeTakeFirst();
    if (!user?.email) throw new DeadTarget("the account has no mail address any more");
    const reader = { timezone: user.timezone, serverUrl: this.#config.publicUrl };
    const mail = mailOf(notification, delivery.id, reader);
    const { userId } = delivery;
    const headers = { ...mail.headers, ...unsubscribeHeaders(this.#config, { userId, kind: notification.kind }) };
    return { to: user.email, ...mail, headers };
  }

  check(): Promise<void> {
    return this.#mailer.check();
  }
}
