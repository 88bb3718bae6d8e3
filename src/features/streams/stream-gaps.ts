import { sql } from "kysely";
import type { Trx } from "../../store/database.ts";

const USER_STREAM = "user:";

/**
 * Notes in a stream of `stream_log` that entries are gone (contract 3, `stream_gaps`). A gap reaches from the last entry that is kept, so the
 * gaps of neighbours become one, and there are never more of them than entries that are kept. To be called in the transaction that has removed
 * them. @param seqs offsets that were removed.
 */
export async function noteRemoved(trx: Trx, stream: string, seqs: readonly number[]): Promise<void> {
  for (const [fromSeq, toSeq] of await runsOf(trx, stream, seqs)) {
    const inside = await trx
      .deleteFrom("stream_gaps")
      .where("stream", "=", stream)
      .where("fromSeq", ">=", fromSeq)
      .where("fromSeq", "<=", toSeq)
      .returning("toSeq")
      .execute();
    const end = Math.max(toSeq, ...inside.map((gap) => gap.toSeq));
    await trx.insertInto("stream_gaps").values({ stream, fromSeq, toSeq: end }).execute();
  }
}

/** The removed offsets as runs without a kept entry between them: where each begins, and its last. A user's notifications are entries too. */
async function runsOf(trx: Trx, stream: string, seqs: readonly number[]): Promise<ReadonlyMap<number, number>> {
  const userId = stream.startsWith(USER_STREAM) ? stream.slice(USER_STREAM.length) : "";
  const { rows } = await sql<{ seq: number; kept: number }>`
    select value as seq, max(
      coalesce((select max(r.seq) from notification_recipients r
        where r.userId = ${userId} and r.seq < value and r.deletedAt is null), 0),
      coalesce((select max(l.seq) from stream_log l where l.stream = ${stream} and l.seq < value), 0)
    ) as kept from json_each(${JSON.stringify(seqs)})`.execute(trx);
  const runs = new Map<number, number>();
  for (const { seq, kept } of rows) runs.set(kept, Math.max(seq, runs.get(kept) ?? 0));
  return runs;
}
