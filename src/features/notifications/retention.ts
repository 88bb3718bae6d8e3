import { sql } from "kysely";
import type { Database, ReadDb, Trx } from "../../store/database.ts";
import { daysBefore, type NamedSweep, Slices, sweepRows } from "../../store/retention.ts";
import { noteRemoved } from "../events/streams/index.ts";

const SLICE_NOTIFICATIONS = 100;
const STORM_DAYS = 7;

/**
 * Removes expired notifications with their recipients' rows and deliveries, and announces it in the
 * recipients' streams. @param days 0 keeps everything.
 */
export function notificationSweep(days: () => number): NamedSweep {
  return {
    name: "notifications",
    isLong: true,
    async sweep(db, now, isStopped) {
      let removed = 0;
      if (days() === 0) return removed;
      const slices = new Slices();
      while (!isStopped()) {
        const ids = await oldest(db.scan, daysBefore(now, days()));
        if (ids.length === 0) return removed;
        removed += await remove(db, slices, ids, isStopped);
      }
      return removed;
    },
  };
}

/** Ids are in the order of time: nothing after the first kept one has expired. */
async function oldest(scan: ReadDb, before: number): Promise<string[]> {
  const rows = await scan
    .selectFrom("notifications")
    .select(["id", "createdAt"])
    .orderBy("id")
    .limit(SLICE_NOTIFICATIONS)
    .execute();
  const kept = rows.findIndex(({ createdAt }) => createdAt > before);
  return rows.slice(0, kept === -1 ? rows.length : kept).map(({ id }) => id);
}

/** One with many recipients takes many transactions; it is removed with the last recipient. */
async function remove(db: Database, slices: Slices, ids: readonly string[], isStopped: () => boolean): Promise<number> {
  while (!isStopped()) {
    const most = slices.rows;
    const isDone = await slices.write(db, async (trx) => {
      if ((await removeRecipients(trx, ids, most)) === most) return false;
      await trx.deleteFrom("deliveries").where("notificationId", "in", ids).execute();
      await trx.deleteFrom("notifications").where("id", "in", ids).execute();
      return true;
    });
    if (isDone) return ids.length;
  }
  return 0;
}

/** Removes up to `most` recipients' rows with their deliveries. @returns how many */
async function removeRecipients(trx: Trx, notificationIds: readonly string[], most: number): Promise<number> {
  const oldest = trx
    .selectFrom("notification_recipients")
    .select(["userId", "seq"])
    .where("notificationId", "in", notificationIds)
    .limit(most);
  const rows = await trx
    .deleteFrom("notification_recipients")
    .where((e) => e(e.refTuple("userId", "seq"), "in", oldest.$asTuple("userId", "seq")))
    .returning(["notificationId", "userId", "seq"])
    .execute();
  await sql`delete from deliveries where (notificationId, userId) in (
    select value ->> 'notificationId', value ->> 'userId' from json_each(${JSON.stringify(rows)}))`.execute(trx);
  await noteRemoved(
    trx,
    rows.map(({ userId, seq }) => ({ stream: `user:${userId}`, seq })),
  );
  return rows.length;
}

function closedBatches(db: ReadDb | Trx, now: number) {
  return db.selectFrom("suppressed_batches").select("id").where("closedAt", "<=", daysBefore(now, STORM_DAYS));
}

/** Before their batches: a batch can have many. */
const keysOfClosed = sweepRows("suppressed_keys", (db, now) =>
  db.selectFrom("suppressed_keys").select(["batchId", "key"]).where("batchId", "in", closedBatches(db, now)),
);

/** Removes finished storms. */
export const STORM_SWEEPS = [keysOfClosed, sweepRows("suppressed_batches", closedBatches)];
