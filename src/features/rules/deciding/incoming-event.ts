import type { Level } from "../../../core/vocabulary.ts";
import type { EventsTable } from "../../../store/schema.ts";
import type { RuleEvent } from "../language/language.ts";

type EventFields = Omit<IncomingEvent, "seq" | "processedAt" | "correlationId" | "bytes">;

/** What became of an event once its commit is on disk, or failed. */
export type EventResult =
  | { readonly status: "accepted" | "duplicate"; readonly id: string; readonly seq: number }
  | { readonly status: "conflict" };

/** What an event holds in memory besides the text of its payload. */
export const EVENT_OVERHEAD_BYTES = 400;

/**
 * A checked event on its way to the database. A class, so that all of them have one shape for the
 * engine.
 */
export class IncomingEvent implements RuleEvent {
  readonly id: string;
  /** The producer chose the id, so another event may have it. */
  readonly isGivenId: boolean;
  readonly projectId: string;
  readonly type: string;
  readonly level: Level;
  readonly source: string | null;
  readonly payload: Record<string, unknown>;
  /** What is stored: the payload as it was written, without whitespace between tokens. */
  readonly payloadText: string;
  readonly dedupeKey: string | null;
  readonly occurredAt: number;
  readonly receivedAt: number;
  readonly givenCorrelationId: string | null;
  /** Given when the event is sealed. */
  seq = 0;
  /** When its rules were decided; null while they are not. */
  processedAt: number | null = null;

  constructor(fields: EventFields) {
    this.id = fields.id;
    this.isGivenId = fields.isGivenId;
    this.projectId = fields.projectId;
    this.type = fields.type;
    this.level = fields.level;
    this.source = fields.source;
    this.payload = fields.payload;
    this.payloadText = fields.payloadText;
    this.dedupeKey = fields.dedupeKey;
    this.occurredAt = fields.occurredAt;
    this.receivedAt = fields.receivedAt;
    this.givenCorrelationId = fields.givenCorrelationId;
  }

  get correlationId(): string {
    return this.givenCorrelationId ?? this.id;
  }

  /** About what it holds in memory while it waits. */
  get bytes(): number {
    return this.payloadText.length + EVENT_OVERHEAD_BYTES;
  }
}

/** An event as it was when it came in. */
export function storedEvent(row: EventsTable): IncomingEvent {
  const event = new IncomingEvent({
    ...row,
    isGivenId: false,
    payload: JSON.parse(row.payload) as Record<string, unknown>,
    payloadText: row.payload,
    givenCorrelationId: row.correlationId,
  });
  event.seq = row.seq;
  return event;
}
