import type { Database as Sqlite } from "better-sqlite3";
import type { EpochMs } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import { isModuleQueue, isWorkerQueue, parentQueue, type QueueName } from "../../core/queues.ts";
import { STARVATION_STRIDE } from "../../store/commit/job-sql.ts";
import { claimJobs, runningJobs } from "../../store/commit/job-table.ts";
import type { ClaimedJob } from "../../store/commit/write-set.ts";
import { addEffect, type Trx } from "../../store/database.ts";
import { jobsAdded, type LeasedWorker } from "../../store/effect.ts";
import { LongPollQueue } from "./long-poll-queue.ts";
import { type JobsContext, requeueLostJobs } from "./moved-jobs.ts";
import {
  type AttemptsContext,
  beginAll,
  completeHeld,
  type FailedAttempt,
  failHeld,
  giveBack,
  type HeldAttempt,
  howManyFit,
  notYours,
  type RemoteHandler,
  requireHeld,
  tellReturned,
} from "./worker-attempts.ts";

/** How long a worker keeps its jobs without a word from it. */
const LEASE_MS = 60_000;
/** A claim that finds nothing is no reason to write, unless the lease is older than this. */
const FRESH_MS = 20_000;
const MAX_WORKERS = 10_000;
/**
 * Jobs of one transaction when a lease has run out: nobody waits for the writer longer than for a
 * slice.
 */
const SLICE = 100;
/**
 * The runner makes jobs ready a moment before their time. One that has longer to wait was due by a
 * clock that has been set back.
 */
const MAX_AHEAD_MS = 200;
const TRY_AGAIN_MS = 1000;

/** A process elsewhere that runs jobs, and the service token that stands for it. */
export interface RemoteWorker {
  readonly id: string;
  readonly host: string;
  readonly tokenId: string;
}

export interface ClaimRequest {
  readonly worker: RemoteWorker;
  /** Looked at in this order. */
  readonly queues: readonly QueueName[];
  readonly max: number;
  readonly waitMs: number;
  /** The worker has gone away. */
  readonly signal: AbortSignal;
  /**
   * Called before anything is claimed, for a claim may have waited long. @throws what its answer is
   * to be when it may no more
   */
  requireStill(): void;
}

export interface LeasedJob extends ClaimedJob {
  readonly leaseUntil: EpochMs;
}

interface Lease {
  readonly worker: RemoteWorker;
  /** By {@link Clock.elapsed}: a wall clock that is set makes it neither shorter nor longer. */
  readonly endsAt: number;
  readonly leaseUntil: EpochMs;
  /** It has run out, and its jobs are being taken back. */
  isOver: boolean;
}

export interface WorkerLeasesParts extends JobsContext, Omit<AttemptsContext, "handlers"> {
  readonly reader: Sqlite;
  /** Default: a minute. */
  readonly leaseMs?: number;
}

/** Whether workers elsewhere may run jobs of the queue: outside channels and modules. */
export function isRemoteQueue(queue: QueueName): boolean {
  return queue === "notification-delivery" || queue === "push-notification" || isModuleQueue(queue);
}

/**
 * Workers elsewhere: processes that claim jobs over HTTP and keep them as long as they renew their
 * lease. The server's own runner is none of them; its lease is the lock on the data directory. A
 * lease belongs to the token that registered the worker.
 */
export class WorkerLeases {
  readonly #parts: WorkerLeasesParts;
  readonly #leaseMs: number;
  /**
   * Of workers that are alive; read from the table at the start, for they go on over a restart of
   * the server.
   */
  readonly #leases = new Map<string, Lease>();
  readonly #waiters = new LongPollQueue<LeasedJob>((queue) => this.#hasReady(queue as QueueName));
  /** Claims of each queue that brought something. */
  readonly #claims = new Map<string, number>();
  readonly #readyOf;
  readonly #handlers = new Map<string, RemoteHandler>();
  readonly #attempts: AttemptsContext;
  /** No lease ends before. */
  #nextEnd = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | null = null;
  #ending: Promise<void> | null = null;
  #isStopped = false;

