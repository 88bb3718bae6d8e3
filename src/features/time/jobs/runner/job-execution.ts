import { setMaxListeners } from "node:events";
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { runAs } from "../../../../core/caller.ts";
import { PrismError } from "../../../../core/errors.ts";
import type { QueueName, QueueSettings } from "../../../../core/limits/queues.ts";
import type { Logger } from "../../../../core/log.ts";
import { unlessAborted, within } from "../../../../core/promises.ts";
import { untilMayAct } from "../../../../core/runtime.ts";
import type { EpochMs } from "../../../../core/time/clock.ts";
import type { Uses } from "../../../../module/feature.ts";
import type { ClaimedJob, JobFinish, JobProgress } from "../../../../store/commit/write-set.ts";
import {
  type AttemptFacts,
  COMPLETED,
  DEAD_LETTER_QUEUES,
  type HandlerOptions,
  type JobFunction,
  NEXT_QUEUE,
  PermanentError,
  RetryLater,
  type RunningJob,
} from "./job.ts";

/** Free space is measured every second; a job that waits for it costs two small writes. */
const NO_SPACE_WAIT_MS = 10_000;
const MAX_ERROR_LENGTH = 4000;
/** Limit of a job's result or progress, which is kept for people to read. */
const MAX_NOTE_BYTES = 16_384;

/** The end of an attempt, without its owner. */
export type JobEnd = JobFinish extends infer F ? (F extends JobFinish ? Omit<F, keyof AttemptRef> : never) : never;
export type FailedEnd = Extract<JobEnd, { outcome: "retrying" | "dead" }>;
type AttemptRef = Pick<JobFinish, "id" | "fence" | "attempt" | "workerId" | "startedAt" | "now">;

/**
 * The next state of a job whose attempt failed (docs/jobs.md): it waits for a retry, moves to the
 * next queue, or is dead.
 */
export function endOfFailure(
  job: Pick<ClaimedJob, "queue" | "attempts" | "maxAttempts">,
  thrown: unknown,
  settingsOf: (queue: QueueName) => QueueSettings,
  now: number,
): FailedEnd {
  const error = (thrown instanceof Error ? thrown.message : String(thrown)).slice(0, MAX_ERROR_LENGTH);
  const isPermanent = thrown instanceof PermanentError;
  const hasAttempts = job.attempts < job.maxAttempts;
  const queue = isPermanent || hasAttempts ? job.queue : (NEXT_QUEUE.get(job.queue) ?? job.queue);
  if (isPermanent || DEAD_LETTER_QUEUES.has(queue) || (!hasAttempts && queue === job.queue))
    return { outcome: "dead", error, queue: deadLetterOf(job.queue) };
  const settings = settingsOf(queue as QueueName);
  const retryAfterMs = thrown instanceof RetryLater ? thrown.retryAfterMs : 0;
  return {
    outcome: "retrying",
    error,
    queue,
    maxAttempts: hasAttempts ? job.maxAttempts : job.attempts + settings.maxAttempts,
    runAt: now + Math.max(jitteredDelayMs(job.attempts, settings), retryAfterMs),
  };
}

/** A job that lacks disk space waits, uncounted. @returns null for any other failure */
export function endWithoutSpace(thrown: unknown, now: number): { outcome: "returned"; runAt: number } | null {
  const isFull = thrown instanceof PrismError && thrown.code === "STORAGE_FULL";
  return isFull ? { outcome: "returned", runAt: now + NO_SPACE_WAIT_MS } : null;
}

function deadLetterOf(queue: string): string {
  const next = NEXT_QUEUE.get(queue);
  return next === undefined ? queue : deadLetterOf(next);
}

/** Serialises a handler's result or progress. One that is too long is omitted, not an error. */
export function noteText(value: unknown, { id, kind }: Pick<ClaimedJob, "id" | "kind">, log: Logger): string | null {
  const text = value === undefined ? null : (JSON.stringify(value) ?? null);
  if (text === null || Buffer.byteLength(text) <= MAX_NOTE_BYTES) return text;
  log.warn({ jobId: id, kind }, `the job's result or progress exceeds ${MAX_NOTE_BYTES} bytes and is not stored`);
  return null;
}

/** The end of an attempt, with the fence that ignores it once another worker holds the job. */
export function finishOf<E extends JobEnd>(
  job: Pick<ClaimedJob, "id" | "fence" | "attempts" | "startedAt">,
  workerId: string,
  now: number,
  end: E,
) {
  return { id: job.id, fence: job.fence, attempt: job.attempts, startedAt: job.startedAt, workerId, now, ...end };
}

/** Attempts that succeeded and leave no result, by time and fence: few of many are different. */
export class SucceededAttempts {
  readonly groups: { readonly now: EpochMs; readonly fence: number; readonly seqs: number[] }[] = [];

