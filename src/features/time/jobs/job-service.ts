import { PrismError } from "../../../core/errors.ts";
import type { QueueName } from "../../../core/limits/queues.ts";
import { type DeferredPromise, deferred } from "../../../core/promises.ts";
import { type Committer, emptyContent, type SealedSet, type SetSource } from "../../../store/commit/committer.ts";
import {
  endAttempt,
  holdersOf,
  insertJobs,
  makeReady,
  runningJobs,
  succeedLater,
} from "../../../store/commit/job-table.ts";
import type { ClaimedJob, CommitOutcome, JobRow } from "../../../store/commit/write-set.ts";
import { addEffect, type InTransaction, type Trx } from "../../../store/database.ts";
import { jobsAdded } from "../../../store/effect.ts";
import { commitError } from "../../../store/sqlite/sqlite-errors.ts";
import { type MovedJobsContext, requeueLostJobs } from "./moved-jobs.ts";
import { type NewJob, newJobRow, type RunningJob, requireWholeMs } from "./runner/job.ts";
import {
  type BegunJobs,
  endOfFailure,
  type FailedEnd,
  finishOf,
  type JobEnd,
  SucceededAttempts,
} from "./runner/job-execution.ts";
import type { JobRunner } from "./runner/runner.ts";

/** Rows per write set, so that the writer is not held longer than for a set of events. */
const ROWS_PER_SET = 1000;
const MAX_PENDING = 100_000;

interface Pending {
  readonly row: JobRow;
  readonly done: DeferredPromise<void>;
}

/**
 * Inserts jobs that belong to no transaction; those of one loop turn share a commit. For jobs
 * without a dedupe key, which cannot be refused.
 */
export class JobEnqueuer implements SetSource {
  readonly #committer: Committer;
  readonly #onEnqueued: (rows: readonly JobRow[]) => void;
  #pending: Pending[] = [];

  /** @param onEnqueued called with the rows when they are on disk. */
  constructor(committer: Committer, onEnqueued: (rows: readonly JobRow[]) => void) {
    this.#committer = committer;
    this.#onEnqueued = onEnqueued;
  }

  /** Resolves once the job is on disk. @throws OVERLOADED, SHUTTING_DOWN and errors of the disk */
  async add(row: JobRow): Promise<void> {
    if (this.#pending.length >= MAX_PENDING)
      throw new PrismError("OVERLOADED", "Too many jobs are waiting to be stored", { retryAfterMs: 1000 });
    this.#committer.requireOpen();
    const done = deferred<void>();
    this.#pending.push({ row, done });
    this.#committer.wantSet(this);
    return done.promise;
  }

  seal(): SealedSet | null {
    const taken = this.#pending.slice(0, ROWS_PER_SET);
    this.#pending = this.#pending.slice(ROWS_PER_SET);
    if (taken.length === 0) return null;
    if (this.#pending.length > 0) this.#committer.wantSet(this);
    const insert = taken.map(({ row }) => row);
    return {
      content: {
        ...emptyContent(),
        jobs: { insert, progress: [], finish: [], promoteDueAt: null, setBack: null, claim: [] },
      },
      settle: (outcome) => this.#settle(outcome, taken, insert),
    };
  }

  #settle(outcome: CommitOutcome, taken: readonly Pending[], rows: readonly JobRow[]): void {
    if (outcome.ok) {
      this.#onEnqueued(rows);
      for (const { done } of taken) done.resolve();
      return;
    }
    const error = commitError(outcome.failure, new Error(outcome.message));
    for (const { done } of taken) done.reject(error);
  }
}

/** A full queue does not empty within a second. */
const FULL_RETRY_MS = 60_000;

/** Another worker holds the claim on the job: the work must be rolled back. */
export class LostLease extends Error {
  constructor() {
    super("the job's lease was lost");
    this.name = "LostLease";
  }
}

/** A job to add. Without `maxAttempts` it has those of its queue. */
type AddedJob = Omit<NewJob, "maxAttempts"> & Partial<Pick<NewJob, "maxAttempts">>;

interface AddOptions {
  /** For a page, or what follows from it: a full queue does not refuse it. */
  readonly isPage?: boolean;
}

/** The stored job: the new one, or the unfinished one that holds its dedupe key. */
export interface EnqueuedJob {
  readonly jobId: string;
  readonly runAt: number;
  readonly state: string;
  readonly label: string | null;
  /** JSON text. */
  readonly payload: string;
}

export interface JobServiceParts extends MovedJobsContext {
  readonly committer: Committer;
  /** Attempts of this server that had started when it ended, beside those whose rows say so; undefined: all. */
  readonly begun?: BegunJobs;
}

/**
 * Inserts jobs in the transaction of their cause, or with others in one commit, and completes them
 * in the transaction of their effect.
 */
export class JobService {
  readonly #parts: JobServiceParts;
  readonly #enqueuer: JobEnqueuer;

