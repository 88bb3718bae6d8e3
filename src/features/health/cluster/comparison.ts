import * as v from "valibot";
import type { ClusterLead } from "../../../cluster/lead/lead.ts";
import type { Comparison } from "../../../cluster/tools/compare.ts";
import { type EpochMs, toRfc3339 } from "../../../core/time/clock.ts";
import { doc, named } from "../../../http/api/shapes.ts";
import type { Database, ReadDb } from "../../../store/database.ts";
import { readValue, storeValue } from "./stored-value.ts";

/** The last time that the tables of all nodes were compared. */
interface StoredComparison extends Comparison {
  readonly at: EpochMs;
  readonly leader: string;
}

const KEY = "cluster.comparison";

export const ComparisonView = named(
  "ClusterComparison",
  "The tables of all nodes at one record of the log, compared with the leader's",
  v.object({
    at: v.string(),
    leader: v.string(),
    sequence: doc(v.number(), "The record of the log"),
    rows: doc(v.number(), "Rows of the leader that were compared"),
    nodes: doc(
      v.array(
        v.object({
          name: v.string(),
          result: doc(
            v.picklist(["equal", "differs", "no-answer"]),
            "`no-answer`: it is gone, lags, has an older program, or cannot read its database",
          ),
          tables: doc(v.array(v.string()), "Tables that differ"),
        }),
      ),
      "The nodes besides the leader",
    ),
  }),
);

export function readComparison(db: ReadDb): Promise<StoredComparison | null> {
  return readValue<StoredComparison>(db, KEY);
}

/** Compares the nodes, and stores the result. @throws PrismError INVALID_STATE, DATABASE_UNAVAILABLE */
export async function compareCluster(cluster: ClusterLead, db: Database, at: EpochMs): Promise<StoredComparison> {
  // The writer is held for nothing but that the nodes begin to read: no event is stored meanwhile.
  const comparison = await cluster.compare((work) => db.write(work));
  const stored = { ...comparison, at, leader: cluster.node };
  await db.write((trx) => storeValue(trx, KEY, stored, at));
  return stored;
}

export function comparisonView({ at, nodes, ...comparison }: StoredComparison) {
  const listed = nodes.map(({ tables, ...node }) => ({ ...node, tables: [...tables] }));
  return { ...comparison, at: toRfc3339(at), nodes: listed };
}

/** What an administrator must know about the last comparison. */
export function comparisonWarnings(comparison: StoredComparison | null): string[] {
  const differing = comparison?.nodes.filter(({ result }) => result === "differs") ?? [];
  return differing.map(
    ({ name, tables }) =>
      `The node ${name} differs from ${comparison?.leader} in ${tables.join(", ")}: prism cluster join there copies it`,
  );
}
