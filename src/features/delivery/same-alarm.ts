import type { OutsideChannel } from "../../store/schema.ts";
import type { NotificationFacts } from "./channel.ts";
import type { DeliveryContext } from "./context.ts";
import type { DeliveryReason } from "./deliveries.ts";
import { type Preferences, refusal } from "./preferences.ts";

type Channel = OutsideChannel;

/** Programs read these channels: they get every notification. */
const PROGRAMS: ReadonlySet<Channel> = new Set(["webhook", "pusher"]);

/** Why a notification does not leave by a channel although its recipient has it in the inbox. */
export interface SameAlarm {
  reasonFor(userId: string, channel: Channel): DeliveryReason | null;
}

const FIRST: SameAlarm = { reasonFor: () => null };

interface Other {
  readonly userId: string;
  readonly priority: number;
  readonly channels: string | null;
}

/**
 * One alarm leaves once for each person and channel: by the rule with the highest priority, and not
 * at all to people whom an incident about the same event notifies, or while a silence matches its
 * alerts. All notifications are listed. docs/decisions/one-alarm.md
 * @param prefsOf preferences of the recipients at hand
 */
export async function sameAlarm(
  context: Pick<DeliveryContext, "database" | "channels" | "eventAlerts">,
  notification: NotificationFacts,
  prefsOf: ReadonlyMap<string, { readonly prefs: Preferences }>,
): Promise<SameAlarm> {
  const { kind, eventId, projectId, correlationId } = notification;
  if (kind !== "rule" || eventId === null || projectId === null) return FIRST;
  const { read } = context.database;
  const decided = await read
    .selectFrom("events as e")
    .innerJoin("decisions as d", "d.eventSeq", "e.seq")
    .select(["d.ruleId", "d.key", "d.outcome", "d.notificationId"])
    .where("e.id", "=", eventId)
    .execute();
  const rules = decided.flatMap(({ ruleId, key }) => (key === null ? [] : [{ ruleId, key }]));
  const alerts = await context.eventAlerts({ projectId, correlationId, rules });
  const fired = decided.filter(({ outcome }) => outcome === "fired");
  const ids = fired.flatMap(({ notificationId }) => notificationId ?? []).filter((id) => id !== notification.id);
  const others = ids.length === 0 ? [] : await othersOf(context, notification, ids, [...prefsOf.keys()]);
  const taken = takenBy(context, others, prefsOf);
  return {
    reasonFor(userId, channel) {
      if (PROGRAMS.has(channel)) return null;
      if (alerts?.areSilenced) return "silenced";
      if (alerts?.people.has(userId)) return "same alarm";
      return taken.get(userId)?.has(channel) ? "same alarm" : null;
    },
  };
}

/** Notifications of the same event that come first, by recipient. */
async function othersOf(
  { database }: Pick<DeliveryContext, "database">,
  { id, priority }: NotificationFacts,
  ids: readonly string[],
  userIds: readonly string[],
): Promise<Other[]> {
  const rows = await database.read
    .selectFrom("notifications as n")
    .innerJoin("notification_recipients as r", "r.notificationId", "n.id")
    .select(["n.id", "n.priority", "n.channels", "r.userId"])
    .where("n.id", "in", ids)
    .where("r.userId", "in", userIds)
    .execute();
  // Rules are asked in their order, so ids of equal priority are in it, too.
  return rows.filter((other) => other.priority > priority || (other.priority === priority && other.id < id));
}

function takenBy(
  { channels }: Pick<DeliveryContext, "channels">,
  others: readonly Other[],
  prefsOf: ReadonlyMap<string, { readonly prefs: Preferences }>,
): ReadonlyMap<string, ReadonlySet<Channel>> {
  const taken = new Map<string, Set<Channel>>();
  for (const { userId, priority, channels: names } of others) {
    const prefs = prefsOf.get(userId)?.prefs ?? {};
    const own = taken.get(userId) ?? new Set();
    for (const { name } of channels.forChannels(names))
      if (refusal(prefs, name, { kind: "rule", priority }) === null) own.add(name);
    taken.set(userId, own);
  }
  return taken;
}