  constructor(parts: JobServiceParts) {
    this.#parts = parts;
    this.#enqueuer = new JobEnqueuer(parts.committer, (rows) => parts.runner.enqueued(rows));
  }

  /**
   * @returns the new job, or the unfinished one of the queue that holds the dedupe key. @throws
   * OVERLOADED when too many wait in the queue; TypeError when `runAt` is no whole number.
   */
  async enqueue(job: AddedJob, options: InTransaction & AddOptions = {}): Promise<EnqueuedJob> {
    const { db, runner, clock, settingsOf } = this.#parts;
    const { maxAttempts = settingsOf(job.queue).maxAttempts } = job;
    const row = newJobRow({ ...job, maxAttempts }, clock.now());
    if (!options.trx && row.dedupeKey === null) {
      db.requireOutside();
      if (!options.isPage) requireRoom(runner, job.queue);
      await this.#enqueuer.add(row);
      return enqueued(row);
    }
    return db.writeIn(options, async (trx) => {
      const [held] = row.dedupeKey === null ? [] : await holdersOf(trx, row.queue, [row.dedupeKey]);
      if (held) return enqueued(held);
      if (!options.isPage) requireRoom(runner, job.queue);
      insertJobs(trx, [row]);
      addEffect(trx, jobsAdded([row]));
      return enqueued(row);
    });
  }

  /** Inserts jobs with new keys, which cannot exist yet. @throws OVERLOADED if too many wait; TypeError as above */
  async enqueueNew(jobs: readonly AddedJob[], trx: Trx, { isPage = false }: AddOptions = {}): Promise<void> {
    if (jobs.length === 0) return;
    const { runner, clock, settingsOf } = this.#parts;
    const now = clock.now();
    if (!isPage) for (const queue of new Set(jobs.map((job) => job.queue))) requireRoom(runner, queue);
    const rows = jobs.map((job) => newJobRow({ maxAttempts: settingsOf(job.queue).maxAttempts, ...job }, now));
    insertJobs(trx, rows);
    addEffect(trx, jobsAdded(rows));
  }

  /**
   * Makes a running job wait without counting its attempt, because something it needs is missing.
   * The handler then resolves to COMPLETED. @param runAt whole epoch ms. @throws LostLease, TypeError
   */
  async postpone(job: Pick<RunningJob, "id" | "claimed">, trx: Trx, runAt: number): Promise<void> {
    requireWholeMs(runAt);
    return this.#releaseRunning(job, trx, { queue: job.claimed.queue, state: "scheduled", runAt });
  }

  /** Makes postponed jobs ready now, except those that have started or ended. */
  async recall(jobIds: readonly string[], options: InTransaction = {}): Promise<void> {
    await this.#parts.db.writeIn(options, async (trx) => {
      const recalled = await makeReady(trx, jobIds, ["scheduled"], this.#parts.clock.now());
      for (const { queue } of recalled) addEffect(trx, { type: "jobs-removed", queue, count: 1 });
      addEffect(trx, jobsAdded(recalled.map((job) => ({ ...job, state: "ready" }))));
    });
  }

  /** Moves a running job to another queue without counting its attempt. @throws LostLease */
  moveTo(queue: QueueName, job: Pick<RunningJob, "id" | "claimed">, trx: Trx): Promise<void> {
    return this.#releaseRunning(job, trx, { queue, state: "ready", runAt: job.claimed.runAt });
  }

  /** Completes a running job in the transaction of its effect. @throws LostLease */
  async complete(job: Pick<RunningJob, "id" | "claimed">, trx: Trx, result?: unknown): Promise<void> {
    const text = result === undefined ? null : JSON.stringify(result);
    await this.#end(job.claimed, trx, { outcome: "succeeded", result: text });
  }

