import type { Database as Sqlite } from "better-sqlite3";
import fastq from "fastq";
import { runAs } from "../base/caller.ts";
import type { Clock } from "../base/clock.ts";
import { deferred } from "../base/deferred.ts";
import { uuidv7 } from "../base/ids.ts";
import type { Logger } from "../base/log.ts";
import { type Committer, emptyContent, type SealedSet, type SetSource } from "../store/committer.ts";
import type { ClaimedJob, CommitOutcome, JobClaim, JobFinish, JobRow, JobWork } from "../store/write-set.ts";
import { jitteredDelayMs } from "./backoff.ts";
import { COMPLETED, type JobHandler, PermanentError, QUEUES, type QueueName, type RunningJob } from "./job.ts";
import { type SetBack, SetBackWatch } from "./set-back.ts";
import { WaitingCounts } from "./waiting-counts.ts";

export interface RunnerParts {
  readonly committer: Committer;
  readonly reader: Sqlite;
  readonly clock: Clock;
  readonly log: Logger;
  concurrencyOf(queue: QueueName): number;
  /** Jobs that may wait in one queue; default: as the contract has it. */
  readonly maxWaiting?: number;
  /** Told how long each attempt took. */
  onAttempt?(queue: QueueName, durationMs: number): void;
}

/**
 * Longer waits are armed anew (contract 8.2): setTimeout takes 31 bits of milliseconds, and it counts elapsed time, so that a clock that is
 * set forward, or a machine that slept, is noticed within this time.
 */
const MAX_WAIT_MS = 60_000;
/** Every tenth claim takes what waits longest, whatever its priority. */
const STARVATION_STRIDE = 10;
const MAX_ERROR_LENGTH = 4000;
const MAX_RESULT_BYTES = 16_384;
const TRY_AGAIN_MS = 1000;

interface Queue {
  readonly name: QueueName;
  readonly tasks: fastq.queueAsPromised<ClaimedJob, void>;
  concurrency: number;
  /** There may be ready jobs in the table that have not been claimed. */
  mayHaveReady: boolean;
  /** Claimed and not yet finished. */
  claimed: number;
  claims: number;
}

interface SetInFlight extends Pick<JobWork, "finish" | "promoteDueAt" | "claim"> {
  readonly setBack: SetBack | null;
}

/**
 * Runs the job table. It knows what is ready (it is told of each job after its commit) and when the next job is due, so an idle server
 * asks the database nothing. Claims and completions of a loop turn go in one write set.
 */
export class JobRunner implements SetSource {
  readonly workerId = uuidv7();
  readonly #parts: RunnerParts;
  readonly #handlers = new Map<string, JobHandler>();
  readonly #queues = new Map<QueueName, Queue>();
  readonly #stop = new AbortController();
  readonly #nextDue;
  readonly #waiting: WaitingCounts;
  #finished: JobFinish[] = [];
  #nextDueAt = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | null = null;
  readonly #setBackWatch: SetBackWatch;
  /** The wall clock was set back, and the table does not know it yet. */
  #setBack: SetBack | null = null;
  #isRunning = false;
  /** Jobs whose handler is at work, by id. */
  readonly #active = new Map<string, ClaimedJob>();
  #whenIdle: (() => void) | null = null;

  constructor(parts: RunnerParts) {
    this.#parts = parts;
    this.#waiting = new WaitingCounts(parts.reader, parts.clock, parts.maxWaiting);
    this.#setBackWatch = new SetBackWatch(parts.clock);
    this.#nextDue = parts.reader.prepare<[], { runAt: number | null }>(
      "select min(runAt) as runAt from jobs where state in ('scheduled', 'retrying')",
    );
    for (const name of QUEUES) {
      const concurrency = parts.concurrencyOf(name);
      const tasks = fastq.promise((job: ClaimedJob) => this.#run(job), concurrency);
      this.#queues.set(name, { name, tasks, concurrency, mayHaveReady: true, claimed: 0, claims: 0 });
    }
  }

