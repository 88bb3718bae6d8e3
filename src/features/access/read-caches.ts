import type { Clock } from "../../core/clock.ts";
import { TtlCache } from "../../core/ttl-cache.ts";

interface Owned {
  readonly ownerId: string;
  /** About what it takes in memory. */
  readonly bytes: number;
}

interface OwnerCacheOptions {
  readonly maxEntries: number;
  readonly ttlMs: number;
  readonly clock: Clock;
}

/** Of all that is kept, and of one value: a single large answer must not push out everybody's. */
const MAX_BYTES = 16_777_216;
const MAX_VALUE_BYTES = 1_048_576;

interface Kept<T> {
  readonly value: T;
  /** How many writes had been counted when its reading began. */
  readonly version: number;
}

/**
 * Answers made of one account's rows, kept until that account's rows are written. Writes are
 * counted, those of all accounts by one count; a value is as good as the count at which its reading
 * **began**. A reading that a commit overtakes therefore is never kept, and one that was kept
 * before it is never found again: the effect `answers-changed` is applied before the write
 * resolves.
 */
export class OwnerCache<T extends Owned> {
  readonly #entries: TtlCache<string, Kept<T>>;
  readonly #maxOwners: number;
  #writes = 0;
  /**
   * The count at each account's last write; where none is noted, at the last that concerned
   * everybody.
   */
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
   * What is kept under the key, else what `load` reads, which is kept if no write has come between.
   * @param key `kind:id…`
   */
  async read<R extends T | undefined>(key: string, load: () => Promise<R>): Promise<T | R> {
    const kept = this.#entries.get(key);
    if (kept && kept.version >= this.#lastWrite(kept.value.ownerId)) {
      this.#hits++;
      return kept.value;
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

/** An answer as it is sent. */
export interface KeptAnswer extends Owned {
  readonly json: string;
  /** The tag that it is sent with; empty for none. */
  readonly etag: string;
}

/**
 * The reads that are kept in memory, besides those of {@link Principals} for
 * credentials and rights.
 */
export class ReadCaches {
  readonly tasks: OwnerCache<KeptAnswer>;
  readonly profiles: OwnerCache<KeptAnswer>;

  constructor(options: OwnerCacheOptions) {
    this.tasks = new OwnerCache(options);
    this.profiles = new OwnerCache(options);
  }

  /** Another process has written to the database. */
  changedAll(): void {
    this.tasks.changedAll();
    this.profiles.changedAll();
  }
}

/** @param etag of the answer; empty for none. */
export function keptAnswer(ownerId: string, json: string, etag = ""): KeptAnswer {
  // UTF-16 at the most.
  return { ownerId, json, etag, bytes: json.length * 2 };
}
