import { sql } from "kysely";
import type { ReadDb } from "../../store/database.ts";
import type { EventsTable } from "../../store/schema.ts";
import { countOf } from "../../store/sqlite/list-queries.ts";
import type { EventFilters } from "./schema.ts";

export interface EventSelection extends EventFilters {
  readonly projectId: string;
}

/** Events of a project that pass the filters, unordered and unlimited: the start of every list. */
function selected(db: ReadDb, selection: EventSelection) {
  const { projectId, type, level, source, from, to, afterSeq, processed } = selection;
  let query = db.selectFrom("events").where("projectId", "=", projectId);
  if (type) {
    query = query.where((e) =>
      e.or(
        type.map((each) =>
          each.endsWith("*")
            ? e("type", ">=", each.slice(0, -1)).and("type", "<", prefixEnd(each))
            : e("type", "=", each),
        ),
      ),
    );
  }
  if (level) query = query.where("level", "in", level);
  if (source !== undefined) query = query.where("source", "=", source);
  if (from !== undefined) query = query.where("receivedAt", ">=", from);
  if (to !== undefined) query = query.where("receivedAt", "<", to);
  if (afterSeq !== undefined) query = query.where("seq", ">", afterSeq);
  if (processed !== undefined) query = query.where("processedAt", processed ? "is not" : "is", null);
  return query;
}

/** The first text behind all that begin with the prefix, in the order of bytes. */
function prefixEnd(pattern: string): string {
  return `${pattern.slice(0, -1)}\u{10ffff}`;
}

/** Where an event is, and the bytes of its payload. */
export interface EventSize {
  readonly seq: number;
  readonly bytes: number;
}

// Read from the row's header: the pages of a large payload are not touched.
const payloadBytes = sql<number>`octet_length(payload)`.as("bytes");

/** The events of a page, newest first, without what they hold. */
export function sizesOfPage(
  db: ReadDb,
  selection: EventSelection,
  page: { before: number | null; limit: number; offset: number },
): Promise<EventSize[]> {
  let query = selected(db, selection).select(["seq", payloadBytes]);
  if (page.before !== null) query = query.where("seq", "<", page.before);
  return query.orderBy("seq", "desc").limit(page.limit).offset(page.offset).execute();
}

/** The events of the selection from `first` to `last`, oldest first. */
export function eventsBetween(
  db: ReadDb,
  selection: EventSelection,
  [first, last]: readonly [number, number],
): Promise<EventsTable[]> {
  return selected(db, selection)
    .selectAll()
    .where("seq", ">=", first)
    .where("seq", "<=", last)
    .orderBy("seq")
    .execute();
}

export function countEvents(db: ReadDb, selection: EventSelection): Promise<number> {
  return countOf(selected(db, selection));
}

/** The events of an export's page, oldest first, without what they hold. */
export function sizesAfter(db: ReadDb, selection: EventSelection, after: number, limit: number): Promise<EventSize[]> {
  return selected(db, selection)
    .select(["seq", payloadBytes])
    .where("seq", ">", after)
    .orderBy("seq")
    .limit(limit)
    .execute();
}

export function findEvent(db: ReadDb, id: string): Promise<EventsTable | undefined> {
  return db.selectFrom("events").selectAll().where("id", "=", id).executeTakeFirst();
}

/** Ids of the notifications that an event made. */
export async function notificationsOf(db: ReadDb, eventSeq: number): Promise<string[]> {
  const rows = await db
    .selectFrom("decisions")
    .select("notificationId")
    .where("eventSeq", "=", eventSeq)
    .where("notificationId", "is not", null)
    .execute();
  return rows.flatMap(({ notificationId }) => (notificationId === null ? [] : [notificationId]));
}

export function openFailure(db: ReadDb, eventSeq: number) {
  return db
    .selectFrom("event_failures")
    .select(["consumer", "attempts", "lastError", "jobId"])
    .where("eventSeq", "=", eventSeq)
    .where("resolvedAt", "is", null)
    .executeTakeFirst();
}
