import type { Clock, EpochMs } from "./clock.ts";

export interface TtlCacheOptions<V> {
  readonly maxEntries: number;
  readonly ttlMs: number;
  readonly clock: Clock;
  /** For values of very different sizes: how large one is, and how large all may be together. */
  readonly weight?: { readonly maxBytes: number; bytesOf(value: V): number };
}

interface Entry<V> {
  readonly value: V;
  readonly until: EpochMs;
  readonly bytes: number;
}

/**
 * A bounded cache whose entries end after `ttlMs`. When full, the entry that was set longest ago goes. Invalidation on write
 * is the caller's: the time to live only bounds what a missed invalidation could cost.
 */
export class TtlCache<K, V> {
  readonly #entries = new Map<K, Entry<V>>();
  readonly #maxEntries: number;
  readonly #ttlMs: number;
  readonly #clock: Clock;
  readonly #weight: TtlCacheOptions<V>["weight"];
  #bytes = 0;
  hits = 0;
  misses = 0;

  constructor(options: TtlCacheOptions<V>) {
    this.#maxEntries = options.maxEntries;
    this.#ttlMs = options.ttlMs;
    this.#clock = options.clock;
    this.#weight = options.weight;
  }

  get(key: K): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.until <= this.#clock.now()) {
      this.misses++;
      this.delete(key);
      return undefined;
    }
    this.hits++;
    return entry.value;
  }

  /** @param until ends the entry before its time to live, for values that carry an end of their own. */
  set(key: K, value: V, until = Number.POSITIVE_INFINITY): void {
    this.delete(key);
    const bytes = this.#weight?.bytesOf(value) ?? 0;
    const maxBytes = this.#weight?.maxBytes ?? Number.POSITIVE_INFINITY;
    if (bytes > maxBytes) return;
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size < this.#maxEntries && this.#bytes + bytes <= maxBytes) break;
      this.delete(oldest);
    }
    this.#entries.set(key, { value, until: Math.min(until, this.#clock.now() + this.#ttlMs), bytes });
    this.#bytes += bytes;
  }

  delete(key: K): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#bytes -= entry.bytes;
    this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** By the weights of what is kept; 0 without. */
  get bytes(): number {
    return this.#bytes;
  }
}
