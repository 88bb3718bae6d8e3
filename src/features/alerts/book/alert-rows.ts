import type { Database as Sqlite } from "better-sqlite3";
import { sql } from "kysely";
import type { EpochMs } from "../../../core/time/clock.ts";
import { addEffect, type ReadDb, type Trx } from "../../../store/database.ts";
import { valuesOf } from "../../../store/sqlite/list-queries.ts";
import { insertLater } from "../../../store/statements.ts";
import type { AlertRow } from "../types.ts";
import type { StoredAlert } from "./alert-book.ts";

// The only file that writes the tables `alerts` and `alert_signals`; rules insert the signals.

export function insertAlerts(trx: Trx, rows: readonly AlertRow[]): void {
  for (const row of rows) insertLater(trx, "alerts", row);
}

/** One statement for all, as in {@link storeRepetitions}. */
export async function replaceAlerts(trx: Trx, rows: readonly AlertRow[]): Promise<void> {
  const [first] = rows;
  if (!first) return;
  const names = (Object.keys(first) as (keyof AlertRow)[]).filter((name) => name !== "id");
  const columns = sql.join(names.map((name, i) => sql`${sql.ref(name)} = r.value ->> ${sql.lit(i + 1)}`));
  const values = JSON.stringify(rows.map((row) => [row.id, ...names.map((name) => row[name])]));
  await sql`update alerts set ${columns} from json_each(${values}) r where alerts.id = r.value ->> 0`.execute(trx);
}

export async function deleteAlert(trx: Trx, id: string): Promise<void> {
  textsChanged(trx, await trx.deleteFrom("alerts").where("id", "=", id).returning("projectId").execute());
}

/** For the bytes that their projects store. */
function textsChanged(trx: Trx, rows: readonly Pick<AlertRow, "projectId">[]): void {
  const projectIds = [...new Set(rows.map(({ projectId }) => projectId))];
  if (projectIds.length > 0) addEffect(trx, { type: "texts-changed", projectIds });
}

/** All live alerts, in the order of the table: by the index alone each row was on another page. */
export function liveAlerts(reader: Sqlite): Iterable<AlertRow> {
  const rows = reader.prepare<[], AlertRow>(
    `select a.* from (select id from alerts where state <> 'resolved' order by id) live
     join alerts a on a.id = live.id`,
  );
  return rows.iterate();
}

export function alertsById(db: ReadDb | Trx, ids: readonly string[]): Promise<AlertRow[]> {
  if (ids.length === 0) return Promise.resolve([]);
  return db.selectFrom("alerts").selectAll().where("id", "in", valuesOf(ids)).execute();
}

/** Stores what repetitions have moved. An alert that was resolved meanwhile keeps its row. */
export async function storeRepetitions(trx: Trx, alerts: readonly StoredAlert[]): Promise<void> {
  const rows = alerts.map((alert) => {
    const { id, startsAt, endsAt, isTimeoutEnd, lastAt, count, annotationsText, generatorUrl, sender } = alert;
    return [id, startsAt, endsAt, isTimeoutEnd ? 1 : 0, lastAt, count, annotationsText, generatorUrl, sender];
  });
  // One statement for all: 500 rows take 4 ms, one by one 40.
  await sql`
    update alerts set startsAt = r.value ->> 1, endsAt = r.value ->> 2, isTimeoutEnd = r.value ->> 3,
      lastAt = r.value ->> 4, count = r.value ->> 5, annotations = r.value ->> 6, generatorUrl = r.value ->> 7,
      sender = r.value ->> 8
    from json_each(${JSON.stringify(rows)}) r
    where alerts.id = r.value ->> 0 and alerts.state <> 'resolved'`.execute(trx);
  textsChanged(trx, alerts);
}

export interface SignalRow {
  readonly eventSeq: number;
  readonly ruleId: string;
  readonly action: "fire" | "resolve";
  readonly projectId: string;
  readonly input: string;
  readonly at: EpochMs;
}

/** Signals of rules, in the order of their events. */
export function firstSignals(trx: Trx, limit: number): Promise<SignalRow[]> {
  return trx.selectFrom("alert_signals").selectAll().orderBy("eventSeq").orderBy("ruleId").limit(limit).execute();
}

export async function deleteSignals(trx: Trx, signals: readonly SignalRow[]): Promise<void> {
  for (const { eventSeq, ruleId } of signals)
    await trx.deleteFrom("alert_signals").where("eventSeq", "=", eventSeq).where("ruleId", "=", ruleId).execute();
  addEffect(trx, { type: "signals-taken", signals });
}
