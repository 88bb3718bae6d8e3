import type { Trx } from "../../../store/database.ts";

/** Removes events of a project, ascending, with what belongs to them, and says in the project's stream that they are gone. */
export async function removeEvents(trx: Trx, projectId: string, seqs: readonly number[]): Promise<void> {
  const [first] = seqs;
  const last = seqs.at(-1);
  if (first === undefined || last === undefined) return;
  await trx.deleteFrom("decisions").where("eventSeq", "in", seqs).execute();
  await trx.deleteFrom("event_failures").where("eventSeq", "in", seqs).execute();
  await trx.deleteFrom("event_slices").where("eventSeq", "in", seqs).execute();
  await trx.deleteFrom("events").where("seq", "in", seqs).execute();
  // Where the clock was set back, an event between them may have been received later and stays.
  let from = first - 1;
  for (const seq of await keptBetween(trx, projectId, first, last)) {
    if (seq - 1 > from) await addGap(trx, projectId, from, seq - 1);
    from = seq;
  }
  if (last > from) await addGap(trx, projectId, from, last);
}

async function keptBetween(trx: Trx, projectId: string, first: number, last: number): Promise<number[]> {
  const rows = await trx
    .selectFrom("events")
    .select("seq")
    .where("projectId", "=", projectId)
    .where("seq", ">", first)
    .where("seq", "<", last)
    .orderBy("seq")
    .execute();
  return rows.map(({ seq }) => seq);
}

/** Notes that nothing of the project's stream can be read again in (from, to]. Gaps without an event of the project between them become one. */
async function addGap(trx: Trx, projectId: string, from: number, to: number): Promise<void> {
  const stream = `project:${projectId}`;
  const before = await nearestEvent(trx, projectId, "max", from + 1);
  const behind = await nearestEvent(trx, projectId, "min", to);
  const near = await trx
    .selectFrom("stream_gaps")
    .selectAll()
    .where("stream", "=", stream)
    .where("fromSeq", ">=", before ?? 0)
    .where("fromSeq", "<", behind ?? Number.MAX_SAFE_INTEGER)
    .execute();
  for (const { fromSeq } of near)
    await trx.deleteFrom("stream_gaps").where("stream", "=", stream).where("fromSeq", "=", fromSeq).execute();
  const merged = {
    stream,
    fromSeq: Math.min(from, ...near.map(({ fromSeq }) => fromSeq)),
    toSeq: Math.max(to, ...near.map(({ toSeq }) => toSeq)),
  };
  await trx.insertInto("stream_gaps").values(merged).execute();
}

/** The project's last event before a seq, or its first behind it. */
async function nearestEvent(trx: Trx, projectId: string, end: "min" | "max", seq: number): Promise<number | undefined> {
  const isBefore = end === "max";
  const row = await trx
    .selectFrom("events")
    .select("seq")
    .where("projectId", "=", projectId)
    .where("seq", isBefore ? "<" : ">", seq)
    .orderBy("seq", isBefore ? "desc" : "asc")
    .limit(1)
    .executeTakeFirst();
  return row?.seq;
}
