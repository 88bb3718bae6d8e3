import type { Insertable } from "kysely";
import { uuidv7 } from "../../core/ids.ts";
import type { EpochMs } from "../../core/time/clock.ts";
import { addEffect, type Trx } from "../../store/database.ts";
import type { DeliveriesTable, OutsideChannel } from "../../store/schema.ts";
import { COMPLETED, type NewJob, type RunningJob } from "../time/jobs/index.ts";
import { type DeliveryChannel, type NotificationFacts, PROJECT_RECIPIENT, type Target } from "./channel.ts";
import {
  attemptJob,
  type DeliveryContext,
  type DeliveryReason,
  heldUntil,
  isPush,
  mergeJob,
  type Preferences,
  refusal,
} from "./deliveries.ts";
import { recordCompletion } from "./outcome.ts";

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

/** Recipients per transaction: ingest waits no longer than for a few commits. */
const RECIPIENTS_AT_ONCE = 250;
/** SQLite binds up to 32 766 values per statement. */
const ROWS_AT_ONCE = 500;

/** The user's data that decides about deliveries. */
interface Reader {
  readonly timezone: string;
  readonly prefs: Preferences;
}

/** A project's own target has no preferences. */
const PROJECT_READER: Reader = { timezone: "UTC", prefs: {} };

type Row = Insertable<DeliveriesTable> & Pick<DeliveriesTable, "id" | "userId" | "channel" | "state">;

interface Decision extends Pick<Row, "state"> {
  readonly reason: DeliveryReason | null;
  /** Undefined: no attempt for now. */
  readonly runAt?: EpochMs;
}

/** The deliveries of one slice of recipients. */
interface Plan {
  readonly rows: Row[];
  /** Due times of waiting deliveries, by delivery id. */
  readonly runAt: Map<string, EpochMs>;
  /** Users over their limit. */
  readonly rateLimited: Set<string>;
}

/**
 * Plans the deliveries of a notification, in slices of one transaction each. Running again adds
 * only what is missing. It applies preferences, quiet hours and limits; the attempt checks again
 * what may have changed.
 */
export async function planDeliveries(
  context: DeliveryContext,
  job: RunningJob,
  signal: AbortSignal,
): Promise<typeof COMPLETED | undefined> {
  const { notificationId } = job.payload as { notificationId: string };
  const { db, jobs } = context;
  const notification = await db.read
    .selectFrom("notifications")
    .selectAll()
    .where("id", "=", notificationId)
    .executeTakeFirst();
  if (!notification) return undefined;
  const channels = context.channels.forChannels(notification.channels);
  const isMirror = context.projects.isMirror(notification.projectId);
  const alarm = await sameAlarm(context, notification);
  for (let after = ""; ; ) {
    signal.throwIfAborted();
    const recipients = await recipientsAfter(context, notificationId, after);
    const last = recipients.at(-1);
    const plan = await planOf(context, recipients, notification, { channels, alarm, isMirror });
    const isLast = last === undefined || recipients.length < RECIPIENTS_AT_ONCE;
    if (plan.rows.length > 0 || isLast) {
      await db.write(async (trx) => {
        await storePlan(context, plan, notification, trx);
        if (!isLast) return;
        await jobs.complete(job, trx);
        for (const { name } of channels) await recordCompletion(context, notificationId, name, trx);
      });
    }
    if (isLast) return COMPLETED;
    after = last.userId;
  }
}

function recipientsAfter({ db }: DeliveryContext, notificationId: string, after: string) {
  return db.read
    .selectFrom("notification_recipients as r")
    .innerJoin("users as u", "u.id", "r.userId")
    .select(["r.userId", "u.timezone", "u.prefs"])
    .where("r.notificationId", "=", notificationId)
    .where("r.userId", ">", after)
    .orderBy("r.userId")
    .limit(RECIPIENTS_AT_ONCE)
    .execute();
}

