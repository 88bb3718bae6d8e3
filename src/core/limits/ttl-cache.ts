import { LRUCache } from "lru-cache";
import type { Clock } from "../time/clock.ts";

export interface TtlCacheOptions<V> {
  readonly maxEntries: number;
  readonly ttlMs: number;
  readonly clock: Clock;
  /** For values of very different sizes: the size of one, and the limit of all. */
  readonly weight?: { readonly maxBytes: number; bytesOf(value: V): number };
}

/** A bounded map that evicts the least recently used entry. @param sizeOf of an entry; default 1 */
export function recentlyUsed<K extends string, V extends {}>(
  maxSize: number,
  sizeOf: (value: V, key: K) => number = () => 1,
): LRUCache<K, V> {
  // No `max`: lru-cache would allocate all entries at once.
  return new LRUCache({ maxSize, sizeCalculation: sizeOf });
}

/**
 * A bounded cache whose entries expire after `ttlMs` and that evicts the least recently used entry.
 * Callers invalidate on write; the time to live only bounds the effect of a missed invalidation.
 */
export class TtlCache<K extends string, V extends {}> {
  readonly #entries: LRUCache<K, V>;
  readonly #ttlMs: number;
  readonly #clock: Clock;
  hits = 0;
  misses = 0;

  constructor({ maxEntries, ttlMs, clock, weight }: TtlCacheOptions<V>) {
    this.#ttlMs = ttlMs;
    this.#clock = clock;
    // No `max`: lru-cache would allocate all entries at once. The minimum size bounds them too.
    const maxSize = weight?.maxBytes ?? maxEntries;
    const leastSize = Math.max(1, Math.floor(maxSize / maxEntries));
    this.#entries = new LRUCache({
      maxSize,
      sizeCalculation: (value) => Math.max(leastSize, weight?.bytesOf(value) ?? 0),
      ttl: ttlMs,
      ttlResolution: 0,
      perf: clock,
    });
  }

  get(key: K): V | undefined {
    const value = this.#entries.get(key);
    if (value === undefined) this.misses++;
    else this.hits++;
    return value;
  }

  /** @param until expiry of the value itself, if it is earlier than its time to live. */
  set(key: K, value: V, until = Number.POSITIVE_INFINITY): void {
    // lru-cache still serves an entry in its last millisecond.
    const ttl = Math.min(this.#ttlMs, until - this.#clock.now()) - 1;
    if (ttl > 0) this.#entries.set(key, value, { ttl });
    else this.#entries.delete(key);
  }

  delete(key: K): void {
    this.#entries.delete(key);
  }

  /** Deletes the entries that match; visits all of them. */
  deleteWhere(isMeant: (value: V) => boolean): void {
    for (const [key, value] of this.#entries.entries()) if (isMeant(value)) this.#entries.delete(key);
  }

  clear(): void {
    this.#entries.clear();
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Sum of the entries' sizes, each at least its share of the capacity. */
  get bytes(): number {
    return this.#entries.calculatedSize;
  }
}
