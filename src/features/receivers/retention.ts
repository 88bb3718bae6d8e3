import { addEffect } from "../../store/database.ts";
import { daysBefore, type NamedSweep, sweepOf } from "../../store/retention.ts";

const KEPT_DAYS = 7;

/** Removes requests of the log, and ids against replays, after a week. */
export const RECEIVER_SWEEPS: readonly NamedSweep[] = [
  sweepOf<string>({
    name: "receiver_requests",
    async find(scan, now, limit) {
      const old = scan.selectFrom("receiver_requests").select("id").where("at", "<", daysBefore(now, KEPT_DAYS));
      return (await old.orderBy("at").limit(limit).execute()).map(({ id }) => id);
    },
    async remove(trx, ids) {
      const projects = trx
        .selectFrom("receivers as r")
        .innerJoin("receiver_requests as q", "q.receiverId", "r.id")
        .select("r.projectId")
        .distinct()
        .where("q.id", "in", ids);
      const projectIds = (await projects.execute()).map(({ projectId }) => projectId);
      const { numDeletedRows } = await trx.deleteFrom("receiver_requests").where("id", "in", ids).executeTakeFirst();
      addEffect(trx, { type: "texts-changed", projectIds });
      return Number(numDeletedRows);
    },
  }),
  sweepOf<{ receiverId: string; replayId: string }>({
    name: "receiver_replays",
    find: (scan, now, limit) =>
      scan
        .selectFrom("receiver_replays")
        .select(["receiverId", "replayId"])
        .where("at", "<", daysBefore(now, KEPT_DAYS))
        .orderBy("at")
        .limit(limit)
        .execute(),
    async remove(trx, keys) {
      for (const { receiverId, replayId } of keys)
        await trx
          .deleteFrom("receiver_replays")
          .where("receiverId", "=", receiverId)
          .where("replayId", "=", replayId)
          .execute();
      return keys.length;
    },
  }),
];
