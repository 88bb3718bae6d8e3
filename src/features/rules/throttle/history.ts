import type { Database as Sqlite } from "better-sqlite3";
import type { EpochMs } from "../../../core/time/clock.ts";
import type { StormRow } from "../../../store/commit/write-set.ts";
import type { WindowBucket } from "./match-window.ts";

/** The last notification of a rule, by the time of receipt of its event. */
interface Firing {
  readonly at: EpochMs;
  readonly notificationId: string;
  /** The event's number; 0 if the event is deleted. */
  readonly seq: number;
}

/** Returns firings before the first one in memory. */
type EarlierFiring = (ruleId: string, dedupeKey: string | null) => Firing | null;

/** The last firing of each rule, or of its dedupe keys; for rules with a dedupe or a cooldown. */
export class LastFired {
  readonly #known = new Map<string, Firing | null>();
  readonly #earlier: EarlierFiring;
  readonly #capacity: number;

  /** @param capacity limit of rules and keys in memory; `earlier` must know the others. */
  constructor(earlier: EarlierFiring, capacity: number) {
    this.#earlier = earlier;
    this.#capacity = capacity;
  }

  last(ruleId: string, dedupeKey: string | null): Firing | null {
    const name = firingKey(ruleId, dedupeKey);
    let firing = this.#known.get(name);
    if (firing === undefined) {
      firing = this.#earlier(ruleId, dedupeKey);
      this.#put(name, firing);
    }
    return firing;
  }

  /**
   * Keeps the firing with the later event: another may be decided late.
   * @param isAsked whether the rule needs it with its current settings. Older entries are kept
   * current all the same: the rule may need them again.
   */
  note(ruleId: string, dedupeKey: string | null, firing: Firing, isAsked: boolean): void {
    const name = firingKey(ruleId, dedupeKey);
    const known = this.#known.get(name);
    if ((isAsked || known !== undefined) && (known?.seq ?? 0) <= firing.seq) this.#put(name, firing);
    // A rule without a key needs its firings of all keys.
    if (dedupeKey !== null) this.note(ruleId, null, firing, false);
  }

  /** A firing was not written. Earlier ones are stored by now. */
  forget(ruleId: string, dedupeKey: string | null, notificationId: string): void {
    const name = firingKey(ruleId, dedupeKey);
    if (this.#known.get(name)?.notificationId === notificationId) this.#known.delete(name);
    if (dedupeKey !== null) this.forget(ruleId, null, notificationId);
  }

  clear(): void {
    this.#known.clear();
  }

  /** Evicts the oldest entry, which has long been written. */
  #put(name: string, firing: Firing | null): void {
    this.#known.delete(name);
    if (this.#known.size >= this.#capacity) this.#known.delete(this.#known.keys().next().value ?? "");
    this.#known.set(name, firing);
  }
}

function firingKey(ruleId: string, dedupeKey: string | null): string {
  return dedupeKey === null ? ruleId : `${ruleId} ${dedupeKey}`;
}

const CANDIDATES = 100;
const YOUNGEST = `select n.id as notificationId, coalesce(e.receivedAt, n.createdAt) as at, coalesce(e.seq, 0) as seq
  from notifications n left join events e on e.id = n.eventId`;

/** A throttle's past: from before it started, or for rules and keys it has no room for. */
export interface ThrottleHistory {
  buckets(ruleId: string, key: string): Iterable<WindowBucket>;
  storm(ruleId: string, key: string): StormRow | null;
  readonly firing: EarlierFiring;
}

/** No history: for replaying past events without their stored decisions. */
export const EMPTY_HISTORY: ThrottleHistory = { buckets: () => [], storm: () => null, firing: () => null };

/** History from the tables. A removed event counts as received when its notification was made. */
export class StoredHistory implements ThrottleHistory {
  readonly #byKey;
  readonly #byRule;
  readonly #buckets;
  readonly #storm;

  constructor(reader: Sqlite) {
    this.#byKey = reader.prepare<[string, string], Firing>(
      `${YOUNGEST} where n.ruleId = ? and n.dedupeKey = ? order by n.createdAt desc limit ${CANDIDATES}`,
    );
    this.#byRule = reader.prepare<[string], Firing>(
      `${YOUNGEST} where n.ruleId = ? and n.kind = 'rule' order by n.createdAt desc limit ${CANDIDATES}`,
    );
    this.#buckets = reader.prepare<[string, string], WindowBucket>(
      "select bucketStart, count from suppression_windows where ruleId = ? and key = ? order by bucketStart",
    );
    this.#storm = reader.prepare<[string, string], Omit<StormRow, "samples"> & { samples: string }>(
      `select id, ruleId, key, count, firstSeq, lastSeq, samples, startedAt, lastAt, jobId from suppressed_batches
       where ruleId = ? and key = ? and closedAt is null`,
    );
  }

  readonly firing: EarlierFiring = (ruleId, dedupeKey) =>
    lastOf(dedupeKey === null ? this.#byRule.all(ruleId) : this.#byKey.all(ruleId, dedupeKey));

  buckets(ruleId: string, key: string): Iterable<WindowBucket> {
    return this.#buckets.iterate(ruleId, key);
  }

  storm(ruleId: string, key: string): StormRow | null {
    const storm = this.#storm.get(ruleId, key);
    return storm ? { ...storm, samples: JSON.parse(storm.samples) as string[] } : null;
  }
}

/** The clock may have been set back: of the latest firings, takes the one with the last event. */
function lastOf(youngest: readonly Firing[]): Firing | null {
  return youngest.reduce<Firing | null>((last, each) => (last === null || each.seq > last.seq ? each : last), null);
}
