import type { OutsideChannel } from "../../store/schema.ts";
import type { NotificationFacts } from "./channel.ts";
import type { DeliveryContext } from "./context.ts";
import type { DeliveryReason } from "./deliveries.ts";

/** Programs read these channels: they get every notification. */
const PROGRAMS: ReadonlySet<OutsideChannel> = new Set(["webhook", "pusher"]);
/** An event that more rules match reaches the same people by one of the first ones, too. */
const MOST_RULES = 100;

/** Why a notification does not leave by a channel although its recipient has it in the inbox. */
export type SameAlarm = (userId: string, channel: OutsideChannel) => DeliveryReason | null;

/** Earlier notifications of the event with the same channels. */
interface Earlier {
  readonly ids: readonly string[];
  readonly channels: ReadonlySet<OutsideChannel>;
}

/**
 * One alarm leaves once for each person and channel: by the rule with the highest priority, and not
 * at all to people whom an incident about the same event notifies, or while a silence matches its
 * alerts. All notifications are listed. docs/decisions/one-alarm.md
 * @returns a function that reads the reasons for a slice of recipients; null: there are none for any
 */
export async function sameAlarm(
  context: Pick<DeliveryContext, "db" | "channels" | "eventAlerts">,
  notification: NotificationFacts,
): Promise<((userIds: readonly string[]) => Promise<SameAlarm>) | null> {
  const { kind, eventId, projectId, correlationId } = notification;
  if (kind !== "rule" || eventId === null || projectId === null) return null;
  const decided = await decisionsOf(context, eventId);
  const rules = decided.flatMap(({ ruleId, key }) => (key === null ? [] : [{ ruleId, key }]));
  const alerts = await context.eventAlerts({ projectId, correlationId, rules });
  const earlier = await earlierOf(
    context,
    notification,
    decided.flatMap(({ outcome, notificationId }) => (outcome === "fired" ? (notificationId ?? []) : [])),
  );
  if (alerts === null && earlier.length === 0) return null;
  return async (userIds) => {
    const taken = await takenBy(context, earlier, userIds);
    return (userId, channel) => {
      if (PROGRAMS.has(channel)) return null;
      if (alerts?.areSilenced) return "silenced";
      const isTaken =
        alerts?.people.has(userId) || taken.some(({ users, channels }) => users.has(userId) && channels.has(channel));
      return isTaken ? "same alarm" : null;
    };
  };
}

function decisionsOf({ db }: Pick<DeliveryContext, "db">, eventId: string) {
  return db.read
    .selectFrom("events as e")
    .innerJoin("decisions as d", "d.eventSeq", "e.seq")
    .select(["d.ruleId", "d.key", "d.outcome", "d.notificationId"])
    .where("e.id", "=", eventId)
    .execute();
}

/** Rules are asked in their order, so ids of equal priority are in it, too. */
async function earlierOf(
  { db, channels }: Pick<DeliveryContext, "db" | "channels">,
  { id, priority }: NotificationFacts,
  ids: readonly string[],
): Promise<Earlier[]> {
  if (ids.length < 2) return [];
  const rows = await db.read
    .selectFrom("notifications")
    .select(["id", "channels"])
    .where("id", "in", ids)
    .where((e) => e.or([e("priority", ">", priority), e.and([e("priority", "=", priority), e("id", "<", id)])]))
    .orderBy("priority", "desc")
    .orderBy("id")
    .limit(MOST_RULES)
    .execute();
  const byChannels = new Map<string | null, { readonly id: string }[]>();
  for (const row of rows) byChannels.set(row.channels, [...(byChannels.get(row.channels) ?? []), row]);
  return [...byChannels].map(([names, group]) => ({
    ids: group.map((row) => row.id),
    channels: new Set(channels.forChannels(names).map(({ name }) => name)),
  }));
}

/** The recipients of earlier notifications. Their preferences allow what they allow for this one. */
function takenBy(
  { db }: Pick<DeliveryContext, "db">,
  earlier: readonly Earlier[],
  userIds: readonly string[],
): Promise<{ readonly users: ReadonlySet<string>; readonly channels: ReadonlySet<OutsideChannel> }[]> {
  return Promise.all(
    earlier.map(async ({ ids, channels }) => {
      const rows = await db.read
        .selectFrom("notification_recipients")
        .select("userId")
        .distinct()
        .where("notificationId", "in", ids)
        .where("userId", "in", userIds)
        .execute();
      return { users: new Set(rows.map(({ userId }) => userId)), channels };
    }),
  );
}
