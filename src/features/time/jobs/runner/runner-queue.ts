import fastq from "fastq";
import type { QueueName, QueueSettings } from "../../../../core/limits/queues.ts";
import type { Clock } from "../../../../core/time/clock.ts";
import { STARVATION_STRIDE, SURE_CLAIM } from "../../../../store/commit/job-sql.ts";
import type { ClaimedJob, JobClaim } from "../../../../store/commit/write-set.ts";

/**
 * Short jobs are claimed ahead: as many as run in this time, up to a limit. A job of higher
 * priority waits no longer than this, and few attempts are lost when the process dies.
 */
const AHEAD_MS = 10;
const MAX_AHEAD = 3000;
/** Less than the jobs claimed ahead, so that the next claim runs while jobs of the last one run. */
const MAX_PER_CLAIM = 1000;
/** Of payloads claimed ahead, by the size of the latest ones. */
const MAX_AHEAD_BYTES = 67_108_864;
/** Weight of past attempts in the moving average. */
const MEMORY = 0.9;

export interface RunnerQueueParts {
  readonly clock: Clock;
  readonly settings: QueueSettings;
  readonly isServed: boolean;
  /** @param ended called once, after this has returned */
  run(job: ClaimedJob, ended: () => void): void;
  /** A paused parent pauses this queue too. */
  readonly parent?: RunnerQueue | undefined;
}

/**
 * Longest time a claimed job is held until it is due. A longer one means that the clock was set
 * back and the job was due by the old clock.
 */
const MAX_HELD_MS = 200;

/** The runner's state of one queue: claimed jobs, and whether more may be ready. */
export class RunnerQueue {
  readonly name: QueueName;
  /** Due and not started. */
  readonly #tasks: fastq.queue<ClaimedJob>;
  /** A process can run its jobs; for a module only while it is loaded. */
  isServed: boolean;
  /** An operator has paused it. */
  #isPaused = false;
  readonly #parent: RunnerQueue | undefined;
  /** The table may hold ready jobs that are not claimed. */
  mayHaveReady = true;
  /** Claimed and not finished, plus the limits of claims in flight. */
  claimed = 0;
  /** The last claim was filled: the next one need not wait for its answer. */
  #isBusy = false;
  /** Claimed shortly before they are due. */
  readonly #held = new Map<ClaimedJob, NodeJS.Timeout>();
  readonly #clock: Clock;
  #concurrency = 0;
  /** Average duration of attempts; starts high. */
  #averageMs = AHEAD_MS;
  /** Average payload of the last claim. */
  #averageBytes = 1;
  #claims = 0;

  constructor(name: QueueName, { clock, settings, isServed, run, parent }: RunnerQueueParts) {
    this.#parent = parent;
    this.name = name;
    this.isServed = isServed;
    this.#clock = clock;
    // With callbacks: fastq's promises cost four more for each job.
    this.#tasks = fastq<unknown, ClaimedJob>((job, done) => run(job, () => done(null)), 1);
    this.configure(settings);
  }

  /** Paused by its own name, whatever its parent is. */
  get isPausedItself(): boolean {
    return this.#isPaused;
  }

  get isPaused(): boolean {
    return this.#isPaused || this.#parent?.isPaused === true;
  }

  set isPaused(isPaused: boolean) {
    this.#isPaused = isPaused;
  }

  /** Running jobs continue. */
  configure({ concurrency }: QueueSettings): void {
    this.#concurrency = concurrency;
    // fastq accepts no 0; with a concurrency of 0 nothing is claimed.
    this.#tasks.concurrency = Math.max(1, concurrency);
    this.mayHaveReady = true;
  }

  attempted(durationMs: number): void {
    this.#averageMs = this.#averageMs * MEMORY + durationMs * (1 - MEMORY);
  }

  /** How many more jobs to claim, so that no worker waits for a commit. */
  get room(): number {
    if (!this.isServed || this.isPaused) return 0;
    const perWorker = Math.max(2, Math.floor(AHEAD_MS / this.#averageMs));
    const most = Math.min(MAX_AHEAD, Math.floor(MAX_AHEAD_BYTES / this.#averageBytes));
    const ahead = Math.max(this.#concurrency * 2, Math.min(this.#concurrency * perWorker, most));
    // Jobs held until they are due do not use a worker.
    return Math.min(ahead - this.claimed + this.#held.size, 2 * MAX_AHEAD - this.#held.size);
  }

  get isClaimable(): boolean {
    return this.mayHaveReady && this.room > 0;
  }

  claim(workerId: string, now: number): JobClaim {
    const limit = Math.min(this.room, MAX_PER_CLAIM);
    this.claimed += limit;
    const oldestFirst = ++this.#claims % STARVATION_STRIDE === 0;
    // A claim by age takes jobs of one priority only: ask again for the others.
    this.mayHaveReady = this.#isBusy || oldestFirst;
    return { queue: this.name, limit, workerId, now, oldestFirst };
  }

  answered({ limit }: JobClaim, jobs: readonly ClaimedJob[]): void {
    this.claimed -= limit - jobs.length;
    this.#isBusy = jobs.length >= Math.min(limit, SURE_CLAIM);
    if (this.#isBusy) this.mayHaveReady = true;
    const bytes = jobs.reduce((sum, { payload }) => sum + payload.length, 0);
    if (jobs.length > 0) this.#averageBytes = Math.max(1, bytes / jobs.length);
  }

  refused({ limit }: JobClaim): void {
    this.claimed -= limit;
    this.mayHaveReady = true;
  }

  begin(job: ClaimedJob): void {
    const inMs = job.runAt - this.#clock.now();
    if (inMs <= 0 || inMs > MAX_HELD_MS) {
      this.#tasks.push(job);
      return;
    }
    const timer = setTimeout(() => {
      this.#held.delete(job);
      this.begin(job);
    }, inMs);
    this.#held.set(job, timer);
  }

  /** Takes the claimed jobs that have not started. */
  takeWaiting(): ClaimedJob[] {
    const waiting = [...this.#held.keys(), ...this.#tasks.getQueue()];
    for (const timer of this.#held.values()) clearTimeout(timer);
    this.#held.clear();
    this.#tasks.kill();
    return waiting;
  }
}
