import type { EpochMs } from "../../core/clock.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import { IS_ERROR_ROW } from "../events/index.ts";

const MARK = "alert:";

/** The last alert of a project, for the silence behind it. */
export interface AlertMark {
  readonly at: EpochMs;
  /** Errors up to here have been told. */
  readonly upToSeq: number;
}

export async function markOf(db: ReadDb | Trx, projectId: string): Promise<AlertMark | null> {
  const row = await db
    .selectFrom("settings")
    .select("value")
    .where("key", "=", MARK + projectId)
    .executeTakeFirst();
  return row ? (JSON.parse(String(row.value)) as AlertMark) : null;
}

/** The marks of all projects that have had an alert. */
export async function allMarks(db: ReadDb): Promise<Map<string, AlertMark>> {
  const rows = await db
    .selectFrom("settings")
    .select(["key", "value"])
    .where("key", ">=", MARK)
    .where("key", "<", "alert;")
    .execute();
  return new Map(rows.map(({ key, value }) => [key.slice(MARK.length), JSON.parse(String(value)) as AlertMark]));
}

export async function putMark(trx: Trx, projectId: string, mark: AlertMark): Promise<void> {
  const row = { value: JSON.stringify(mark), updatedAt: mark.at };
  await trx
    .insertInto("settings")
    .values({ key: MARK + projectId, ...row })
    .onConflict((conflict) => conflict.column("key").doUpdateSet(row))
    .execute();
}

/** Errors of all projects in a range of offsets, in their order. */
export function errorsBetween(scan: ReadDb, from: number, upTo: number, limit: number) {
  return scan
    .selectFrom("events")
    .select(["seq", "projectId", "receivedAt"])
    .where("seq", ">=", from)
    .where("seq", "<=", upTo)
    .where(IS_ERROR_ROW)
    .orderBy("seq")
    .limit(limit)
    .execute();
}

/** Those of these events that are still there, in their order. */
export function eventsOf(db: ReadDb, seqs: readonly number[]) {
  return db
    .selectFrom("events")
    .select(["seq", "id", "type", "level", "receivedAt", "payload"])
    .where("seq", "in", seqs)
    .orderBy("seq")
    .execute();
}

export function liveProject(db: ReadDb | Trx, id: string) {
  return db
    .selectFrom("projects")
    .select(["id", "name", "settings"])
    .where("id", "=", id)
    .where("deletedAt", "is", null)
    .executeTakeFirst();
}
