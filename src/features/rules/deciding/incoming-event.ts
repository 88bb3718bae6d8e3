import { parseWithLongIntegers } from "../../../core/text/json-text.ts";
import type { Level } from "../../../core/text/vocabulary.ts";
import type { Effects } from "../../../store/commit/write-set.ts";
import type { EventsTable } from "../../../store/schema.ts";
import type { RuleEvent } from "../language/language.ts";

type OwnFields = "seq" | "payload" | "processedAt" | "receiverId" | "sender" | "isInAlert" | "correlationId" | "bytes";
type EventFields = Omit<IncomingEvent, OwnFields>;

/** The result of an event once its commit is on disk or has failed. */
export type EventResult =
  | { readonly status: "accepted" | "duplicate"; readonly id: string; readonly seq: number }
  /** `conflict`: another project has the id; `taken`: another sender. */
  | { readonly status: "conflict" | "taken" };

/** Memory of an event besides its payload text. */
export const EVENT_OVERHEAD_BYTES = 400;

/** A validated event before it is stored. A class, so that all have one shape for the engine. */
export class IncomingEvent implements RuleEvent {
  readonly id: string;
  /** The producer chose the id, so another event may have it. */
  readonly isGivenId: boolean;
  readonly projectId: string;
  readonly type: string;
  readonly level: Level;
  readonly source: string | null;
  #payload: Record<string, unknown> | null = null;
  /** The stored form: the payload as written, without whitespace between tokens. */
  readonly payloadText: string;
  /** Its length in UTF-8. */
  readonly payloadBytes: number;
  readonly dedupeKey: string | null;
  readonly occurredAt: number;
  readonly receivedAt: number;
  readonly givenCorrelationId: string | null;
  /** Set when the event is sealed. */
  seq = 0;
  /** When its rules were decided; null before. */
  processedAt: number | null = null;
  /** The receiver that notifies of the event when no rule takes it. */
  receiverId: string | null = null;
  /** Who sent it, of an event whose id the sender chose; null: the server itself. */
  sender: string | null = null;
  /** A rule that was decided with its commit has opened an alert for it, or joined it to one. */
  isInAlert = false;

  constructor(fields: EventFields) {
    this.id = fields.id;
    this.isGivenId = fields.isGivenId;
    this.projectId = fields.projectId;
    this.type = fields.type;
    this.level = fields.level;
    this.source = fields.source;
    this.payloadText = fields.payloadText;
    this.payloadBytes = fields.payloadBytes;
    this.dedupeKey = fields.dedupeKey;
    this.occurredAt = fields.occurredAt;
    this.receivedAt = fields.receivedAt;
    this.givenCorrelationId = fields.givenCorrelationId;
  }

  /** Parsed at its first use: few rules read it. */
  get payload(): Record<string, unknown> {
    this.#payload ??= parseWithLongIntegers(this.payloadText) as Record<string, unknown>;
    return this.#payload;
  }

  get correlationId(): string {
    return this.givenCorrelationId ?? this.id;
  }

  /** Approximate memory while it waits. */
  get bytes(): number {
    return this.payloadText.length + EVENT_OVERHEAD_BYTES;
  }
}

/** Restores an event from its row. */
export function storedEvent(row: EventsTable & { readonly receiverId?: string | null }): IncomingEvent {
  const event = new IncomingEvent({
    id: row.id,
    isGivenId: false,
    projectId: row.projectId,
    type: row.type,
    level: row.level,
    source: row.source,
    payloadText: row.payload,
    payloadBytes: Buffer.byteLength(row.payload),
    dedupeKey: row.dedupeKey,
    occurredAt: row.occurredAt,
    receivedAt: row.receivedAt,
    givenCorrelationId: row.correlationId,
  });
  event.seq = row.seq;
  event.receiverId = row.receiverId ?? null;
  return event;
}

/** Time for deciding in one seal; the rest is left to the consumer. */
const DECIDE_BUDGET_MS = 5;
const DECIDE_BUDGET_ROWS = 2000;

/** The decisions allowed in one seal, so that ingest never waits for a storm. */
export class Budget {
  readonly #until: number;
  #rows = 0;
  #isFirst = true;
  #isSpent: boolean;

  /** @param isSpent nothing may be decided here: older events come first. */
  constructor(isSpent: boolean) {
    this.#isSpent = isSpent;
    this.#until = performance.now() + DECIDE_BUDGET_MS;
  }

  /** Call it before each event. Once spent it stays spent, because events are decided in order. */
  isSpent(): boolean {
    // One event is always decided, however busy the machine is.
    if (this.#isFirst) this.#isFirst = false;
    else if (!this.#isSpent && performance.now() > this.#until) this.#isSpent = true;
    return this.#isSpent;
  }

  /** Ends deciding in this seal. */
  end(): void {
    this.#isFirst = false;
    this.#isSpent = true;
  }

  spend({ notifications, recipients }: Effects): void {
    this.#rows += notifications.length + recipients.length;
    if (this.#rows > DECIDE_BUDGET_ROWS) this.#isSpent = true;
  }
}

const SLICE_RULES = 500;
/** Limit of notifications and recipients per slice. One rule adds at most 200 recipients. */
export const SLICE_ROWS = 500;
/** Time limit of a slice, checked after the first rules. */
const SLICE_MS = 10;
/** A small event with few rules is decided in one slice, even when the machine is briefly busy. */
const TIMED_FROM_RULES = 16;
/** A template can render a large payload completely: a millisecond per rule. */
const LARGE_EVENT_BYTES = 16_384;
const LARGE_TIMED_FROM_RULES = 2;

/**
 * Limits the deciding of one event per turn of the loop. The remaining rules are decided in later
 * turns, in the same order: a thousand rules on one event delay each other and nothing more.
 */
export class Slice {
  readonly #until = performance.now() + SLICE_MS;
  readonly #timedFrom: number;
  #rules = 0;
  #rows = 0;

  constructor(eventBytes: number) {
    this.#timedFrom = eventBytes > LARGE_EVENT_BYTES ? LARGE_TIMED_FROM_RULES : TIMED_FROM_RULES;
  }

  /** A rule was decided. @param recipients rows of its notification; 0 without one. */
  add(recipients: number): void {
    this.#rules++;
    if (recipients > 0) this.#rows += recipients + 1;
  }

  isFull(): boolean {
    if (this.#rules >= SLICE_RULES || this.#rows >= SLICE_ROWS) return true;
    return this.#rules >= this.#timedFrom && performance.now() > this.#until;
  }
}
