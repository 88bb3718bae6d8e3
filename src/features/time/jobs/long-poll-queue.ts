import { AsyncResource } from "node:async_hooks";
import { PrismError } from "../../../core/errors.ts";
import { type DeferredPromise, deferred } from "../../../core/promises.ts";

const MAX_WAITING = 1000;

export interface WaitOptions {
  readonly queues: readonly string[];
  readonly waitMs: number;
  /** Aborts when the client disconnects. */
  readonly signal: AbortSignal;
}

/** A claim without jobs yet. `isTrying` → waiting → woken and retrying … → ended. */
interface Waiter<T> {
  readonly queues: readonly string[];
  readonly answer: DeferredPromise<T[]>;
  attempt(): Promise<T[]>;
  isTrying: boolean;
  /** It ends with the result of the current attempt. */
  isLate: boolean;
}

/**
 * Long polls for jobs of one or more queues, longest wait first. The database is queried only when
 * a job may be ready, for one waiter at a time, so that a job wakes one of them and not all.
 */
export class LongPollQueue<T> {
  readonly #hasReady: (queue: string) => boolean;
  readonly #byQueue = new Map<string, Set<Waiter<T>>>();
  readonly #woken = new Set<string>();
  #waiting = 0;
  #isServing = false;
  #isStopped = false;

  /** @param hasReady whether the queue has a job to claim. */
  constructor(hasReady: (queue: string) => boolean) {
    this.#hasReady = hasReady;
  }

  /**
   * Waits for a non-empty result. @returns the first non-empty result of `attempt`; empty after
   * `waitMs`.
   * @throws OVERLOADED when too many wait.
   */
  async wait(options: WaitOptions, attempt: () => Promise<T[]>): Promise<T[]> {
    if (options.waitMs === 0) return attempt();
    if (this.#waiting >= MAX_WAITING)
      throw new PrismError("OVERLOADED", "Too many claims wait for jobs", { retryAfterMs: 1000 });
    const waiter: Waiter<T> = {
      queues: options.queues,
      answer: deferred<T[]>(),
      // Bound to the caller's context: wake may be called at the end of a transaction.
      attempt: AsyncResource.bind(attempt),
      isTrying: false,
      isLate: this.#isStopped || options.signal.aborted,
    };
    this.#enter(waiter);
    const end = (): void => this.#end(waiter);
    const limit = setTimeout(end, options.waitMs);
    options.signal.addEventListener("abort", end, { once: true });
    try {
      void this.#try(waiter).then(() => this.#wakeFor(waiter));
      return await waiter.answer.promise;
    } finally {
      clearTimeout(limit);
      options.signal.removeEventListener("abort", end);
      this.#leave(waiter);
    }
  }

  /** Jobs of the queue may have become ready; null: of any queue. */
  wake(queue: string | null): void {
    if (this.#waiting === 0) return;
    const queues = queue === null ? this.#byQueue.keys() : this.#byQueue.has(queue) ? [queue] : [];
    for (const each of queues) this.#woken.add(each);
    // If the table cannot be read, waiters time out and poll again.
    this.#serve().catch(() => undefined);
  }

  /** Answers all waiters with an empty result and accepts no new ones. */
  stop(): void {
    this.#isStopped = true;
    for (const waiters of [...this.#byQueue.values()]) for (const waiter of [...waiters]) this.#end(waiter);
  }

  /** A job may have become ready during the first attempt. */
  #wakeFor(waiter: Waiter<T>): void {
    for (const queue of waiter.queues) if (this.#byQueue.get(queue)?.has(waiter)) this.wake(queue);
  }

  async #serve(): Promise<void> {
    if (this.#isServing) return;
    this.#isServing = true;
    try {
      // Includes queues that are woken during the loop: a Set iterates over added entries.
      for (const queue of this.#woken) {
        this.#woken.delete(queue);
        for (const waiter of this.#byQueue.get(queue) ?? []) {
          if (!this.#hasReady(queue)) break;
          if (!waiter.isTrying) await this.#try(waiter);
        }
      }
    } finally {
      this.#isServing = false;
    }
  }

  async #try(waiter: Waiter<T>): Promise<void> {
    waiter.isTrying = true;
    try {
      const found = await waiter.attempt();
      if (found.length > 0 || waiter.isLate) this.#settle(waiter, found);
    } catch (error) {
      this.#leave(waiter);
      waiter.answer.reject(error);
    }
    waiter.isTrying = false;
  }

  #end(waiter: Waiter<T>): void {
    if (waiter.isTrying) waiter.isLate = true;
    else this.#settle(waiter, []);
  }

  #settle(waiter: Waiter<T>, found: T[]): void {
    this.#leave(waiter);
    waiter.answer.resolve(found);
  }

  #enter(waiter: Waiter<T>): void {
    this.#waiting++;
    for (const queue of waiter.queues) {
      const waiters = this.#byQueue.get(queue);
      if (waiters) waiters.add(waiter);
      else this.#byQueue.set(queue, new Set([waiter]));
    }
  }

  /** Idempotent. */
  #leave(waiter: Waiter<T>): void {
    let wasIn = false;
    for (const queue of waiter.queues) {
      const waiters = this.#byQueue.get(queue);
      if (waiters?.delete(waiter)) wasIn = true;
      if (waiters?.size === 0) this.#byQueue.delete(queue);
    }
    if (wasIn) this.#waiting--;
  }
}