  /**
   * {@link complete} for several at the latest with the commit. The caller has read in the transaction
   * that each job runs with the fence of its attempt.
   */
  completeHeld(jobs: readonly Pick<RunningJob, "claimed">[], trx: Trx): void {
    const succeeded = new SucceededAttempts();
    const now = this.#parts.clock.now();
    for (const { claimed } of jobs) succeeded.add({ now, fence: claimed.fence }, claimed.seq);
    succeedLater(trx, succeeded.groups);
  }

  /**
   * Fails a running attempt in the transaction of its consequences. The job is retried or dead as
   * if the handler had thrown. The handler then resolves to COMPLETED. @param worker the owner of
   * the attempt. @throws LostLease
   */
  async fail(
    job: Pick<RunningJob, "id" | "kind" | "label" | "claimed">,
    trx: Trx,
    error: unknown,
    worker = this.#parts.runner.workerId,
  ): Promise<FailedEnd> {
    const end = endOfFailure(job.claimed, error, this.#parts.settingsOf, this.#parts.clock.now());
    await this.#end(job.claimed, trx, end, worker);
    if (end.outcome === "retrying")
      addEffect(trx, jobsAdded([{ queue: end.queue, state: "retrying", runAt: end.runAt }]));
    else {
      const dead = { id: job.id, queue: end.queue, kind: job.kind, label: job.label, error: end.error };
      addEffect(trx, { type: "jobs-died", jobs: [dead] });
    }
    return end;
  }

  /**
   * Requeues the jobs of lost workers. An attempt that had started counts, and a job without
   * attempts left is dead; attempts of remote workers have always started. Jobs under a valid lease
   * stay. Called by a starting server, which holds the data directory's lock.
   * @returns the number of lost jobs.
   */
  async reclaim(): Promise<number> {
    const { db, clock, begun } = this.#parts;
    const now = clock.now();
    return db.write(async (trx) => {
      const lost = await runningJobs(trx)
        .where((e) =>
          e.not(
            e.exists(
              e
                .selectFrom("workers")
                .select("workers.id")
                .whereRef("workers.id", "=", "jobs.workerId")
                .where("workers.tokenId", "is not", null)
                .where("workers.leaseUntil", ">", now),
            ),
          ),
        )
        .execute();
      const remote = await remoteWorkers(trx);
      const hadBegun = (job: (typeof lost)[number]): boolean =>
        begun === undefined || remote.has(job.workerId ?? "") || job.begunFence === job.fence || begun.hadBegun(job);
      await requeueLostJobs(trx, lost, now, { ...this.#parts, hadBegun });
      return lost.length;
    });
  }

  /** Makes a running job wait again without counting the attempt. */
  async #releaseRunning(
    { claimed }: Pick<RunningJob, "claimed">,
    trx: Trx,
    place: { readonly queue: string; readonly state: "ready" | "scheduled"; readonly runAt: number },
  ): Promise<void> {
    const wait = place.state === "scheduled" ? { runAt: place.runAt } : {};
    await this.#end(claimed, trx, { outcome: "returned", queue: place.queue, ...wait });
    addEffect(trx, jobsAdded([place]));
  }

  /** @throws LostLease */
  async #end(claimed: ClaimedJob, trx: Trx, end: JobEnd, worker = this.#parts.runner.workerId): Promise<void> {
    if (!(await endAttempt(trx, finishOf(claimed, worker, this.#parts.clock.now(), end)))) throw new LostLease();
  }
}

/** @throws OVERLOADED when the queue is full. */
export function requireRoom(runner: JobRunner, queue: QueueName): void {
  if (runner.isFull(queue))
    throw new PrismError("OVERLOADED", `Too many jobs wait in ${queue}`, { retryAfterMs: FULL_RETRY_MS });
}

async function remoteWorkers(trx: Trx): Promise<Set<string>> {
  const workers = await trx.selectFrom("workers").select("id").where("tokenId", "is not", null).execute();
  return new Set(workers.map(({ id }) => id));
}

function enqueued({ id, runAt, state, label, payload }: Omit<EnqueuedJob, "jobId"> & { id: string }): EnqueuedJob {
  return { jobId: id, runAt, state, label, payload };
}
