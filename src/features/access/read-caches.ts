import { TtlCache } from "../../core/limits/ttl-cache.ts";
import type { Clock } from "../../core/time/clock.ts";
import type { JsonText } from "../../http/api/route.ts";

interface Owned {
  readonly ownerId: string;
  /** Approximate memory. */
  readonly bytes: number;
}

interface OwnerCacheOptions {
  readonly maxEntries: number;
  readonly ttlMs: number;
  readonly clock: Clock;
}

/** Limit for all entries, and for one: a large answer must not evict the other entries. */
const MAX_BYTES = 16_777_216;
const MAX_VALUE_BYTES = 1_048_576;

interface Kept<T> {
  readonly value: T;
  /** Number of writes counted when its reading started. */
  readonly version: number;
}

/**
 * Caches answers built from one account's rows until those rows are written. Writes of all accounts
 * share one counter; a value has the counter at which its reading **started**. So a reading
 * overtaken by a commit is never cached, and an earlier one is never found: the effect
 * `answers-changed` is applied before the write resolves.
 */
export class OwnerCache<T extends Owned> {
  readonly #entries: TtlCache<string, Kept<T>>;
  readonly #maxOwners: number;
  #writes = 0;
  /** The counter at each account's last write; otherwise at the last write that affected all. */
  readonly #lastWrites = new Map<string, number>();
  #lastWriteOfAll = 0;
  #hits = 0;
  #misses = 0;

  constructor({ maxEntries, ttlMs, clock }: OwnerCacheOptions) {
    const weight = { maxBytes: MAX_BYTES, bytesOf: ({ value }: Kept<T>) => value.bytes };
    this.#entries = new TtlCache({ maxEntries, ttlMs, clock, weight });
    this.#maxOwners = maxEntries;
  }

  /**
   * Returns the cached value, or the result of `load`, which is cached if no write came in between.
   * @param key `kind:id…`; the answers of a kind have one type
   */
  async read<R extends T | undefined>(key: string, load: () => Promise<R>): Promise<R> {
    const kept = this.#entries.get(key);
    if (kept && kept.version >= this.#lastWrite(kept.value.ownerId)) {
      this.#hits++;
      return kept.value as T & R;
    }
    this.#misses++;
    const version = this.#writes;
    const value = await load();
    if (value && value.bytes <= MAX_VALUE_BYTES && version >= this.#lastWrite(value.ownerId))
      this.#entries.set(key, { value, version });
    return value;
  }

  changed(ownerId: string): void {
    if (this.#lastWrites.size >= this.#maxOwners) this.changedAll();
    this.#lastWrites.set(ownerId, ++this.#writes);
  }

  changedAll(): void {
    this.#lastWriteOfAll = ++this.#writes;
    this.#lastWrites.clear();
    this.#entries.clear();
  }

  get cacheStats(): { readonly hits: number; readonly misses: number } {
    return { hits: this.#hits, misses: this.#misses };
  }

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#entries.bytes;
  }

  #lastWrite(ownerId: string): number {
    return this.#lastWrites.get(ownerId) ?? this.#lastWriteOfAll;
  }
}

/** An answer as sent. */
export interface KeptAnswer<out V = unknown> extends Owned {
  readonly json: JsonText<V>;
  /** Its ETag; empty for none. */
  readonly etag: string;
}

/** Cached reads, besides those of {@link Principals} for credentials and rights. */
export class ReadCaches {
  readonly tasks: OwnerCache<KeptAnswer>;
  readonly profiles: OwnerCache<KeptAnswer>;

  constructor(options: OwnerCacheOptions) {
    this.tasks = new OwnerCache(options);
    this.profiles = new OwnerCache(options);
  }
}

/** @param etag of the answer; empty for none. */
export function keptAnswer<V>(ownerId: string, json: JsonText<V>, etag = ""): KeptAnswer<V> {
  // UTF-16 at most.
  return { ownerId, json, etag, bytes: json.length * 2 };
}
