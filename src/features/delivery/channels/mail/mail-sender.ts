import type { Config } from "../../../../config/load.ts";
import type { Database, ReadDb, Trx } from "../../../../store/database.ts";
import { type AttemptFacts, PreparedSender } from "../../prepared-sender.ts";
import { DeadTarget, type Target } from "../../sender.ts";
import { MailCaller } from "./mail-caller.ts";
import { digestPostscript, mailOf } from "./mail-text.ts";
import { type Mail, type Mailer, smtpOptionsOf } from "./mailer.ts";
import { unsubscribeHeaders } from "./unsubscribe.ts";

export interface MailSenderParts {
  readonly database: Database;
  readonly mailer: Mailer;
  readonly config: Config;
}

/** Notifications as mail, to the address of the account. */
export class MailSender extends PreparedSender<Mail> {
  readonly channel = "email";
  readonly caller: MailCaller;
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
    const { userId } = delivery;
    const isDigest = notification.kind === "digest";
    const postscript = isDigest ? `\n\n${digestPostscript(await this.#unread(userId))}` : "";
    const message = notification.message + postscript;
    const mail = mailOf({ ...notification, message }, delivery.id, reader);
    const mailto = isDigest ? unsubscribeAddress(this.#config) : undefined;
    const unsubscribe = unsubscribeHeaders(this.#config, { userId, kind: notification.kind }, mailto);
    return { to: user.email, ...mail, headers: { ...mail.headers, ...unsubscribe } };
  }

  /** Notifications that the user has not read; digests do not count. */
  async #unread(userId: string): Promise<number> {
    const { count } = await this.#database.scan
      .selectFrom("notification_recipients as r")
      .innerJoin("notifications as n", "n.id", "r.notificationId")
      .select((e) => e.fn.countAll<number>().as("count"))
      .where("r.userId", "=", userId)
      .where("r.readAt", "is", null)
      .where("r.deletedAt", "is", null)
      .where("n.kind", "<>", "digest")
      .executeTakeFirstOrThrow();
    return count;
  }

  check(): Promise<void> {
    return this.#mailer.check();
  }
}

/** RFC 2369 section 3.2: who has no way into the program asks its operator. */
function unsubscribeAddress(config: Config): string {
  const from = smtpOptionsOf(config)?.from ?? "";
  const address = /<([^<>]+)>\s*$/.exec(from)?.[1] ?? from;
  return `<mailto:${encodeURI(address)}?subject=unsubscribe%20digest>`;
}
