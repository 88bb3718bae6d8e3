import type { Database as Sqlite } from "better-sqlite3";
import { PrismError } from "../../../core/errors.ts";
import { isModuleQueue, isWorkerQueue, parentQueue, type QueueName } from "../../../core/limits/queues.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import { DueTimes } from "../../../core/time/due-times.ts";
import { STARVATION_STRIDE } from "../../../store/commit/job-sql.ts";
import { claimJobs, runningJobs } from "../../../store/commit/job-table.ts";
import type { ClaimedJob } from "../../../store/commit/write-set.ts";
import { addEffect, type Trx } from "../../../store/database.ts";
import { jobsAdded, type LeasedWorker } from "../../../store/effect.ts";
import { LongPollQueue } from "./long-poll-queue.ts";
import { type MovedJobsContext, requeueLostJobs } from "./moved-jobs.ts";
import {
  type AttemptsContext,
  beginAll,
  completeHeld,
  type FailedAttempt,
  failHeld,
  type HeldAttempt,
  howManyFit,
  notYours,
  type RemoteHandler,
  releaseJobs,
  reportReturned,
  requireHeld,
} from "./worker-attempts.ts";

/** Duration of a worker's lease without renewal. */
const LEASE_MS = 60_000;
/** An empty claim renews the lease only if it is older than this. */
const FRESH_MS = 20_000;
const MAX_WORKERS = 10_000;
/** Jobs per transaction when a lease expires, so that others wait only for a slice. */
const SLICE = 100;
/** The runner makes jobs ready this early. A longer wait means that the clock was set back. */
const MAX_AHEAD_MS = 200;

/** A remote process that runs jobs, with its service token. */
export interface RemoteWorker {
  readonly id: string;
  readonly host: string;
  readonly tokenId: string;
}

export interface ClaimRequest {
  readonly worker: RemoteWorker;
  /** Tried in this order. */
  readonly queues: readonly QueueName[];
  readonly max: number;
  readonly waitMs: number;
  /** Aborts when the worker disconnects. */
  readonly signal: AbortSignal;
  /**
   * Called before anything is claimed, because a claim may have waited long. @throws when the
   * caller has lost its permission
   */
  requireStill(): void;
}

export interface LeaseOfJob extends ClaimedJob {
  readonly leaseUntil: EpochMs;
}

interface Lease {
  readonly worker: RemoteWorker;
  /** By {@link Clock.elapsed}: setting the wall clock changes nothing. */
  readonly endsAt: number;
  readonly leaseUntil: EpochMs;
  /** Expired; its jobs are being requeued. */
  isOver: boolean;
}

export interface WorkerLeasesParts extends MovedJobsContext, Omit<AttemptsContext, "handlers"> {
  readonly reader: Sqlite;
  /** Default: a minute. */
  readonly leaseMs?: number;
}

/** Whether remote workers may run jobs of the queue: external channels and modules. */
export function isRemoteQueue(queue: QueueName): boolean {
  return queue === "notification-delivery" || queue === "push-notification" || isModuleQueue(queue);
}

/**
 * Leases of remote workers: processes that claim jobs over HTTP and keep them while they renew
 * their lease. The server's own runner needs none; it holds the lock on the data directory. A lease
 * belongs to the token that registered the worker.
 */
export class WorkerLeases {
  readonly #parts: WorkerLeasesParts;
  readonly #leaseMs: number;
  /** Live workers. Read from the table at the start: leases survive a restart of the server. */
  readonly #leases = new Map<string, Lease>();
  readonly #waiters = new LongPollQueue<LeaseOfJob>((queue) => this.#hasReady(queue as QueueName));
  /** Successful claims by queue. */
  readonly #claims = new Map<string, number>();
  readonly #readyOf;
  readonly #handlers = new Map<string, RemoteHandler>();
  readonly #attempts: AttemptsContext;
  /** When leases end, in elapsed time. */
  readonly due: DueTimes<string>;

