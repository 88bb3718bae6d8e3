import { sql } from "kysely";
import { daysBefore, type NamedSweep, sweepOf } from "../../../store/retention.ts";
import { deleteAlert } from "./alert-rows.ts";

/** Removes alerts some days after they were resolved, but none whose incident is still kept. */
export function alertSweep(days: () => number): NamedSweep {
  return sweepOf<string>({
    name: "alerts",
    async find(scan, now, limit) {
      if (days() === 0) return [];
      const rows = await scan
        .selectFrom("alerts as a")
        .select("a.id")
        .where("a.state", "=", sql.lit("resolved"))
        .where("a.resolvedAt", "<=", daysBefore(now, days()))
        .where(({ not, exists, selectFrom }) =>
          not(exists(selectFrom("incident_alerts as m").select("m.alertId").whereRef("m.alertId", "=", "a.id"))),
        )
        .orderBy("a.resolvedAt")
        .limit(limit)
        .execute();
      return rows.map(({ id }) => id);
    },
    async remove(trx, ids) {
      // A resolved alert joins no incident any more.
      for (const id of ids) await deleteAlert(trx, id);
      return ids.length;
    },
  });
}
