import type { Database as Sqlite } from "better-sqlite3";
import type { Clock, EpochMs } from "../../../core/clock.ts";
import { uuidv7 } from "../../../core/ids.ts";
import type { Logger } from "../../../core/log.ts";
import { parentOf, QUEUES, type QueueName, type QueueSettings } from "../../../core/queues.ts";
import { type Committer, emptyContent, type SealedSet, type SetSource } from "../../../store/commit/committer.ts";
import type { ClaimedJob, CommitOutcome, JobFinish, JobWork } from "../../../store/commit/write-set.ts";
import type { DeadJob, EnqueuedRow } from "../../../store/effect.ts";
import { finishOf } from "./attempt-end.ts";
import { CLOCK_TOLERANCE_MS, DueTimer, type SetBack } from "./due-timer.ts";
import type { AttemptFacts, HandlerOptions, JobHandler } from "./job.ts";
import type { BegunJobs } from "./job-execution.ts";
import { JobExecution } from "./job-execution.ts";
import { RunnerQueue } from "./runner-queue.ts";
import { type CountWaiting, WaitingCounts } from "./waiting-counts.ts";

const TRY_AGAIN_MS = 1000;
/**
 * Waiting jobs are claimed this much before their time, so that they do not run a commit later than
 * they should: twice what a commit takes.
 */
const MIN_AHEAD_MS = 10;
const MAX_AHEAD_MS = 100;
/** What the last commits say of the next: an average that forgets. */
const MEMORY = 0.9;

export interface RunnerParts {
  readonly committer: Committer;
  readonly reader: Sqlite;
  readonly clock: Clock;
  readonly log: Logger;
  settingsOf(queue: QueueName): QueueSettings;
  readonly countWaiting: CountWaiting;
  readonly begun?: BegunJobs;
  /** Jobs that may wait in one queue; default: a million. */
  readonly maxWaiting?: number;
  /** Called when an attempt has ended. */
  onAttempt?(attempt: AttemptFacts): void;
  /** Called for each job that is dead, after the commit that says so. */
  onDead?(job: DeadJob): void;
  /** Called when jobs of the queue may be ready which were not; null: of any queue. */
  onReady?(queue: string | null): void;
}

interface SetInFlight extends Pick<JobWork, "progress" | "finish" | "promoteDueAt" | "claim"> {
  readonly setBack: SetBack | null;
}

/**
 * Runs the job table. It knows what is ready (it is told of each job after its commit) and when the
 * next job is due, so an idle server asks the database nothing. Claims and completions of a loop
 * turn go in one write set.
 */
export class JobRunner implements SetSource {
  readonly workerId = uuidv7();
  readonly #parts: RunnerParts;
  readonly #queues = new Map<QueueName, RunnerQueue>();
  readonly #execution: JobExecution;
  readonly #due: DueTimer;
  readonly #newest;
  readonly #waiting: WaitingCounts;
  #finished: JobFinish[] = [];
  /** Jobs that the next commit, or the one under way, declares dead. */
  readonly #dying = new Map<string, DeadJob>();
  #isRunning = false;
  #commitMs = MIN_AHEAD_MS / 2;

