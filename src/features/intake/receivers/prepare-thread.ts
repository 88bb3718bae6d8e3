import { parentPort, type Worker } from "node:worker_threads";
import { type ErrorCode, type ErrorDetail, PrismError } from "../../../core/errors.ts";
import { type DeferredPromise, deferred } from "../../../core/promises.ts";
import { startThread, yieldToOthers } from "../../../core/runtime.ts";
import { mayHaveLongIntegers, membersAtMost, withBigInts, withLongIntegers } from "../../../core/text/json-text.ts";
import { compileMapping, compilePlain } from "./mapping.ts";
import { type Preparation, type Prepared, prepare } from "./prepare.ts";
import type { Mapping, VerifyRow } from "./preset.ts";
import { MAX_MEMBERS } from "./read-request.ts";
import type { PresetShape } from "./shapes.ts";
import { verifyRequest } from "./verify.ts";

/** A request for the thread: its receiver's texts as they are written, and how its sender is verified. */
export interface ThreadJob {
  readonly preparation: Preparation;
  readonly mapping: Mapping;
  readonly shapes: readonly PresetShape[];
  readonly replayId: string | null;
  /** Null: the sender is verified already, or needs not be. */
  readonly proof: { readonly rows: readonly VerifyRow[]; readonly secrets: readonly string[] } | null;
}

/** Called with the members that were read, whatever became of them. */
type Spent = (work: { readonly members: number }) => void;

type Outcome =
  | { readonly prepared: Prepared; readonly hasLong: boolean }
  | {
      readonly refused: {
        readonly code: ErrorCode;
        readonly message: string;
        readonly details?: readonly ErrorDetail[];
      };
    }
  | { readonly fault: string };

type Answer = Outcome & { readonly members: number };

/**
 * Time for one request, with the start of the thread. Ordinary ones take some milliseconds, the
 * largest a second; on a busy machine the thread comes last.
 */
const LIMIT_MS = 30_000;
const IDLE_MS = 30_000;
/** Bodies that wait or are worked on; of senders that are not verified, half. */
const MAX_BYTES = 67_108_864;
/** Limit of one project. */
const MAX_WAITING = 20;

interface Waiting {
  readonly job: ThreadJob;
  readonly spent: Spent;
  readonly answer: DeferredPromise<Prepared>;
}

/**
 * Prepares large requests in a thread, one after the other, the projects in turn. The thread starts
 * with the first one and ends when it was idle for half a minute.
 */
export class PrepareThread {
  readonly #limitMs: number;
  readonly #waiting = new Map<string, Waiting[]>();
  #thread: Worker | null = null;
  #running: Waiting | null = null;
  #timer: NodeJS.Timeout | undefined;
  #bytes = 0;

  constructor(limitMs = LIMIT_MS) {
    this.#limitMs = limitMs;
  }

  get isRunning(): boolean {
    return this.#thread !== null;
  }

