import { uuidv7 } from "../../../../core/ids.ts";
import { parentOf, QUEUES, type QueueName, type QueueSettings } from "../../../../core/limits/queues.ts";
import type { EpochMs } from "../../../../core/time/clock.ts";
import { DueTimes } from "../../../../core/time/due-times.ts";
import type { Uses } from "../../../../module/feature.ts";
import { emptyContent, type SealedSet, type SetSource } from "../../../../store/commit/committer.ts";
import { claimedJobs } from "../../../../store/commit/job-sql.ts";
import type { ClaimedJob, CommitOutcome, JobFinish, JobWork } from "../../../../store/commit/write-set.ts";
import type { DeadJob, EnqueuedRow } from "../../../../store/effect.ts";
import type { AttemptFacts, HandlerOptions, JobFunction } from "./job.ts";
import { type BegunJobs, finishOf, JobExecution, SucceededAttempts } from "./job-execution.ts";
import { type CountWaiting, RunnerQueue, WaitingCounts } from "./runner-queue.ts";
import { CLOCK_TOLERANCE_MS, type SetBack, StepsBack } from "./steps-back.ts";

const TRY_AGAIN_MS = 1000;
/** Jobs are claimed this long before they are due, twice a commit's time, to start on time. */
const MIN_AHEAD_MS = 10;
const MAX_AHEAD_MS = 100;
/** Weight of past commits in the moving average. */
const MEMORY = 0.9;

export interface RunnerParts extends Uses<"committer" | "reader" | "clock" | "log"> {
  settingsOf(queue: QueueName): QueueSettings;
  readonly countWaiting: CountWaiting;
  readonly begun?: BegunJobs;
  /** Another node may continue: attempts begin when the rows say so, and clocks of nodes differ. */
  readonly isReplicated?: boolean;
  /** Limit of waiting jobs per queue; default: a million. */
  readonly maxWaiting?: number;
  onAttempt?(attempt: AttemptFacts): void;
  /** Called for each dead job after its commit. */
  onDead?(job: DeadJob): void;
  /** Called when jobs of the queue may have become ready; null: of any queue. */
  onReady?(queue: string | null): void;
}

interface SetInFlight extends Pick<JobWork, "progress" | "finish" | "promoteDueAt" | "claim"> {
  readonly succeeded: SucceededAttempts;
  readonly setBack: SetBack | null;
  readonly begun: readonly BeginningJob[];
}

/** An attempt that waits for the commit after which it may begin. */
interface BeginningJob extends Pick<ClaimedJob, "id" | "fence"> {
  readonly begin: () => void;
}

/**
 * Runs the job table. Commits notify it of new jobs, and it knows when the next one is due, so an
 * idle server does not query the database. Claims and completions of a loop turn share one write
 * set.
 */