async function planOf(
  context: DeliveryContext,
  recipients: Awaited<ReturnType<typeof recipientsAfter>>,
  notification: NotificationFacts,
  {
    channels,
    alarm,
    isMirror,
  }: {
    readonly channels: readonly DeliveryChannel[];
    readonly alarm: Awaited<ReturnType<typeof sameAlarm>>;
    readonly isMirror: boolean;
  },
): Promise<Plan> {
  const plan: Plan = { rows: [], runAt: new Map(), rateLimited: new Set() };
  if (recipients.length === 0) return plan;
  const readers = new Map<string, Reader>(
    recipients.map(({ userId, timezone, prefs }) => [userId, { timezone, prefs: JSON.parse(prefs) as Preferences }]),
  );
  const repeated = await alarm?.([...readers.keys()]);
  /** One token per user and notification, for any number of targets. */
  const waits = new Map<string, number | null>();
  for (const channel of channels) {
    for (const target of await channel.targets([...readers.keys()], notification, context.db.read)) {
      const { userId } = target;
      const reader = userId === PROJECT_RECIPIENT ? PROJECT_READER : readers.get(userId);
      if (!reader) continue;
      const unwanted = refusal(reader.prefs, channel.name, notification) ?? repeated?.(userId, channel.name);
      // No summary of several may tell of it either.
      const refused = unwanted ?? (isMirror ? "mirror" : undefined);
      if (!refused && !waits.has(userId)) waits.set(userId, takeToken(context, userId, notification));
      const waitMs = waits.get(userId) ?? null;
      const decided: Decision = refused
        ? { state: "skipped", reason: refused }
        : waitingOf(context, notification, channel, { userId, reader, waitMs });
      if (decided.reason === "rate limited") plan.rateLimited.add(userId);
      addRow(plan, { ...target, notificationId: notification.id, channel: channel.name }, decided, context.clock.now());
    }
  }
  return plan;
}

/** A merged message is not counted: it exists to reduce the number. */
function takeToken({ limits }: DeliveryContext, userId: string, { kind }: NotificationFacts): number | null {
  const isFree = kind === "aggregate" || kind === "digest" || userId === PROJECT_RECIPIENT;
  return isFree ? 0 : limits.take(userId);
}

function waitingOf(
  { clock, presence, settings, channels }: DeliveryContext,
  notification: NotificationFacts,
  { name }: DeliveryChannel,
  { userId, reader, waitMs }: { readonly userId: string; readonly reader: Reader; readonly waitMs: number | null },
): Decision {
  if (waitMs === null) return { state: "queued", reason: "rate limited" };
  const { ackTimeoutMs, pushAlways } = settings.delivery;
  const now = clock.now();
  const quietUntil = heldUntil(reader.prefs, reader.timezone, name, notification, now);
  const isConnected = isPush(name) && !pushAlways && presence.isLive(userId);
  const runAt = Math.max(now + waitMs, quietUntil ?? 0, isConnected ? now + ackTimeoutMs : 0);
  const toWorkers = channels.isForWorkers(name) ? "for a worker" : null;
  const reason = quietUntil !== null ? "quiet hours" : isConnected ? "connected" : toWorkers;
  return { state: "queued", reason, runAt };
}

function addRow(
  { rows, runAt }: Plan,
  delivery: Pick<Row, "notificationId" | "channel"> & Target,
  { runAt: dueAt, ...state }: Decision,
  now: EpochMs,
): void {
  const id = uuidv7();
  rows.push({ id, ...delivery, ...state, createdAt: now, updatedAt: now });
  if (dueAt !== undefined) runAt.set(id, dueAt);
}

/** An existing delivery keeps its job: only new ones get one. */
async function storePlan(
  { jobs, clock, channels }: DeliveryContext,
  { rows, runAt, rateLimited }: Plan,
  notification: NotificationFacts,
  trx: Trx,
): Promise<void> {
  if (rows.length === 0) return;
  const made: Pick<Row, "id" | "channel" | "state">[] = [];
  for (let at = 0; at < rows.length; at += ROWS_AT_ONCE) {
    const inserted = await trx
      .insertInto("deliveries")
      .values(rows.slice(at, at + ROWS_AT_ONCE).map((row) => ({ ...row, jobId: runAt.has(row.id) ? row.id : null })))
      .onConflict((conflict) => conflict.columns(["notificationId", "userId", "channel", "target"]).doNothing())
      .returning(["id", "channel", "state"])
      .execute();
    made.push(...inserted);
  }
  const attempts: Omit<NewJob, "maxAttempts">[] = [];
  for (const row of made) {
    const dueAt = runAt.get(row.id);
    if (dueAt !== undefined) attempts.push(attemptJob(row, notification, dueAt, channels.queueOf(row.channel)));
  }
  await jobs.enqueueNew(attempts, trx);
  for (const userId of rateLimited) await jobs.enqueue(mergeJob(userId, clock.now()), { trx });
  for (const { channel, state } of made)
    if (state === "skipped") addEffect(trx, { type: "delivery-outcome", channel, state });
}
