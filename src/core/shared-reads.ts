import { type DeferredPromise, deferred } from "./promises.ts";

interface Wanted<K, V> {
  readonly key: K;
  readonly found: DeferredPromise<V>;
}

/** Reads of the same time as one: what several callers want is read for all of them. */
export class SharedReads<K, V> {
  readonly #read: (keys: readonly K[]) => Promise<readonly V[]>;
  readonly #gathered: () => Promise<unknown>;
  #wanted: Wanted<K, V>[] = [];

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
    if (this.#wanted.length === 1) void this.#run();
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
