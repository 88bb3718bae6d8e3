import { setImmediate } from "node:timers/promises";
import { CompiledQuery, sql } from "kysely";
import type { Clock } from "../../core/time/clock.ts";
import type { Hub } from "../../live/hub.ts";
import type { Uses } from "../../module/feature.ts";
import type { Committer } from "../../store/commit/committer.ts";
import { MARK_NOTIFICATION } from "../../store/commit/delivery-statements.ts";
import type { Database, Trx } from "../../store/database.ts";
import type { NotifiedRecipient } from "../../store/effect.ts";
import { deliverJob, type IncomingEvent, type PipelineMetrics } from "../rules/index.ts";
import { COMPLETED, type RunningJob } from "../time/jobs/index.ts";
import { eventJson, newNotificationView } from "./schema.ts";
import type { SoundUrlOf } from "./sounds/index.ts";

/** Gets what a commit has stored. It must be quick and must not throw. */
type Listener<T> = (stored: readonly T[]) => void;

/**
 * Step 7 of the pipeline: publishes committed rows as live entries. Call it in the order of
 * commits, which is the order of offsets. Serialises only for streams with listeners.
 */
export class Announcer {
  readonly #hub: Hub;
  readonly #metrics: PipelineMetrics;
  readonly #soundUrlOf: SoundUrlOf;
  readonly #eventListeners: Listener<IncomingEvent>[] = [];
  readonly #notificationListeners: Listener<NotifiedRecipient>[] = [];

  constructor(hub: Hub, metrics: PipelineMetrics, soundUrlOf: SoundUrlOf) {
    this.#hub = hub;
    this.#metrics = metrics;
    this.#soundUrlOf = soundUrlOf;
  }

  /** Calls `listener` with the events of each commit, in order; once per set. */
  onEvents(listener: Listener<IncomingEvent>): void {
    this.#eventListeners.push(listener);
  }

  /** {@link onEvents} for notifications. */
  onNotifications(listener: Listener<NotifiedRecipient>): void {
    this.#notificationListeners.push(listener);
  }

  events(events: readonly IncomingEvent[]): void {
    const last = events.at(-1);
    if (!last) return;
    // The hot path: most streams have no listener.
    if (!this.#hub.hasNoListeners) for (const event of events) this.#event(event);
    this.#hub.advance("events", last.seq);
    for (const listener of this.#eventListeners) listener(events);
  }

  notifications(notified: readonly NotifiedRecipient[]): void {
    this.#metrics.notified(notified.length);
    for (const each of notified) this.#notification(each);
    const last = notified.at(-1);
    if (last) this.#hub.advance("log", last.recipient.seq);
    if (notified.length > 0) for (const listener of this.#notificationListeners) listener(notified);
  }

  #event(event: IncomingEvent): void {
    const stream = { kind: "project", projectId: event.projectId } as const;
    if (!this.#hub.hasListeners(stream)) return;
    this.#hub.publish(stream, {
      offset: event.seq,
      type: event.type,
      data: eventJson({ ...event, payload: event.payloadText, correlationId: event.givenCorrelationId }),
      at: event.receivedAt,
      correlationId: event.correlationId,
    });
  }

  #notification(notified: NotifiedRecipient): void {
    const { notification, recipient } = notified;
    const stream = { kind: "user", userId: recipient.userId } as const;
    if (!this.#hub.hasListeners(stream)) return;
    this.#hub.publish(stream, {
      offset: recipient.seq,
      type: "notification",
      data: JSON.stringify(newNotificationView(notified, null, this.#soundUrlOf)),
      at: notification.createdAt,
      correlationId: notification.correlationId,
    });
  }
}

/** Rows per query when a client acknowledges many. */
const PAGE_ROWS = 1000;

/** Marks of live delivery. They are written with the next write set, not in their own commit. */
export class DeliveryMarks {
  readonly #db: Database;
  readonly #committer: Committer;
  readonly #clock: Clock;

  constructor(db: Database, committer: Committer, clock: Clock) {
    this.#db = db;
    this.#committer = committer;
    this.#clock = clock;
  }

  /** The recipient's row with this offset has reached its user. */
  one(userId: string, seq: number): void {
    this.#committer.markDelivered({ userId, seq, at: this.#clock.now() });
  }

  /** {@link one}, by a client of the embedded Pusher server. */
  oneByPusher(userId: string, seq: number): void {
    this.#committer.markDelivered({ userId, seq, at: this.#clock.now(), byPusher: true });
  }

