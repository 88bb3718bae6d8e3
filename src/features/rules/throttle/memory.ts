import type { Database as Sqlite } from "better-sqlite3";
import type { StormRow } from "../../../store/commit/write-set.ts";
import type { EarlierFiring, Firing } from "./firings.ts";
import type { Bucket } from "./match-window.ts";

const CANDIDATES = 100;
const YOUNGEST = `select n.id as notificationId, coalesce(e.receivedAt, n.createdAt) as at, coalesce(e.seq, 0) as seq
  from notifications n left join events e on e.id = n.eventId`;

/** What was counted, held back and told before a gate begins, or of rules and keys that it has no room for. */
export interface GateMemory {
  buckets(ruleId: string, key: string): Iterable<Bucket>;
  storm(ruleId: string, key: string): StormRow | null;
  readonly firing: EarlierFiring;
}

/** Nothing was before: for deciding on events of the past without the tables of what was decided on them. */
export const NOTHING_BEFORE: GateMemory = { buckets: () => [], storm: () => null, firing: () => null };

/** What the tables hold. An event that retention has removed since is taken as received when its notification was made. */
export class StoredMemory implements GateMemory {
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
    this.#buckets = reader.prepare<[string, string], Bucket>(
      "select bucketStart, count from suppression_windows where ruleId = ? and key = ? order by bucketStart",
    );
    this.#storm = reader.prepare<[string, string], Omit<StormRow, "samples"> & { samples: string }>(
      `select id, ruleId, key, count, firstSeq, lastSeq, samples, startedAt, lastAt, jobId from suppressed_batches
       where ruleId = ? and key = ? and closedAt is null`,
    );
  }

  readonly firing: EarlierFiring = (ruleId, dedupeKey) =>
    lastOf(dedupeKey === null ? this.#byRule.all(ruleId) : this.#byKey.all(ruleId, dedupeKey));

  buckets(ruleId: string, key: string): Iterable<Bucket> {
    return this.#buckets.iterate(ruleId, key);
  }

  storm(ruleId: string, key: string): StormRow | null {
    const storm = this.#storm.get(ruleId, key);
    return storm ? { ...storm, samples: JSON.parse(storm.samples) as string[] } : null;
  }
}

/** The clock may have been set back in between: of the youngest, the one whose event came last. */
function lastOf(youngest: readonly Firing[]): Firing | null {
  return youngest.reduce<Firing | null>((last, each) => (last === null || each.seq > last.seq ? each : last), null);
}
