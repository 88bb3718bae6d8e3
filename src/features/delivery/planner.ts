import type { Insertable } from "kysely";
import type { Clock, EpochMs } from "../../core/clock.ts";
import { uuidv7 } from "../../core/ids.ts";
import type { LiveSettings } from "../../http/live-settings.ts";
import type { Presence } from "../../live/presence.ts";
import { addEffect, type Database, type Trx } from "../../store/database.ts";
import type { DeliveriesTable } from "../../store/schema.ts";
import type { JobService } from "../jobs/index.ts";
import { COMPLETED, type NewJob, type RunningJob } from "../jobs/index.ts";
import { attemptJob, mergeJob } from "./delivery-jobs.ts";
import type { DeliveryLimits } from "./delivery-limits.ts";
import { heldUntil, isPush, type Preferences, refusal } from "./preferences.ts";
import type { DeliveryReason } from "./reasons.ts";
import { NOBODY, type NotificationFacts, type Sender } from "./sender.ts";
import type { Senders } from "./senders.ts";
import type { Settling } from "./settling.ts";

/** Recipients of one transaction: ingest waits for it no longer than for a few commits. */
const RECIPIENTS_AT_ONCE = 250;
/** SQLite binds 32 766 values a statement. */
const ROWS_AT_ONCE = 500;

export interface PlannerParts {
  readonly database: Database;
  readonly jobs: JobService;
  readonly clock: Clock;
  readonly presence: Presence;
  readonly senders: Senders;
  readonly settings: LiveSettings;
  readonly limits: DeliveryLimits;
  readonly settling: Settling;
}

/** What a project's own place asks for. */
const NOBODYS = { userId: NOBODY, timezone: "UTC", prefs: {} };

interface Recipient {
  readonly userId: string;
  readonly timezone: string;
  readonly prefs: string;
}

type Row = Insertable<DeliveriesTable> & Pick<DeliveriesTable, "id" | "userId" | "channel" | "state">;

/** What becomes of the deliveries of one slice of recipients. */
interface Plan {
  readonly rows: Row[];
  /** When those that wait are due, by the delivery's id. */
  readonly runAt: Map<string, EpochMs>;
  /** Users for whom too much came. */
  readonly crowded: Set<string>;
}

/** What a recipient's prefs, hours and limits say is asked when the plan is made; what may change until the attempt is asked again there. */
export class Planner {
  readonly #parts: PlannerParts;

  constructor(parts: PlannerParts) {
    this.#parts = parts;
  }

  /** In slices of one transaction each. A second run finds what the first has written, and adds what is missing. */
  async plan(job: RunningJob, signal: AbortSignal): Promise<typeof COMPLETED | undefined> {
    const { notificationId } = job.payload as { notificationId: string };
    const { database, jobs, senders, settling } = this.#parts;
    const notification = await database.read
      .selectFrom("notifications")
      .selectAll()
      .where("id", "=", notificationId)
      .executeTakeFirst();
    if (!notification) return undefined;
    const channels = senders.among(notification.channels);
    for (let after = ""; ; ) {
      signal.throwIfAborted();
      const recipients = await this.#recipients(notificationId, after);
      const last = recipients.at(-1);
      const plan = await this.#planOf(recipients, notification, channels);
      const isLast = last === undefined || recipients.length < RECIPIENTS_AT_ONCE;
      if (plan.rows.length > 0 || isLast) {
        await database.write(async (trx) => {
          await this.#store(plan, notification, trx);
          if (!isLast) return;
          await jobs.complete(job, trx);
          for (const { channel } of channels) await settling.settle(notificationId, channel, trx);
        });
      }
      if (isLast) return COMPLETED;
      after = last.userId;
    }
  }

