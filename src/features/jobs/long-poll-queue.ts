import { AsyncResource } from "node:async_hooks";
import { PrismError } from "../../core/errors.ts";
import { type Deferred, deferred } from "../../core/promises.ts";

const MAX_WAITING = 1000;

export interface WaitOptions {
  readonly queues: readonly string[];
  readonly waitMs: number;
  /** Whoever asked has gone. */
  readonly signal: AbortSignal;
}

/** A claim that has found nothing yet. `isTrying` → waiting → woken and trying again … → ended. */
interface Waiter<T> {
  readonly queues: readonly string[];
  readonly answer: Deferred<T[]>;
  attempt(): Promise<T[]>;
  isTrying: boolean;
  /** It ends with what it finds now. */
  isLate: boolean;
}

/**
 * Claims that wait until a job of one of their queues is ready: whoever waits longest is first.
 * Nobody asks the database before something may be ready, and then one after the other, so that a
 * job wakes one of them and not all.
 */
export class LongPollQueue<T> {
  readonly #hasReady: (queue: string) => boolean;
  readonly #byQueue = new Map<string, Set<Waiter<T>>>();
  readonly #woken = new Set<string>();
  #waiting = 0;
  #isServing = false;
  #isStopped = false;

  /** @param hasReady whether there is a job of the queue to claim. */
  constructor(hasReady: (queue: string) => boolean) {
    this.#hasReady = hasReady;
  }

  /**
   * @returns what `attempt` finds at once, or once it finds something; empty after `waitMs`.
   * @throws OVERLOADED when too many wait.
   */
  async wait(options: WaitOptions, attempt: () => Promise<T[]>): Promise<T[]> {
    if (options.waitMs === 0) return attempt();
    if (this.#waiting >= MAX_WAITING)
      throw new PrismError("OVERLOADED", "Too many claims wait for jobs", { retryAfterMs: 1000 });
    const waiter: Waiter<T> = {
      queues: options.queues,
      answer: deferred<T[]>(),
      // Whoever wakes it may do so at the end of a transaction, of which a claim is no part.
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

  /** Jobs of the queue may be ready that were not; null: of any queue. */
  wake(queue: string | null): void {
    if (this.#waiting === 0) return;
    const queues = queue === null ? this.#byQueue.keys() : this.#byQueue.has(queue) ? [queue] : [];
    for (const each of queues) this.#woken.add(each);
    // Where the table cannot be read, whoever waits has waited in vain and asks again.
    this.#serve().catch(() => undefined);
  }

  /** Those who wait are answered that there is nothing; from now on nobody waits. */
  stop(): void {
    this.#isStopped = true;
    for (const waiters of [...this.#byQueue.values()]) for (const waiter of [...waiters]) this.#end(waiter);
  }

  /** What became ready during its first attempt passed it by. */
  #wakeFor(waiter: Waiter<T>): void {
    for (const queue of waiter.queues) if (this.#byQueue.get(queue)?.has(waiter)) this.wake(queue);
  }

  async #serve(): Promise<void> {
    if (this.#isServing) return;
    this.#isServing = true;
    try {
      // What is woken meanwhile is met as well: it stands behind.
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

  /** A second time changes nothing. */
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
