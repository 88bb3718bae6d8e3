import { setMaxListeners } from "node:events";
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { runAs } from "../../../core/caller.ts";
import type { Clock, EpochMs } from "../../../core/clock.ts";
import type { Logger } from "../../../core/log.ts";
import { within } from "../../../core/promises.ts";
import type { QueueName, QueueSettings } from "../../../core/queues.ts";
import type { ClaimedJob, JobFinish, JobProgress } from "../../../store/commit/write-set.ts";
import { endOfFailure, endWithoutSpace, finishOf, noteText } from "./attempt-end.ts";
import {
  type AttemptFacts,
  COMPLETED,
  type HandlerOptions,
  type JobHandler,
  PermanentError,
  type RunningJob,
} from "./job.ts";

const SLOT_BYTES = 16;

/** A claimed job as a note names it. */
interface ClaimedKey {
  readonly seq: number;
  readonly fence: number;
}

/** A job whose handler may begin. */
interface BegunNote {
  /** To be called before code runs that could end the process. */
  begin(): void;
  /** The handler has ended, however it did. */
  end(): void;
}

/**
 * Notes which jobs have begun, so that after a crash only their attempts count. A claim is in the
 * database, but a note for each job there would be a commit each. The notes are a file that is
 * written without a sync: a process that dies leaves it to the next one. After a power cut it may
 * be out of date, and then an attempt is not counted. A note is overwritten by the next one in its
 * slot.
 */
export class BegunJobs {
  readonly #file: number;
  /** Those that had begun when the last process ended. */
  readonly #before: ReadonlySet<string>;
  readonly #free: number[] = [];
  #slots = 0;
  #isClosed = false;

  /** @throws what the file system says when the file cannot be opened */
  constructor(path: string) {
    this.#before = readNotes(path);
    this.#file = openSync(path, "w", 0o600);
  }

  /** Whether the attempt of a process that is gone had begun. */
  hadBegun({ seq, fence }: ClaimedKey): boolean {
    return this.#before.has(keyOf(seq, fence));
  }

  noteOf(job: ClaimedKey): BegunNote {
    let slot: number | undefined;
    return {
      begin: () => {
        if (slot !== undefined) return;
        slot = this.#free.pop() ?? this.#slots++;
        this.#write(slot, job);
      },
      end: () => {
        if (slot !== undefined) this.#free.push(slot);
        slot = undefined;
      },
    };
  }