  constructor(parts: WorkerLeasesParts) {
    this.#parts = parts;
    this.#leaseMs = parts.leaseMs ?? LEASE_MS;
    const { reader, clock, log } = parts;
    this.#attempts = { ...parts, handlers: this.#handlers };
    this.#readyOf = reader.prepare<[string]>("select 1 from jobs where queue = ? and state = 'ready' limit 1");
    this.due = new DueTimes({
      clock: { now: () => clock.elapsed() },
      handle: async (ids) => {
        for (const id of ids) await this.#endExpired(id);
      },
      onError: (err, [workerId]) =>
        log.warn({ workerId, err }, "requeueing the jobs of a lost worker failed; retrying"),
      batch: 1,
    });
    const rows = reader
      .prepare<[number], RemoteWorker & { leaseUntil: number }>(
        "select id, host, tokenId, leaseUntil from workers where leaseUntil > ? and tokenId is not null",
      )
      .all(clock.now());
    for (const { leaseUntil, ...worker } of rows) {
      this.#put(worker, leaseUntil, Math.min(leaseUntil - clock.now(), this.#leaseMs));
    }
  }

  #put(worker: RemoteWorker, leaseUntil: EpochMs, leftMs: number): void {
    const endsAt = this.#parts.clock.elapsed() + leftMs;
    this.#leases.set(worker.id, { worker, endsAt, leaseUntil, isOver: false });
    this.due.set(worker.id, endsAt);
  }

  /**
   * Claims jobs for a worker and renews its lease. Without ready jobs it waits for one.
   * @throws FORBIDDEN when the worker is another token's; OVERLOADED when there are too many
   * workers or waiting claims.
   */
  async claim(request: ClaimRequest): Promise<readonly LeaseOfJob[]> {
    await this.due.check();
    const jobs = await this.#waiters.wait(request, () => this.#claimNow(request));
    await this.#untilDue(jobs);
    if (jobs.length === 0 || !request.signal.aborted) return jobs;
    await this.#release(jobs);
    return [];
  }

  /**
   * @param inHand the jobs the worker knows it holds. Other jobs dispatched more than a lease ago
   * never reached it and are requeued. @returns the new expiry.
   * @throws INVALID_STATE when the lease has expired, FORBIDDEN when it is another token's
   */
  async renew(workerId: string, tokenId: string, inHand?: readonly string[]): Promise<EpochMs> {
    await this.due.check();
    return this.#parts.db.write(async (trx) => {
      const lease = this.#leases.get(workerId);
      if (!lease) throw leaseOver();
      if (lease.worker.tokenId !== tokenId) throw notYours();
      if (inHand) await this.#requeueUnknown(trx, workerId, inHand);
      return this.#leaseIn(trx, lease.worker);
    });
  }

  /** @throws JOB_NOT_FOUND, INVALID_STATE if the attempt is over, FORBIDDEN if another token's */
  async complete(attempt: HeldAttempt, result: unknown): Promise<void> {
    await this.due.check();
    this.wake(await completeHeld(this.#attempts, attempt, result));
  }

  /** The job is retried or dead as if it had failed in the server. @throws as {@link complete} */
  async fail(attempt: FailedAttempt): Promise<void> {
    await this.due.check();
    this.wake(await failHeld(this.#attempts, attempt));
  }

  /** Releases a stopping worker's job; the attempt does not count. @throws as {@link complete} */
  async release(attempt: HeldAttempt): Promise<void> {
    await this.due.check();
    await this.#parts.db.write(async (trx) => releaseJobs(this.#attempts, trx, [await requireHeld(trx, attempt)]));
  }

  /** Registers the handler of a queue's jobs. @throws TypeError when the queue already has one */
  handle(queue: QueueName, handler: RemoteHandler): void {
    if (this.#handlers.has(queue)) throw new TypeError(`jobs of ${queue} have a handler already`);
    this.#handlers.set(queue, handler);
  }

  /** Jobs of the queue may have become ready; null: of any queue. */
  wake(queue: string | null): void {
    this.#waiters.wake(queue);
    // Waiters use the channel's queue name; the parent queue may have been paused.
    if (queue === null) return;
    for (const name of this.#handlers.keys())
      if (isWorkerQueue(name) && parentQueue(name) === queue) this.#waiters.wake(name);
  }

  /** Answers waiting claims with no jobs. Leases stay: a starting server finds them. */
  stop(): void {
    this.#waiters.stop();
  }

  #hasReady(queue: QueueName): boolean {
    return !this.#parts.runner.isPaused(queue) && this.#readyOf.get(queue) !== undefined;
  }

  async #claimNow(request: ClaimRequest): Promise<LeaseOfJob[]> {
    for (;;) {
      request.requireStill();
      const claimed = await this.#claimOnce(request);
      const begun = await beginAll(this.#attempts, request.worker.id, claimed);
      // Jobs that ended before dispatch made room for further ones.
      if (begun.length > 0 || claimed.length === 0 || request.signal.aborted) return begun;
    }
  }

  async #claimOnce({ worker, queues, max }: ClaimRequest): Promise<LeaseOfJob[]> {
    const { db, clock, runner } = this.#parts;
    const ready = queues.filter((queue) => this.#hasReady(queue));
    if (ready.length === 0 && this.#isFresh(worker)) return [];
    if (worker.id === runner.workerId) throw notYours();
    return db.write(async (trx) => {
      const leaseUntil = await this.#leaseIn(trx, worker);
      const claimed: ClaimedJob[] = [];
      for (const queue of ready) {
        // An operator may have paused it while this waited for the writer.
        if (claimed.length === max || runner.isPaused(queue)) continue;
        const claims = (this.#claims.get(queue) ?? 0) + 1;
        const oldestFirst = claims % STARVATION_STRIDE === 0;
        const limit = max - claimed.length;
        const claim = { queue, limit, workerId: worker.id, now: clock.now(), oldestFirst };
        const jobs = await (this.#handlers.get(queue)?.claim(trx, claim) ?? claimJobs(trx, claim));
        if (jobs.length === 0) continue;
        claimed.push(...jobs);
        this.#claims.set(queue, claims);
        addEffect(trx, { type: "jobs-removed", queue, count: jobs.length });
      }
      const fitting = howManyFit(claimed);
      await releaseJobs(this.#attempts, trx, claimed.slice(fitting));
      return claimed.slice(0, fitting).map((job) => ({ ...job, leaseUntil }));
    });
  }

  /** @throws FORBIDDEN when the worker is another token's. */
  #isFresh({ id, tokenId }: RemoteWorker): boolean {
    const lease = this.#leases.get(id);
    if (!lease || lease.isOver) return false;
    if (lease.worker.tokenId !== tokenId) throw notYours();
    return this.#parts.clock.elapsed() < lease.endsAt - this.#leaseMs + FRESH_MS;
  }

  /** Registers or renews. @returns the expiry. @throws FORBIDDEN, INVALID_STATE, OVERLOADED */
  async #leaseIn(trx: Trx, worker: RemoteWorker): Promise<EpochMs> {
    const { clock } = this.#parts;
    const { id, host, tokenId } = worker;
    const lease = this.#leases.get(id);
    if (lease?.isOver) throw leaseOver();
    if (!lease && this.#leases.size >= MAX_WORKERS)
      throw new PrismError("OVERLOADED", `More than ${MAX_WORKERS} workers have a lease`, { retryAfterMs: LEASE_MS });
    const row = await trx.selectFrom("workers").select("tokenId").where("id", "=", id).executeTakeFirst();
    if (row && row.tokenId !== tokenId) throw notYours();
    const now = clock.now();
    const leaseUntil = now + this.#leaseMs;
    await trx
      .insertInto("workers")
      // A remote process id is unknown and not needed.
      .values({ id, pid: 0, host, tokenId, startedAt: now, leaseUntil })
      .onConflict((conflict) => conflict.column("id").doUpdateSet({ host, leaseUntil }))
      .execute();
    addEffect(trx, { type: "worker-leased", ...worker, leaseUntil });
    return leaseUntil;
  }

  /** A lease was given or renewed. */
  leased({ leaseUntil, id, host, tokenId }: LeasedWorker): void {
    if (!this.#leases.has(id)) this.#parts.log.info({ workerId: id, host }, "remote worker got a lease");
    this.#put({ id, host, tokenId }, leaseUntil, this.#leaseMs);
  }

  /** The client that claimed them has disconnected and does not know them. */
  async #release(jobs: readonly ClaimedJob[]): Promise<void> {
    const { db, log } = this.#parts;
    try {
      await db.write((trx) => releaseJobs(this.#attempts, trx, jobs));
    } catch (error) {
      log.warn(
        { jobs: jobs.length, err: error },
        "releasing the jobs of a disconnected worker failed; they wait until its lease expires",
      );
    }
  }

  /** Jobs are ready shortly before they are due; dispatch waits for the due time. */
  async #untilDue(jobs: readonly ClaimedJob[]): Promise<void> {
    const inMs = Math.max(0, ...jobs.map(({ runAt }) => runAt)) - this.#parts.clock.now();
    if (inMs > 0 && inMs <= MAX_AHEAD_MS) await new Promise((resolve) => setTimeout(resolve, inMs + 1));
  }

  async #endExpired(id: string): Promise<void> {
    const lease = this.#leases.get(id);
    if (!lease) return this.due.delete(id);
    lease.isOver = true;
    const jobs = await this.#requeueAll(lease);
    if (this.#leases.get(id) !== lease) return;
    this.#leases.delete(id);
    this.due.delete(id);
    const { host } = lease.worker;
    this.#parts.log.warn({ workerId: id, host, jobs }, "lease of a remote worker expired; requeueing its jobs");
  }

  /** @returns the number of its jobs. */
  async #requeueAll(lease: Lease): Promise<number> {
    for (let all = 0; ; ) {
      const taken = await this.#parts.db.write(async (trx) => {
        // A claim that had the writer before has renewed the lease.
        if (this.#leases.get(lease.worker.id) !== lease) return 0;
        const rows = await runningOf(trx, lease.worker.id).orderBy("seq").limit(SLICE).execute();
        return this.#requeueInTransaction(trx, rows);
      });
      all += taken;
      if (taken < SLICE) return all;
    }
  }

  async #requeueUnknown(trx: Trx, workerId: string, inHand: readonly string[]): Promise<void> {
    const before = this.#parts.clock.now() - this.#leaseMs;
    let unknown = runningOf(trx, workerId).where("startedAt", "<=", before);
    if (inHand.length > 0) unknown = unknown.where("id", "not in", inHand);
    await this.#requeueInTransaction(trx, await unknown.orderBy("seq").limit(SLICE).execute());
  }

  async #requeueInTransaction(trx: Trx, rows: Parameters<typeof requeueLostJobs>[1]): Promise<number> {
    const { clock } = this.#parts;
    const { waiting, dead } = await requeueLostJobs(trx, rows, clock.now(), this.#parts);
    await reportReturned(this.#attempts, trx, rows);
    addEffect(trx, jobsAdded(waiting));
    if (dead.length > 0) addEffect(trx, { type: "jobs-died", jobs: dead });
    return rows.length;
  }
}

function runningOf(trx: Trx, workerId: string) {
  return runningJobs(trx).where("workerId", "=", workerId);
}

function leaseOver(): PrismError {
  return new PrismError("INVALID_STATE", "The worker's lease has expired; abandon its jobs and claim again");
}
