import type { Config } from "../../../config/load.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import {
  type Attempt,
  type ChannelCalls,
  type DeliveryChannel,
  type Target,
  TargetGone,
} from "../../delivery/channel.ts";
import type { DeliveryParts } from "../../delivery/deliveries.ts";
import { isDrillNotification } from "../../delivery/pages/people.ts";
import { acknowledgeLink } from "./acknowledge.ts";
import { BOUNCE_HEADER, bounceToken } from "./bounce.ts";
import { type Mail, smtpOptionsOf } from "./client.ts";
import { digestPostscript, mailOf } from "./message.ts";
import { unsubscribeHeaders } from "./unsubscribe.ts";

type MailContext = Pick<DeliveryParts, "db" | "settings" | "clock">;

/** Sends notifications as mail to the address of the account. */
export function mailChannel(context: MailContext, calls: ChannelCalls<Mail>): DeliveryChannel<Mail> {
  return {
    name: "email",
    get isConfigured() {
      return calls.isConfigured;
    },
    targets: (userIds, _notification, db) => targetsOf(userIds, db),
    prepare: (attempt) => prepare(context, attempt),
    call: (mail, signal) => calls.call(mail, signal),
    close: () => calls.close?.(),
  };
}

async function targetsOf(userIds: readonly string[], db: ReadDb | Trx): Promise<readonly Target[]> {
  const rows = await db
    .selectFrom("users")
    .select("id")
    .where("id", "in", userIds)
    .where("email", "is not", null)
    .execute();
  return rows.map(({ id }) => ({ userId: id, target: "" }));
}

/** Uses the current address, in case the user has changed it since. */
async function prepare({ db, settings, clock }: MailContext, { delivery, notification }: Attempt): Promise<Mail> {
  const config = settings.current;
  const { userId } = delivery;
  const user = await db.read
    .selectFrom("users")
    .select(["email", "timezone"])
    .where("id", "=", userId)
    .executeTakeFirst();
  if (!user?.email) throw new TargetGone("the account no longer has a mail address");
  const { kind } = notification;
  const isDigest = kind === "digest";
  const postscript = isDigest ? `\n\n${digestPostscript(await countUnread(db.scan, userId))}` : "";
  const message = notification.message + postscript;
  const of = { userId, notificationId: notification.id };
  const acknowledgeUrl = mayAcknowledge(notification) ? acknowledgeLink(config, of, clock.now()) : undefined;
  const reader = { timezone: user.timezone, publicUrl: config.publicUrl, acknowledgeUrl };
  const mail = mailOf({ ...notification, message }, delivery.id, reader);
  // A click in a mail program must not end pages.
  const unsubscribe =
    kind === "incident"
      ? {}
      : unsubscribeHeaders(config, { userId, kind }, isDigest ? unsubscribeAddress(config) : undefined);
  const isPage = kind === "incident";
  const isReturned = isPage && config.mailIn.port !== undefined;
  const returned = isReturned ? { [BOUNCE_HEADER]: bounceToken(config, delivery.id) } : {};
  return {
    to: user.email,
    ...mail,
    ...(isPage && { isPage }),
    headers: { ...mail.headers, ...unsubscribe, ...returned },
  };
}

/** Readers of an unresolved incident may acknowledge it. */
function mayAcknowledge({ kind, data }: Attempt["notification"]): boolean {
  const { reason } = JSON.parse(data ?? "{}") as { reason?: unknown };
  return kind === "incident" && reason !== "resolved" && !isDrillNotification({ kind, data });
}

/** The user's unread notifications, without digests. */
async function countUnread(scan: ReadDb, userId: string): Promise<number> {
  const { count } = await scan
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

/** RFC 2369 section 3.2: readers who cannot log in write to the operator. */
function unsubscribeAddress(config: Config): string {
  const from = smtpOptionsOf(config)?.from ?? "";
  const address = /<([^<>]+)>\s*$/.exec(from)?.[1] ?? from;
  return `<mailto:${encodeURI(address)}?subject=unsubscribe%20digest>`;
}
