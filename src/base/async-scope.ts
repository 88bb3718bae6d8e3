import { AsyncLocalStorage } from "node:async_hooks";

/**
 * A value that follows a call through everything it awaits. While nobody is inside, Node's asynchronous hooks are switched off: they cost
 * every callback and promise of the process, the hot path's too, which needs no such value.
 */
export class AsyncScope<T> {
  readonly #storage = new AsyncLocalStorage<T>();
  #inside = 0;

  get(): T | undefined {
    return this.#inside === 0 ? undefined : this.#storage.getStore();
  }

  run<R>(value: T, fn: () => R): R {
    this.#inside++;
    let result: R;
    try {
      result = this.#storage.run(value, fn);
    } catch (error) {
      this.#leave();
      throw error;
    }
    if (result instanceof Promise) {
      const leave = (): void => this.#leave();
      result.then(leave, leave);
    } else this.#leave();
    return result;
  }

  #leave(): void {
    this.#inside--;
    if (this.#inside === 0) this.#storage.disable();
  }
}
