import fastq from "fastq";
import type { Clock } from "../../../core/clock.ts";
import type { QueueName, QueueSettings } from "../../../core/queues.ts";
import { STARVATION_STRIDE } from "../../../store/commit/job-sql.ts";
import type { ClaimedJob, JobClaim } from "../../../store/commit/write-set.ts";

/**
 * Jobs that end at once are claimed further ahead: as many as run in this time, but no more than so
 * many. Whatever comes with a higher priority waits no longer than that, and so few attempts are
 * lost when the process dies.
 */
const AHEAD_MS = 10;
const MAX_AHEAD = 1500;
/** Less than what is ahead: the next claim is under way while the jobs of the last one run. */
const MAX_PER_CLAIM = 500;
/** What the last attempts say of the next: an average that forgets. */
const MEMORY = 0.9;

export interface RunnerQueueParts {
  readonly clock: Clock;
  readonly settings: QueueSettings;
  readonly isServed: boolean;
  run(job: ClaimedJob): Promise<void>;
  /** While that one is paused, this one is, too. */
  readonly parent?: RunnerQueue | undefined;
}

/**
 * A job is held back for its time no longer than this: when it has longer to wait, the clock has
 * been set back, and it was due by the clock as it was.
 */
const MAX_HELD_MS = 200;

/**
 * What the runner knows of one queue: how many of its jobs are in its hands, and whether there may
 * be more to claim.
 */
export class RunnerQueue {
  readonly name: QueueName;
  /** Due, and not yet begun. */
  readonly #tasks: fastq.queueAsPromised<ClaimedJob, void>;
  /** Somebody can run its jobs; a module's only while the module is loaded. */
  isServed: boolean;
  /** An operator wants nothing more of it to begin. */
  #isPaused = false;
  readonly #parent: RunnerQueue | undefined;
  /** There may be ready jobs in the table that have not been claimed. */
  mayHaveReady = true;
  /** Claimed and not yet finished, with what the claims on their way may bring. */
  claimed = 0;
  /** The last claim got all it asked for: the next need not wait for its answer. */
  #isBusy = false;
  /** Claimed a moment before their time. */
  readonly #held = new Map<ClaimedJob, NodeJS.Timeout>();
  readonly #clock: Clock;
  #concurrency = 0;
  /** How long an attempt takes; at first as if it were long. */
  #averageMs = AHEAD_MS;
  #claims = 0;

  constructor(name: QueueName, { clock, settings, isServed, run, parent }: RunnerQueueParts) {
    this.#parent = parent;
    this.name = name;
    this.isServed = isServed;
    this.#clock = clock;
    this.#tasks = fastq.promise(run, 1);
    this.configure(settings);
  }

  get isPaused(): boolean {
    return this.#isPaused || this.#parent?.isPaused === true;
  }

  set isPaused(isPaused: boolean) {
    this.#isPaused = isPaused;
  }

  /** Jobs at work go on. */
  configure({ concurrency }: QueueSettings): void {
    this.#concurrency = concurrency;
    // fastq takes no 0; from a queue in which nothing may run nothing is claimed.
    this.#tasks.concurrency = Math.max(1, concurrency);
    this.mayHaveReady = true;
  }

  attempted(durationMs: number): void {
    this.#averageMs = this.#averageMs * MEMORY + durationMs * (1 - MEMORY);
  }

  /** How many more jobs may be claimed: enough that none waits for a commit. */
  get room(): number {
    if (!this.isServed || this.isPaused) return 0;
    const perWorker = Math.max(2, Math.floor(AHEAD_MS / this.#averageMs));
    const ahead = Math.max(this.#concurrency * 2, Math.min(this.#concurrency * perWorker, MAX_AHEAD));
    // What is held for its time keeps nobody waiting.
    return Math.min(ahead - this.claimed + this.#held.size, 2 * MAX_AHEAD - this.#held.size);
  }

  get isClaimable(): boolean {
    return this.mayHaveReady && this.room > 0;
  }

  claim(workerId: string, now: number): JobClaim {
    const limit = Math.min(this.room, MAX_PER_CLAIM);
    this.claimed += limit;
    const oldestFirst = ++this.#claims % STARVATION_STRIDE === 0;
    // By age only the jobs of one priority are taken: the others are asked for behind it.
    this.mayHaveReady = this.#isBusy || oldestFirst;
    return { queue: this.name, limit, workerId, now, oldestFirst };
  }

  /** A claim has been answered. */
  answered({ limit }: JobClaim, jobs: number): void {
    this.claimed -= limit - jobs;
    this.#isBusy = jobs === limit;
    if (this.#isBusy) this.mayHaveReady = true;
  }

  /** A claim could not be made. */
  refused({ limit }: JobClaim): void {
    this.claimed -= limit;
    this.mayHaveReady = true;
  }

  /** Runs a claimed job, not before its time. */
  begin(job: ClaimedJob): void {
    const inMs = job.runAt - this.#clock.now();
    if (inMs <= 0 || inMs > MAX_HELD_MS) {
      void this.#tasks.push(job);
      return;
    }
    const timer = setTimeout(() => {
      this.#held.delete(job);
      this.begin(job);
    }, inMs);
    this.#held.set(job, timer);
  }

  /** Takes back what was claimed and has not begun. */
  takeWaiting(): ClaimedJob[] {
    const waiting = [...this.#held.keys(), ...this.#tasks.getQueue()];
    for (const timer of this.#held.values()) clearTimeout(timer);
    this.#held.clear();
    this.#tasks.kill();
    return waiting;
  }
}