  /** A client has handled the user's stream up to an offset. */
  async upTo(userId: string, offset: number): Promise<void> {
    for (let after = 0; ; await setImmediate()) {
      const seqs = await this.#undelivered(userId, after, offset);
      for (const seq of seqs) this.one(userId, seq);
      if (seqs.length < PAGE_ROWS) return;
      after = seqs.at(-1) ?? offset;
    }
  }

  async #undelivered(userId: string, after: number, upTo: number): Promise<number[]> {
    const rows = await this.#db.read
      .selectFrom("notification_recipients")
      .select("seq")
      .where("userId", "=", userId)
      .where("seq", ">", after)
      .where("seq", "<=", upTo)
      .where("delivered", "=", sql.lit<0>(0)) // A literal, to match the partial index.
      .where("deletedAt", "is", null)
      .orderBy("seq")
      .limit(PAGE_ROWS)
      .execute();
    return rows.map(({ seq }) => seq);
  }
}

const RECIPIENTS_PER_TRANSACTION = 500;

interface RecipientsPayload {
  readonly notificationId: string;
  readonly targetUsers: string;
  readonly targetRoles: string;
  readonly projectId: string | null;
  readonly isForMembers?: boolean;
}

export type RecipientsContext = Uses<"db" | "clock" | "audit" | "jobs" | "rules" | "channels" | "notify">;

/** Registers the handler of the job that writes the recipients of a rule with many of them. */
export function handleRecipients(context: RecipientsContext & Uses<"runner">): void {
  context.runner.handle("notification.recipients", (job, signal) => writeRecipients(context, job, signal));
}

/**
 * Writes a rule's recipients in slices of one transaction each, after the existing ones: a second
 * run continues an interrupted one.
 */
async function writeRecipients(
  context: RecipientsContext,
  job: RunningJob,
  signal: AbortSignal,
): Promise<typeof COMPLETED> {
  const { db, notify, jobs, rules, channels } = context;
  const { notificationId, ...targets } = job.payload as RecipientsPayload;
  const notification = await db.read
    .selectFrom("notifications")
    .selectAll()
    .where("id", "=", notificationId)
    .executeTakeFirstOrThrow();
  const last = await db.read
    .selectFrom("notification_recipients")
    .select((e) => e.fn.max("userId").as("userId"))
    .where("notificationId", "=", notificationId)
    .executeTakeFirst();
  let after = last?.userId ?? "";
  let recipients = 0;
  for (;;) {
    signal.throwIfAborted();
    const userIds = rules.recipientPage(targets, after, RECIPIENTS_PER_TRANSACTION);
    if (userIds.length === 0) {
      await db.write(async (trx) => {
        await jobs.complete(job, trx, { recipients });
        await recordDelivered(context, notificationId, trx);
        if (channels.hasExternalChannel(notification.channels)) await jobs.enqueue(deliverJob(notification), { trx });
      });
      return COMPLETED;
    }
    await db.write((trx) => notify.addRecipients(notification, userIds, trx));
    recipients += userIds.length;
    after = userIds.at(-1) ?? after;
  }
}

/**
 * While recipients were being written, no mark could complete the notification. If all have it by
 * now, no later mark would.
 */
async function recordDelivered({ audit, clock }: RecipientsContext, notificationId: string, trx: Trx): Promise<void> {
  const { recipients, deliveredAt } = await trx
    .selectFrom("notification_recipients")
    .select((e) => [e.fn.countAll<number>().as("recipients"), e.fn.max("deliveredAt").as("deliveredAt")])
    .where("notificationId", "=", notificationId)
    .executeTakeFirstOrThrow();
  if (recipients === 0) return;
  if (!(await markNotificationDelivered(trx, notificationId, deliveredAt ?? clock.now()))) return;
  const metadata = { channel: "in_app", recipients };
  await audit.record(
    { action: "notification.delivered", resourceType: "notification", resourceId: notificationId, metadata },
    { trx },
  );
}

/**
 * Marks a notification as delivered if all its recipients have it, live or through an external
 * channel.
 * @returns whether it was marked now.
 */
export async function markNotificationDelivered(trx: Trx, id: string, at: number): Promise<boolean> {
  const { numAffectedRows } = await trx.executeQuery(CompiledQuery.raw(MARK_NOTIFICATION, [{ id, at }]));
  return Number(numAffectedRows ?? 0) > 0;
}
