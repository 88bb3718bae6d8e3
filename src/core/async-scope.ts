import { AsyncLocalStorage } from "node:async_hooks";

/** One stay inside the scope. */
interface Visit<T> {
  readonly value: T;
  isOver: boolean;
}

/**
 * A value that follows a call through everything it awaits, and ends with it: what was started
 * inside and outlives the call is without it. While nobody is inside, Node's asynchronous hooks are
 * switched off: they cost every callback and promise of the process, the hot path's too, which
 * needs no such value.
 */
export class AsyncScope<T> {
  readonly #storage = new AsyncLocalStorage<Visit<T>>();
  #inside = 0;

  get(): T | undefined {
    if (this.#inside === 0) return undefined;
    const visit = this.#storage.getStore();
    return visit === undefined || visit.isOver ? undefined : visit.value;
  }

  run<R>(value: T, fn: () => R): R {
    const visit: Visit<T> = { value, isOver: false };
    this.#inside++;
    let result: R;
    try {
      result = this.#storage.run(visit, fn);
    } catch (error) {
      this.#leave(visit);
      throw error;
    }
    if (result instanceof Promise) {
      const leave = (): void => this.#leave(visit);
      result.then(leave, leave);
    } else this.#leave(visit);
    return result;
  }

  #leave(visit: Visit<T>): void {
    visit.isOver = true;
    this.#inside--;
    if (this.#inside === 0) this.#storage.disable();
  }
}
