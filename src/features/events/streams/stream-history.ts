import type { Database as Sqlite } from "better-sqlite3";
import { type Selectable, sql } from "kysely";
import type { SealedBox } from "../../../core/crypto/sealed-box.ts";
import {
  counterOf,
  everyStreamOf,
  type LoggedStream,
  type StreamEntry,
  type StreamGap,
  type StreamHistory,
  type StreamPage,
  type StreamRef,
  streamName,
} from "../../../live/stream.ts";
import type { Trx } from "../../../store/database.ts";
import type {
  EventsTable,
  NotificationRecipientsTable,
  NotificationsTable,
  StreamGapsTable,
} from "../../../store/schema.ts";
import { type MessageRow, messageView } from "../../notifications/messages/index.ts";

const PAGE_ROWS = 100;
const PAGE_BYTES = 524_288;

interface LogRow {
  readonly seq: number;
  readonly type: string;
  readonly data: string;
  readonly correlationId: string;
  readonly createdAt: number;
}

/** A notification with its recipient's row. */
type InboxRow = Selectable<NotificationsTable> &
  Omit<Selectable<NotificationRecipientsTable>, "delivered"> & { readonly recipientDelivered: 0 | 1 };

/** How rows are shown in live entries, as JSON. */
interface EntryViews {
  event(row: EventsTable): string;
  notification(row: InboxRow): string;
}

/** A row of the log and its message; without one for a change of status or a deleted message. */
interface MessageLogRow extends Omit<MessageRow, "id"> {
  readonly seq: number;
  readonly type: string;
  readonly data: string;
  readonly entryCorrelationId: string;
  readonly entryAt: number;
  readonly id: string | null;
}

/**
 * Streams read from their tables: project streams from `events`; user streams from the recipients'
 * rows and `stream_log`, merged by offset; all others from `stream_log`, which stores only the id
 * of a message.
 */
export class TableHistory implements StreamHistory {
  readonly #events;
  readonly #inbox;
  readonly #log;
  readonly #last;
  readonly #messages;
  readonly #gaps;
  readonly #box: SealedBox;
  readonly #views: EntryViews;

