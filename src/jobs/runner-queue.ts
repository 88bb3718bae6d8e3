import fastq from "fastq";
import type { ClaimedJob, JobClaim } from "../store/write-set.ts";
import type { QueueName, QueueSettings } from "./job.ts";

/** Every tenth claim takes what waits longest, whatever its priority (contract 8.2). */
const STARVATION_STRIDE = 10;

/** What the runner knows of one queue: how many of its jobs are in its hands, and whether there may be more to claim. */
export class RunnerQueue {
  readonly name: QueueName;
  /** Claimed, and not yet begun. */
  readonly tasks: fastq.queueAsPromised<ClaimedJob, void>;
  /** Somebody can run its jobs; a module's only while the module is loaded. */
  isServed: boolean;
  /** An operator wants nothing more of it to begin. */
  isPaused = false;
  /** There may be ready jobs in the table that have not been claimed. */
  mayHaveReady = true;
  /** Claimed and not yet finished. */
  claimed = 0;
  #concurrency = 0;
  #claims = 0;

  constructor(name: QueueName, settings: QueueSettings, isServed: boolean, run: (job: ClaimedJob) => Promise<void>) {
    this.name = name;
    this.isServed = isServed;
    this.tasks = fastq.promise(run, 1);
    this.configure(settings);
  }

  /** Jobs at work go on. */
  configure({ concurrency }: QueueSettings): void {
    this.#concurrency = concurrency;
    // fastq takes no 0; from a queue in which nothing may run nothing is claimed.
    this.tasks.concurrency = Math.max(1, concurrency);
    this.mayHaveReady = true;
  }

  /** How many more jobs may be claimed: as many as run wait at hand, so that none waits for a commit. */
  get room(): number {
    return this.isServed && !this.isPaused ? this.#concurrency * 2 - this.claimed : 0;
  }

  get isClaimable(): boolean {
    return this.mayHaveReady && this.room > 0;
  }

  claim(workerId: string, now: number): JobClaim {
    this.mayHaveReady = false;
    const oldestFirst = ++this.#claims % STARVATION_STRIDE === 0;
    return { queue: this.name, limit: this.room, workerId, now, oldestFirst };
  }

  /** Takes back what was claimed and has not begun. */
  takeWaiting(): ClaimedJob[] {
    const waiting = this.tasks.getQueue();
    this.tasks.kill();
    return waiting;
  }
}
