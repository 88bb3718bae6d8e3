import type { ReadDb } from "../../../store/database.ts";

/**
 * The offset from which on events were received at an instant or later; behind the last event when none was. Offsets are in the order of receipt, so that
 * this is found in some forty look-ups, without an index on the time.
 */
export async function firstSeqSince(db: ReadDb, at: number): Promise<number> {
  const last = await db
    .selectFrom("events")
    .select((e) => e.fn.max("seq").as("seq"))
    .executeTakeFirst();
  let low = 0;
  let high = (last?.seq ?? 0) + 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const event = await db
      .selectFrom("events")
      .select(["seq", "receivedAt"])
      .where("seq", ">=", middle)
      .orderBy("seq")
      .limit(1)
      .executeTakeFirst();
    if (!event || event.receivedAt >= at) high = middle;
    else low = event.seq + 1;
  }
  return low;
}
