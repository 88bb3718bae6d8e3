import * as v from "valibot";
import type { ClusterLead } from "../../../cluster/lead/lead.ts";
import { DAY_MS, type EpochMs, toRfc3339 } from "../../../core/time/clock.ts";
import { doc, named } from "../../../http/api/shapes.ts";
import type { ReadDb, Trx } from "../../../store/database.ts";
import { readValue, storeValue } from "./stored-value.ts";

/** A leader that was ended as a lost machine would be, to see that another one takes over. */
interface StoredDrill {
  readonly startedAt: EpochMs;
  readonly from: string;
  /** Pages that were on their way. */
  readonly drills: readonly string[];
  /** Null: no other node has led since. */
  readonly result: { readonly to: string; readonly withoutLeaderMs: number } | null;
}

const KEY = "cluster.drill";
/** When the first leader began, or when administrators were asked for a drill. */
const ASKED_KEY = "cluster.drillAskedAt";
const MONTH_MS = 31 * DAY_MS;

export const TakeOverDrillView = named(
  "ClusterDrill",
  "The last drill of a lost machine",
  v.object({
    startedAt: v.string(),
    from: doc(v.string(), "The leader that was ended"),
    to: doc(v.nullable(v.string()), "The next leader; null: no node has led since"),
    withoutLeaderMs: doc(v.nullable(v.number()), "From the last sign of the leader to the next one's first answer"),
    drills: doc(v.array(v.string()), "Ids of the drills that were on their way"),
  }),
);

export function readTakeOverDrill(db: ReadDb | Trx): Promise<StoredDrill | null> {
  return readValue<StoredDrill>(db, KEY);
}

/**
 * When administrators are asked for the next drill: a month after the cluster began, the last drill
 * or the last time that they were asked. Null: the first leader has not begun yet.
 */
export async function drillDueAt(db: ReadDb): Promise<EpochMs | null> {
  const askedAt = await readValue<EpochMs>(db, ASKED_KEY);
  if (askedAt === null) return null;
  return Math.max(askedAt, (await readTakeOverDrill(db))?.startedAt ?? 0) + MONTH_MS;
}

export async function noteAskedForDrill(trx: Trx, now: EpochMs): Promise<void> {
  await storeValue(trx, ASKED_KEY, now, now);
}

/** Call it when a node begins to lead: the first one notes the time. */
export async function noteFirstLeader(trx: Trx, now: EpochMs): Promise<void> {
  if ((await readValue(trx, ASKED_KEY)) === null) await noteAskedForDrill(trx, now);
}

export function storeTakeOverDrill(trx: Trx, drill: StoredDrill, updatedAt: EpochMs): Promise<void> {
  return storeValue(trx, KEY, drill, updatedAt);
}

/** Call it when this node has begun to lead: the drill that made it do so has its result. */
export async function endTakeOverDrill(
  trx: Trx,
  { node, takeOver }: Pick<ClusterLead, "node" | "takeOver">,
  now: EpochMs,
): Promise<void> {
  const drill = await readTakeOverDrill(trx);
  if (drill === null || drill.result !== null || takeOver === null || takeOver.from !== drill.from) return;
  const result = { to: node, withoutLeaderMs: takeOver.withoutLeaderMs };
  await storeTakeOverDrill(trx, { ...drill, result }, now);
}

export function drillView({ startedAt, from, drills, result }: StoredDrill) {
  return {
    startedAt: toRfc3339(startedAt),
    from,
    to: result?.to ?? null,
    withoutLeaderMs: result?.withoutLeaderMs ?? null,
    drills: [...drills],
  };
}
