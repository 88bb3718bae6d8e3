import { sql } from "kysely";
import type { ReadDb } from "../../../store/database.ts";
import type { EventsTable } from "../../../store/schema.ts";

/** Pages of the exports that are made on the data directory: each a short read of its own, behind the last row of the one before. */

const PAGE = 1000;

export interface RowFilter {
  readonly from: number | undefined;
  readonly to: number | undefined;
  readonly projectId: string | undefined;
}

/** Events by offset, of all projects unless one is given. */
export async function* scanEvents(db: ReadDb, { from, to, projectId }: RowFilter): AsyncIterable<EventsTable> {
  for (let after = 0; ; ) {
    let query = db.selectFrom("events").selectAll().where("seq", ">", after).orderBy("seq").limit(PAGE);
    if (projectId !== undefined) query = query.where("projectId", "=", projectId);
    if (from !== undefined) query = query.where("receivedAt", ">=", from);
    if (to !== undefined) query = query.where("receivedAt", "<", to);
    const page = await query.execute();
    yield* page;
    const last = page.at(-1);
    if (!last || page.length < PAGE) return;
    after = last.seq;
  }
}

/** A row per recipient who has not deleted it, user by user, oldest first. */
export async function* scanNotifications(db: ReadDb, { from, to, projectId }: RowFilter) {
  for (let after = { userId: "", seq: 0 }; ; ) {
    let query = db
      .selectFrom("notification_recipients as r")
      .innerJoin("notifications as n", "n.id", "r.notificationId")
      .selectAll("n")
      .select([
        "r.userId",
        "r.seq",
        "r.readAt",
        "r.acknowledgedAt",
        "r.acknowledgeNote",
        "r.openedAt",
        "r.webviewAction",
        "r.delivered as recipientDelivered",
      ])
      .where(sql<boolean>`(r.userId, r.seq) > (${after.userId}, ${after.seq})`)
      .where("r.deletedAt", "is", null)
      .orderBy("r.userId")
      .orderBy("r.seq")
      .limit(PAGE);
    if (projectId !== undefined) query = query.where("n.projectId", "=", projectId);
    if (from !== undefined) query = query.where("n.createdAt", ">=", from);
    if (to !== undefined) query = query.where("n.createdAt", "<", to);
    const page = await query.execute();
    yield* page;
    const last = page.at(-1);
    if (!last || page.length < PAGE) return;
    after = last;
  }
}
