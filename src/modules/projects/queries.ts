import type { PageRequest } from "../../http/pagination.ts";
import type { ReadDb, Trx } from "../../store/database.ts";

/** Projects, newest first. @param memberId only those this user is a member of, and the default one; null for all. */
export function listProjects(
  db: ReadDb,
  filter: { memberId: string | null; defaultId: string; q: string | undefined },
  page: PageRequest,
) {
  let query = db.selectFrom("projects").selectAll().where("deletedAt", "is", null);
  const { memberId, defaultId, q } = filter;
  if (memberId !== null) {
    query = query.where((e) =>
      e.or([
        e("id", "=", defaultId),
        e("id", "in", e.selectFrom("project_members").select("projectId").where("userId", "=", memberId)),
      ]),
    );
  }
  if (q !== undefined) query = query.where((e) => e.or([e("name", "like", `%${q}%`), e("slug", "like", `%${q}%`)]));
  if (page.after) query = query.where("id", "<", String(page.after[0]));
  return query
    .orderBy("id", "desc")
    .limit(page.limit + 1)
    .offset(page.offset)
    .execute();
}

export function findProject(db: ReadDb, id: string) {
  return db.selectFrom("projects").selectAll().where("id", "=", id).where("deletedAt", "is", null).executeTakeFirst();
}

export function lastEvent(db: ReadDb, projectId: string) {
  return db
    .selectFrom("events")
    .select(["seq", "receivedAt"])
    .where("projectId", "=", projectId)
    .orderBy("seq", "desc")
    .limit(1)
    .executeTakeFirst();
}

export async function countEvents(db: ReadDb, projectId: string): Promise<number> {
  const row = await db
    .selectFrom("events")
    .select((e) => e.fn.countAll<number>().as("n"))
    .where("projectId", "=", projectId)
    .executeTakeFirst();
  return row?.n ?? 0;
}

export function listKeys(db: ReadDb, projectId: string) {
  return db
    .selectFrom("api_keys")
    .selectAll()
    .where("projectId", "=", projectId)
    .where("revokedAt", "is", null)
    .orderBy("createdAt")
    .execute();
}

export async function isSlugTaken(trx: Trx, slug: string): Promise<boolean> {
  const row = await trx
    .selectFrom("projects")
    .select("id")
    .where("slug", "=", slug)
    .where("deletedAt", "is", null)
    .executeTakeFirst();
  return row !== undefined;
}

/** Up to `limit` events of a project received before an instant, oldest first. */
export async function oldestEvents(db: ReadDb, projectId: string, before: number, limit: number): Promise<number[]> {
  const rows = await db
    .selectFrom("events")
    .select("seq")
    .where("projectId", "=", projectId)
    .where("receivedAt", "<", before)
    .orderBy("seq")
    .limit(limit)
    .execute();
  return rows.map(({ seq }) => seq);
}

/** Removes events with what belongs to them, and says in the stream that they are gone. */
export async function deleteEvents(trx: Trx, projectId: string, seqs: readonly number[]): Promise<void> {
  const first = seqs[0];
  const last = seqs.at(-1);
  if (first === undefined || last === undefined) return;
  const range = { from: first, to: last };
  await trx.deleteFrom("decisions").where("eventSeq", "in", seqs).execute();
  await trx.deleteFrom("event_failures").where("eventSeq", "in", seqs).execute();
  await trx.deleteFrom("events").where("seq", "in", seqs).execute();
  await addGap(trx, `project:${projectId}`, range.from - 1, range.to);
}

/** Notes that nothing of the stream can be read again in (from, to]; a gap that it meets or continues becomes one with it. */
async function addGap(trx: Trx, stream: string, from: number, to: number): Promise<void> {
  const previous = await trx
    .selectFrom("stream_gaps")
    .selectAll()
    .where("stream", "=", stream)
    .where("fromSeq", "<=", to)
    .orderBy("fromSeq", "desc")
    .limit(1)
    .executeTakeFirst();
  // Events of other projects lie between; a stream without entries between two gaps has one gap.
  const merged = previous && !(await hasEventsBetween(trx, stream, previous.toSeq, from)) ? previous : undefined;
  if (merged) {
    await trx
      .updateTable("stream_gaps")
      .set({ toSeq: Math.max(to, merged.toSeq) })
      .where("stream", "=", stream)
      .where("fromSeq", "=", merged.fromSeq)
      .execute();
  } else await trx.insertInto("stream_gaps").values({ stream, fromSeq: from, toSeq: to }).execute();
}

async function hasEventsBetween(trx: Trx, stream: string, after: number, upTo: number): Promise<boolean> {
  const row = await trx
    .selectFrom("events")
    .select("seq")
    .where("projectId", "=", stream.slice("project:".length))
    .where("seq", ">", after)
    .where("seq", "<=", upTo)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

export async function deleteRules(trx: Trx, projectId: string, now: number): Promise<string[]> {
  const rules = await trx
    .updateTable("rules")
    .set({ deletedAt: now, active: 0, updatedAt: now })
    .where("projectId", "=", projectId)
    .where("deletedAt", "is", null)
    .returning("id")
    .execute();
  return rules.map(({ id }) => id);
}
