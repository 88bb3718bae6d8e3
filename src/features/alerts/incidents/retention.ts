import { sql } from "kysely";
import { addEffect, type Trx } from "../../../store/database.ts";
import { daysBefore, type NamedSweep, sweepOf } from "../../../store/retention.ts";

const INCIDENTS_AT_ONCE = 50;
/** Rows of one table per transaction: ingest then waits no longer than for a few commits. */
const ROWS_AT_ONCE = 2000;

/** Removes incidents with their timeline some days after they were resolved. Their alerts follow. */
export function incidentSweep(days: () => number): NamedSweep {
  return sweepOf<string>(
    {
      name: "incidents",
      async find(scan, now, limit) {
        if (days() === 0) return [];
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
          left -= (await removeMembers(trx, id, left)) + (await removeLog(trx, id, left));
          left -= left > 0 ? await removePages(trx, id, left) : 0;
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

/** @returns the number of removed rows; with `limit` of them there may be more */
async function removeMembers(trx: Trx, id: string, limit: number): Promise<number> {
  const { numDeletedRows } = await trx
    .deleteFrom("incident_alerts")
    .where("incidentId", "=", id)
    .where("alertId", "in", (e) =>
      e.selectFrom("incident_alerts").select("alertId").where("incidentId", "=", id).limit(limit),
    )
    .executeTakeFirst();
  return Number(numDeletedRows);
}

async function removePages(trx: Trx, id: string, limit: number): Promise<number> {
  const { numDeletedRows } = await trx
    .deleteFrom("pages")
    .where("id", "in", (e) => e.selectFrom("pages").select("id").where("incidentId", "=", id).limit(limit))
    .executeTakeFirst();
  return Number(numDeletedRows);
}

async function removeLog(trx: Trx, id: string, limit: number): Promise<number> {
  const { numDeletedRows } = await trx
    .deleteFrom("incident_log")
    .where("incidentId", "=", id)
    .where("seq", "in", (e) => e.selectFrom("incident_log").select("seq").where("incidentId", "=", id).limit(limit))
    .executeTakeFirst();
  return Number(numDeletedRows);
}
