import type { ReadDb } from "../../../store/database.ts";

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
