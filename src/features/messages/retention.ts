import type { ReadDb, Trx } from "../../store/database.ts";
import { daysBefore, type RetentionRule, sweepOf } from "../../store/retention.ts";

const MESSAGE_DAYS = 365;
/** As of the account itself. */
const REMOVED_USER_DAYS = 30;

/** Messages that are over: nothing waits to deliver them. */
function ended(db: ReadDb | Trx) {
  return db
    .selectFrom("messages as m")
    .where((e) =>
      e.not(
        e.exists(
          e.selectFrom("jobs as j").select("j.seq").whereRef("j.id", "=", "m.jobId").where("j.finishedAt", "is", null),
        ),
      ),
    );
}

/** Counted from when they were due: one that waited long is kept as long as any other. */
function old(db: ReadDb | Trx, now: number) {
  return ended(db).select("m.id").where("m.deliverAt", "<=", daysBefore(now, MESSAGE_DAYS));
}

/**
 * Messages of an account that was removed which nobody else has: they never reached anybody, or the account they reached was removed as well. What
 * somebody else has received, or sent, is his.
 */
function nobodys(db: ReadDb | Trx, now: number) {
  const removed = db.selectFrom("users").select("id").where("deletedAt", "<=", daysBefore(now, REMOVED_USER_DAYS));
  return ended(db)
    .select("m.id")
    .where("m.senderId", "in", removed)
    .where((e) => e.or([e("m.deliveredAt", "is", null), e("m.recipientId", "in", removed)]));
}

function rule(which: typeof old | typeof nobodys): RetentionRule<string> {
  return {
    name: "messages",
    find: async (scan, now, limit) => (await which(scan, now).limit(limit).execute()).map(({ id }) => id),
    async remove(trx, ids, now) {
      // An operator may have had a dead one tried again.
      const gone = (await which(trx, now).where("m.id", "in", ids).execute()).map(({ id }) => id);
      if (gone.length > 0) await trx.deleteFrom("messages").where("id", "in", gone).execute();
      return gone.length;
    },
  };
}

export const MESSAGE_SWEEPS = [sweepOf(rule(old)), sweepOf(rule(nobodys))];
