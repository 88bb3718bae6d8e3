import { setMaxListeners } from "node:events";
import { runAs } from "../base/caller.ts";
import { uuidv7 } from "../base/ids.ts";
import { within } from "../base/within.ts";
import { emptyContent, type SealedSet, type SetSource } from "../store/committer.ts";
import type { ClaimedJob, CommitOutcome, JobFinish, JobProgress, JobWork } from "../store/write-set.ts";
import { endOfFailure, endWithoutSpace, finishOf, type JobEnd, noteText } from "./attempt-end.ts";
import { DueWatch } from "./due-watch.ts";
import { type HandlerOptions, JobHandlers } from "./handlers.ts";
import {
  COMPLETED,
  type JobHandler,
  PermanentError,
  parentOf,
  QUEUES,
  type QueueName,
  type RunningJob,
} from "./job.ts";
import type { DeadJob, EnqueuedRow, RunnerParts } from "./runner-parts.ts";
import { RunnerQueue } from "./runner-queue.ts";
import type { SetBack } from "./set-back.ts";
import { WaitingCounts } from "./waiting-counts.ts";

/** Progress notes are written this much later, the last one of each job. */
const PROGRESS_DELAY_MS = 100;
const TRY_AGAIN_MS = 1000;

interface SetInFlight extends Pick<JobWork, "progress" | "finish" | "promoteDueAt" | "claim"> {
  readonly setBack: SetBack | null;
}

/**
 * Runs the job table. It knows what is ready (it is told of each job after its commit) and when the next job is due, so an idle server
 * asks the database nothing. Claims and completions of a loop turn go in one write set.
 */
export class JobRunner implements SetSource {
  readonly workerId = uuidv7();
  readonly #parts: RunnerParts;
  readonly #handlers = new JobHandlers();
  readonly #queues = new Map<QueueName, RunnerQueue>();
  readonly #stop = new AbortController();
  readonly #due: DueWatch;
  readonly #waiting: WaitingCounts;
  #finished: JobFinish[] = [];
  readonly #progress = new Map<string, JobProgress>();
  #progressTimer: NodeJS.Timeout | null = null;
  /** Jobs that the next commit, or the one under way, declares dead. */
  readonly #dying = new Map<string, DeadJob>();
  #isRunning = false;
  /** Jobs whose handler is at work, by id. */
  readonly #active = new Map<string, ClaimedJob>();
  #whenIdle: (() => void) | null = null;