  /** @param box opens the content of messages. */
  constructor(reader: Sqlite, box: SealedBox, views: EntryViews) {
    this.#box = box;
    this.#views = views;
    this.#events = reader.prepare<[string, number, number], EventsTable>(
      `select * from events where projectId = ? and seq > ? and seq <= ? order by seq limit ${PAGE_ROWS}`,
    );
    this.#inbox = reader.prepare<[string, number, number], InboxRow>(
      `select n.*, r.userId, r.seq, r.delivered as recipientDelivered, r.readAt, r.acknowledgedAt, r.openedAt,
       r.acknowledgeNote, r.webviewAction
       from notification_recipients r join notifications n on n.id = r.notificationId
       where r.userId = ? and r.seq > ? and r.seq <= ? and r.deletedAt is null order by r.seq limit ${PAGE_ROWS}`,
    );
    this.#log = reader.prepare<[string, number, number], LogRow>(
      `select seq, type, data, correlationId, createdAt from stream_log
       where stream = ? and seq > ? and seq <= ? order by seq limit ${PAGE_ROWS}`,
    );
    this.#last = reader.prepare<[string, number], LogRow>(
      `select seq, type, data, correlationId, createdAt from stream_log
       where stream = ? and seq <= ? order by seq desc limit 1`,
    );
    this.#messages = reader.prepare<[string, number, number], MessageLogRow>(
      `select m.*, l.seq, l.type, l.data, l.correlationId as entryCorrelationId, l.createdAt as entryAt
       from stream_log l left join messages m on l.type = 'message' and m.id = l.data ->> 'id'
       where l.stream = ? and l.seq > ? and l.seq <= ? order by l.seq limit ${PAGE_ROWS}`,
    );
    this.#gaps = reader.prepare<[string, string, number, number], StreamGap>(
      `select fromSeq as "from", toSeq as "to" from stream_gaps
       where stream in (?, ?, '*') and toSeq > ? and fromSeq < ? order by fromSeq`,
    );
  }

  read(stream: StreamRef, after: number, upTo: number): StreamPage {
    if (stream.kind === "project") {
      return mapPage(this.#events.iterate(stream.projectId, after, upTo), (row) => eventEntry(row, this.#views));
    }
    if (stream.kind === "messages") {
      const rows = this.#messages.iterate(streamName(stream), after, upTo);
      return mapPage(rows, (row) => messageEntry(row, this.#box));
    }
    const log = mapPage(this.#log.iterate(streamName(stream), after, upTo), logEntry);
    if (stream.kind !== "user") return log;
    const inbox = mapPage(this.#inbox.iterate(stream.userId, after, upTo), (row) => inboxEntry(row, this.#views));
    return mergePages(inbox, log);
  }

  last(stream: LoggedStream, upTo: number): StreamEntry | undefined {
    const row = this.#last.get(streamName(stream), upTo);
    return row && logEntry(row);
  }

  gaps(stream: StreamRef, after: number, upTo: number): StreamGap[] {
    return this.#gaps.all(streamName(stream), everyStreamOf(counterOf(stream)), after, upTo);
  }
}

/** Reads until the page is full in rows or bytes, so that large rows do not fill the memory. */
function mapPage<T>(rows: Iterable<T>, map: (row: T) => StreamEntry): StreamPage {
  const entries: StreamEntry[] = [];
  let bytes = 0;
  for (const row of rows) {
    const entry = map(row);
    entries.push(entry);
    bytes += entry.data.length;
    if (bytes > PAGE_BYTES) return { entries, isEnd: false };
  }
  return { entries, isEnd: entries.length < PAGE_ROWS };
}

/** Merges two pages of one counter in order; ends where the first page with more rows ends. */
function mergePages(left: StreamPage, right: StreamPage): StreamPage {
  const limits = [left, right].filter((page) => !page.isEnd).map((page) => page.entries.at(-1)?.offset ?? 0);
  const upTo = Math.min(...limits, Number.MAX_SAFE_INTEGER);
  const entries = [...left.entries, ...right.entries].filter((entry) => entry.offset <= upTo);
  return { entries: entries.sort((a, b) => a.offset - b.offset), isEnd: limits.length === 0 };
}

function eventEntry(event: EventsTable, views: EntryViews): StreamEntry {
  return {
    offset: event.seq,
    type: event.type,
    data: views.event(event),
    at: event.receivedAt,
    correlationId: event.correlationId ?? event.id,
  };
}

function inboxEntry(row: InboxRow, views: EntryViews): StreamEntry {
  return {
    offset: row.seq,
    type: "notification",
    data: views.notification(row),
    at: row.createdAt,
    correlationId: row.correlationId,
    isDelivered: row.recipientDelivered === 1,
  };
}

function logEntry(row: LogRow): StreamEntry {
  return { offset: row.seq, type: row.type, data: row.data, at: row.createdAt, correlationId: row.correlationId };
}

function messageEntry({ id, ...row }: MessageLogRow, box: SealedBox): StreamEntry {
  const data = id === null ? row.data : JSON.stringify(messageView(box, { ...row, id }));
  return { offset: row.seq, type: row.type, data, at: row.entryAt, correlationId: row.entryCorrelationId };
}

const USER_STREAM = "user:";

/** An entry that is no longer in its stream. */
interface RemovedEntry {
  readonly stream: string;
  readonly seq: number;
}

/**
 * Records in streams of `stream_log` that entries were removed. A gap starts after the last kept
 * entry, so adjacent gaps merge: at the latest when the entry that one starts after is removed, too.
 * Call it in the transaction that removed them.
 */
export async function noteRemoved(trx: Trx, removed: readonly RemovedEntry[]): Promise<void> {
  const runs = await runsOf(trx, removed);
  if (runs.length === 0) return;
  const { rows: inside } = await sql<StreamGapsTable>`
    delete from stream_gaps where (stream, fromSeq) in (
      select g.stream, g.fromSeq from json_each(${JSON.stringify(runs)}) run
      join stream_gaps g on g.stream = run.value ->> 'stream'
        and g.fromSeq >= run.value ->> 'fromSeq' and g.fromSeq <= run.value ->> 'toSeq'
    ) returning *`.execute(trx);
  const gaps = runs.map(({ stream, fromSeq, toSeq }) => {
    const own = inside.filter((gap) => gap.stream === stream && gap.fromSeq >= fromSeq && gap.fromSeq <= toSeq);
    return { stream, fromSeq, toSeq: Math.max(toSeq, ...own.map((gap) => gap.toSeq)) };
  });
  await trx.insertInto("stream_gaps").values(gaps).execute();
}

/**
 * Removed entries as runs without a kept entry in between: the offset before the first, and the
 * last. A user's notifications count as entries.
 */
async function runsOf(trx: Trx, removed: readonly RemovedEntry[]): Promise<StreamGapsTable[]> {
  const entries = removed.map(({ stream, seq }) => [stream, userOf(stream), seq]);
  // Not beyond the entry or gap before: notifications that a user deleted stay as rows for months.
  const { rows } = await sql<RemovedEntry & { start: number; kept: number | null }>`
    with removed as (
      select value ->> 0 as stream, value ->> 1 as userId, value ->> 2 as seq,
        lag(value ->> 2) over (partition by value ->> 0 order by value ->> 2) as prior
      from json_each(${JSON.stringify(entries)})
    ), bounded as (
      select removed.*, coalesce(g.fromSeq, 0) as start, coalesce(prior, g.toSeq, 0) as after
      from removed left join stream_gaps g on prior is null and g.stream = removed.stream
        and g.fromSeq = (select max(fromSeq) from stream_gaps where stream = removed.stream and fromSeq < removed.seq)
    )
    select stream, seq, start, nullif(max(
      coalesce((select max(r.seq) from notification_recipients r
        where r.userId = b.userId and r.seq > after and r.seq < b.seq and r.deletedAt is null), 0),
      coalesce((select max(l.seq) from stream_log l where l.stream = b.stream and l.seq > after and l.seq < b.seq), 0)
    ), 0) as kept from bounded b order by stream, seq`.execute(trx);
  const runs: StreamGapsTable[] = [];
  for (const { stream, seq, start, kept } of rows) {
    const last = runs.at(-1);
    if (last?.stream === stream && kept === null) last.toSeq = seq;
    else runs.push({ stream, fromSeq: kept ?? start, toSeq: seq });
  }
  return runs;
}

function userOf(stream: string): string {
  return stream.startsWith(USER_STREAM) ? stream.slice(USER_STREAM.length) : "";
}

/** Deletes entries without a note for subscribers. @returns how many */
export async function deleteEntries(trx: Trx, seqs: readonly number[]): Promise<number> {
  const { numDeletedRows } = await trx.deleteFrom("stream_log").where("seq", "in", seqs).executeTakeFirst();
  return Number(numDeletedRows);
}

/**
 * Ends a stream whose name may be used again: readers that start after the end of its first gap see
 * none of its entries. @returns the offset of the last one; 0: it has none
 */
export async function endStream(trx: Trx, stream: string): Promise<number> {
  const log = trx.selectFrom("stream_log").select("seq").where("stream", "=", stream);
  const last = await log.orderBy("seq", "desc").limit(1).executeTakeFirst();
  if (!last) return 0;
  await trx
    .insertInto("stream_gaps")
    .values({ stream, fromSeq: 0, toSeq: last.seq })
    .onConflict((conflict) => conflict.columns(["stream", "fromSeq"]).doUpdateSet({ toSeq: last.seq }))
    .execute();
  return last.seq;
}

/** The entries of {@link endStream} up to this offset are deleted. */
export async function forgetEnd(trx: Trx, stream: string, upTo: number): Promise<void> {
  await trx.deleteFrom("stream_gaps").where("stream", "=", stream).where("toSeq", "<=", upTo).execute();
}
