import { setTimeout } from "node:timers/promises";
import type { Database, ReadDb, Trx } from "../../store/database.ts";
import { daysBefore, type NamedSweep, sweepRows } from "../../store/retention.ts";
import { noteRemoved } from "../events/streams/index.ts";

const SLICE_NOTIFICATIONS = 100;
/** Limit per transaction. Each recipient may need a stream entry about the removal. */
const SLICE_RECIPIENTS = 100;
const PAUSE_MS = 10;
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
      while (!isStopped()) {
        const ids = await oldest(db.scan, daysBefore(now, days()));
        if (ids.length === 0) return removed;
        removed += await remove(db, ids, isStopped);
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
async function remove(db: Database, ids: readonly string[], isStopped: () => boolean): Promise<number> {
  for (; !isStopped(); await setTimeout(PAUSE_MS)) {
    const isDone = await db.write(async (trx) => {
      if ((await removeRecipients(trx, ids)) === SLICE_RECIPIENTS) return false;
      await trx.deleteFrom("deliveries").where("notificationId", "in", ids).execute();
      await trx.deleteFrom("notifications").where("id", "in", ids).execute();
      return true;
    });
    if (isDone) return ids.length;
  }
  return 0;
}

async function removeRecipients(trx: Trx, notificationIds: readonly string[]): Promise<number> {
  const rows = await trx
    .selectFrom("notification_recipients")
    .select(["userId", "seq"])
    .where("notificationId", "in", notificationIds)
    .limit(SLICE_RECIPIENTS)
    .execute();
  const seqsOf = new Map<string, number[]>();
  for (const { userId, seq } of rows) seqsOf.set(userId, [...(seqsOf.get(userId) ?? []), seq]);
  for (const [userId, seqs] of seqsOf) {
    await trx.deleteFrom("notification_recipients").where("userId", "=", userId).where("seq", "in", seqs).execute();
    const stream = `user:${userId}`;
    await noteRemoved(
      trx,
      seqs.map((seq) => ({ stream, seq })),
    );
  }
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
