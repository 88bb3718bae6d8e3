import { type RawBuilder, sql } from "kysely";
import { addEffect, type Trx } from "../../store/database.ts";
import { daysBefore, type NamedSweep, sweepOf, sweepRows } from "../../store/retention.ts";
import { deletePages } from "../delivery/index.ts";
import { deleteAlert } from "./book/alert-book.ts";

const INCIDENTS_AT_ONCE = 50;
/** Rows of one table per transaction: ingest then waits no longer than for a few commits. */
const ROWS_AT_ONCE = 2000;

/** Removes incidents with their timeline some days after they were resolved. Their alerts follow. */
export function incidentSweep(days: () => number): NamedSweep {
  return sweepOf<string>(
    {
      name: "incidents",
      async find(scan, now, limit) {
        const rows = await scan
          .selectFrom("incidents")
          .select("id")
          .where("state", "=", sql.lit("resolved"))
          .where("resolvedAt", "<=", daysBefore(now, days()))
          .orderBy("resolvedAt")
          .limit(limit)
          .execute();
        return rows.map(({ id }) => id);
      },
      async remove(trx, ids) {
        let left = ROWS_AT_ONCE;
        const rows = await trx.selectFrom("incidents").select("projectId").distinct().where("id", "in", ids).execute();
        addEffect(trx, { type: "texts-changed", projectIds: rows.map(({ projectId }) => projectId) });
        for (const id of ids) {
          left -= (await remove(trx, membersOf(id, left))) + (await remove(trx, logOf(id, left)));
          left -= left > 0 ? await deletePages(trx, [id], left) : 0;
          if (left <= 0) break;
          await trx.deleteFrom("incident_acks").where("incidentId", "=", id).execute();
          await trx.deleteFrom("incidents").where("id", "=", id).execute();
        }
        // Rows of all tables: an incident with many of them takes several transactions.
        return ROWS_AT_ONCE - left + ids.length;
      },
    },
    INCIDENTS_AT_ONCE,
  );
}

const membersOf = (id: string, limit: number) => sql`delete from incident_alerts where incidentId = ${id}
  and alertId in (select alertId from incident_alerts where incidentId = ${id} order by alertId limit ${limit})`;
const logOf = (id: string, limit: number) => sql`delete from incident_log where incidentId = ${id}
  and seq in (select seq from incident_log where incidentId = ${id} order by seq limit ${limit})`;

async function remove(trx: Trx, statement: RawBuilder<unknown>): Promise<number> {
  const { numAffectedRows } = await statement.execute(trx);
  return Number(numAffectedRows);
}

/** Removes alerts some days after they were resolved, but none whose incident is still kept. */
export function alertSweep(days: () => number): NamedSweep {
  return sweepRows(
    "alerts",
    (db, now) =>
      db
        .selectFrom("alerts")
        .select("id")
        .where("state", "=", sql.lit("resolved"))
        .where("resolvedAt", "<=", daysBefore(now, days()))
        .where(({ not, exists, selectFrom }) =>
          not(exists(selectFrom("incident_alerts as m").select("m.alertId").whereRef("m.alertId", "=", "alerts.id"))),
        )
        .orderBy("resolvedAt"),
    {
      async remove(trx, keys) {
        for (const { id } of keys) await deleteAlert(trx, id);
      },
    },
  );
}

/** Removes silences some days after their end. @param days 0 keeps all */
export function silenceSweep(days: () => number): NamedSweep {
  return sweepRows(
    "silences",
    (db, now) => db.selectFrom("silences").select("id").where("endsAt", "<=", daysBefore(now, days())),
    {
      async remove(trx, keys) {
        const ids = keys.map(({ id }) => id);
        await trx.deleteFrom("silence_hits").where("silenceId", "in", ids).execute();
        await trx.deleteFrom("silences").where("id", "in", ids).execute();
      },
    },
  );
}
