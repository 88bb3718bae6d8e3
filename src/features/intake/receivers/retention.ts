import { addEffect } from "../../../store/database.ts";
import { daysBefore, type NamedSweep, sweepRows } from "../../../store/retention.ts";

const KEPT_DAYS = 7;

/** Removes requests of the log, and ids against replays, after a week. */
export const RECEIVER_SWEEPS: readonly NamedSweep[] = [
  sweepRows(
    "receiver_requests",
    (db, now) =>
      db.selectFrom("receiver_requests").select("id").where("at", "<", daysBefore(now, KEPT_DAYS)).orderBy("at"),
    {
      async remove(trx, keys) {
        const ids = keys.map(({ id }) => id);
        const projects = trx
          .selectFrom("receivers as r")
          .innerJoin("receiver_requests as q", "q.receiverId", "r.id")
          .select("r.projectId")
          .distinct()
          .where("q.id", "in", ids);
        const projectIds = (await projects.execute()).map(({ projectId }) => projectId);
        await trx.deleteFrom("receiver_requests").where("id", "in", ids).execute();
        addEffect(trx, { type: "texts-changed", projectIds });
      },
    },
  ),
  sweepRows("receiver_replays", (db, now) =>
    db
      .selectFrom("receiver_replays")
      .select(["receiverId", "replayId"])
      .where("at", "<", daysBefore(now, KEPT_DAYS))
      .orderBy("at"),
  ),
];