  constructor(parts: RunnerParts) {
    this.#parts = parts;
    this.#waiting = new WaitingCounts(parts.countWaiting, parts.clock, parts.maxWaiting);
    const { reader, clock, log, committer } = parts;
    const nextDue = reader.prepare<[], { runAt: number | null }>(
      "select min(runAt) as runAt from jobs where state in ('scheduled', 'retrying')",
    );
    this.#newest = reader.prepare<[], { madeAt: number }>(
      "select max(createdAt, coalesce(startedAt, 0)) as madeAt from jobs order by seq desc limit 1",
    );
    const wake = (): void => committer.wantSet(this);
    this.#due = new DueTimer({
      clock,
      readNext: () => nextDue.get()?.runAt ?? null,
      wake,
      onSetBack: (byMs) => log.warn({ byMs }, "the clock was set back; jobs that wait go with it"),
      aheadMs: () => this.#aheadMs,
    });
    this.#execution = new JobExecution({
      ...parts,
      workerId: this.workerId,
      now: () => this.#due.now(),
      ended: (job, finish, facts) => this.#ended(job, finish, facts),
      progressed: wake,
    });
    for (const name of QUEUES) this.#addQueue(name, true);
  }

  /**
   * @returns a function that takes the handler away again. @throws TypeError when the kind has a
   * handler already.
   */
  handle(kind: string, handler: JobHandler, options?: HandlerOptions): () => void {
    return this.#execution.handle(kind, handler, options);
  }

  /**
   * Runs the jobs of a module's queue from now on, or those of one that was left to workers; until
   * somebody does they wait.
   */
  serve(name: QueueName): void {
    const queue = this.#queues.get(name) ?? this.#addQueue(name, true);
    queue.isServed = true;
    this.#wake(queue);
  }

  /**
   * Claims no more of the queue and gives back what has not begun; what runs goes on to its end.
   */
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

  /**
   * The program's queues, and those of modules that were served or paused since the start; of those
   * for workers the paused ones.
   */
  get queueNames(): QueueName[] {
    return [...this.#queues.keys()].filter((name) => parentOf(name) === undefined || this.isPaused(name));
  }

  isPaused(name: QueueName): boolean {
    return (this.#queues.get(name) ?? this.#queues.get(parentOf(name) ?? name))?.isPaused ?? false;
  }

  /**
   * From now on jobs run: those that are ready, those whose time passed while nobody ran, and those
   * to come.
   */
  start(): void {
    this.#isRunning = true;
    void this.#waiting.count();
    this.#lookBack();
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
   * Hands running jobs their signal and waits for them; gives back what has not begun at once, and
   * what is still at work in the end. None of these attempts counts. @param limitMs how long to
   * wait.
   */
  async stop(limitMs: number): Promise<void> {
    this.#isRunning = false;
    this.#due.stop();
    for (const queue of this.#queues.values()) this.#giveBackWaiting(queue);
    for (const job of await this.#execution.stop(limitMs)) this.#giveBack(job);
    this.#parts.begun?.close();
  }

  /**
   * While the server was down the clock was set back by as much as the newest job seems to be made
   * in the future, or more.
   */
  #lookBack(): void {
    const now = this.#parts.clock.now();
    const newest = this.#newest.get()?.madeAt ?? 0;
    if (newest <= now + CLOCK_TOLERANCE_MS) return;
    const byMs = newest - now;
    this.#parts.log.warn({ byMs }, "the clock was set back while the server was down; jobs that wait go with it");
    this.#due.putBack({ byMs, wouldBe: newest, madeFrom: now });
  }

  seal(): SealedSet | null {
    const now = this.#due.now();
    const finish = this.#finished;
    this.#finished = [];
    const progress = this.#execution.takeProgress();
    const setBack = this.#due.takeSetBack();
    const promoteDueAt = this.#promoteDueAt(now, setBack);
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
        this.#commitMs = this.#commitMs * MEMORY + (performance.now() - sealedAt) * (1 - MEMORY);
        this.#settle(outcome, { progress, finish, promoteDueAt, setBack, claim });
      },
    };
  }

  /**
   * By which instant waiting jobs are due, or nearly so; null: none is. When the clock was set
   * back, that is what was due by the clock as it was: waiting jobs that were made in what is the
   * future now are set back with it. So delays and retries take the time they were given, and a
   * glitch that went forward and back leaves nothing that waits for it.
   */
  #promoteDueAt(now: EpochMs, setBack: SetBack | null): EpochMs | null {
    if (!this.#isRunning) return null;
    if (setBack) return setBack.wouldBe;
    return this.#due.isDue(now) ? now + this.#aheadMs : null;
  }

  get #aheadMs(): number {
    return Math.round(Math.min(Math.max(2 * this.#commitMs, MIN_AHEAD_MS), MAX_AHEAD_MS));
  }

  #settle(outcome: CommitOutcome, { progress, finish, promoteDueAt, setBack, claim }: SetInFlight): void {
    if (!outcome.ok) {
      this.#finished.unshift(...finish);
      this.#execution.putBackProgress(progress);
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
        else this.#giveBack(job);
      }
    }
    if (!this.#isRunning) return;
    if (this.#hasClaimable()) this.#parts.committer.wantSet(this);
    this.#due.arm();
  }

  #ended(job: ClaimedJob, finish: JobFinish | null, facts: AttemptFacts): void {
    const queue = this.#queueOf(job.queue);
    queue.attempted(facts.durationMs);
    this.#parts.onAttempt?.(facts);
    if (finish?.outcome === "dead") {
      const { id, kind, label } = job;
      this.#dying.set(id, { id, queue: job.queue, kind, label, error: finish.error });
    }
    if (finish) this.#finish(queue, finish);
    else queue.claimed--;
    if (this.#isRunning && queue.mayHaveReady) this.#parts.committer.wantSet(this);
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

  /** As if it had not been tried. */
  #giveBack(job: ClaimedJob): void {
    const end = finishOf(job, this.workerId, this.#due.now(), { outcome: "returned" });
    this.#finish(this.#queueOf(job.queue), end);
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
    for (const job of waiting) this.#giveBack(job);
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
      run: (job) => this.#execution.run(job),
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
