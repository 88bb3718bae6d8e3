import * as v from "valibot";
import { DAY_MS, type EpochMs, offsetChange, zoneOffsetMs } from "../../core/time/clock.ts";
import { doc, example, integer, named, object, pattern } from "../../http/api/shapes.ts";
import type { NotificationKind, OutsideChannel } from "../../store/schema.ts";
import type { NotificationFacts } from "./channel.ts";
import type { DeliveryReason } from "./deliveries.ts";

const clockTime = doc(
  pattern(/^([01]\d|2[0-3]):[0-5]\d$/, "must be a time of day such as 22:30"),
  "Local time such as 22:30",
);
const CHANNELS = ["in_app", "push", "email", "webhook", "service"] as const;
const channels = v.optional(doc(v.pipe(v.array(v.picklist(CHANNELS)), v.maxLength(5)), "Channels for this kind"));
const channelsByKind = {
  rule: channels,
  direct: channels,
  timer: channels,
  digest: channels,
  alert: channels,
  aggregate: channels,
  incident: channels,
  oncall: channels,
} satisfies Record<NotificationKind, typeof channels>;

export const NOTIFICATION_KINDS = Object.keys(channelsByKind) as NotificationKind[];

/** How and when a user wants notifications. Stored as sent; absent members mean the default. */
export const Preferences = example(
  named(
    "Preferences",
    "The notification preferences of a user",
    object({
      channels: v.optional(doc(object(channelsByKind), "Channels by kind of notification; default: all")),
      quietHours: v.optional(
        doc(
          v.nullable(object({ from: clockTime, to: clockTime })),
          "Local times between which push, email and services wait; priority 500 and above is sent",
        ),
      ),
      minPriority: v.optional(doc(integer(0, 1000), "Lower priorities are only listed, not sent")),
      emailAlerts: v.optional(doc(v.boolean(), "Whether alerts are also sent by email; default true")),
      digest: v.optional(doc(v.boolean(), "Whether the daily digest is sent; default true")),
    }),
  ),
  { quietHours: { from: "22:00", to: "07:00" }, minPriority: 10, channels: { digest: ["email"] } },
);
export type Preferences = v.InferOutput<typeof Preferences>;

/** Quiet hours do not hold notifications of this priority and above. */
export const URGENT = 500;

/** Names in preferences: the push service is the device's, and Pusher is a live connection. */
const NAMED = {
  pusher: "in_app",
  fcm: "push",
  apns: "push",
  webpush: "push",
  email: "email",
  webhook: "webhook",
  service: "service",
} as const satisfies Record<OutsideChannel, string>;

type Facts = Pick<NotificationFacts, "kind" | "priority">;

/** Pages of high urgency have this priority. */
const PAGE_PRIORITY = 800;
const OUTSIDE = ["push", "email", "webhook", "service"] as const;

/** Preferences that keep pages from the user; they are stored all the same. */
export function preferenceWarnings({ minPriority = 0, channels: byKind }: Preferences) {
  const found: { code: "below-minimum" | "no-outside-way"; message: string }[] = [];
  if (minPriority > PAGE_PRIORITY)
    found.push({
      code: "below-minimum",
      message: `minPriority is above ${PAGE_PRIORITY}: notices of incidents do not reach you outside of the app`,
    });
  const wanted = byKind?.incident;
  if (wanted && !OUTSIDE.some((each) => wanted.includes(each)))
    found.push({
      code: "no-outside-way",
      message: "No channel outside of the app is chosen for incidents: you are not paged, and others are instead",
    });
  return found;
}

const { channels: byKind, quietHours, minPriority, emailAlerts, digest } = Preferences.entries;

/** The preferences with the default of each member that is not stored. */
export const FullPreferences = named(
  "FullPreferences",
  "The notification preferences of a user, defaults included",
  v.object({
    channels: byKind.wrapped,
    quietHours: quietHours.wrapped,
    minPriority: minPriority.wrapped,
    emailAlerts: emailAlerts.wrapped,
    digest: digest.wrapped,
  }),
);

export type FullPreferences = v.InferOutput<typeof FullPreferences>;

/** The answer to a change. */
export const ChangedPreferences = named(
  "ChangedPreferences",
  "The notification preferences of a user, and which of them keep pages from the user",
  v.object({
    ...FullPreferences.entries,
    warnings: v.array(v.object({ code: v.picklist(["below-minimum", "no-outside-way"]), message: v.string() })),
  }),
);

/** Why a user does not want a notification by a channel; null when wanted. */
export function refusal(prefs: Preferences, channel: OutsideChannel, { kind, priority }: Facts): DeliveryReason | null {
  const wanted = prefs.channels?.[kind];
  if (wanted && !wanted.includes(NAMED[channel])) return "channel off";
  if (channel === "email" && !wantsMail(prefs, kind)) return "channel off";
  // Digests have their own setting.
  return kind !== "digest" && priority < (prefs.minPriority ?? 0) ? "below minimum priority" : null;
}

/** Whether a user accepts mails of a kind. */
export function wantsMail({ channels, emailAlerts, digest }: Preferences, kind: NotificationKind): boolean {
  if (kind === "alert" && emailAlerts === false) return false;
  if (kind === "digest" && digest === false) return false;
  return channels?.[kind]?.includes("email") ?? true;
}

/** The preferences without mails of a kind; its other channels stay. */
export function withoutMail(prefs: Preferences, kind: NotificationKind): Preferences {
  const others = (prefs.channels?.[kind] ?? CHANNELS).filter((channel) => channel !== "email");
  return { ...prefs, channels: { ...prefs.channels, [kind]: others } };
}

/** End of the quiet hours that hold a notification; null when none do. */
export function heldUntil(
  prefs: Preferences,
  timezone: string,
  channel: OutsideChannel,
  { priority }: Facts,
  at: EpochMs,
): EpochMs | null {
  const isHeld = (isPush(channel) || channel === "email" || channel === "service") && priority < URGENT;
  return isHeld && prefs.quietHours ? quietUntil(at, timezone, prefs.quietHours) : null;
}

export function isPush(channel: OutsideChannel): boolean {
  return NAMED[channel] === "push";
}

/** Times of day such as 22:00 in the user's time zone; `to` before `from` is on the next day. */
interface QuietHours {
  readonly from: string;
  readonly to: string;
}

/**
 * End of the quiet hours at an instant; null outside them. They follow the wall clock: when a
 * daylight-saving gap skips their end they end with the gap, and a repeated hour is quiet each time
 * it is within them.
 */
export function quietUntil(at: EpochMs, timezone: string, hours: QuietHours): EpochMs | null {
  const to = msOfDay(hours.to);
  let now = at;
  while (isQuiet(now, timezone, hours)) {
    const end = now + modulo(to - wallMs(now, timezone));
    const change = offsetChange(timezone, now, end);
    if (change === undefined) return end;
    // The offset changes before that: continue from the change.
    now = change;
  }
  return now === at ? null : now;
}

/** Equal times mean no quiet hours. */
function isQuiet(at: EpochMs, timezone: string, { from, to }: QuietHours): boolean {
  const start = msOfDay(from);
  return modulo(wallMs(at, timezone) - start) < modulo(msOfDay(to) - start);
}

/** Wall clock time since midnight. */
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