export class JobRunner implements SetSource {
  readonly workerId = uuidv7();
  readonly #parts: RunnerParts;
  readonly #queues = new Map<QueueName, RunnerQueue>();
  readonly #execution: JobExecution;
  /** When the next waiting job is due, or nearly due. */
  readonly #due: DueTimes<"next">;
  readonly #steps: StepsBack;
  readonly #newest;
  readonly #waiting: WaitingCounts;
  #finished: JobFinish[] = [];
  #succeeded = new SucceededAttempts();
  #beginning: BeginningJob[] = [];
  /** Jobs that the next or current commit makes dead. */
  readonly #dying = new Map<string, DeadJob>();
  readonly #changed = new Set<string>();
  #hasProgress = false;
  #isRunning = false;
  /** The next set makes due jobs ready. */
  #isPromotionDue = false;
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
    this.#steps = new StepsBack(clock, (byMs) => {
      log.warn({ byMs }, "clock set back; moving the times of waiting jobs");
      if (this.#isRunning) wake();
    });
    this.#due = new DueTimes({
      clock: { now: () => this.#steps.now() + this.#aheadMs },
      read: () => [["next", nextDue.get()?.runAt ?? null]],
      // The commit reads the next time; without one it is due again.
      handle: async () => {
        this.#isPromotionDue = true;
        wake();
      },
      onError: (err) => log.warn({ err }, "cannot make due jobs ready; retrying"),
    });
    this.#execution = new JobExecution({
      ...parts,
      workerId: this.workerId,
      now: () => this.#steps.now(),
      ended: (job, finish, facts) => this.#ended(job, finish, facts),
      beginning: parts.isReplicated ? (job) => this.#untilBegun(job) : undefined,
      progressed: wake,
    });
    for (const name of QUEUES) this.#addQueue(name, true);
  }

  /** Kinds of jobs that have a handler. */
  get kinds(): readonly string[] {
    return this.#execution.kinds;
  }

  /** @returns a function that removes the handler. @throws TypeError if the kind has one already */
  handle(kind: string, handler: JobFunction, options?: HandlerOptions): () => void {
    return this.#execution.handle(kind, handler, options);
  }

  /** Starts to run the jobs of a module's queue, or of a worker queue; until then they wait. */
  serve(name: QueueName): void {
    const queue = this.#queues.get(name) ?? this.#addQueue(name, true);
    queue.isServed = true;
    this.#wake(queue);
  }

  /** Stops claiming from the queue and releases jobs that have not started; others continue. */
  withdraw(name: QueueName): void {
    const queue = this.#queues.get(name);
    if (!queue) return;
    queue.isServed = false;
    this.#releaseWaiting(queue);
  }

  /** Pauses the queue: claimed jobs and running ones continue. */
  pause(name: QueueName): void {
    const queue = this.#queues.get(name) ?? this.#addQueue(name, false);
    queue.isPaused = true;
    this.#releaseWaiting(queue);
  }

  resume(name: QueueName): void {
    const queue = this.#queues.get(name);
    if (!queue) return;
    queue.isPaused = false;
    this.#wake(queue);
    this.#parts.onReady?.(name);
  }

  /**
   * The built-in queues, the module queues served or paused since the start, and the worker queues
   * that are paused by their own name.
   */
  get queueNames(): QueueName[] {
    return [...this.#queues.values()]
      .filter(({ name, isPausedItself }) => parentOf(name) === undefined || isPausedItself)
      .map(({ name }) => name);
  }

  isPaused(name: QueueName): boolean {
    return (this.#queues.get(name) ?? this.#queues.get(parentOf(name) ?? name))?.isPaused ?? false;
  }

  /** Starts to run jobs, including those that became due while no server ran. */
  start(): void {
    this.#isRunning = true;
    void this.#waiting.count();
    if (!this.#parts.isReplicated) this.#lookBack();
    this.#due.load();
    this.#due.start();
    this.#parts.committer.wantSet(this);
  }

  /** Reads the concurrency of each queue again. Running jobs continue. */
  reload(): void {
    for (const queue of this.#queues.values()) queue.configure(this.#parts.settingsOf(queue.name));
    if (this.#isRunning) this.#parts.committer.wantSet(this);
  }

  /** Number of waiting jobs of the queue: scheduled, retrying or ready. */
  waitingIn(queue: string): number {
    return this.#waiting.of(queue);
  }

  isFull(queue: QueueName): boolean {
    return this.#waiting.isFull(queue);
  }

  /** The queues with changed jobs since the last call, and whether progress was reported; null: none. */
  takeChanges(): { readonly queues: readonly string[]; readonly progress: boolean } | null {
    if (this.#changed.size === 0 && !this.#hasProgress) return null;
    const changes = { queues: [...this.#changed].sort(), progress: this.#hasProgress };
    this.#changed.clear();
    this.#hasProgress = false;
    return changes;
  }

  /** New jobs were committed, waiting or ready. */
  enqueued(jobs: readonly EnqueuedRow[]): void {
    for (const job of jobs) {
      this.#changed.add(job.queue);
      this.#waiting.add(job.queue, 1);
      if (job.state !== "ready") this.#waits(job.runAt);
      else {
        const queue = this.#queues.get(job.queue as QueueName);
        if (queue) queue.mayHaveReady = true;
        this.#parts.onReady?.(job.queue);
      }
    }
    if (!this.#isRunning) return;
    if (this.#hasClaimable()) this.#parts.committer.wantSet(this);
    // The clock is read, so that a step of it is noticed before many rows are made.
    if (this.#isDue(this.#steps.now())) this.#due.rearm();
  }

  #waits(runAt: EpochMs): void {
    if (runAt < (this.#due.at("next") ?? Number.POSITIVE_INFINITY)) this.#due.set("next", runAt);
  }

  /** This many waiting jobs of the queue were ended elsewhere. */
  removed(queue: string, jobs: number): void {
    this.#changed.add(queue);
    this.#waiting.add(queue, -jobs);
  }

  /**
   * Aborts running jobs and waits for them. Releases jobs that have not started at once, and those
   * still running at the end. None of these attempts counts. @param limitMs how long to wait.
   */
  async stop(limitMs: number): Promise<void> {
    this.#isRunning = false;
    const ended = this.#due.stop();
    for (const queue of this.#queues.values()) this.#releaseWaiting(queue);
    for (const job of await this.#execution.stop(limitMs)) this.#release(job);
    await ended;
    this.#parts.begun?.close();
  }

  /** If the newest job seems to be made in the future, the clock was set back during a downtime. */
  #lookBack(): void {
    const now = this.#parts.clock.now();
    const newest = this.#newest.get()?.madeAt ?? 0;
    if (newest <= now + CLOCK_TOLERANCE_MS) return;
    const byMs = newest - now;
    this.#parts.log.warn({ byMs }, "clock set back while the server was down; moving the times of waiting jobs");
    this.#steps.giveBack({ byMs, wouldBe: newest, madeFrom: now });
  }

  seal(): SealedSet | null {
    const now = this.#steps.now();
    const finish = this.#finished;
    this.#finished = [];
    const succeeded = this.#succeeded;
    if (succeeded.groups.length > 0) this.#succeeded = new SucceededAttempts();
    const beginning = this.#beginning;
    this.#beginning = [];
    const begun = beginning.map(({ id, fence }) => ({ id, fence }));
    const progress = this.#execution.takeProgress();
    const setBack = this.#steps.take();
    const promoteDueAt = this.#promoteDueAt(now, setBack);
    if (promoteDueAt !== null) for (const queue of this.#queues.values()) queue.mayHaveReady = true;
    const claimable = this.#isRunning ? [...this.#queues.values()].filter((queue) => queue.isClaimable) : [];
    const claim = claimable.map((queue) => queue.claim(this.workerId, now));
    const isEmpty = [finish, succeeded.groups, progress, begun, claim].every(({ length }) => length === 0);
    if (isEmpty && promoteDueAt === null && !setBack) return null;
    if (this.#isRunning && this.#hasClaimable()) this.#parts.committer.wantSet(this);
    const sealedAt = performance.now();
    const step = setBack ? { byMs: setBack.byMs, madeFrom: setBack.madeFrom, now } : null;
    return {
      content: {
        ...emptyContent(),
        jobs: {
          ...{ insert: [], progress, begun, succeeded: succeeded.groups, finish },
          ...{ promoteDueAt, setBack: step, claim },
        },
      },
      settle: (outcome) => {
        this.#commitMs = this.#commitMs * MEMORY + (performance.now() - sealedAt) * (1 - MEMORY);
        this.#settle(outcome, { progress, succeeded, finish, promoteDueAt, setBack, claim, begun: beginning });
      },
    };
  }

  /**
   * The instant up to which waiting jobs are due, or nearly due; null: none is. After a backward
   * step of the clock, jobs due by the old clock are promoted, and waiting jobs created in what is
   * now the future move back with it. So delays and retries take the intended time, and a clock
   * that jumps forward and back leaves no job waiting for the wrong time.
   */
  #promoteDueAt(now: EpochMs, setBack: SetBack | null): EpochMs | null {
    if (!this.#isRunning) return null;
    if (setBack) return setBack.wouldBe;
    return this.#isDue(now) ? now + this.#aheadMs : null;
  }

  /** Whether a waiting job is due, or nearly due. */
  #isDue(now: EpochMs): boolean {
    return this.#isPromotionDue || (this.#due.at("next") ?? Number.POSITIVE_INFINITY) <= now + this.#aheadMs;
  }

  get #aheadMs(): number {
    return Math.round(Math.min(Math.max(2 * this.#commitMs, MIN_AHEAD_MS), MAX_AHEAD_MS));
  }

  #settle(outcome: CommitOutcome, set: SetInFlight): void {
    const { progress, begun, succeeded, finish, promoteDueAt, setBack, claim } = set;
    if (!outcome.ok) {
      this.#succeeded.addAll(succeeded);
      this.#finished.unshift(...finish);
      this.#beginning.unshift(...begun);
      this.#execution.returnProgress(progress);
      if (setBack) this.#steps.giveBack(setBack);
      for (const each of claim) this.#queueOf(each.queue).refused(each);
      this.#parts.log.warn({ failure: outcome.failure }, "claiming or completing jobs failed; retrying");
      setTimeout(() => this.#parts.committer.wantSet(this), TRY_AGAIN_MS).unref();
      return;
    }
    for (const { begin } of begun) begin();
    if (promoteDueAt !== null) this.#isPromotionDue = false;
    if (promoteDueAt !== null || finish.some((end) => "runAt" in end)) this.#due.load();
    if (progress.length > 0) this.#hasProgress = true;
    for (const end of finish) if (end.outcome === "dead") this.#reportDead(end.id);
    if (promoteDueAt !== null || finish.some((end) => end.outcome === "returned")) this.#parts.onReady?.(null);
    for (const [i, each] of claim.entries()) {
      const queue = this.#queueOf(each.queue);
      const jobs = claimedJobs(outcome.claimed[i] ?? "[]");
      queue.answered(each, jobs);
      if (jobs.length > 0) this.#changed.add(queue.name);
      this.#waiting.add(queue.name, -jobs.length);
      for (const job of jobs) {
        if (this.#isRunning && queue.isServed && !queue.isPaused) queue.begin(job);
        // The runner stopped between the claim and its answer.
        else this.#release(job);
      }
    }
    if (!this.#isRunning) return;
    if (this.#hasClaimable()) this.#parts.committer.wantSet(this);
  }

  /** Resolves when a commit says that the attempt has begun. */
  #untilBegun({ id, fence }: ClaimedJob): Promise<void> {
    return new Promise((begin) => {
      this.#beginning.push({ id, fence, begin });
      this.#parts.committer.wantSet(this);
    });
  }

  #ended(job: ClaimedJob, finish: JobFinish | null, facts: AttemptFacts): void {
    const queue = this.#queueOf(job.queue);
    queue.attempted(facts.durationMs);
    this.#changed.add(queue.name);
    this.#parts.onAttempt?.(facts);
    if (finish?.outcome === "dead") {
      const { id, kind, label } = job;
      this.#dying.set(id, { id, queue: job.queue, kind, label, error: finish.error });
    }
    if (finish) this.#finish(queue, job, finish);
    else queue.claimed--;
    if (this.#isRunning && queue.mayHaveReady) this.#parts.committer.wantSet(this);
  }

  /** A job was made dead by another transaction. */
  died(job: DeadJob): void {
    this.#changed.add(job.queue);
    this.#parts.onDead?.(job);
  }

  #reportDead(id: string): void {
    const dead = this.#dying.get(id);
    this.#dying.delete(id);
    if (dead) this.died(dead);
  }

  /** Releases the job without counting the attempt. */
  #release(job: ClaimedJob): void {
    const end = finishOf(job, this.workerId, this.#steps.now(), { outcome: "returned" });
    this.#finish(this.#queueOf(job.queue), job, end);
  }

  #finish(queue: RunnerQueue, { seq }: ClaimedJob, finish: JobFinish): void {
    queue.claimed--;
    if (finish.outcome === "retrying") this.#waiting.add(finish.queue, 1);
    if (finish.outcome === "returned") this.#waiting.add(queue.name, 1);
    if (finish.outcome === "succeeded" && finish.result === null) this.#succeeded.add(finish, seq);
    else this.#finished.push(finish);
    this.#parts.committer.wantSet(this);
  }

  #releaseWaiting(queue: RunnerQueue): void {
    const waiting = queue.takeWaiting();
    for (const job of waiting) this.#release(job);
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
      run: (job, ended) => this.#execution.run(job, ended),
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
