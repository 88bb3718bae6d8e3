import { parentPort, type Worker } from "node:worker_threads";
import { type Caller, currentCaller, personKey } from "../core/caller.ts";
import { isOutOfDescriptors, PrismError } from "../core/errors.ts";
import { type DeferredPromise, deferred } from "../core/promises.ts";
import { endThread, noteLoaded, startThread } from "../core/runtime.ts";
import { openForReading, StatementCache } from "./sqlite/connection.ts";
import { sqliteCode, THREAD_GONE, ThreadError } from "./sqlite/sqlite-errors.ts";

export interface ScanThreadData {
  readonly file: string;
}

interface ScanRequest {
  readonly id: number;
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

type ScanReply =
  | { readonly id: number; readonly ok: true; readonly rows: unknown[] }
  | { readonly id: number; readonly ok: false; readonly code: string; readonly message: string };

/**
 * Main function of the scan thread: reads on its own read-only connection. Each request is one
 * short read; a long one would keep the WAL from restarting.
 */
export function runScanThread({ file }: ScanThreadData): void {
  const port = parentPort;
  if (!port) throw new TypeError("scans run in a thread of their own");
  const statements = new StatementCache(openForReading(file));
  noteLoaded();
  port.on("message", ({ id, sql, parameters }: ScanRequest) => {
    let reply: ScanReply;
    try {
      reply = { id, ok: true, rows: statements.run(sql, parameters).rows };
    } catch (error) {
      reply = {
        id,
        ok: false,
        code: sqliteCode(error),
        message: error instanceof Error ? error.message : String(error),
      };
    }
    port.postMessage(reply);
  });
}

/** Limit of waiting scans per caller. A page of a console requests a few lists at once. */
const MAX_WAITING = 16;

/** A read that waits for the scan thread. */
interface WaitingScan {
  readonly caller: Caller;
  /** Rejects the read because its client has disconnected. */
  drop(): void;
}

/** Limit of a person together with their API keys. */
const MAX_WAITING_OF_PERSON = 64;

/**
 * Reads that wait for the scan thread, one queue per caller. People take turns, and so do the callers
 * of one person, such as API keys, so that many reads of one delay those of the others by one read
 * each. Prism's own reads (retention, digests) count as one caller, without a limit.
 */
class ScanTurns<T extends WaitingScan> {
  /** By person, then by caller, in the order of turns. */
  readonly #people = new Map<string, Map<string, T[]>>();

  /** @throws RATE_LIMITED when too many reads of the caller or the person wait */
  add(scan: T): void {
    const { person, caller } = turnOf(scan.caller);
    const queues = this.#people.get(person) ?? new Map<string, T[]>();
    const queue = queues.get(caller) ?? [];
    const isFull =
      (queue.length >= MAX_WAITING && this.#withoutGone(queue) >= MAX_WAITING) ||
      [...queues.values()].reduce((sum, each) => sum + each.length, 0) >= MAX_WAITING_OF_PERSON;
    if (caller !== OWN && isFull)
      throw new PrismError("RATE_LIMITED", "Too many of your reads are waiting; try again", { retryAfterMs: 1000 });
    queue.push(scan);
    this.#people.set(person, queues.set(caller, queue));
  }

  /** The next read whose client is still connected. */
  next(): T | undefined {
    for (const [person, queues] of this.#people) {
      const scan = this.#nextOf(queues);
      this.#people.delete(person);
      // The next turn comes after all others.
      if (queues.size > 0) this.#people.set(person, queues);
      if (scan) return scan;
    }
    return undefined;
  }

  #nextOf(queues: Map<string, T[]>): T | undefined {
    for (const [caller, queue] of queues) {
      this.#withoutGone(queue);
      const scan = queue.shift();
      queues.delete(caller);
      if (queue.length > 0) queues.set(caller, queue);
      if (scan) return scan;
    }
    return undefined;
  }

  /** @returns the number of remaining reads. */
  #withoutGone(queue: T[]): number {
    const left = queue.filter((scan) => {
      const isGone = scan.caller.isGone?.() === true;
      if (isGone) scan.drop();
      return !isGone;
    });
    queue.splice(0, queue.length, ...left);
    return left.length;
  }
}

const OWN = "own";