  /** @throws TypeError when the kind has a handler already. */
  handle(kind: string, handler: JobHandler): void {
    if (this.#handlers.has(kind)) throw new TypeError(`jobs of kind ${kind} have a handler already`);
    this.#handlers.set(kind, handler);
  }

  /** From now on jobs run: those that are ready, those whose time passed while nobody ran, and those to come. */
  start(): void {
    this.#isRunning = true;
    this.#waiting.count();
    this.#nextDueAt = this.#readNextDue();
    this.#parts.committer.wantSet(this);
    this.#arm();
  }

  /** Asks anew how many jobs each queue may run at a time. Those at work go on. */
  reload(): void {
    for (const queue of this.#queues.values()) {
      queue.concurrency = this.#parts.concurrencyOf(queue.name);
      queue.tasks.concurrency = queue.concurrency;
      queue.mayHaveReady = true;
    }
    if (this.#isRunning) this.#parts.committer.wantSet(this);
  }

  /** Whether so many jobs wait in the queue that no more may be made. */
  isFull(queue: QueueName): boolean {
    return this.#waiting.isFull(queue);
  }

  /** Jobs that have just been committed. */
  enqueued(jobs: readonly Pick<JobRow, "queue" | "state" | "runAt">[]): void {
    for (const job of jobs) {
      this.#waiting.add(job.queue, 1);
      if (job.state === "scheduled") this.#nextDueAt = Math.min(this.#nextDueAt, job.runAt);
      else {
        const queue = this.#queues.get(job.queue as QueueName);
        if (queue) queue.mayHaveReady = true;
      }
    }
    if (!this.#isRunning) return;
    if (this.#hasClaimable()) this.#parts.committer.wantSet(this);
    this.#arm();
  }

  /**
   * Hands running jobs their signal and waits for them; gives back what has not begun at once, and what is still at work in the end. None of
   * these attempts counts. @param limitMs how long to wait.
   */
  async stop(limitMs: number): Promise<void> {
    this.#isRunning = false;
    if (this.#timer) clearTimeout(this.#timer);
    for (const queue of this.#queues.values()) {
      for (const job of queue.tasks.getQueue()) this.#finish(queue, this.#finishOf(job, { outcome: "returned" }));
      queue.tasks.kill();
    }
    this.#stop.abort(new Error("the server is stopping"));
    if (this.#active.size > 0) await this.#idleWithin(limitMs);
    for (const job of this.#active.values())
      this.#finish(this.#queueOf(job.queue), this.#finishOf(job, { outcome: "returned" }));
    this.#active.clear();
  }

  async #idleWithin(limitMs: number): Promise<void> {
    const { promise, resolve } = deferred<void>();
    this.#whenIdle = resolve;
    const limit = setTimeout(resolve, limitMs);
    await promise;
    clearTimeout(limit);
  }

  seal(): SealedSet | null {
    const now = this.#now();
    const finish = this.#finished;
    this.#finished = [];
    const setBack = this.#setBack;
    this.#setBack = null;
    const dueAt = setBack?.wouldBe ?? now;
    const promoteDueAt = this.#isRunning && (setBack || this.#nextDueAt <= dueAt) ? dueAt : null;
    if (promoteDueAt !== null) for (const queue of this.#queues.values()) queue.mayHaveReady = true;
    const claim = this.#isRunning ? this.#claims(now) : [];
    if (finish.length === 0 && promoteDueAt === null && !setBack && claim.length === 0) return null;
    const step = setBack ? { byMs: setBack.byMs, now } : null;
    return {
      content: { ...emptyContent(), jobs: { insert: [], finish, promoteDueAt, setBack: step, claim } },
      settle: (outcome) => this.#settle(outcome, { finish, promoteDueAt, setBack, claim }),
    };
  }

  #claims(now: number): JobClaim[] {
    const claims: JobClaim[] = [];
    for (const queue of this.#queues.values()) {
      const limit = queue.concurrency * 2 - queue.claimed;
      if (!queue.mayHaveReady || limit <= 0) continue;
      queue.mayHaveReady = false;
      const oldestFirst = ++queue.claims % STARVATION_STRIDE === 0;
      claims.push({ queue: queue.name, limit, workerId: this.workerId, now, oldestFirst });
    }
    return claims;
  }

  #settle(outcome: CommitOutcome, { finish, promoteDueAt, setBack, claim }: SetInFlight): void {
    if (!outcome.ok) {
      this.#finished.unshift(...finish);
      if (setBack) this.#noteSetBack(setBack);
      for (const { queue } of claim) this.#queueOf(queue).mayHaveReady = true;
      this.#parts.log.warn({ failure: outcome.failure }, "jobs could not be claimed or completed; trying again");
      setTimeout(() => this.#parts.committer.wantSet(this), TRY_AGAIN_MS).unref();
      return;
    }
    if (promoteDueAt !== null || finish.some((end) => end.outcome === "retrying"))
      this.#nextDueAt = this.#readNextDue();
    for (const { queue: name, limit } of claim) {
      const queue = this.#queueOf(name);
      const jobs = outcome.claimed.filter((job) => job.queue === name);
      if (jobs.length === limit) queue.mayHaveReady = true;
      this.#waiting.add(name, -jobs.length);
      for (const job of jobs) {
        queue.claimed++;
        if (this.#isRunning) void queue.tasks.push(job);
        // A stop has come between the claim and its answer.
        else this.#finish(queue, this.#finishOf(job, { outcome: "returned" }));
      }
    }
    if (!this.#isRunning) return;
    if (this.#hasClaimable()) this.#parts.committer.wantSet(this);
    this.#arm();
  }

  async #run(claimed: ClaimedJob): Promise<void> {
    const queue = this.#queueOf(claimed.queue);
    this.#active.set(claimed.id, claimed);
    const startedAt = performance.now();
    const finish = await this.#attempt(claimed);
    this.#parts.onAttempt?.(queue.name, performance.now() - startedAt);
    // A stop has lost its patience and given the job back.
    if (!this.#active.delete(claimed.id)) return;
    if (finish) this.#finish(queue, finish);
    else queue.claimed--;
    if (this.#active.size === 0) this.#whenIdle?.();
    if (this.#isRunning && queue.mayHaveReady) this.#parts.committer.wantSet(this);
  }

  /** @returns how the attempt ended; null when the handler has written that itself. */
  async #attempt(claimed: ClaimedJob): Promise<JobFinish | null> {
    try {
      const handler = this.#handlers.get(claimed.kind);
      if (!handler) throw new PermanentError(`no handler for jobs of kind ${claimed.kind}`);
      const job = runningJob(claimed);
      const caller = { principal: null, ip: null, requestId: null, correlationId: job.correlationId };
      const result = await runAs({ ...caller, process: "job" }, () => handler(job, this.#stop.signal));
      if (result === COMPLETED) return null;
      return this.#finishOf(claimed, { outcome: "succeeded", result: this.#resultText(claimed, result) });
    } catch (error) {
      return this.#failed(claimed, error);
    }
  }

  /** What is kept of a handler's result: a result is a note for people, so one that is too long is left out rather than failed. */
  #resultText({ id, kind }: ClaimedJob, result: unknown): string | null {
    const text = result === undefined ? null : JSON.stringify(result);
    if (text === null || Buffer.byteLength(text) <= MAX_RESULT_BYTES) return text;
    this.#parts.log.warn(
      { jobId: id, kind },
      `the job's result is longer than ${MAX_RESULT_BYTES} bytes and is not kept`,
    );
    return null;
  }

  #failed(claimed: ClaimedJob, error: unknown): JobFinish {
    if (this.#stop.signal.aborted) return this.#finishOf(claimed, { outcome: "returned" });
    const text = (error instanceof Error ? error.message : String(error)).slice(0, MAX_ERROR_LENGTH);
    const isDead = error instanceof PermanentError || claimed.attempts >= claimed.maxAttempts;
    const { log } = this.#parts;
    log.warn({ jobId: claimed.id, kind: claimed.kind, attempt: claimed.attempts, isDead, err: error }, "a job failed");
    if (isDead) return this.#finishOf(claimed, { outcome: "dead", error: text });
    return this.#finishOf(claimed, {
      outcome: "retrying",
      error: text,
      runAt: this.#now() + jitteredDelayMs(claimed.attempts),
    });
  }

  #finishOf<E extends Pick<JobFinish, "outcome">>(job: ClaimedJob, end: E) {
    return finishOf(job, this.workerId, this.#now(), end);
  }

  #finish(queue: Queue, finish: JobFinish): void {
    queue.claimed--;
    if (finish.outcome === "retrying" || finish.outcome === "returned") this.#waiting.add(queue.name, 1);
    this.#finished.push(finish);
    this.#parts.committer.wantSet(this);
  }

  #hasClaimable(): boolean {
    for (const queue of this.#queues.values())
      if (queue.mayHaveReady && queue.claimed < queue.concurrency * 2) return true;
    return false;
  }

  #arm(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#nextDueAt === Number.POSITIVE_INFINITY) return;
    const waitMs = Math.min(Math.max(0, this.#nextDueAt - this.#now()), MAX_WAIT_MS);
    this.#timer = setTimeout(() => {
      this.#timer = null;
      if (this.#nextDueAt <= this.#now()) this.#parts.committer.wantSet(this);
      else this.#arm();
    }, waitMs);
  }

  #readNextDue(): number {
    return this.#nextDue.get()?.runAt ?? Number.POSITIVE_INFINITY;
  }

  /**
   * The wall clock. A step back is noticed here: what was due by the clock as it was is then made ready, and waiting jobs that were made in
   * what is the future now are set back with it. So delays and retries take the time they were given, what is stored is right by the clock as
   * it is, and a glitch that went forward and back leaves nothing that waits for it.
   */
  #now(): number {
    const setBack = this.#setBackWatch.read();
    if (setBack) {
      this.#parts.log.warn({ byMs: setBack.byMs }, "the clock was set back; jobs that wait go with it");
      this.#noteSetBack(setBack);
      if (this.#isRunning) this.#parts.committer.wantSet(this);
    }
    return this.#parts.clock.now();
  }

  /** Steps that the table does not know yet add up. */
  #noteSetBack({ byMs, wouldBe }: SetBack): void {
    const { byMs: earlierMs, wouldBe: earlier } = this.#setBack ?? { byMs: 0, wouldBe: 0 };
    this.#setBack = { byMs: byMs + earlierMs, wouldBe: Math.max(wouldBe, earlier) };
  }

  #queueOf(name: string): Queue {
    const queue = this.#queues.get(name as QueueName);
    if (!queue) throw new TypeError(`there is no queue ${name}`);
    return queue;
  }
}

function runningJob(claimed: ClaimedJob): RunningJob {
  return {
    id: claimed.id,
    kind: claimed.kind,
    payload: JSON.parse(claimed.payload),
    attempt: claimed.attempts,
    label: claimed.label,
    createdBy: claimed.createdBy,
    correlationId: claimed.correlationId ?? claimed.id,
    claimed,
  };
}

/** The end of an attempt, with the fence that makes it count only while the job is still this worker's. */
export function finishOf<E extends Pick<JobFinish, "outcome">>(job: ClaimedJob, workerId: string, now: number, end: E) {
  return { id: job.id, fence: job.fence, attempt: job.attempts, startedAt: job.startedAt, workerId, now, ...end };
}
