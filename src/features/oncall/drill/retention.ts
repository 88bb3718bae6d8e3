import { daysBefore, type NamedSweep, sweepRows } from "../../../store/retention.ts";
import { deletePages } from "../../delivery/index.ts";

const DRILL_DAYS = 60;
const DRILLS_AT_ONCE = 50;
/** As a limit of SQLite. */
const ALL = -1;

/** Removes drills with their ways and pages. */
const drills = sweepRows(
  "drills",
  (db, now) =>
    db.selectFrom("drills").select("id").where("startedAt", "<=", daysBefore(now, DRILL_DAYS)).orderBy("startedAt"),
  {
    atOnce: DRILLS_AT_ONCE,
    async remove(trx, keys) {
      const ids = keys.map(({ id }) => id);
      await deletePages(trx, ids, ALL);
      await trx.deleteFrom("drill_ways").where("drillId", "in", ids).execute();
      await trx.deleteFrom("drills").where("id", "in", ids).execute();
    },
  },
);

export const DRILL_SWEEPS: readonly NamedSweep[] = [drills];
