/** A limit of concurrent attempts that several targets share: of a channel, a host or an owner. */
export interface SharedLimit {
  readonly key: string;
  readonly limit: number;
}

/** The limits of the targets that share a queue's workers. */
export interface LaneFacts {
  readonly channel: string;
  /** Absent where the operator has configured the provider: then no user can make it slow. */
  readonly host?: string | undefined;
  readonly owner?: string | undefined;
}

/**
 * The parts of a queue's workers that one channel may hold. Together they leave some for the jobs that plan deliveries, so a channel that hangs
 * never keeps another one waiting.
 */
const SHARES: ReadonlyMap<string, number> = new Map([
  ["webhook", 3 / 8],
  ["email", 1 / 4],
  ["pusher", 1 / 4],
  ["fcm", 3 / 4],
  ["apns", 3 / 4],
]);

/** The limits that hold for an attempt, in a queue with so many workers. Each is at least 1. */
export function limitsOf({ channel, host, owner }: LaneFacts, concurrency: number): SharedLimit[] {
  const share = Math.max(1, Math.floor(concurrency * (SHARES.get(channel) ?? 1 / 4)));
  const limits: SharedLimit[] = [{ key: channel, limit: share }];
  if (host !== undefined) limits.push({ key: `${channel} host ${host}`, limit: Math.max(1, share - 1) });
  if (owner !== undefined) limits.push({ key: `${channel} owner ${owner}`, limit: Math.max(1, Math.floor(share / 2)) });
  return limits;
}

/** What is held of one {@link SharedLimit}, and who waits for it, longest first. */
export class Bulkhead<W> {
  limit: number;
  held = 0;
  readonly waiting = new Set<W>();

  constructor(limit: number) {
    this.limit = limit;
  }

  get hasRoom(): boolean {
    return this.held < this.limit;
  }

  get isUnused(): boolean {
    return this.held === 0 && this.waiting.size === 0;
  }
}

/** The bulkheads in use, by key. */
export class Bulkheads<W> {
  readonly #byKey = new Map<string, Bulkhead<W>>();

  of({ key, limit }: SharedLimit): Bulkhead<W> {
    const bulkhead = this.#byKey.get(key) ?? new Bulkhead<W>(limit);
    bulkhead.limit = limit;
    this.#byKey.set(key, bulkhead);
    return bulkhead;
  }

  /** Forgets those that nothing uses. */
  trim(limits: readonly SharedLimit[]): void {
    for (const { key } of limits) if (this.#byKey.get(key)?.isUnused) this.#byKey.delete(key);
  }
}
