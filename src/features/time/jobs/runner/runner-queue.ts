import fastq from "fastq";
import { sql } from "kysely";
import type { QueueName, QueueSettings } from "../../../../core/limits/queues.ts";
import type { Clock } from "../../../../core/time/clock.ts";
import { STARVATION_STRIDE, SURE_CLAIM } from "../../../../store/commit/job-sql.ts";
import type { ClaimedJob, JobClaim } from "../../../../store/commit/write-set.ts";
import type { ReadDb } from "../../../../store/database.ts";

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

/** Limit of waiting jobs per queue. */
const MAX_WAITING_JOBS = 1_000_000;
const RECOUNT_EVERY_MS = 60_000;

/** Counts the waiting jobs of each queue, off the main thread: a million take half a second. */
export type CountWaiting = () => Promise<readonly Pick<JobCount, "queue" | "n">[]>;

/**
 * The number of waiting jobs of each queue: scheduled, retrying or ready. Counted at the start and
 * kept current afterwards. The number may be too high, because a job that is skipped for its dedupe
 * key is counted, so a queue that looks full is counted again. Until the first count is done, no
 * queue is full.
 */
export class WaitingCounts {
  readonly #clock: Clock;
  readonly #limit: number;
  readonly #countWaiting: CountWaiting;
  #counts = new Map<string, number>();
  /** Changes since the running count started; null when none runs. */
  #since: Map<string, number> | null = null;
  #countedAt = Number.NEGATIVE_INFINITY;

  constructor(countWaiting: CountWaiting, clock: Clock, limit = MAX_WAITING_JOBS) {
    this.#countWaiting = countWaiting;
    this.#clock = clock;
    this.#limit = limit;
  }

  /** Counts the table. A failed count keeps the old numbers. */
  async count(): Promise<void> {
    if (this.#since) return;
    const since = new Map<string, number>();
    this.#since = since;
    this.#countedAt = this.#clock.elapsed();
    try {
      const counted = await this.#countWaiting();
      // Changes during the count may be counted twice; a limit of a million need not be exact.
      this.#counts = new Map(counted.map(({ queue, n }) => [queue, n]));
      for (const [queue, n] of since) this.#add(this.#counts, queue, n);
    } catch {
      // The database is closing or cannot be read, so no job can be enqueued either.
    } finally {
      this.#since = null;
    }
  }

  add(queue: string, jobs: number): void {
    this.#add(this.#counts, queue, jobs);
    if (this.#since) this.#since.set(queue, (this.#since.get(queue) ?? 0) + jobs);
  }

  of(queue: string): number {
    return this.#counts.get(queue) ?? 0;
  }

  isFull(queue: string): boolean {
    if (this.of(queue) < this.#limit) return false;
    if (this.#clock.elapsed() - this.#countedAt >= RECOUNT_EVERY_MS) void this.count();
    return true;
  }

  #add(counts: Map<string, number>, queue: string, jobs: number): void {
    counts.set(queue, Math.max(0, (counts.get(queue) ?? 0) + jobs));
  }
}

/** Number of a queue's jobs in a state, and when the first of them was due. */
export interface JobCount {
  readonly queue: string;
  readonly state: string;
  readonly n: number;
  /** Epoch ms. */
  readonly oldest: number;
}

/** Those that have used up their attempts. */
export function deadIn(counts: readonly JobCount[]): readonly JobCount[] {
  return counts.filter(({ state }) => state === "dead");
}

/** Maximum age of cached counts. */
const RECENT_MS = 2000;

/**
 * The counted states, as literal predicates of their partial indexes. One query over all states
 * would read every finished job, and with a bound value SQLite would use no partial index.
 */
const WAITING = [sql<boolean>`state = 'ready'`, sql<boolean>`state in ('scheduled', 'retrying')`];
const COUNTED = [...WAITING, sql<boolean>`state = 'running'`, sql<boolean>`state = 'dead'`];

/** Unfinished and dead jobs, by state. @param db the scan connection: there may be many */
export async function countJobs(db: ReadDb): Promise<readonly JobCount[]> {
  const groups = await Promise.all(
    COUNTED.map((states) =>
      db
        .selectFrom("jobs")
        .select(["queue", "state", (e) => e.fn.countAll<number>().as("n"), sql<number>`min(runAt)`.as("oldest")])
        .where(states)
        .groupBy(["queue", "state"])
        .execute(),
    ),
  );
  return groups.flat();
}

/** Up to this many are counted in the main thread, which takes a few milliseconds. */
const COUNTED_AT_ONCE = 10_000;

/** Waiting jobs by queue. Many are counted by `scan`; few do not justify its thread. */
export async function countWaitingJobs(read: ReadDb, scan: ReadDb): ReturnType<CountWaiting> {
  const waiting = new Map<string, number>();
  for (const states of WAITING) {
    const rows = await read.selectFrom("jobs").select("queue").where(states).limit(COUNTED_AT_ONCE).execute();
    const isAll = rows.length < COUNTED_AT_ONCE;
    const counts = isAll ? rows.map(({ queue }) => ({ queue, n: 1 })) : await countByQueue(scan, states);
    for (const { queue, n } of counts) waiting.set(queue, (waiting.get(queue) ?? 0) + n);
  }
  return [...waiting].map(([queue, n]) => ({ queue, n }));
}

function countByQueue(scan: ReadDb, states: (typeof WAITING)[number]) {
  return scan
    .selectFrom("jobs")
    .select(["queue", (e) => e.fn.countAll<number>().as("n")])
    .where(states)
    .groupBy("queue")
    .execute();
}

/** {@link countJobs} for frequent callers: counts at most every two seconds. */
export function recentJobCounts(scan: ReadDb, clock: Clock): () => Promise<readonly JobCount[]> {
  let recent: Promise<readonly JobCount[]> | null = null;
  let countedAt = 0;
  return () => {
    const now = clock.elapsed();
    if (recent && now - countedAt < RECENT_MS) return recent;
    countedAt = now;
    const counts = countJobs(scan);
    counts.catch(() => {
      if (recent === counts) recent = null;
    });
    recent = counts;
    return counts;
  };
}