function turnOf({ principal, process, ip }: Caller): { readonly person: string; readonly caller: string } {
  if (principal) return { person: personKey(principal), caller: principal.key };
  const caller = process === "request" ? `ip:${ip}` : OWN;
  return { person: caller, caller };
}

const IDLE_MS = 60_000;

interface Scan extends WaitingScan {
  readonly request: ScanRequest;
  readonly answer: DeferredPromise<unknown[]>;
}

/**
 * The thread for reads that scan. It starts on first use, stops after an idle minute, and restarts
 * after a crash. It runs one read at a time; the others wait in {@link ScanTurns}.
 */
export class Scanner {
  readonly #file: string;
  readonly #idleMs: number;
  #thread: Worker | null = null;
  #lastId = 0;
  #turns = new ScanTurns<Scan>();
  #running: Scan | null = null;
  #idleTimer: NodeJS.Timeout | null = null;
  #isClosed = false;

  /** @param idleMs how long an idle thread is kept. */
  constructor(file: string, idleMs = IDLE_MS) {
    this.#file = file;
    this.#idleMs = idleMs;
  }

  get isRunning(): boolean {
    return this.#thread !== null;
  }

  /**
   * Runs a reading statement for the current caller.
   * @throws ThreadError with SQLite's code; RATE_LIMITED when too many reads of the caller wait;
   * REQUEST_TIMEOUT when its client has disconnected
   */
  async query(sql: string, parameters: readonly unknown[]): Promise<unknown[]> {
    if (this.#isClosed) throw new ThreadError(THREAD_GONE, "the store is closed");
    const answer = deferred<unknown[]>();
    this.#turns.add({
      caller: currentCaller(),
      request: { id: ++this.#lastId, sql, parameters },
      answer,
      drop: () => answer.reject(new PrismError("REQUEST_TIMEOUT", "The client has disconnected")),
    });
    if (!this.#running) this.#runNext();
    return answer.promise;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#stop();
  }

  #runNext(): void {
    for (;;) {
      const next = this.#turns.next() ?? null;
      this.#running = next;
      if (!next) break;
      this.#keepAlive();
      if (this.#send(next)) return;
    }
    if (this.#thread) this.#stopLater();
  }

  /** @returns false when the read cannot be sent; it is rejected. */
  #send({ request, answer }: Scan): boolean {
    try {
      this.#start().postMessage(request);
      return true;
    } catch (error) {
      answer.reject(error);
      return false;
    }
  }

  #stopLater(): void {
    this.#keepAlive();
    this.#idleTimer = setTimeout(() => void this.#stop(), this.#idleMs);
    this.#idleTimer.unref();
  }

  async #stop(): Promise<void> {
    this.#keepAlive();
    const thread = this.#thread;
    this.#thread = null;
    // At once, not when the thread has ended: later reads belong to the next thread.
    this.#failAll(new ThreadError(THREAD_GONE, "the scan thread was stopped"));
    if (thread) await endThread(thread);
  }

  #start(): Worker {
    if (this.#thread) return this.#thread;
    const thread = startThread("scan", { file: this.#file });
    thread.on("message", (reply: ScanReply) => {
      if (this.#thread === thread) this.#settle(reply);
    });
    thread.on("error", (error) => {
      const code = isOutOfDescriptors(error) ? error.code : THREAD_GONE;
      this.#gone(thread, new ThreadError(code, error.message));
    });
    thread.on("exit", (code) =>
      this.#gone(thread, new ThreadError(THREAD_GONE, `the scan thread ended with code ${code}`)),
    );
    this.#thread = thread;
    return thread;
  }

  #settle(reply: ScanReply): void {
    const scan = this.#running;
    if (scan?.request.id !== reply.id) return;
    if (reply.ok) scan.answer.resolve(reply.rows);
    else scan.answer.reject(new ThreadError(reply.code, reply.message));
    this.#runNext();
  }

  #gone(thread: Worker, error: ThreadError): void {
    if (this.#thread !== thread) return;
    this.#thread = null;
    this.#failAll(error);
  }

  #failAll(error: Error): void {
    const turns = this.#turns;
    this.#turns = new ScanTurns();
    this.#running?.answer.reject(error);
    this.#running = null;
    for (let scan = turns.next(); scan; scan = turns.next()) scan.answer.reject(error);
  }

  #keepAlive(): void {
    if (this.#idleTimer) clearTimeout(this.#idleTimer);
    this.#idleTimer = null;
  }
}
