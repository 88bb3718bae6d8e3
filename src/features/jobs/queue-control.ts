import type { Database as Sqlite } from "better-sqlite3";
import { sql } from "kysely";
import { actorOf, currentCaller } from "../../core/caller.ts";
import { cancelWaiting, holdersOf, restartJobs } from "../../store/commit/job-table.ts";
import { addEffect, type Trx } from "../../store/database.ts";
import { jobsAdded } from "../../store/effect.ts";
import type { JobControlParts } from "./job-control.ts";
import { requireRoom } from "./job-service.ts";
import { DEAD_LETTER_QUEUES, firstQueue, parseQueueName, type QueueName } from "./runner/job.ts";

/** Jobs of one transaction: nobody waits for the writer longer than for a slice. */
const SLICE = 250;

/** Where it is kept that a queue is paused, in `settings`. */
const PAUSED = "queue.paused:";
/** A range of keys that holds them all: `;` is the character behind `:`. */
export const PAUSED_KEYS = { from: PAUSED, to: "queue.paused;" } as const;

export function pausedKey(queue: QueueName): string {
  return `${PAUSED}${queue}`;
}

/** The queue that such a key pauses; undefined where no queue can have the name. */
export function queueOfKey(key: string): QueueName | undefined {
  return parseQueueName(key.slice(PAUSED.length));
}

/** The queues that were paused and not resumed. */
export function pausedQueues(reader: Sqlite): QueueName[] {
  const statement = reader.prepare<[string, string]>("select key from settings where key >= ? and key < ?").pluck();
  const keys = statement.all(PAUSED_KEYS.from, PAUSED_KEYS.to) as string[];
  return keys.map(queueOfKey).filter((name) => name !== undefined);
}

export interface QueueControlParts extends JobControlParts {
  readonly reader: Sqlite;
}

interface JobKey {
  readonly seq: number;
  readonly id: string;
  readonly kind: string;
}

/** What an operator does to a queue. Long work goes in slices of one transaction each, every one with its audit row. */
export class QueueControl {
  readonly #parts: QueueControlParts;

  /** Pauses what was paused when the server last ran. */
  constructor(parts: QueueControlParts) {
    this.#parts = parts;
    for (const queue of pausedQueues(parts.reader)) parts.runner.pause(queue);
  }

  /** Until {@link resume}, also over a restart, none of the queue's jobs begins; what runs goes on, and jobs are taken in. */
  async pause(queue: QueueName): Promise<void> {
    const { database, clock } = this.#parts;
    await database.write(async (trx) => {
      const { userId: updatedBy } = actorOf(currentCaller());
      const { numInsertedOrUpdatedRows: changed } = await trx
        .insertInto("settings")
        .values({ key: pausedKey(queue), value: 1, updatedBy, updatedAt: clock.now() })
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirstOrThrow();
      if (Number(changed) > 0) await this.#record(trx, "job.pause", queue);
      addEffect(trx, { type: "queue-changed", queue, isPaused: true });
    });
  }

  async resume(queue: QueueName): Promise<void> {
    const { database } = this.#parts;
    await database.write(async (trx) => {
      const { numDeletedRows: changed } = await trx
        .deleteFrom("settings")
        .where("key", "=", pausedKey(queue))
        .executeTakeFirstOrThrow();
      if (Number(changed) > 0) await this.#record(trx, "job.resume", queue);
      addEffect(trx, { type: "queue-changed", queue, isPaused: false });
    });
  }