  constructor(parts: WorkerLeasesParts) {
    this.#parts = parts;
    this.#leaseMs = parts.leaseMs ?? LEASE_MS;
    const { reader, clock } = parts;
    this.#attempts = { ...parts, handlers: this.#handlers };
    this.#readyOf = reader.prepare<[string]>("select 1 from jobs where queue = ? and state = 'ready' limit 1");
    const rows = reader
      .prepare<[number], RemoteWorker & { leaseUntil: number }>(
        "select id, host, tokenId, leaseUntil from workers where leaseUntil > ? and tokenId is not null",
      )
      .all(clock.now());
    for (const { leaseUntil, ...worker } of rows) {
      const leftMs = Math.min(leaseUntil - clock.now(), this.#leaseMs);
      this.#leases.set(worker.id, { worker, endsAt: clock.elapsed() + leftMs, leaseUntil, isOver: false });
    }
    this.#arm();
  }

  /**
   * Gives a worker jobs to run, and a new lease for all that it has. Without any it waits for one.
   * @throws FORBIDDEN when the worker is another token's; OVERLOADED when there are too many
   * workers, or too many wait.
   */
  async claim(request: ClaimRequest): Promise<readonly LeasedJob[]> {
    await this.#takeBackExpired();
    const jobs = await this.#waiters.wait(request, () => this.#claimNow(request));
    await this.#untilDue(jobs);
    if (jobs.length === 0 || !request.signal.aborted) return jobs;
    await this.#giveBack(jobs);
    return [];
  }

  /**
   * @param inHand the jobs that the worker knows it has: others that it was given longer ago than a
   * lease lasts never reached it, and are taken back. @returns until when it keeps its jobs.
   * @throws INVALID_STATE when its lease has run out, FORBIDDEN when it is another token's
   */
  async renew(workerId: string, tokenId: string, inHand?: readonly string[]): Promise<EpochMs> {
    await this.#takeBackExpired();
    return this.#parts.database.write(async (trx) => {
      const lease = this.#leases.get(workerId);
      if (!lease) throw leaseOver();
      if (lease.worker.tokenId !== tokenId) throw notYours();
      if (inHand) await this.#takeBackUnknown(trx, workerId, inHand);
      return this.#leaseIn(trx, lease.worker);
    });
  }

  /**
   * @throws JOB_NOT_FOUND, INVALID_STATE when the attempt is over, FORBIDDEN when it is another
   * token's
   */
  async complete(attempt: HeldAttempt, result: unknown): Promise<void> {
    await this.#takeBackExpired();
    this.wake(await completeHeld(this.#attempts, attempt, result));
  }

  /** What becomes of the job is what would have become of it here. @throws as {@link complete} */
  async fail(attempt: FailedAttempt): Promise<void> {
    await this.#takeBackExpired();
    this.wake(await failHeld(this.#attempts, attempt));
  }

  /**
   * A worker that stops did not end the attempt, which then does not count. @throws as {@link
   * complete}
   */
  async handBack(attempt: HeldAttempt): Promise<void> {
    await this.#takeBackExpired();
    await this.#parts.database.write(async (trx) => giveBack(this.#attempts, trx, [await requireHeld(trx, attempt)]));
  }

  /**
   * From now on the jobs of the queue are begun and ended by `handler`. @throws TypeError when the
   * queue has one already
   */
  handle(queue: QueueName, handler: RemoteHandler): void {
    if (this.#handlers.has(queue)) throw new TypeError(`jobs of ${queue} have a handler already`);
    this.#handlers.set(queue, handler);
  }

  /** Jobs of the queue may be ready that were not; null: of any queue. */
  wake(queue: string | null): void {
    this.#waiters.wake(queue);
    // Who waits for attempts of this queue waits under their channel's name: it may have been
    // paused until now.
    if (queue === null) return;
    for (const name of this.#handlers.keys())
      if (isWorkerQueue(name) && parentQueue(name) === queue) this.#waiters.wake(name);
  }

  /**
   * Whoever waits for a job is told that there is none. Leases go on: a starting server finds them.
   */
  stop(): void {
    this.#isStopped = true;
    if (this.#timer) clearTimeout(this.#timer);
    this.#waiters.stop();
  }

  #hasReady(queue: QueueName): boolean {
    return !this.#parts.runner.isPaused(queue) && this.#readyOf.get(queue) !== undefined;
  }

  async #claimNow(request: ClaimRequest): Promise<LeasedJob[]> {
    for (;;) {
      request.requireStill();
      const claimed = await this.#claimOnce(request);
      const begun = await beginAll(this.#attempts, request.worker.id, claimed);
      // What has ended before it was handed out has made room for what comes behind it.
      if (begun.length > 0 || claimed.length === 0 || request.signal.aborted) return begun;
    }
  }

  async #claimOnce({ worker, queues, max }: ClaimRequest): Promise<LeasedJob[]> {
    const { database, clock, runner } = this.#parts;
    const ready = queues.filter((queue) => this.#hasReady(queue));
    if (ready.length === 0 && this.#isFresh(worker)) return [];
    if (worker.id === runner.workerId) throw notYours();
    return database.write(async (trx) => {
      const leaseUntil = await this.#leaseIn(trx, worker);
      const claimed: ClaimedJob[] = [];
      for (const queue of ready) {
        // An operator may have paused it while the writer was awaited.
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
      await giveBack(this.#attempts, trx, claimed.slice(fitting));
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

  /**
   * Registers the worker, or renews its lease. @returns until when. @throws FORBIDDEN,
   * INVALID_STATE, OVERLOADED
   */
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
      // Only it knows the number of its process, and nobody here needs it.
      .values({ id, pid: 0, host, tokenId, startedAt: now, leaseUntil })
      .onConflict((conflict) => conflict.column("id").doUpdateSet({ host, leaseUntil }))
      .execute();
    addEffect(trx, { type: "worker-leased", ...worker, leaseUntil });
    return leaseUntil;
  }

  /** A lease has been given or renewed. */
  leased({ leaseUntil, id, host, tokenId }: LeasedWorker): void {
    const { clock, log } = this.#parts;
    if (!this.#leases.has(id)) log.info({ workerId: id, host }, "a worker elsewhere has a lease");
    const worker = { id, host, tokenId };
    this.#leases.set(id, { worker, endsAt: clock.elapsed() + this.#leaseMs, leaseUntil, isOver: false });
    if (!this.#timer) this.#arm();
  }

  /** Whoever claimed them has gone away, and does not know of them. */
  async #giveBack(jobs: readonly ClaimedJob[]): Promise<void> {
    const { database, log } = this.#parts;
    try {
      await database.write((trx) => giveBack(this.#attempts, trx, jobs));
    } catch (error) {
      log.warn({ jobs: jobs.length, err: error }, "jobs whose worker has gone away wait until its lease runs out");
    }
  }

  /** Jobs are ready a moment before their time; nobody begins them before it. */
  async #untilDue(jobs: readonly ClaimedJob[]): Promise<void> {
    const inMs = Math.max(0, ...jobs.map(({ runAt }) => runAt)) - this.#parts.clock.now();
    if (inMs > 0 && inMs <= MAX_AHEAD_MS) await new Promise((resolve) => setTimeout(resolve, inMs + 1));
  }

  #arm(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    const elapsed = this.#parts.clock.elapsed();
    const ends = [...this.#leases.values()].map((lease) => (lease.isOver ? elapsed + TRY_AGAIN_MS : lease.endsAt));
    this.#nextEnd = ends.reduce((first, end) => Math.min(first, end), Number.POSITIVE_INFINITY);
    if (this.#isStopped || ends.length === 0) return;
    this.#timer = setTimeout(() => void this.#takeBackExpired(true), Math.max(0, this.#nextEnd - elapsed));
    this.#timer.unref();
  }

  /**
   * Ends the leases that have run out. Never rejects: what cannot be written is tried again. @param
   * isWoken the timer has run.
   */
  async #takeBackExpired(isWoken = false): Promise<void> {
    if (isWoken) this.#timer = null;
    if (isWoken || this.#parts.clock.elapsed() >= this.#nextEnd)
      this.#ending ??= this.#endExpired().finally(() => {
        this.#ending = null;
      });
    await this.#ending;
    if (!this.#timer) this.#arm();
  }

  async #endExpired(): Promise<void> {
    const { clock, log } = this.#parts;
    for (const lease of [...this.#leases.values()]) {
      if (lease.endsAt > clock.elapsed()) continue;
      const { id, host } = lease.worker;
      lease.isOver = true;
      try {
        const jobs = await this.#takeBackAll(lease);
        if (this.#leases.get(id) !== lease) continue;
        this.#leases.delete(id);
        log.warn({ workerId: id, host, jobs }, "the lease of a worker elsewhere has run out; its jobs run again");
      } catch (error) {
        log.warn({ workerId: id, err: error }, "jobs of a worker that is gone could not be taken back; trying again");
      }
    }
    this.#arm();
  }

  /** @returns how many jobs it had. */
  async #takeBackAll(lease: Lease): Promise<number> {
    for (let all = 0; ; ) {
      const taken = await this.#parts.database.write(async (trx) => {
        // A claim that held the writer before has given the worker a new lease.
        if (this.#leases.get(lease.worker.id) !== lease) return 0;
        const rows = await runningOf(trx, lease.worker.id).orderBy("seq").limit(SLICE).execute();
        return this.#takeBackIn(trx, rows);
      });
      all += taken;
      if (taken < SLICE) return all;
    }
  }

  async #takeBackUnknown(trx: Trx, workerId: string, inHand: readonly string[]): Promise<void> {
    const before = this.#parts.clock.now() - this.#leaseMs;
    let unknown = runningOf(trx, workerId).where("startedAt", "<=", before);
    if (inHand.length > 0) unknown = unknown.where("id", "not in", inHand);
    await this.#takeBackIn(trx, await unknown.orderBy("seq").limit(SLICE).execute());
  }

  async #takeBackIn(trx: Trx, rows: Parameters<typeof requeueLostJobs>[1]): Promise<number> {
    const { clock } = this.#parts;
    const { waiting, dead } = await requeueLostJobs(trx, rows, clock.now(), this.#parts);
    await tellReturned(this.#attempts, trx, rows);
    addEffect(trx, jobsAdded(waiting));
    if (dead.length > 0) addEffect(trx, { type: "jobs-died", jobs: dead });
    return rows.length;
  }
}

function runningOf(trx: Trx, workerId: string) {
  return runningJobs(trx).where("workerId", "=", workerId);
}

function leaseOver(): PrismError {
  return new PrismError("INVALID_STATE", "The worker's lease has run out; leave its jobs and claim anew");
}
