import { AsyncLocalStorage } from "node:async_hooks";
import { currentCaller, runAs } from "../../core/caller.ts";
import type { Watchdog } from "./watchdog.ts";

/**
 * Whose code is running. It follows a module's calls through everything they start, also what they do not wait for, so that an error nobody catches
 * has an owner. Nothing is watched until the first module is loaded: Node's asynchronous hooks cost every callback of the process something.
 */
export class ModuleScope {
  readonly #storage = new AsyncLocalStorage<string>();
  readonly #watchdog: Watchdog;

  constructor(watchdog: Watchdog) {
    this.#watchdog = watchdog;
  }

  /** The module whose code this is, or whose code has led here. */
  get current(): string | undefined {
    return this.#storage.getStore();
  }

  /** Runs a module's code, on behalf of whoever is calling, through the module. */
  run<T>(name: string, fn: () => T): T {
    return this.#storage.run(name, () =>
      runAs({ ...currentCaller(), module: name }, () => this.#watchdog.within(name, fn)),
    );
  }

  /**
   * Runs the program's own code for a module: what that starts for itself is nobody's but the program's. The promise is the module's: where it is
   * rejected and nobody waits for it, that is the module's fault.
   */
  async leave<T>(fn: () => Promise<T>): Promise<T> {
    return await this.#storage.exit(fn);
  }
}
