import { sql } from "kysely";
import type { Clock } from "../base/clock.ts";
import { PrismError } from "../base/errors.ts";
import { type NewJob, newJobRow, type QueueName, type RunningJob } from "../jobs/job.ts";
import type { JobRunner } from "../jobs/runner.ts";
import type { Database, InTransaction, Trx } from "../store/database.ts";

/** A queue that is full does not empty within a second. */
const FULL_RETRY_MS = 60_000;

/** The claim on the job has passed to somebody else: what was done must be rolled back. */
export class LostLease extends Error {
  constructor() {
    super("the job's lease was lost");
    this.name = "LostLease";
  }
}

/** The job that stands in the table: the new one, or the unfinished one that held its dedupe key. */
export interface EnqueuedJob {
  readonly jobId: string;
  readonly runAt: number;
  readonly state: string;
  readonly label: string | null;
  /** JSON text. */
  readonly payload: string;
}

/** Puts jobs into the table in the transaction of what causes them, and completes them in the transaction of their effect. */
export class JobService {
  readonly #database: Database;
  readonly #runner: JobRunner;
  readonly #clock: Clock;
  readonly #maxAttempts: (queue: QueueName) => number;

  constructor(database: Database, runner: JobRunner, clock: Clock, maxAttempts: (queue: QueueName) => number) {
    this.#database = database;
    this.#runner = runner;
    this.#clock = clock;
    this.#maxAttempts = maxAttempts;
  }

  /** @returns the new job, or the unfinished one of the queue that holds the dedupe key. @throws OVERLOADED when too many wait in the queue. */
  async enqueue(job: Omit<NewJob, "maxAttempts">, options: InTransaction = {}): Promise<EnqueuedJob> {
    const row = newJobRow({ ...job, maxAttempts: this.#maxAttempts(job.queue) }, this.#clock.now());
    return this.#database.writeIn(options, async (trx) => {
      const held = row.dedupeKey === null ? undefined : await unfinished(trx, row.queue, row.dedupeKey);
      if (held) return enqueued(held);
      if (this.#runner.isFull(job.queue))
        throw new PrismError("OVERLOADED", `Too many jobs wait in ${job.queue}`, { retryAfterMs: FULL_RETRY_MS });
      await trx.insertInto("jobs").values(row).execute();
      this.#database.afterCommit(trx, () => this.#runner.enqueued([row]));
      return enqueued(row);
    });
  }

  /** Completes a running job within the transaction that did its work: effect and completion are one. @throws LostLease */
  async complete(job: RunningJob, trx: Trx, result?: unknown): Promise<void> {
    const { numUpdatedRows } = await trx
      .updateTable("jobs")
      .set({
        state: "succeeded",
        finishedAt: this.#clock.now(),
        result: result === undefined ? null : JSON.stringify(result),
        lastError: null,
      })
      .where("id", "=", job.id)
      .where("fence", "=", job.claimed.fence)
      .where("state", "=", "running")
      .executeTakeFirst();
    if (Number(numUpdatedRows) === 0) throw new LostLease();
  }

  /**
   * Takes over what a process that is gone left running: the attempt counts, and a job without attempts left is dead. To be called by a
   * starting server, which holds the data directory's lock. @returns how many jobs were found.
   */
  async reclaim(): Promise<number> {
    const now = this.#clock.now();
    return this.#database.write(async (trx) => {
      // A literal: for a bound value SQLite would read every job there is instead of the index of the running ones.
      const lost = await trx.selectFrom("jobs").selectAll().where("state", "=", sql.lit("running")).execute();
      for (const job of lost) {
        const isDead = job.attempts >= job.maxAttempts;
        await trx
          .updateTable("jobs")
          .set(
            isDead
              ? { state: "dead", finishedAt: now, lastError: "the process ended during the last attempt" }
              : { state: "ready", workerId: null },
          )
          .where("seq", "=", job.seq)
          .execute();
        await trx
          .insertInto("job_attempts")
          .values({
            jobId: job.id,
            attempt: job.attempts,
            startedAt: job.startedAt ?? now,
            endedAt: now,
            outcome: "lost",
            error: null,
            worker: job.workerId ?? "",
          })
          .onConflict((conflict) => conflict.doNothing())
          .execute();
      }
      return lost.length;
    });
  }
}

function unfinished(trx: Trx, queue: string, dedupeKey: string) {
  return trx
    .selectFrom("jobs")
    .select(["id", "runAt", "state", "label", "payload"])
    .where("queue", "=", queue)
    .where("dedupeKey", "=", dedupeKey)
    .where("finishedAt", "is", null)
    .executeTakeFirst();
}

function enqueued({ id, runAt, state, label, payload }: Omit<EnqueuedJob, "jobId"> & { id: string }): EnqueuedJob {
  return { jobId: id, runAt, state, label, payload };
}
