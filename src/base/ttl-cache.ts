import type { Clock, EpochMs } from "./clock.ts";

/**
 * A bounded cache whose entries end after `ttlMs`. When full, the entry that was set longest ago goes. Invalidation on write
 * is the caller's: the time to live only bounds what a missed invalidation could cost.
 */
export class TtlCache<K, V> {
  readonly #entries = new Map<K, { readonly value: V; readonly until: EpochMs }>();
  readonly #maxEntries: number;
  readonly #ttlMs: number;
  readonly #clock: Clock;
  hits = 0;
  misses = 0;

  constructor(options: { maxEntries: number; ttlMs: number; clock: Clock }) {
    this.#maxEntries = options.maxEntries;
    this.#ttlMs = options.ttlMs;
    this.#clock = options.clock;
  }

  get(key: K): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.until <= this.#clock.now()) {
      this.misses++;
      if (entry !== undefined) this.#entries.delete(key);
      return undefined;
    }
    this.hits++;
    return entry.value;
  }

  /** @param until ends the entry before its time to live, for values that carry an end of their own. */
  set(key: K, value: V, until = Number.POSITIVE_INFINITY): void {
    this.#entries.delete(key);
    if (this.#entries.size >= this.#maxEntries) {
      const oldest = this.#entries.keys().next();
      if (!oldest.done) this.#entries.delete(oldest.value);
    }
    this.#entries.set(key, { value, until: Math.min(until, this.#clock.now() + this.#ttlMs) });
  }

  delete(key: K): void {
    this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }

  get size(): number {
    return this.#entries.size;
  }
}