  constructor(parts: RunnerParts) {
    this.#parts = parts;
    this.#waiting = new WaitingCounts(parts.countWaiting, parts.clock, parts.maxWaiting);
    const { reader, clock, log, committer } = parts;
    this.#due = new DueWatch({ reader, clock, log, wake: () => committer.wantSet(this) });
    // Every handler may listen for the stop.
    setMaxListeners(0, this.#stop.signal);
    for (const name of QUEUES) this.#addQueue(name, true);
  }

  /** @returns a function that takes the handler away again. @throws TypeError when the kind has a handler already. */
  handle(kind: string, handler: JobHandler, options?: HandlerOptions): () => void {
    return this.#handlers.add(kind, handler, options);
  }

  /** Runs the jobs of a module's queue from now on, or those of one that was left to workers; until somebody does they wait. */
  serve(name: QueueName): void {
    const queue = this.#queues.get(name) ?? this.#addQueue(name, true);
    queue.isServed = true;
    this.#wake(queue);
  }

  /** Claims no more of the queue and gives back what has not begun; what runs goes on to its end. */
  withdraw(name: QueueName): void {
    const queue = this.#queues.get(name);
    if (!queue) return;
    queue.isServed = false;
    this.#giveBackWaiting(queue);
  }

  /** From now on nothing of the queue begins, but what was handed out; what runs goes on. */
  pause(name: QueueName): void {
    const queue = this.#queues.get(name) ?? this.#addQueue(name, false);
    queue.isPaused = true;
    this.#giveBackWaiting(queue);
  }

  resume(name: QueueName): void {
    const queue = this.#queues.get(name);
    if (!queue) return;
    queue.isPaused = false;
    this.#wake(queue);
    this.#parts.onReady?.(name);
  }

  /** The program's queues, and those of modules that were served or paused since the start; of those for workers the paused ones. */
  get queueNames(): QueueName[] {
    return [...this.#queues.keys()].filter((name) => parentOf(name) === undefined || this.isPaused(name));
  }

  isPaused(name: QueueName): boolean {
    return (this.#queues.get(name) ?? this.#queues.get(parentOf(name) ?? name))?.isPaused ?? false;
  }

  /** From now on jobs run: those that are ready, those whose time passed while nobody ran, and those to come. */
  start(): void {
    this.#isRunning = true;
    void this.#waiting.count();
    this.#due.start();
    this.#parts.committer.wantSet(this);
  }

  /** Asks anew how many jobs each queue may run at a time. Those at work go on. */
  reload(): void {
    for (const queue of this.#queues.values()) queue.configure(this.#parts.settingsOf(queue.name));
    if (this.#isRunning) this.#parts.committer.wantSet(this);
  }

  /** Jobs of the queue that wait: scheduled, retrying or ready. */
  waitingIn(queue: string): number {
    return this.#waiting.of(queue);
  }

  /** Whether so many jobs wait in the queue that no more may be made. */
  isFull(queue: QueueName): boolean {
    return this.#waiting.isFull(queue);
  }

  /** Jobs that have just been committed, waiting or ready. */
  enqueued(jobs: readonly EnqueuedRow[]): void {
    for (const job of jobs) {
      this.#waiting.add(job.queue, 1);
      if (job.state !== "ready") this.#due.note(job.runAt);
      else {
        const queue = this.#queues.get(job.queue as QueueName);
        if (queue) queue.mayHaveReady = true;
        this.#parts.onReady?.(job.queue);
      }
    }
    if (!this.#isRunning) return;
    if (this.#hasClaimable()) this.#parts.committer.wantSet(this);
    this.#due.arm();
  }

  /** So many jobs of the queue, which waited, have just been ended by somebody else. */
  removed(queue: string, jobs: number): void {
    this.#waiting.add(queue, -jobs);
  }

  /**
   * Hands running jobs their signal and waits for them; gives back what has not begun at once, and what is still at work in the end. None of
   * these attempts counts. @param limitMs how long to wait.
   */
  async stop(limitMs: number): Promise<void> {
    this.#isRunning = false;
    this.#due.stop();
    for (const queue of this.#queues.values()) this.#giveBackWaiting(queue);
    this.#stop.abort(new Error("the server is stopping"));
    if (this.#active.size > 0) await within(limitMs, this.#idle());
    if (this.#progressTimer) clearTimeout(this.#progressTimer);
    for (const job of this.#active.values())
      this.#finish(this.#queueOf(job.queue), this.#finishOf(job, { outcome: "returned" }));
    this.#active.clear();
    this.#parts.begun?.close();
  }

  #idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#whenIdle = resolve;
    });
  }

  seal(): SealedSet | null {
    const now = this.#due.now();
    const finish = this.#finished;
    this.#finished = [];
    const progress = [...this.#progress.values()];
    this.#progress.clear();
    const { promoteDueAt, setBack } = this.#due.take(now);
    if (promoteDueAt !== null) for (const queue of this.#queues.values()) queue.mayHaveReady = true;
    const claimable = this.#isRunning ? [...this.#queues.values()].filter((queue) => queue.isClaimable) : [];
    const claim = claimable.map((queue) => queue.claim(this.workerId, now));
    const isEmpty = finish.length === 0 && progress.length === 0 && promoteDueAt === null && claim.length === 0;
    if (isEmpty && !setBack) return null;
    if (this.#isRunning && this.#hasClaimable()) this.#parts.committer.wantSet(this);
    const sealedAt = performance.now();
    const step = setBack ? { byMs: setBack.byMs, madeFrom: setBack.madeFrom, now } : null;
    return {
      content: { ...emptyContent(), jobs: { insert: [], progress, finish, promoteDueAt, setBack: step, claim } },
      settle: (outcome) => {
        this.#due.committed(performance.now() - sealedAt);
        this.#settle(outcome, { progress, finish, promoteDueAt, setBack, claim });
      },
    };
  }

  #settle(outcome: CommitOutcome, { progress, finish, promoteDueAt, setBack, claim }: SetInFlight): void {
    if (!outcome.ok) {
      this.#finished.unshift(...finish);
      for (const each of progress) if (!this.#progress.has(each.id)) this.#progress.set(each.id, each);
      if (setBack) this.#due.putBack(setBack);
      for (const each of claim) this.#queueOf(each.queue).refused(each);
      this.#parts.log.warn({ failure: outcome.failure }, "jobs could not be claimed or completed; trying again");
      setTimeout(() => this.#parts.committer.wantSet(this), TRY_AGAIN_MS).unref();
      return;
    }
    if (promoteDueAt !== null || finish.some((end) => "runAt" in end)) this.#due.read();
    for (const end of finish) if (end.outcome === "dead") this.#tellDead(end.id);
    if (promoteDueAt !== null || finish.some((end) => end.outcome === "returned")) this.#parts.onReady?.(null);
    for (const each of claim) {
      const queue = this.#queueOf(each.queue);
      const jobs = outcome.claimed.filter((job) => job.queue === queue.name);
      queue.answered(each, jobs.length);
      this.#waiting.add(queue.name, -jobs.length);
      for (const job of jobs) {
        if (this.#isRunning && queue.isServed && !queue.isPaused) queue.begin(job);
        // A stop has come between the claim and its answer.
        else this.#finish(queue, this.#finishOf(job, { outcome: "returned" }));
      }
    }
    if (!this.#isRunning) return;
    if (this.#hasClaimable()) this.#parts.committer.wantSet(this);
    this.#due.arm();
  }

  async #run(claimed: ClaimedJob): Promise<void> {
    const queue = this.#queueOf(claimed.queue);
    this.#active.set(claimed.id, claimed);
    const latenessMs = Math.max(0, this.#parts.clock.now() - claimed.runAt);
    const startedAt = performance.now();
    const finish = await this.#attempt(claimed);
    const durationMs = performance.now() - startedAt;
    queue.attempted(durationMs);
    const outcome = finish?.outcome ?? "succeeded";
    this.#parts.onAttempt?.({ queue: queue.name, outcome, durationMs, latenessMs });
    const { log } = this.#parts;
    if (log.isDebug()) {
      const { id: jobId, kind, attempts: attempt } = claimed;
      log.debug({ jobId, queue: queue.name, kind, attempt, outcome, durationMs, latenessMs }, "an attempt has ended");
    }
    // A stop has lost its patience and given the job back.
    if (!this.#active.delete(claimed.id)) return;
    this.#progress.delete(claimed.id);
    if (finish) this.#finish(queue, finish);
    else queue.claimed--;
    if (this.#active.size === 0) this.#whenIdle?.();
    if (this.#isRunning && queue.mayHaveReady) this.#parts.committer.wantSet(this);
  }

  /** @returns how the attempt ended; null when the handler has written that itself. */
  async #attempt(claimed: ClaimedJob): Promise<JobFinish | null> {
    const begun = this.#parts.begun?.noteOf(claimed);
    try {
      const handler = this.#handlers.get(claimed.kind);
      if (!handler) throw new PermanentError(`no handler for jobs of kind ${claimed.kind}`);
      const job = this.#runningJob(claimed, () => begun?.begin());
      if (!handler.notesBegin) job.begun();
      const caller = { principal: null, ip: null, requestId: null, correlationId: job.correlationId };
      const result = await runAs({ ...caller, process: "job" }, () => handler.run(job, this.#stop.signal));
      if (result === COMPLETED) return null;
      return this.#finishOf(claimed, { outcome: "succeeded", result: noteText(result, claimed, this.#parts.log) });
    } catch (error) {
      return this.#failed(claimed, error);
    } finally {
      begun?.end();
    }
  }

  #failed(claimed: ClaimedJob, error: unknown): JobFinish {
    if (this.#stop.signal.aborted) return this.#finishOf(claimed, { outcome: "returned" });
    const end =
      endWithoutSpace(error, this.#due.now()) ?? endOfFailure(claimed, error, this.#parts.settingsOf, this.#due.now());
    const isDead = end.outcome === "dead";
    if (isDead) {
      const { id, queue, kind, label } = claimed;
      this.#dying.set(id, { id, queue, kind, label, error: end.error });
    }
    const facts = { jobId: claimed.id, kind: claimed.kind, attempt: claimed.attempts, isDead, err: error };
    this.#parts.log.warn(facts, "a job failed");
    return this.#finishOf(claimed, end);
  }

  /** A job that somebody else has just declared dead, in a transaction of its own. */
  died(job: DeadJob): void {
    this.#parts.onDead?.(job);
  }

  #tellDead(id: string): void {
    const dead = this.#dying.get(id);
    this.#dying.delete(id);
    if (dead) this.died(dead);
  }

  #runningJob(claimed: ClaimedJob, begun: () => void): RunningJob {
    return {
      id: claimed.id,
      kind: claimed.kind,
      payload: JSON.parse(claimed.payload),
      attempt: claimed.attempts,
      label: claimed.label,
      createdBy: claimed.createdBy,
      correlationId: claimed.correlationId ?? claimed.id,
      begun,
      progress: (value) => this.#noteProgress(claimed, value),
      claimed,
    };
  }

  #noteProgress(claimed: ClaimedJob, value: unknown): void {
    const progress = noteText(value, claimed, this.#parts.log);
    if (progress === null || !this.#active.has(claimed.id)) return;
    this.#progress.set(claimed.id, { id: claimed.id, fence: claimed.fence, progress });
    this.#progressTimer ??= setTimeout(() => {
      this.#progressTimer = null;
      this.#parts.committer.wantSet(this);
    }, PROGRESS_DELAY_MS);
  }

  #finishOf<E extends JobEnd>(job: ClaimedJob, end: E) {
    return finishOf(job, this.workerId, this.#due.now(), end);
  }

  #finish(queue: RunnerQueue, finish: JobFinish): void {
    queue.claimed--;
    if (finish.outcome === "retrying") this.#waiting.add(finish.queue, 1);
    if (finish.outcome === "returned") this.#waiting.add(queue.name, 1);
    this.#finished.push(finish);
    this.#parts.committer.wantSet(this);
  }

  #giveBackWaiting(queue: RunnerQueue): void {
    const waiting = queue.takeWaiting();
    for (const job of waiting) this.#finish(queue, this.#finishOf(job, { outcome: "returned" }));
    if (waiting.length > 0) queue.mayHaveReady = true;
  }

  #wake(queue: RunnerQueue): void {
    queue.mayHaveReady = true;
    if (this.#isRunning) this.#parts.committer.wantSet(this);
  }

  #addQueue(name: QueueName, isServed: boolean): RunnerQueue {
    const queue = new RunnerQueue(name, {
      clock: this.#parts.clock,
      settings: this.#parts.settingsOf(name),
      isServed,
      run: (job) => this.#run(job),
      parent: this.#queues.get(parentOf(name) ?? name),
    });
    this.#queues.set(name, queue);
    return queue;
  }

  #hasClaimable(): boolean {
    for (const queue of this.#queues.values()) if (queue.isClaimable) return true;
    return false;
  }

  #queueOf(name: string): RunnerQueue {
    const queue = this.#queues.get(name as QueueName);
    if (!queue) throw new TypeError(`there is no queue ${name}`);
    return queue;
  }
}
