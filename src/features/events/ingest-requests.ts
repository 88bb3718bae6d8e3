import type { Principal } from "../../core/caller.ts";
import { MAX_ERROR_DETAILS, PrismError } from "../../core/errors.ts";
import { toRfc3339 } from "../../core/time/clock.ts";
import type { IdempotentRequest } from "../../http/api/idempotency.ts";
import type { Exchange } from "../../http/server/exchange.ts";
import type { EventResult, IncomingEvent } from "../rules/index.ts";
import { idConflict } from "./bus.ts";
import type { EventOwner, EventPipeline, OwnerRows, RowInsert } from "./pipeline/pipeline.ts";
import { type BatchItem, type ItemError, itemError } from "./pipeline/read-events.ts";
import type { EventsContext } from "./service.ts";

/** An authenticated request with events. */
export interface IngestRequest {
  readonly exchange: Exchange;
  readonly principal: Principal;
  readonly receivedAt: number;
  readonly idempotent: IdempotentRequest | null;
  /** The project of events that name none, from the query. */
  readonly projectId: string | undefined;
  /** The body has at most the length that passes in debt. */
  readonly isSmall: boolean;
  /** The body has a byte for each character. */
  isAscii: boolean;
  /** Their source and id are the dedupe key. */
  isCloudEvents: boolean;
}

type AnswerContext = Pick<EventsContext, "kernel" | "idempotency">;

/** Releases the request's Idempotency-Key, if it has one. */
export function endIdempotent(
  { idempotency }: Pick<AnswerContext, "idempotency">,
  { idempotent }: IngestRequest,
): void {
  if (idempotent) idempotency.end(idempotent);
}

const INSERT_SENDERS = `insert or replace into event_senders (eventSeq, sender) select value ->> 0, value ->> 1 from json_each(?)`;

/** Rows for the senders of new events whose ids they chose. */
function senderRows(events: readonly (readonly [EventResult, sender: string | null])[]): readonly RowInsert[] {
  return events.flatMap(([result, sender]) =>
    result.status === "accepted" && sender !== null ? { sql: INSERT_SENDERS, row: [result.seq, sender] } : [],
  );
}

/** The sender of events: all credentials of a user are one. */
export function senderOf(principal: Principal): string {
  return principal.kind === "apiKey" ? principal.key : (principal.userId ?? principal.key);
}

/** A request with one event: answered when the event is on disk. */
export class SingleIngest implements EventOwner {
  readonly isAbandoned = false;
  readonly hasRows: boolean;
  readonly #context: AnswerContext;
  readonly #request: IngestRequest;

  readonly #sender: string | null;

  constructor(context: AnswerContext, request: IngestRequest, { sender }: IncomingEvent) {
    this.#context = context;
    this.#request = request;
    this.#sender = sender;
    this.hasRows = request.idempotent !== null || sender !== null;
  }

