import * as v from "valibot";
import { DAY_MS, type EpochMs, offsetChange, zoneOffsetMs } from "../../core/clock.ts";
import { integer, object, pattern } from "../../http/shapes.ts";
import type { NotificationKind, OutsideChannel } from "../../store/schema.ts";
import type { NotificationFacts } from "./channel.ts";
import type { DeliveryReason } from "./deliveries.ts";

const clockTime = pattern(/^([01]\d|2[0-3]):[0-5]\d$/, "must be a time of day such as 22:30");
const CHANNELS = ["in_app", "push", "email", "webhook"] as const;
const channels = v.optional(v.pipe(v.array(v.picklist(CHANNELS)), v.maxLength(4)));
const channelsByKind = {
  rule: channels,
  direct: channels,
  timer: channels,
  digest: channels,
  alert: channels,
  aggregate: channels,
} satisfies Record<NotificationKind, typeof channels>;

export const NOTIFICATION_KINDS = Object.keys(channelsByKind) as NotificationKind[];

/** How and when a user wants notifications. Stored as sent; absent members mean the default. */
export const Preferences = object({
  channels: v.optional(
    v.pipe(
      object(channelsByKind),
      v.description("By kind, by which channels it may come besides the list of notifications; absent: by all"),
    ),
  ),
  quietHours: v.optional(
    v.pipe(
      v.nullable(object({ from: clockTime, to: clockTime })),
      v.description("Local times between which push and mail wait, unless the priority is 500 or more"),
    ),
  ),
  minPriority: v.optional(
    v.pipe(integer(0, 1000), v.description("What is less important stays in the list of notifications")),
  ),
  emailAlerts: v.optional(v.boolean()),
  digest: v.optional(v.boolean()),
});
export type Preferences = v.InferOutput<typeof Preferences>;

/** From this priority on quiet hours do not hold a notification. */
export const URGENT = 500;

/**
 * As preferences name them: users do not choose the push service of a device, and Pusher is one
 * more live connection.
 */
const NAMED = {
  pusher: "in_app",
  fcm: "push",
  apns: "push",
  email: "email",
  webhook: "webhook",
} as const satisfies Record<OutsideChannel, string>;

type Facts = Pick<NotificationFacts, "kind" | "priority">;

/** Why a user does not want a notification by a channel; null when wanted. */
export function refusal(prefs: Preferences, channel: OutsideChannel, { kind, priority }: Facts): DeliveryReason | null {
  const wanted = prefs.channels?.[kind];
  if (wanted && !wanted.includes(NAMED[channel])) return "channel off";
  if (channel === "email" && !wantsMail(prefs, kind)) return "channel off";
  // A digest has a setting of its own.
  return kind !== "digest" && priority < (prefs.minPriority ?? 0) ? "below minimum priority" : null;
}

/** Whether a user takes mails of a kind. */
export function wantsMail({ channels, emailAlerts, digest }: Preferences, kind: NotificationKind): boolean {
  if (kind === "alert" && emailAlerts === false) return false;
  if (kind === "digest" && digest === false) return false;
  return channels?.[kind]?.includes("email") ?? true;
}

/** The same preferences without mails of a kind; its other channels stay. */
export function withoutMail(prefs: Preferences, kind: NotificationKind): Preferences {
  const others = (prefs.channels?.[kind] ?? CHANNELS).filter((channel) => channel !== "email");
  return { ...prefs, channels: { ...prefs.channels, [kind]: others } };
}

/** Until when a notification waits for the end of the user's quiet hours; null when it does not. */
export function heldUntil(
  prefs: Preferences,
  timezone: string,
  channel: OutsideChannel,
  { priority }: Facts,
  at: EpochMs,
): EpochMs | null {
  const isHeld = (isPush(channel) || channel === "email") && priority < URGENT;
  return isHeld && prefs.quietHours ? quietUntil(at, timezone, prefs.quietHours) : null;
}

export function isPush(channel: OutsideChannel): boolean {
  return NAMED[channel] === "push";
}

/** Times of day such as 22:00, on the user's own clock; `to` before `from` is on the next day. */
interface QuietHours {
  readonly from: string;
  readonly to: string;
}

/**
 * When the quiet hours that hold at an instant end; null when none do. They are what the wall clock
 * shows: where a gap skips their end they end with the gap, and an hour that comes twice is quiet
 * as often as it lies within them.
 */
export function quietUntil(at: EpochMs, timezone: string, hours: QuietHours): EpochMs | null {
  const to = msOfDay(hours.to);
  let now = at;
  while (isQuiet(now, timezone, hours)) {
    const end = now + modulo(to - wallMs(now, timezone));
    const change = offsetChange(timezone, now, end);
    if (change === undefined) return end;
    // The clocks are set before that: asked again from there on.
    now = change;
  }
  return now === at ? null : now;
}

/** From a time to the same time is no time at all. */
function isQuiet(at: EpochMs, timezone: string, { from, to }: QuietHours): boolean {
  const start = msOfDay(from);
  return modulo(wallMs(at, timezone) - start) < modulo(msOfDay(to) - start);
}

/** What the wall clock shows, since midnight. */
function wallMs(at: EpochMs, timezone: string): number {
  return modulo(at + zoneOffsetMs(timezone, at));
}

function modulo(ms: number): number {
  return ((ms % DAY_MS) + DAY_MS) % DAY_MS;
}

function msOfDay(time: string): number {
  const [hours = 0, minutes = 0] = time.split(":").map(Number);
  return (hours * 60 + minutes) * 60_000;
}
