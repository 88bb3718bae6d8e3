import { sql } from "kysely";
import type { ReadDb, Trx } from "../../store/database.ts";
import type { DecisionOutcome, EventsTable } from "../../store/schema.ts";
import { bytesOf, countOf, firstBeyondSearch, holdsText, valuesOf } from "../../store/sqlite/list-queries.ts";
import { noteRemoved } from "../access/index.ts";
import type { EventFilters } from "./schema.ts";

export interface EventSelection extends EventFilters {
  /** One project, several, or all of them: null. */
  readonly projectId: string | readonly string[] | null;
}

/** Events of the selection that match the filters, unordered and unlimited: the base of every list. */
function selected(db: ReadDb, selection: EventSelection) {
  const { projectId, type, level, source, from, to, afterSeq, processed, own, q } = selection;
  let query = db.selectFrom("events");
  if (typeof projectId === "string") query = query.where("projectId", "=", projectId);
  // Without the index of projects: the pages of several are in the order of the table.
  else if (projectId !== null) query = query.where(sql<boolean>`+projectId in ${valuesOf(projectId)}`);
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
  if (own !== undefined) query = query.where(own ? sql<boolean>`source glob 'prism:*'` : IS_OF_PRODUCER);
  if (q !== undefined)
    query = query.where((e) => e.or([holdsText("type", q), holdsText("source", q), holdsText("payload", q)]));
  return query;
}

/** The first text after all texts with the prefix, in byte order. */
function prefixEnd(pattern: string): string {
  return `${pattern.slice(0, -1)}\u{10ffff}`;
}

/** An event's number, and the size of its payload. */
export interface EventSize {
  readonly seq: number;
  readonly bytes: number;
}

// Read from the row's header, without the pages of a large payload.
const payloadBytes = sql<number>`octet_length(payload)`.as("bytes");

/** The events of a page, newest first, without their content. */
export function sizesOfPage(
  db: ReadDb,
  selection: EventSelection,
  page: { before: number | null; limit: number; offset: number },
): Promise<EventSize[]> {
  let query = selected(db, selection).select(["seq", payloadBytes]);
  if (page.before !== null) query = query.where("seq", "<", page.before);
  return query.orderBy("seq", "desc").limit(page.limit).offset(page.offset).execute();
}

/** The selected events from `first` to `last`, oldest first. */
export function eventsBetween(
  db: ReadDb,
  { afterSeq = 0, ...selection }: EventSelection,
  [first, last]: readonly [number, number],
): Promise<EventsTable[]> {
  // With two lower bounds SQLite would begin at the first one, and walk to the other.
  return selected(db, selection)
    .selectAll()
    .where("seq", ">=", Math.max(first, afterSeq + 1))
    .where("seq", "<=", last)
    .orderBy("seq")
    .execute();
}

/** The newest event that a search of the selection must leave to its next page. */
export function beyondSearch(
  db: ReadDb,
  { q: _, ...selection }: EventSelection,
  before: number,
): Promise<number | undefined> {
  return firstBeyondSearch(db, selected(db, selection).where("seq", "<", before), bytesOf("payload"));
}

export function countEvents(db: ReadDb, selection: EventSelection): Promise<number> {
  return countOf(selected(db, selection));
}

/** The events of an export's page, oldest first, without their content. */
export function sizesAfter(
  db: ReadDb,
  { afterSeq = 0, ...selection }: EventSelection,
  after: number,
  limit: number,
): Promise<EventSize[]> {
  return selected(db, selection)
    .select(["seq", payloadBytes])
    .where("seq", ">", Math.max(after, afterSeq))
    .orderBy("seq")
    .limit(limit)
    .execute();
}

export function findEvent(db: ReadDb, id: string): Promise<EventsTable | undefined> {
  return db.selectFrom("events").selectAll().where("id", "=", id).executeTakeFirst();
}

/** Ids of the notifications created by an event. */
export async function notificationsOf(db: ReadDb, eventSeq: number): Promise<string[]> {
  const rows = await db
    .selectFrom("decisions")
    .select("notificationId")
    .where("eventSeq", "=", eventSeq)
    .where("notificationId", "is not", null)
    .execute();
  return rows.flatMap(({ notificationId }) => (notificationId === null ? [] : [notificationId]));
}

/** The last stored offset; 0 without events. */
export async function lastSeq(db: ReadDb): Promise<number> {
  const row = await db
    .selectFrom("events")
    .select((e) => e.fn.max("seq").as("seq"))
    .executeTakeFirst();
  return row?.seq ?? 0;
}