  /** @throws what {@link prepare} throws, SIGNATURE_INVALID; WORK_LIMITED if too much waits, PAYLOAD_TOO_LARGE after 30 s */
  async run({ spent, ...job }: ThreadJob & { readonly spent: Spent }): Promise<Prepared> {
    const { row, request } = job.preparation;
    const owner = job.proof === null ? row.projectId : `unverified ${row.projectId}`;
    const own = this.#waiting.get(owner) ?? [];
    const limit = job.proof === null ? MAX_BYTES : MAX_BYTES / 2;
    if (own.length >= MAX_WAITING || this.#bytes + request.bytes.length > limit)
      throw new PrismError("WORK_LIMITED", "Too many large requests wait to be read", { retryAfterMs: 5000 });
    const answer = deferred<Prepared>();
    this.#waiting.set(owner, [...own, { job, spent, answer }]);
    this.#bytes += request.bytes.length;
    if (!this.#running) this.#runNext();
    try {
      return await answer.promise;
    } finally {
      this.#bytes -= request.bytes.length;
    }
  }

  /** Ends the thread; what waits is refused. */
  async stop(): Promise<void> {
    for (const [, own] of this.#waiting) for (const { answer } of own) answer.reject(stopping());
    this.#waiting.clear();
    await this.#end(stopping());
  }

  #runNext(): void {
    clearTimeout(this.#timer);
    const next = this.#take();
    this.#running = next;
    if (!next) {
      this.#timer = setTimeout(() => void this.#end(stopping()), IDLE_MS).unref();
      return;
    }
    this.#timer = setTimeout(() => void this.#replace(tooSlow(this.#limitMs)), this.#limitMs);
    this.#start().postMessage(next.job);
  }

  #take(): Waiting | null {
    for (const [owner, own] of this.#waiting) {
      const [next, ...rest] = own;
      this.#waiting.delete(owner);
      if (rest.length > 0) this.#waiting.set(owner, rest);
      if (next) return next;
    }
    return null;
  }

  #start(): Worker {
    if (this.#thread) return this.#thread;
    const thread = startThread("prepare", null);
    const lost = (cause?: unknown): void => {
      if (this.#thread !== thread) return;
      // Such as too little memory.
      void this.#replace(new PrismError("PAYLOAD_TOO_LARGE", "The body cannot be read", { cause }));
    };
    thread.on("message", (answer: Answer) => this.#settle(answer));
    thread.on("error", lost);
    thread.on("exit", () => lost());
    this.#thread = thread;
    return thread;
  }

  #settle(answer: Answer): void {
    const running = this.#running;
    if (!running) return;
    running.spent({ members: answer.members });
    if ("prepared" in answer) running.answer.resolve(received(answer.prepared, answer.hasLong));
    else if ("fault" in answer) running.answer.reject(new Error(`preparing a request failed: ${answer.fault}`));
    else {
      const { code, message, details } = answer.refused;
      running.answer.reject(new PrismError(code, message, details ? { details } : {}));
    }
    this.#runNext();
  }

  /** Goes on with another thread. A request that arrived while this one ended has started it. */
  async #replace(error: Error): Promise<void> {
    await this.#end(error);
    if (!this.#running) this.#runNext();
  }

  /** Ends the thread, and what it was working on with an error. */
  async #end(error: Error): Promise<void> {
    clearTimeout(this.#timer);
    const thread = this.#thread;
    this.#thread = null;
    this.#running?.answer.reject(error);
    this.#running = null;
    await thread?.terminate();
  }
}

function stopping(): PrismError {
  return new PrismError("SHUTTING_DOWN", "The server is stopping");
}

function tooSlow(limitMs: number): PrismError {
  return new PrismError("PAYLOAD_TOO_LARGE", `The body takes more than ${limitMs / 1000} s to read`);
}

/** Buffers arrive as plain bytes, long integers as bigints. */
function received({ entry, plan, ...prepared }: Prepared, hasLong: boolean): Prepared {
  const body = entry.body === null ? null : Buffer.from(entry.body);
  return {
    ...prepared,
    plan: hasLong ? (withLongIntegers(plan) as Prepared["plan"]) : plan,
    entry: { ...entry, body },
  };
}

/** Main function of the thread. */
export function runPrepareThread(): void {
  const port = parentPort;
  if (!port) throw new TypeError("large requests are prepared in a thread of their own");
  yieldToOthers();
  port.on("message", (job: ThreadJob) => void answerOf(job).then((answer) => port.postMessage(answer)));
}

async function answerOf(job: ThreadJob): Promise<Answer> {
  const { bytes } = job.preparation.request;
  const members = membersAtMost(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), MAX_MEMBERS);
  return { ...(await outcomeOf(job)), members };
}

async function outcomeOf(job: ThreadJob): Promise<Outcome> {
  try {
    const prepared = await prepareJob(job);
    const hasLong = mayHaveLongIntegers(prepared.plan);
    return {
      prepared: hasLong ? { ...prepared, plan: withBigInts(prepared.plan) as Prepared["plan"] } : prepared,
      hasLong,
    };
  } catch (error) {
    if (!(error instanceof PrismError)) return { fault: error instanceof Error ? error.message : String(error) };
    const { code, message, details } = error;
    return { refused: { code, message, ...(details && { details }) } };
  }
}

const LIMITS = { members: MAX_MEMBERS, steps: null, elements: null };

/** @throws SIGNATURE_INVALID and what {@link prepare} throws */
async function prepareJob({ preparation, mapping, shapes, replayId, proof }: ThreadJob): Promise<Prepared> {
  const { bytes } = preparation.request;
  const request = { ...preparation.request, bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length) };
  const given = { ...preparation, request };
  const texts = {
    mapping: compileMapping(mapping),
    shapes,
    replayId: replayId === null ? null : compilePlain(replayId, "replayId"),
  };
  if (!proof) return prepare(given, texts, LIMITS);
  const { now } = preparation;
  const signed = await verifyRequest(request, { ...proof, now, fetchText });
  return prepare({ ...given, signed }, texts, LIMITS);
}

/** Proofs that need an address of another server are checked before. */
function fetchText(): never {
  throw new TypeError("a thread sends no requests");
}