  #recipients(notificationId: string, after: string): Promise<Recipient[]> {
    return this.#parts.database.read
      .selectFrom("notification_recipients as r")
      .innerJoin("users as u", "u.id", "r.userId")
      .select(["r.userId", "u.timezone", "u.prefs"])
      .where("r.notificationId", "=", notificationId)
      .where("r.userId", ">", after)
      .orderBy("r.userId")
      .limit(RECIPIENTS_AT_ONCE)
      .execute();
  }

  async #planOf(
    recipients: readonly Recipient[],
    notification: NotificationFacts,
    senders: readonly Sender[],
  ): Promise<Plan> {
    const plan: Plan = { rows: [], runAt: new Map(), crowded: new Set() };
    if (recipients.length === 0) return plan;
    const users = new Map(
      recipients.map((user) => [user.userId, { ...user, prefs: JSON.parse(user.prefs) as Preferences }] as const),
    );
    /** One token a user and notification, however many places it goes to. */
    const waits = new Map<string, number | null>();
    for (const sender of senders) {
      const places = await sender.targets([...users.keys()], notification, this.#parts.database.read);
      for (const { userId, target } of places) {
        const user = userId === NOBODY ? NOBODYS : users.get(userId);
        if (!user) continue;
        const reason = refusal(user.prefs, sender.channel, notification);
        if (reason) this.#add(plan, notification, { userId, target, channel: sender.channel }, "skipped", reason);
        else {
          const waitMs = waits.has(userId) ? (waits.get(userId) ?? null) : this.#token(userId, notification);
          waits.set(userId, waitMs);
          this.#wait(plan, notification, { ...user, target, channel: sender.channel }, waitMs);
        }
      }
    }
    return plan;
  }

  /** What stands for many is not counted: it is there so that there are fewer. */
  #token(userId: string, { kind }: NotificationFacts): number | null {
    return kind === "aggregate" || kind === "digest" || userId === NOBODY ? 0 : this.#parts.limits.take(userId);
  }

  #wait(
    plan: Plan,
    notification: NotificationFacts,
    user: { userId: string; timezone: string; prefs: Preferences; target: string; channel: Row["channel"] },
    waitMs: number | null,
  ): void {
    const { clock, presence, settings, senders } = this.#parts;
    const { ackTimeoutMs, pushAlways } = settings.delivery;
    const { userId, channel } = user;
    if (waitMs === null) {
      this.#add(plan, notification, user, "queued", "rate limited");
      plan.crowded.add(userId);
      return;
    }
    const now = clock.now();
    const quietUntil = heldUntil(user.prefs, user.timezone, channel, notification, now);
    const isConnected = isPush(channel) && !pushAlways && presence.isLive(userId);
    const runAt = Math.max(now + waitMs, quietUntil ?? 0, isConnected ? now + ackTimeoutMs : 0);
    const toWorkers = senders.isForWorkers(channel) ? "for a worker" : null;
    const reason = quietUntil !== null ? "quiet hours" : isConnected ? "connected" : toWorkers;
    const id = this.#add(plan, notification, user, "queued", reason);
    plan.runAt.set(id, runAt);
  }

  #add(
    plan: Plan,
    { id: notificationId }: NotificationFacts,
    { userId, target, channel }: { userId: string; target: string; channel: Row["channel"] },
    state: Row["state"],
    reason: DeliveryReason | null,
  ): string {
    const now = this.#parts.clock.now();
    const id = uuidv7();
    plan.rows.push({ id, notificationId, userId, channel, target, state, reason, createdAt: now, updatedAt: now });
    return id;
  }

  /** A delivery that is there already keeps its job: only what is new gets one. */
  async #store({ rows, runAt, crowded }: Plan, notification: NotificationFacts, trx: Trx): Promise<void> {
    if (rows.length === 0) return;
    const { jobs, clock, senders } = this.#parts;
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
      if (dueAt !== undefined) attempts.push(attemptJob(row, notification, dueAt, senders.queueOf(row.channel)));
    }
    await jobs.enqueueNew(attempts, trx);
    for (const userId of crowded) await jobs.enqueue(mergeJob(userId, clock.now()), { trx });
    for (const { channel, state } of made)
      if (state === "skipped") addEffect(trx, { type: "delivery-outcome", channel, state });
  }
}