/** The number of decisions on events by outcome, with one notification of each. */
export async function outcomesOf(db: ReadDb, seqs: readonly number[]) {
  const { rows } = await sql<{
    eventSeq: number;
    outcome: DecisionOutcome;
    rules: number;
    notificationId: string | null;
  }>`
    select eventSeq, outcome, count(*) as rules, min(notificationId) as notificationId from decisions
    where eventSeq in ${valuesOf(seqs)} group by eventSeq, outcome`.execute(db);
  return rows;
}

/** The events that could not be evaluated. */
export async function failedOf(db: ReadDb, seqs: readonly number[]): Promise<number[]> {
  const { rows } = await sql<{ eventSeq: number }>`
    select eventSeq from event_failures
    where resolvedAt is null and eventSeq in ${valuesOf(seqs)}`.execute(db);
  return rows.map(({ eventSeq }) => eventSeq);
}

/** Types of a project, in order; each is one look-up in the index of types. */
export async function typesOf(db: ReadDb, projectId: string, limit: number): Promise<string[]> {
  const { rows } = await sql<{ type: string }>`
    with recursive known (type) as (
      select min(type) from events where projectId = ${projectId}
      union all
      select (select min(type) from events where projectId = ${projectId} and type > known.type)
      from known where known.type is not null
    )
    select type from known where type is not null limit ${limit}`.execute(db);
  return rows.map(({ type }) => type);
}

export function openFailure(db: ReadDb, eventSeq: number) {
  return db
    .selectFrom("event_failures")
    .select(["consumer", "attempts", "lastError", "jobId"])
    .where("eventSeq", "=", eventSeq)
    .where("resolvedAt", "is", null)
    .executeTakeFirst();
}

/** A row of `events` that is none of the server's own. */
export const IS_OF_PRODUCER = sql<boolean>`(source is null or source not glob 'prism:*')`;

/** {@link isErrorEvent} for a row of `events`. */
export const IS_ERROR_ROW = sql<boolean>`(level in ('error', 'fatal') or type = 'error'
  or type glob 'error.*' or type glob '*.error')`;

/**
 * A row of `events` whose alert pages for it: a rule that matched it, or the receiver that stored
 * it, has an alert that was not over when it came.
 */
export const IS_IN_ALERT = sql<boolean>`(
  exists (select 1 from alert_signals s where s.eventSeq = events.seq and s.action = 'fire')
  or exists (
    select 1 from decisions d join alerts a on a.projectId = events.projectId and a.source = 'rule' and a.sourceId = d.ruleId
      and a.key in ('rule:' || d.ruleId || ':' || d.key, 'rule:' || d.ruleId || ':' || substr(d.key, 38))
    where d.eventSeq = events.seq and d.key is not null and d.outcome <> 'alert-resolved'
      and (a.state <> 'resolved' or (a.state = 'resolved' and a.resolvedAt >= events.receivedAt)))
  or (payload glob '{"receiver":*' and exists (
    select 1 from alerts a where a.projectId = events.projectId and a.source = 'receiver'
      and a.key = 'rc:' || (payload ->> '$.receiver.id') || ':' || (payload ->> '$.key')
      and (a.state <> 'resolved' or (a.state = 'resolved' and a.resolvedAt >= events.receivedAt)))))`;

/**
 * The offset of the first event received at or after an instant; after the last event if there is
 * none. Offsets are in the order of receipt, so binary search takes about forty look-ups without an
 * index on the time.
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

/** Removes events, ascending, with dependent rows, and announces the gap in the stream. */
export async function removeEvents(trx: Trx, projectId: string, seqs: readonly number[]): Promise<void> {
  const [first] = seqs;
  const last = seqs.at(-1);
  if (first === undefined || last === undefined) return;
  await noteRemoved(trx, projectId, seqs);
  await trx.deleteFrom("decisions").where("eventSeq", "in", seqs).execute();
  await trx.deleteFrom("event_failures").where("eventSeq", "in", seqs).execute();
  await trx.deleteFrom("receiver_events").where("eventSeq", "in", seqs).execute();
  await trx.deleteFrom("event_slices").where("eventSeq", "in", seqs).execute();
  await trx.deleteFrom("event_senders").where("eventSeq", "in", seqs).execute();
  await trx.deleteFrom("events").where("seq", "in", seqs).execute();
  // If the clock was set back, an event in between may have been received later and stays.
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

/** Records that the project's stream has no entries in (from, to]. Adjacent gaps are merged. */
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

/** The project's last event before a seq, or its first after it. */
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

/** More are not counted. */
const MAX_COUNTED = 1000;

/** Events that could not be decided, up to a limit. */
export async function countFailures(db: ReadDb): Promise<number> {
  const { rows } = await sql<{ n: number }>`
    select count(*) as n from (
      select eventSeq from event_failures where resolvedAt is null limit ${MAX_COUNTED}
    )`.execute(db);
  return rows[0]?.n ?? 0;
}
