import type { Database as Sqlite } from "better-sqlite3";
import type { SealedBox } from "../../core/sealed-box.ts";
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
} from "../../live/stream.ts";
import type { EventsTable } from "../../store/schema.ts";
import { type MessageRow, messageView } from "../messages/index.ts";
import { eventJson, type NotificationFacts, notificationView, type RecipientFacts } from "../notifications/index.ts";
import type { SoundUrlOf } from "../sounds/index.ts";

const PAGE_ROWS = 100;
const PAGE_BYTES = 524_288;

interface LogRow {
  readonly seq: number;
  readonly type: string;
  readonly data: string;
  readonly correlationId: string;
  readonly createdAt: number;
}

type InboxRow = NotificationFacts & Omit<RecipientFacts, "delivered"> & { readonly recipientDelivered: 0 | 1 };

/** A row of the log, and the message that it is about: none of a change of status, or of a message that is gone. */
interface MessageLogRow extends Omit<MessageRow, "id"> {
  readonly seq: number;
  readonly type: string;
  readonly data: string;
  readonly entryCorrelationId: string;
  readonly entryAt: number;
  readonly id: string | null;
}

/**
 * Streams read from their tables: project streams from `events`; user streams from the recipients' rows and `stream_log`, merged by offset; all
 * others from `stream_log`, which of a message has the id alone.
 */
export class TableHistory implements StreamHistory {
  readonly #events;
  readonly #inbox;
  readonly #log;
  readonly #last;
  readonly #messages;
  readonly #gaps;
  readonly #box: SealedBox;
  readonly #soundUrlOf: SoundUrlOf;

  /** @param box opens the content of messages. */
  constructor(reader: Sqlite, box: SealedBox, soundUrlOf: SoundUrlOf) {
    this.#box = box;
    this.#soundUrlOf = soundUrlOf;
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
      `select fromSeq as "from", toSeq as "to" from stream_gaps where stream in (?, ?, '*') and toSeq > ? and fromSeq < ? order by fromSeq`,
    );
  }

  read(stream: StreamRef, after: number, upTo: number): StreamPage {
    if (stream.kind === "project") {
      return mapPage(this.#events.iterate(stream.projectId, after, upTo), eventEntry);
    }
    if (stream.kind === "messages") {
      const rows = this.#messages.iterate(streamName(stream), after, upTo);
      return mapPage(rows, (row) => messageEntry(row, this.#box));
    }
    const log = mapPage(this.#log.iterate(streamName(stream), after, upTo), logEntry);
    if (stream.kind !== "user") return log;
    const inbox = mapPage(this.#inbox.iterate(stream.userId, after, upTo), (row) => inboxEntry(row, this.#soundUrlOf));
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

/** Reads until the page is full in rows or bytes, so that a page of large rows does not fill the memory. */
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

/** Two pages of one counter as one, in order; it ends where the first of them that has more ends. */
function mergePages(left: StreamPage, right: StreamPage): StreamPage {
  const limits = [left, right].filter((page) => !page.isEnd).map((page) => page.entries.at(-1)?.offset ?? 0);
  const upTo = Math.min(...limits, Number.MAX_SAFE_INTEGER);
  const entries = [...left.entries, ...right.entries].filter((entry) => entry.offset <= upTo);
  return { entries: entries.sort((a, b) => a.offset - b.offset), isEnd: limits.length === 0 };
}

function eventEntry(event: EventsTable): StreamEntry {
  return {
    offset: event.seq,
    type: event.type,
    data: eventJson(event),
    at: event.receivedAt,
    correlationId: event.correlationId ?? event.id,
  };
}

function inboxEntry(row: InboxRow, soundUrlOf: SoundUrlOf): StreamEntry {
  return {
    offset: row.seq,
    type: "notification",
    data: JSON.stringify(notificationView(row, { ...row, delivered: row.recipientDelivered }, null, soundUrlOf)),
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