  /** Nothing is noted any more. Running again changes nothing. */
  close(): void {
    if (!this.#isClosed) closeSync(this.#file);
    this.#isClosed = true;
  }

  #write(slot: number, { seq, fence }: ClaimedKey): void {
    if (this.#isClosed) return;
    const note = Buffer.alloc(SLOT_BYTES);
    note.writeDoubleLE(seq, 0);
    note.writeDoubleLE(fence, 8);
    try {
      writeSync(this.#file, note, 0, SLOT_BYTES, slot * SLOT_BYTES);
    } catch {
      // On a full disk the attempt is not counted; the job must still run.
    }
  }
}

function keyOf(seq: number, fence: number): string {
  return `${seq} ${fence}`;
}

function readNotes(path: string): Set<string> {
  const notes = new Set<string>();
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch {
    return notes;
  }
  for (let at = 0; at + SLOT_BYTES <= bytes.length; at += SLOT_BYTES)
    notes.add(keyOf(bytes.readDoubleLE(at), bytes.readDoubleLE(at + 8)));
  return notes;
}

/** Progress notes are written this much later, the last one of each job. */
const PROGRESS_DELAY_MS = 100;

interface ExecutionOptions {
  readonly workerId: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly begun?: BegunJobs | undefined;
  settingsOf(queue: QueueName): QueueSettings;
  /** The wall clock, watched for steps. */
  now(): EpochMs;
  /** An attempt has ended; `finish` is null when its handler has written that itself. */
  ended(job: ClaimedJob, finish: JobFinish | null, facts: AttemptFacts): void;
  /** There is progress to be written. */
  progressed(): void;
}

interface RegisteredHandler extends HandlerOptions {
  readonly run: JobHandler;
}

/**
 * Runs claimed jobs: finds the handler of the kind, and says how the attempt ended. Jobs whose
 * handler is at work are `active` until they end or {@link stop} gives up waiting for them.
 */
export class JobExecution {
  readonly #options: ExecutionOptions;
  readonly #handlers = new Map<string, RegisteredHandler>();
  readonly #active = new Map<string, ClaimedJob>();
  #progress = new Map<string, JobProgress>();
  #progressTimer: NodeJS.Timeout | null = null;
  readonly #stop = new AbortController();
  #whenIdle: (() => void) | null = null;

  constructor(options: ExecutionOptions) {
    this.#options = options;
    // Every handler may listen for the stop.
    setMaxListeners(0, this.#stop.signal);
  }

  /**
   * @returns a function that takes the handler away again. @throws TypeError when the kind has a
   * handler already.
   */
  handle(kind: string, run: JobHandler, options: HandlerOptions = {}): () => void {
    if (this.#handlers.has(kind)) throw new TypeError(`jobs of kind ${kind} have a handler already`);
    const registered = { run, ...options };
    this.#handlers.set(kind, registered);
    return () => {
      if (this.#handlers.get(kind) === registered) this.#handlers.delete(kind);
    };
  }

  async run(claimed: ClaimedJob): Promise<void> {
    const { clock, log } = this.#options;
    this.#active.set(claimed.id, claimed);
    const latenessMs = Math.max(0, clock.now() - claimed.runAt);
    const startedAt = performance.now();
    const finish = await this.#attempt(claimed);
    const durationMs = performance.now() - startedAt;
    const queue = claimed.queue as QueueName;
    const facts = { queue, outcome: finish?.outcome ?? "succeeded", durationMs, latenessMs } as const;
    if (log.isDebug()) {
      const { id: jobId, kind, attempts: attempt } = claimed;
      log.debug({ jobId, kind, attempt, ...facts }, "an attempt has ended");
    }
    // A stop has given the job back meanwhile.
    if (!this.#active.delete(claimed.id)) return;
    this.#progress.delete(claimed.id);
    this.#options.ended(claimed, finish, facts);
    if (this.#active.size === 0) this.#whenIdle?.();
  }

  /**
   * Signals the stop to running handlers and waits for them. @returns the jobs that are still
   * running after `limitMs`
   */
  async stop(limitMs: number): Promise<ClaimedJob[]> {
    this.#stop.abort(new Error("the server is stopping"));
    const idle = new Promise<void>((resolve) => {
      this.#whenIdle = resolve;
    });
    if (this.#active.size > 0) await within(limitMs, idle);
    if (this.#progressTimer) clearTimeout(this.#progressTimer);
    const active = [...this.#active.values()];
    this.#active.clear();
    return active;
  }

  takeProgress(): JobProgress[] {
    const progress = [...this.#progress.values()];
    this.#progress = new Map();
    return progress;
  }

  /** Notes that could not be written; newer ones of the same job stay. */
  putBackProgress(progress: readonly JobProgress[]): void {
    for (const each of progress) if (!this.#progress.has(each.id)) this.#progress.set(each.id, each);
  }

  /** @returns how the attempt ended; null when the handler has written that itself. */
  async #attempt(claimed: ClaimedJob): Promise<JobFinish | null> {
    const { begun, log } = this.#options;
    const note = begun?.noteOf(claimed);
    try {
      const handler = this.#handlers.get(claimed.kind);
      if (!handler) throw new PermanentError(`no handler for jobs of kind ${claimed.kind}`);
      const job = this.#runningJob(claimed, () => note?.begin());
      if (!handler.notesBegin) job.begun();
      const caller = { principal: null, ip: null, requestId: null, correlationId: job.correlationId };
      const result = await runAs({ ...caller, process: "job" }, () => handler.run(job, this.#stop.signal));
      if (result === COMPLETED) return null;
      return this.#finishOf(claimed, { outcome: "succeeded", result: noteText(result, claimed, log) });
    } catch (error) {
      return this.#failed(claimed, error);
    } finally {
      note?.end();
    }
  }

  #failed(claimed: ClaimedJob, error: unknown): JobFinish {
    if (this.#stop.signal.aborted) return this.#finishOf(claimed, { outcome: "returned" });
    const { settingsOf, log, now } = this.#options;
    const end = endWithoutSpace(error, now()) ?? endOfFailure(claimed, error, settingsOf, now());
    const { id: jobId, kind, attempts: attempt } = claimed;
    log.warn({ jobId, kind, attempt, isDead: end.outcome === "dead", err: error }, "a job failed");
    return this.#finishOf(claimed, end);
  }

  #finishOf<E extends Parameters<typeof finishOf>[3]>(job: ClaimedJob, end: E) {
    return finishOf(job, this.#options.workerId, this.#options.now(), end);
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
    const progress = noteText(value, claimed, this.#options.log);
    if (progress === null || !this.#active.has(claimed.id)) return;
    this.#progress.set(claimed.id, { id: claimed.id, fence: claimed.fence, progress });
    this.#progressTimer ??= setTimeout(() => {
      this.#progressTimer = null;
      this.#options.progressed();
    }, PROGRESS_DELAY_MS);
  }
}
