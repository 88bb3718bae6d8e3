import { setImmediate } from "node:timers/promises";
import { PrismError } from "./errors.ts";

/** A promise with its resolve and reject functions. */
export interface DeferredPromise<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

export function deferred<T>(): DeferredPromise<T> {
  let resolve: (value: T) => void = unset;
  let reject: (error: unknown) => void = unset;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}

function unset(): never {
  throw new TypeError("a promise executor runs synchronously");
}

/** Resolves when the work is done or the time is up. The work is not cancelled. */
export function within(limitMs: number, work: Promise<unknown>): Promise<void> {
  return withinOr<unknown>(limitMs, work, () => undefined) as Promise<void>;
}

/** Settles like the work, or with `late` once the time is up. The work is not cancelled. */
export async function withinOr<T>(limitMs: number, work: Promise<T>, late: () => T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  try {
    return await Promise.race([work, limit.then(late)]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Runs the work of each item, a few at once, and stops with the first error.
 * @param nameOf an item, for the error
 * @throws URL_REFUSED once the time is up: the work is one of names that are resolved
 */
export async function eachWithin<T>(
  { atOnce, limitMs }: { readonly atOnce: number; readonly limitMs: number },
  items: Iterable<T>,
  work: (item: T) => Promise<void>,
  nameOf: (item: T) => string,
): Promise<void> {
  const left = [...items];
  const waiting = new Set<T>();
  const run = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) {
      waiting.add(item);
      await work(item);
      waiting.delete(item);
    }
  };
  try {
    await withinOr(limitMs, Promise.all(Array.from({ length: atOnce }, run)), () => {
      const names = [...waiting].map(nameOf).join(", ");
      throw new PrismError(
        "URL_REFUSED",
        `The hosts of the URLs were not resolved within ${limitMs / 1000} s (${names}); try again`,
      );
    });
  } finally {
    left.length = 0;
  }
}

/**
 * Settles like the work, or rejects when the signal aborts. The work is not cancelled: others may
 * wait for it.
 * @throws `error`, by default the signal's reason
 */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal, error?: Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const giveUp = (): void => reject(error ?? signal.reason);
    if (signal.aborted) giveUp();
    else signal.addEventListener("abort", giveUp, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", giveUp));
  });
}

const TURN_MS = 5;

/** Yields to the event loop during a long computation. */
export class LoopTurns {
  #untilMs = performance.now() + TURN_MS;

  /** Await between steps of work. Returns at once until the loop's turn has taken 5 ms. */
  async pause(): Promise<void> {
    if (performance.now() < this.#untilMs) return;
    await setImmediate();
    this.#untilMs = performance.now() + TURN_MS;
  }
}
