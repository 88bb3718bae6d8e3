import { availableParallelism } from "node:os";
import type { Worker } from "node:worker_threads";
import { PrismError } from "../../../core/errors.ts";
import { type DeferredPromise, deferred } from "../../../core/promises.ts";
import { endThread, startThread } from "../../../core/runtime.ts";
import type { HashAnswer, HashTask } from "./hash-thread.ts";
import { bcryptInput, costOf, decoyHash, djangoHash } from "./password-text.ts";

const MAX_WAITING = 256;
const IDLE_MS = 60_000;

export interface PasswordHasherOptions {
  /** bcrypt's cost: 2^cost rounds. */
  readonly cost: number;
  readonly threads?: number;
  readonly maxWaiting?: number;
  readonly idleMs?: number;
}

interface Waiting {
  readonly task: HashTask;
  readonly answer: DeferredPromise<string | boolean>;
}

/**
 * Hashes and checks passwords with bcrypt, in threads that start on first use and stop after an
 * idle minute. At most 256 tasks wait; further ones are refused, so that a flood of logins has a
 * bounded cost.
 */
export class PasswordHasher {
  readonly #cost: number;
  readonly #maxThreads: number;
  readonly #maxWaiting: number;
  readonly #idleMs: number;
  readonly #threads = new Set<Worker>();
  readonly #idle: Worker[] = [];
  readonly #running = new Map<Worker, Waiting>();
  #waiting: Waiting[] = [];
  #idleTimer: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor({ cost, threads, maxWaiting = MAX_WAITING, idleMs = IDLE_MS }: PasswordHasherOptions) {
    this.#cost = cost;
    this.#maxThreads = threads ?? Math.max(1, availableParallelism() - 1);
    this.#maxWaiting = maxWaiting;
    this.#idleMs = idleMs;
  }

  /** @throws OVERLOADED, VALIDATION_FAILED for an invalid password */
  async hash(password: string): Promise<string> {
    return (await this.#run({ op: "hash", input: bcryptInput(password), cost: this.#cost })) as string;
  }

  /**
   * @param hash null for an unknown account or one without a password: the answer is false and
   * takes as long as for a wrong password.
   * @throws OVERLOADED, VALIDATION_FAILED for an invalid password
   */
  async verify(password: string, hash: string | null): Promise<boolean> {
    const input = bcryptInput(password);
    // Django hashes the text as it is.
    const cost = this.#cost;
    if (hash !== null && djangoHash(hash)) {
      const isRight = await this.#run({ op: "django", input: password, hash });
      // One of few iterations would tell that the account exists.
      await this.#run({ op: "compare", input, hash: decoyHash(cost), cost });
      return isRight === true;
    }
    // PHP's prefix 2y means 2b, the only one the library knows.
    const known = hash !== null && costOf(hash) !== undefined ? hash.replace(/^\$2y/, "$2b") : null;
    const isRight = await this.#run({ op: "compare", input, hash: known ?? decoyHash(cost), cost });
    return known !== null && isRight === true;
  }

  /** Whether the hash has another form or cost than configured: the next sign-in replaces it. */
  isOutdated(hash: string): boolean {
    return costOf(hash) !== this.#cost;
  }

  get threadCount(): number {
    return this.#threads.size;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#idleTimer) clearTimeout(this.#idleTimer);
    for (const { answer } of [...this.#waiting.splice(0), ...this.#running.values()]) answer.reject(stopping());
    this.#running.clear();
    await Promise.all(Array.from(this.#threads, endThread));
  }

  #run(task: HashTask): Promise<string | boolean> {
    if (this.#isClosed) return Promise.reject(stopping());
    if (this.#waiting.length >= this.#maxWaiting) {
      const message = "Too many passwords wait to be checked";
      return Promise.reject(new PrismError("OVERLOADED", message, { retryAfterMs: 1000 }));
    }
    const answer = deferred<string | boolean>();
    this.#waiting.push({ task, answer });
    this.#next();
    return answer.promise;
  }

  #next(): void {
    if (this.#idleTimer) clearTimeout(this.#idleTimer);
    this.#idleTimer = null;
    while (this.#waiting.length > 0) {
      const thread = this.#idle.pop() ?? (this.#threads.size < this.#maxThreads ? this.#start() : undefined);
      if (!thread) return;
      const waiting = this.#waiting.shift() as Waiting;
      this.#running.set(thread, waiting);
      thread.postMessage(waiting.task);
    }
    if (this.#running.size > 0 || this.#threads.size === 0) return;
    this.#idleTimer = setTimeout(() => this.#stopIdle(), this.#idleMs);
    this.#idleTimer.unref();
  }

  #start(): Worker {
    const thread = startThread("hash", null);
    this.#threads.add(thread);
    thread.on("message", (reply: HashAnswer) => {
      const { answer } = this.#running.get(thread) ?? {};
      this.#running.delete(thread);
      this.#idle.push(thread);
      if (reply.ok) answer?.resolve(reply.value);
      else answer?.reject(new Error(reply.message));
      this.#next();
    });
    thread.on("error", (error) => this.#gone(thread, error));
    thread.on("exit", (code) => this.#gone(thread, new Error(`the hash thread ended with code ${code}`)));
    return thread;
  }

  #gone(thread: Worker, error: Error): void {
    if (!this.#threads.delete(thread)) return;
    const at = this.#idle.indexOf(thread);
    if (at >= 0) this.#idle.splice(at, 1);
    this.#running.get(thread)?.answer.reject(error);
    this.#running.delete(thread);
    if (!this.#isClosed) this.#next();
  }

  #stopIdle(): void {
    for (const thread of this.#idle.splice(0)) {
      this.#threads.delete(thread);
      void thread.terminate();
    }
  }
}

function stopping(): PrismError {
  return new PrismError("SHUTTING_DOWN", "The server is stopping", { retryAfterMs: 5000 });
}