  add(end: Pick<JobFinish, "now" | "fence">, ...seqs: readonly number[]): void {
    const { now, fence } = end;
    const group = this.groups.findLast((each) => each.now === now && each.fence === fence);
    if (group) group.seqs.push(...seqs);
    else this.groups.push({ now, fence, seqs: [...seqs] });
  }

  addAll({ groups }: SucceededAttempts): void {
    for (const { seqs, ...end } of groups) this.add(end, ...seqs);
  }
}

/** Delay before the next attempt: doubles from the base to the cap. */
export const RETRY_BASE_MS = 1000;
export const RETRY_CAP_MS = 900_000;

/** Longest possible delay after this failed attempt. @param attempt counts from 1. */
export function retryDelayMs(attempt: number, baseMs = RETRY_BASE_MS, capMs = RETRY_CAP_MS): number {
  return Math.min(baseMs * 2 ** Math.min(attempt - 1, 40), capMs);
}

/**
 * Full jitter (AWS Architecture Blog, "Exponential Backoff And Jitter"), so that jobs that failed
 * together are not retried together.
 */
export function jitteredDelayMs(
  attempt: number,
  { backoffBaseMs, backoffCapMs }: Pick<QueueSettings, "backoffBaseMs" | "backoffCapMs">,
  random: () => number = Math.random,
): number {
  return Math.round(retryDelayMs(attempt, backoffBaseMs, backoffCapMs) * random());
}

const SLOT_BYTES = 16;

/** Identifies a claimed job in a note. */
interface ClaimedKey {
  readonly seq: number;
  readonly fence: number;
}

/** A job whose handler may start. */
interface BegunNote {
  /** Call it before code runs that could end the process, and await what it returns. */
  readonly begin: () => Promise<void> | null;
  /** The handler has returned or thrown. */
  readonly end: () => void;
}

const NO_NOTE: BegunNote = { begin: () => null, end: () => undefined };

/**
 * Records which attempts have started, so that only those count after a crash. The claim is in the
 * database, but recording the start there would cost a commit each. The notes are in a file that is
 * written without a sync, which survives the death of the process. After a power failure it may be
 * stale, and an attempt is not counted. A slot is reused by the next note.
 */
export class BegunJobs {
  readonly #file: number;
  /** Attempts that had started when the last process ended. */
  readonly #before: ReadonlySet<string>;
  readonly #free: number[] = [];
  /** Reused for each note: a buffer of its own costs as much as the system call. */
  readonly #note = Buffer.alloc(SLOT_BYTES);
  #slots = 0;
  #isClosed = false;

  /** @throws errors of the file system when the file cannot be opened */
  constructor(path: string) {
    this.#before = readNotes(path);
    this.#file = openSync(path, "w", 0o600);
  }

  /** Whether the attempt of an earlier process had started. */
  hadBegun({ seq, fence }: ClaimedKey): boolean {
    return this.#before.has(keyOf(seq, fence));
  }

  noteOf(job: ClaimedKey): BegunNote {
    let slot: number | undefined;
    return {
      begin: () => {
        if (slot !== undefined) return null;
        slot = this.#free.pop() ?? this.#slots++;
        this.#write(slot, job);
        return null;
      },
      end: () => {
        if (slot !== undefined) this.#free.push(slot);
        slot = undefined;
      },
    };
  }

