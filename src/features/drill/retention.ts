import type { NamedSweep } from "../../store/retention.ts";
import { daysBefore, sweepOf } from "../../store/retention.ts";

const DRILL_DAYS = 60;
const DRILLS_AT_ONCE = 50;

/** Removes drills with their ways and pages. */
const drills = sweepOf<string>(
  {
    name: "drills",
    async find(scan, now, limit) {
      const rows = await scan
        .selectFrom("drills")
        .select("id")
        .where("startedAt", "<=", daysBefore(now, DRILL_DAYS))
        .orderBy("startedAt")
        .limit(limit)
        .execute();
      return rows.map(({ id }) => id);
    },
    async remove(trx, ids) {
      await trx.deleteFrom("pages").where("incidentId", "in", ids).execute();
      await trx.deleteFrom("drill_ways").where("drillId", "in", ids).execute();
      await trx.deleteFrom("drills").where("id", "in", ids).execute();
      return ids.length;
    },
  },
  DRILLS_AT_ONCE,
);

export const DRILL_SWEEPS: readonly NamedSweep[] = [drills];