  rowsFor([result]: readonly EventResult[]): OwnerRows {
    const { idempotent } = this.#request;
    if (!result || !("seq" in result)) return {};
    const inserts = senderRows([[result, this.#sender]]);
    if (!idempotent) return { inserts };
    return { inserts, idempotency: this.#context.idempotency.row(idempotent, 202, this.#body(result)) };
  }

  settled(_event: IncomingEvent, result: EventResult): void {
    if (!("seq" in result)) return this.failed(_event, idConflict(result.status));
    endIdempotent(this.#context, this.#request);
    this.#request.exchange.sendJsonFast(202, this.#body(result));
  }

  failed(_event: IncomingEvent, error: PrismError): void {
    endIdempotent(this.#context, this.#request);
    this.#context.kernel.fail(this.#request.exchange, error);
  }

  /** Ids and times need no escaping. */
  #body(result: Extract<EventResult, { seq: number }>): string {
    const receivedAt = toRfc3339(this.#request.receivedAt);
    return `{"id":"${result.id}","seq":${result.seq},"status":"${result.status}","receivedAt":"${receivedAt}"}`;
  }
}

interface ItemResult {
  readonly index: number;
  readonly id?: string;
  readonly status: "accepted" | "duplicate" | "rejected";
  readonly error?: ItemError;
}

/**
 * A request with many events. They enter the pipeline in order and may be spread over several
 * commits; the answer follows the last one. When a batch with an Idempotency-Key was interrupted by
 * a crash, its stored items are not sent again.
 */
export class BatchIngest implements EventOwner {
  isAbandoned = false;
  readonly hasRows: boolean;
  readonly #context: AnswerContext;
  readonly #request: IngestRequest;
  readonly #wantsAllResults: boolean;
  readonly #results: ItemResult[];
  /** Item numbers of the events in the pipeline. */
  readonly #indexes: number[] = [];
  readonly #events: IncomingEvent[] = [];
  #numbered = 0;
  #settled = 0;
  #firstSeq: number | null = null;
  #lastSeq: number | null = null;

  constructor(context: AnswerContext, request: IngestRequest, items: readonly BatchItem[], wantsAllResults: boolean) {
    this.#context = context;
    this.#request = request;
    this.#wantsAllResults = wantsAllResults;
    let hasSenders = false;
    const itemsDone = request.idempotent?.itemsDone ?? 0;
    this.#results = items.map((item, index): ItemResult => {
      if ("code" in item) return { index, status: "rejected", error: item };
      if (index >= itemsDone) {
        hasSenders ||= item.sender !== null;
        this.#indexes.push(index);
        this.#events.push(item);
      }
      return { index, status: "accepted" };
    });
    this.hasRows = request.idempotent !== null || hasSenders;
  }

  /** Passes the events to the pipeline, or answers at once. @throws OVERLOADED, STORAGE_FULL */
  start(pipeline: EventPipeline): void {
    pipeline.requireRoom(this.#events.reduce((bytes, event) => bytes + event.bytes, 0));
    for (const event of this.#events) pipeline.accept(event, this);
    if (this.#events.length === 0) this.#answer();
  }

  /** Called for each slice, in order; the answer is known when the last event has its number. */
  rowsFor(results: readonly EventResult[]): OwnerRows {
    const from = this.#numbered;
    const inserts = senderRows(results.map((result, at) => [result, this.#events[from + at]?.sender ?? null]));
    return { inserts, ...this.#idempotencyRow(results) };
  }

  #idempotencyRow(results: readonly EventResult[]): OwnerRows {
    for (const result of results) this.#note(this.#numbered++, result);
    const { idempotency } = this.#context;
    const { idempotent } = this.#request;
    if (!idempotent) return {};
    if (this.#numbered < this.#indexes.length) {
      const itemsDone = (this.#indexes[this.#numbered - 1] as number) + 1;
      return { idempotency: idempotency.row(idempotent, null, String(itemsDone)) };
    }
    return this.#counts().stored === 0 ? {} : { idempotency: idempotency.row(idempotent, 202, this.#body()) };
  }

  settled(_event: IncomingEvent, result: EventResult): void {
    if (!this.hasRows) this.#note(this.#settled, result);
    this.#settled++;
    if (this.#settled === this.#indexes.length) this.#answer();
  }

  failed(_event: IncomingEvent, error: PrismError): void {
    if (this.isAbandoned) return;
    this.isAbandoned = true;
    endIdempotent(this.#context, this.#request);
    this.#context.kernel.fail(this.#request.exchange, error);
  }

  #note(at: number, result: EventResult): void {
    const index = this.#indexes[at] as number;
    if (!("seq" in result)) {
      this.#results[index] = { index, status: "rejected", error: itemError(idConflict(result.status)) };
      return;
    }
    this.#results[index] = { index, id: result.id, status: result.status };
    if (result.status === "duplicate") return;
    this.#firstSeq ??= result.seq;
    this.#lastSeq = result.seq;
  }

  #answer(): void {
    endIdempotent(this.#context, this.#request);
    const { exchange } = this.#request;
    if (this.#counts().stored > 0) exchange.sendJsonFast(202, this.#body());
    else this.#context.kernel.fail(exchange, this.#rejection());
  }

  #counts(): { accepted: number; duplicates: number; rejected: number; stored: number } {
    const counts = { accepted: 0, duplicate: 0, rejected: 0 };
    for (const { status } of this.#results) counts[status]++;
    const { accepted, duplicate, rejected } = counts;
    return { accepted, duplicates: duplicate, rejected, stored: accepted + duplicate };
  }

  #body(): string {
    const { stored: _stored, ...counts } = this.#counts();
    const results = this.#wantsAllResults ? this.#results : this.#results.filter(({ status }) => status === "rejected");
    return JSON.stringify({ ...counts, firstSeq: this.#firstSeq, lastSeq: this.#lastSeq, results });
  }

  #rejection(): PrismError {
    const details = this.#results
      .slice(0, MAX_ERROR_DETAILS)
      .flatMap(({ index, error }) => (error ? [{ index, ...error }] : []));
    return new PrismError("BATCH_REJECTED", "None of the events could be accepted", { details });
  }
}
