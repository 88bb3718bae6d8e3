import { AsyncResource } from "node:async_hooks";
import { type DeferredPromise, deferred } from "./promises.ts";

interface Wanted<K, V> {
  readonly key: K;
  readonly found: DeferredPromise<V>;
}

/** Joins reads that are asked for at the same time into one. */
export class SharedReads<K, V> {
  readonly #read: (keys: readonly K[]) => Promise<readonly V[]>;
  readonly #gathered: () => Promise<unknown>;
  #wanted: Wanted<K, V>[] = [];
  /** The reads of many callers: not in the asynchronous context of the first one. */
  readonly #runOutside = AsyncResource.bind(() => this.#run());

  /**
   * @param read one result for each key, in their order
   * @param gathered resolves when those who ask at the same time have asked; default: at once, for callers
   *   that one promise or loop wakes
   */
  constructor(
    read: (keys: readonly K[]) => Promise<readonly V[]>,
    gathered: () => Promise<unknown> = () => Promise.resolve(),
  ) {
    this.#read = read;
    this.#gathered = gathered;
  }

  /** @throws errors of the read */
  of(key: K): Promise<V> {
    const found = deferred<V>();
    this.#wanted.push({ key, found });
    if (this.#wanted.length === 1) void this.#runOutside();
    return found.promise;
  }

  async #run(): Promise<void> {
    await this.#gathered();
    const wanted = this.#wanted;
    this.#wanted = [];
    try {
      const values = await this.#read(wanted.map(({ key }) => key));
      for (const [at, { found }] of wanted.entries()) found.resolve(values[at] as V);
    } catch (error) {
      for (const { found } of wanted) found.reject(error);
    }
  }
}
