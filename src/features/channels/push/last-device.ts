import { DAY_MS } from "../../../core/time/clock.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import type { OutsideChannel } from "../../../store/schema.ts";
import { type DeliveryContext, isPush } from "../../delivery/deliveries.ts";
import { enqueueMail } from "../../delivery/mails.ts";

type EndContext = Pick<DeliveryContext, "channels" | "box" | "jobs" | "clock" | "settings">;

interface EndedTarget {
  readonly channel: OutsideChannel;
  readonly target: string;
  readonly userId: string;
}

const MAIL_MS = 7 * DAY_MS;

/**
 * The service's own word ends a target, in the transaction that records it. A person whose last
 * device for push ends gets a mail, once.
 */
export async function endTarget(
  context: EndContext,
  { channel, target, userId }: EndedTarget,
  trx: Trx,
): Promise<void> {
  const { channels } = context;
  const before = isPush(channel) ? await countDevices(trx, userId) : 0;
  await channels.of(channel)?.disable?.(target, trx);
  if (before > 0 && (await countDevices(trx, userId)) === 0) await mailLastDevice(context, userId, trx);
}

async function countDevices(db: ReadDb | Trx, userId: string): Promise<number> {
  const { count } = await db
    .selectFrom("push_devices")
    .select((e) => e.fn.countAll<number>().as("count"))
    .where("userId", "=", userId)
    .where("disabledAt", "is", null)
    .executeTakeFirstOrThrow();
  return count;
}

async function mailLastDevice(context: EndContext, userId: string, trx: Trx): Promise<void> {
  const { channels, clock, settings } = context;
  const user = await trx
    .selectFrom("users")
    .select("email")
    .where("id", "=", userId)
    .where("status", "=", "active")
    .where("deletedAt", "is", null)
    .executeTakeFirst();
  if (!user?.email || !channels.get("email")) return;
  const base = settings.current.publicUrl?.replace(/\/+$/, "");
  const text = [
    "Your last device for push messages is no longer registered, says its push service: the app was removed, or the " +
      "browser's permission was withdrawn. No push message reaches you from now on.",
    "Open the app, or the console in a browser, and allow notifications again.",
    ...(base === undefined ? [] : [`${base}/dashboard/account`]),
  ].join("\n\n");
  const mail = { to: user.email, subject: "Push messages no longer reach you", text: `${text}\n` };
  await enqueueMail(context, { ...mail, expiresAt: clock.now() + MAIL_MS }, trx);
}