  /**
   * Has the queue's dead jobs tried anew, as if each were retried. Those whose dedupe key an unfinished job holds stay dead, for that one does
   * the work. @returns how many were requeued. @throws OVERLOADED when too many wait; what was requeued until then stays so.
   */
  async requeueDead(queue: QueueName): Promise<number> {
    const { database, runner } = this.#parts;
    let requeued = 0;
    for (let after = 0; ; ) {
      requireRoom(runner, firstQueue(queue));
      const slice = await database.write((trx) => this.#requeueSlice(trx, queue, after));
      requeued += slice.requeued;
      if (slice.last === null) return requeued;
      after = slice.last;
    }
  }

  /** A job that dies again meanwhile stands in front of `after`, and is not met twice. */
  async #requeueSlice(trx: Trx, queue: QueueName, after: number): Promise<{ requeued: number; last: number | null }> {
    const { clock, hooks, settingsOf } = this.#parts;
    const dead = await trx
      .selectFrom("jobs")
      .select(["seq", "id", "kind", "dedupeKey"])
      .where("queue", "=", queue)
      // A literal: with a bound value SQLite could not use the partial index.
      .where("state", "=", sql.lit("dead"))
      .where("seq", ">", after)
      .orderBy("seq")
      .limit(SLICE)
      .execute();
    const target = firstQueue(queue);
    const keys = dead.flatMap(({ dedupeKey }) => dedupeKey ?? []);
    const holders = keys.length === 0 ? [] : await holdersOf(trx, target, keys);
    const held = new Set(holders.map(({ dedupeKey }) => dedupeKey));
    const free = dead.filter(({ dedupeKey }) => {
      if (dedupeKey === null) return true;
      const isFree = !held.has(dedupeKey);
      held.add(dedupeKey);
      return isFree;
    });
    const last = dead.at(-1)?.seq ?? null;
    if (free.length === 0) return { requeued: 0, last };
    const runAt = clock.now();
    await restartJobs(trx, seqsOf(free), { queue: target, runAt, maxAttempts: settingsOf(target).maxAttempts });
    for (const { id, kind } of free) await hooks.tell(trx, kind, { jobId: id, state: "ready", error: null });
    await this.#record(trx, "job.requeue_dead", queue, { requeued: free.length });
    addEffect(trx, jobsAdded(free.map(() => ({ queue: target, state: "ready", runAt }))));
    return { requeued: free.length, last };
  }

  /** Cancels all that waits in the queue: scheduled, ready and retrying. What runs goes on. @returns how many were cancelled. */
  async drain(queue: QueueName): Promise<number> {
    if (DEAD_LETTER_QUEUES.has(queue)) return 0;
    return (await this.#drainWaiting(queue)) + (await this.#drainReady(queue));
  }

  /** They stand in the order of their time among those of all queues, so they are found in the thread that scans. */
  async #drainWaiting(queue: QueueName): Promise<number> {
    const { scan } = this.#parts.database;
    let cancelled = 0;
    for (let after = { runAt: Number.MIN_SAFE_INTEGER, seq: 0 }; ; ) {
      const page = await scan
        .selectFrom("jobs")
        .select(["seq", "id", "kind", "runAt"])
        .where(sql<boolean>`state in ('scheduled', 'retrying')`)
        .where("queue", "=", queue)
        .where(sql<boolean>`(runAt, seq) > (${after.runAt}, ${after.seq})`)
        .orderBy("runAt")
        .orderBy("seq")
        .limit(SLICE)
        .execute();
      const last = page.at(-1);
      if (!last) return cancelled;
      after = last;
      cancelled += await this.#cancelSlice(queue, page);
    }
  }

  async #drainReady(queue: QueueName): Promise<number> {
    const { database } = this.#parts;
    // What is made from now on is not meant.
    const newest = await database.read
      .selectFrom("jobs")
      .select((e) => e.fn.max("seq").as("seq"))
      .executeTakeFirst();
    const upTo = newest?.seq ?? 0;
    let cancelled = 0;
    for (;;) {
      const page = await database.read
        .selectFrom("jobs")
        .select(["seq", "id", "kind"])
        .where("queue", "=", queue)
        .where("state", "=", sql.lit("ready"))
        .where("seq", "<=", upTo)
        .limit(SLICE)
        .execute();
      if (page.length === 0) return cancelled;
      cancelled += await this.#cancelSlice(queue, page);
    }
  }

  /** Some may have begun, ended or been cancelled since they were found. */
  async #cancelSlice(queue: QueueName, found: readonly JobKey[]): Promise<number> {
    const { database, clock, hooks } = this.#parts;
    return database.write(async (trx) => {
      const jobs = await cancelWaiting(trx, queue, seqsOf(found), clock.now());
      if (jobs.length === 0) return 0;
      for (const { id, kind } of jobs) await hooks.tell(trx, kind, { jobId: id, state: "cancelled", error: null });
      await this.#record(trx, "job.drain", queue, { cancelled: jobs.length });
      addEffect(trx, { type: "jobs-removed", queue, count: jobs.length });
      return jobs.length;
    });
  }

  async #record(trx: Trx, action: string, queue: QueueName, metadata: Readonly<Record<string, number>> = {}) {
    await this.#parts.audit.record({ action, resourceType: "queue", resourceId: queue, metadata }, { trx });
  }
}

function seqsOf(jobs: readonly Pick<JobKey, "seq">[]): number[] {
  return jobs.map(({ seq }) => seq);
}
