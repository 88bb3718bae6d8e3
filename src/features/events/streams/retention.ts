import { sql } from "kysely";
import type { Trx } from "../../../store/database.ts";
import { daysBefore, sweepOf, sweepRows } from "../../../store/retention.ts";
import { deleteEntries, noteRemoved } from "./stream-history.ts";

const LOG_DAYS = 7;
/** Limit of entries per stream in `stream_log`. */
const LOG_ENTRIES = 10_000;
const PUSHER_STREAM = "pusher:";
/** Messages of ntfy are removed by their own sweep. */
const NTFY_STREAM = "ntfy:%";

interface LogKey {
  readonly seq: number;
  readonly stream: string;
}

/** @param noted removed entries that the stream reports as a gap. @returns the number removed */
async function removeLog(trx: Trx, keys: readonly LogKey[], noted = keys): Promise<number> {
  const seqs = keys.map(({ seq }) => seq);
  const removedCount = await deleteEntries(trx, seqs);
  await noteRemoved(trx, noted);
  return removedCount;
}

/**
 * {@link removeLog} for old entries. Without gap notes for Pusher channels: their clients never
 * resume from an offset, and there is no limit on channel names, so the notes would only
 * accumulate.
 */
function removeOldLog(trx: Trx, keys: readonly LogKey[]): Promise<number> {
  return removeLog(
    trx,
    keys,
    keys.filter(({ stream }) => !stream.startsWith(PUSHER_STREAM)),
  );
}

const oldLog = sweepRows(
  "stream_log",
  (db, now) =>
    db
      .selectFrom("stream_log")
      .select(["seq", "stream"])
      .where("createdAt", "<=", daysBefore(now, LOG_DAYS))
      .where("stream", "not like", NTFY_STREAM)
      .orderBy("seq"),
  { remove: removeOldLog },
);

/** The oldest entries beyond the limit of a stream; stream by stream. */
const longLog = sweepOf<LogKey>({
  name: "stream_log",
  async find(scan, _now, limit) {
    const { rows } = await sql<{ stream: string; entries: number }>`
      select stream, count(*) as entries from stream_log where stream not like ${NTFY_STREAM}
      group by stream having count(*) > ${LOG_ENTRIES} limit 1`.execute(scan);
    const [long] = rows;
    if (!long) return [];
    return scan
      .selectFrom("stream_log")
      .select(["seq", "stream"])
      .where("stream", "=", long.stream)
      .orderBy("seq")
      .limit(Math.min(limit, long.entries - LOG_ENTRIES))
      .execute();
  },
  remove: (trx, keys) => removeLog(trx, keys),
});

export const STREAM_SWEEPS = [oldLog, longLog];
