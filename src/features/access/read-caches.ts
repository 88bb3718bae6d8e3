import { type Owned, OwnerCache, type OwnerCacheOptions } from "./owner-cache.ts";

/** An answer as it is sent. */
export interface KeptAnswer extends Owned {
  readonly json: string;
  /** The tag that it is sent with; empty for none. */
  readonly etag: string;
}

/** The reads that are kept in memory (contract 13, Caching), besides those of {@link Principals} for credentials and rights. */
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
