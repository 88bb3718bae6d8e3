import { AsyncLocalStorage } from "node:async_hooks";

/** One call of {@link AsyncScope.run}. */
interface Visit<T> {
  readonly value: T;
  isOver: boolean;
}

/**
 * A value that follows a call through everything it awaits. Work that outlives the call loses the
 * value. Without an active call Node's asynchronous hooks are disabled, because they slow every
 * callback and promise of the process.
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