  /** Stops recording. Idempotent. */
  close(): void {
    if (!this.#isClosed) closeSync(this.#file);
    this.#isClosed = true;
  }

  #write(slot: number, { seq, fence }: ClaimedKey): void {
    if (this.#isClosed) return;
    this.#note.writeDoubleLE(seq, 0);
    this.#note.writeDoubleLE(fence, 8);
    try {
      writeSync(this.#file, this.#note, 0, SLOT_BYTES, slot * SLOT_BYTES);
    } catch {
      // On a full disk the attempt is not counted, but the job must still run.
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

/** Delay before progress is written; only the latest note of each job is. */
const PROGRESS_DELAY_MS = 100;

interface ExecutionOptions extends Uses<"clock" | "log"> {
  readonly workerId: string;
  readonly begun?: BegunJobs | undefined;
  settingsOf(queue: QueueName): QueueSettings;
  /** The wall clock, checked for steps. */
  now(): EpochMs;
  /** An attempt has ended; `finish` is null when its handler has written the end. */
  ended(job: ClaimedJob, finish: JobFinish | null, facts: AttemptFacts): void;
  /** Resolves when the rows say that the attempt has begun; undefined: the notes are enough. */
  beginning?: ((job: ClaimedJob) => Promise<void>) | undefined;
  /** Progress is waiting to be written. */
  progressed(): void;
}

interface RegisteredHandler extends HandlerOptions {
  readonly run: JobFunction;
}

/**
 * Runs claimed jobs with the handler of their kind and reports the result. Jobs are `active` until
 * their handler ends or {@link stop} times out.
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

  /** Kinds that have a handler. */
  get kinds(): readonly string[] {
    return [...this.#handlers.keys()];
  }

  /** @returns a function that removes the handler. @throws TypeError if the kind has one already */
  handle(kind: string, run: JobFunction, options: HandlerOptions = {}): () => void {
    if (this.#handlers.has(kind)) throw new TypeError(`jobs of kind ${kind} have a handler already`);
    const registered = { run, ...options };
    this.#handlers.set(kind, registered);
    return () => {
      if (this.#handlers.get(kind) === registered) this.#handlers.delete(kind);
    };
  }

  /** @param ended called once, after this has returned */
  run(claimed: ClaimedJob, ended: () => void): void {
    this.#active.set(claimed.id, claimed);
    const latenessMs = Math.max(0, this.#options.clock.now() - claimed.runAt);
    const startedAt = performance.now();
    const note = this.#noteOf(claimed);
    const end = (finish: JobFinish | null): void => {
      note.end();
      const outcome = finish?.outcome ?? "succeeded";
      const durationMs = performance.now() - startedAt;
      this.#ended(claimed, finish, { queue: claimed.queue as QueueName, outcome, durationMs, latenessMs });
      ended();
    };
    // Callbacks: each promise of an asynchronous function costs 0.4 µs, mostly in Node's hooks.
    this.#attempt(claimed, note).then(
      (result) => end(this.#returned(claimed, result)),
      (error: unknown) => end(this.#failed(claimed, error)),
    );
  }

  #ended(claimed: ClaimedJob, finish: JobFinish | null, facts: AttemptFacts): void {
    const { log } = this.#options;
    if (log.isDebug()) {
      const { id: jobId, kind, attempts: attempt } = claimed;
      log.debug({ jobId, kind, attempt, ...facts }, "attempt ended");
    }
    // A stop has released the job in the meantime.
    if (!this.#active.delete(claimed.id)) return;
    this.#progress.delete(claimed.id);
    this.#options.ended(claimed, finish, facts);
    if (this.#active.size === 0) this.#whenIdle?.();
  }

  /** Aborts running handlers and waits. @returns the jobs still running after `limitMs` */
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

  /** Returns notes that could not be written; newer ones of the same job win. */
  returnProgress(progress: readonly JobProgress[]): void {
    for (const each of progress) if (!this.#progress.has(each.id)) this.#progress.set(each.id, each);
  }

  /** @returns what the handler returned */
  #attempt(claimed: ClaimedJob, note: BegunNote): Promise<unknown> {
    const handler = this.#handlers.get(claimed.kind);
    if (!handler) return Promise.reject(new PermanentError(`no handler for jobs of kind ${claimed.kind}`));
    const held = untilMayAct();
    const begin = (): Promise<unknown> => this.#begin(claimed, note, handler);
    return held ? unlessAborted(held, this.#stop.signal).then(begin) : begin();
  }

  #begin(claimed: ClaimedJob, note: BegunNote, handler: RegisteredHandler): Promise<unknown> {
    try {
      const job = this.#runningJob(claimed, note.begin);
      const { correlationId } = job;
      const caller = { principal: null, process: "job", ip: null, requestId: null, correlationId } as const;
      const call = (): Promise<unknown> => runAs(caller, () => handler.run(job, this.#stop.signal));
      const begins = handler.notesBegin ? null : job.begun();
      // A module's function may return another value.
      return begins ? begins.then(call) : Promise.resolve(call());
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** @returns the end of the attempt; null when the handler has written it. */
  #returned(claimed: ClaimedJob, result: unknown): JobFinish | null {
    if (result === COMPLETED) return null;
    try {
      return this.#finishOf(claimed, { outcome: "succeeded", result: noteText(result, claimed, this.#options.log) });
    } catch (error) {
      return this.#failed(claimed, error);
    }
  }

  #noteOf(claimed: ClaimedJob): BegunNote {
    const { begun, beginning } = this.#options;
    if (beginning === undefined) return begun?.noteOf(claimed) ?? NO_NOTE;
    let begins: Promise<void> | null = null;
    return {
      begin: () => (begins ??= unlessAborted(beginning(claimed), this.#stop.signal)),
      end: () => undefined,
    };
  }

  #failed(claimed: ClaimedJob, error: unknown): JobFinish {
    if (this.#stop.signal.aborted) return this.#finishOf(claimed, { outcome: "returned" });
    const { settingsOf, log, now } = this.#options;
    const end = endWithoutSpace(error, now()) ?? endOfFailure(claimed, error, settingsOf, now());
    const { id: jobId, kind, attempts: attempt } = claimed;
    log.warn({ jobId, kind, attempt, isDead: end.outcome === "dead", err: error }, "job failed");
    return this.#finishOf(claimed, end);
  }

  #finishOf<E extends Parameters<typeof finishOf>[3]>(job: ClaimedJob, end: E) {
    return finishOf(job, this.#options.workerId, this.#options.now(), end);
  }

  #runningJob(claimed: ClaimedJob, begun: RunningJob["begun"]): RunningJob {
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
