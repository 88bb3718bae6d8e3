import type { ReadDb, Trx } from "../../store/database.ts";
import { daysBefore, type RetentionRule, sweepOf } from "../../store/retention.ts";

const DELIVERY_DAYS = 30;

/** Finished deliveries. Those that wait for a sender's time or a provider stay. */
function endedDeliveries(db: ReadDb | Trx, now: number) {
  return db
    .selectFrom("deliveries")
    .select("id")
    .where("updatedAt", "<=", daysBefore(now, DELIVERY_DAYS))
    .where("state", "in", ["delivered", "dead", "skipped"]);
}

const deliveries: RetentionRule<string> = {
  name: "deliveries",
  find: async (scan, now, limit) =>
    (await endedDeliveries(scan, now).orderBy("updatedAt").limit(limit).execute()).map(({ id }) => id),
  async remove(trx, ids, now) {
    const gone = (await endedDeliveries(trx, now).where("id", "in", ids).execute()).map(({ id }) => id);
    if (gone.length > 0) await trx.deleteFrom("deliveries").where("id", "in", gone).execute();
    return gone.length;
  },
};

const mails: RetentionRule<string> = {
  name: "sealed_mails",
  find: async (scan, now, limit) =>
    (await scan.selectFrom("sealed_mails").select("id").where("expiresAt", "<=", now).limit(limit).execute()).map(
      ({ id }) => id,
    ),
  async remove(trx, ids) {
    const { numDeletedRows } = await trx.deleteFrom("sealed_mails").where("id", "in", ids).executeTakeFirst();
    return Number(numDeletedRows);
  },
};

export const DELIVERY_SWEEPS = [sweepOf(deliveries), sweepOf(mails)];
