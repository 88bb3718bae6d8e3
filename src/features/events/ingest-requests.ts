import { toRfc3339 } from "../../core/clock.ts";
import { MAX_ERROR_DETAILS, PrismError } from "../../core/errors.ts";
import type { Exchange } from "../../http/exchange.ts";
import type { Idempotency, IdempotentRequest } from "../../http/idempotency.ts";
import type { HttpKernel } from "../../http/kernel.ts";
import type { EventResult, IncomingEvent } from "../rules/index.ts";
import { idConflict } from "./pipeline/ingest-service.ts";
import type { EventOwner, EventPipeline, OwnerRows } from "./pipeline/pipeline.ts";
import { type BatchItem, type ItemError, itemError } from "./pipeline/read-events.ts";

/** One request with one event: answered when the event's commit is on disk. */
export class SingleIngest implements EventOwner {
  readonly isAbandoned = false;
  readonly hasRows: boolean;
  readonly #exchange: Exchange;
  readonly #kernel: HttpKernel;
  readonly #receivedAt: number;
  readonly #idempotency: Idempotency;
  readonly #request: IdempotentRequest | null;

  constructor(
    exchange: Exchange,
    receivedAt: number,
    kernel: HttpKernel,
    idempotency: Idempotency,
    request: IdempotentRequest | null,
  ) {
    this.#exchange = exchange;
    this.#receivedAt = receivedAt;
    this.#kernel = kernel;
    this.#idempotency = idempotency;
    this.#request = request;
    this.hasRows = request !== null;
  }

  rowsFor([result]: readonly EventResult[]): OwnerRows {
    if (!this.#request || !result || result.status === "conflict") return {};
    return { idempotency: this.#idempotency.row(this.#request, 202, this.#body(result)) };
  }

  settled(_event: IncomingEvent, result: EventResult): void {
    if (this.#request) this.#idempotency.end(this.#request);
    if (result.status === "conflict") this.#kernel.fail(this.#exchange, idConflict());
    else this.#exchange.sendJsonFast(202, this.#body(result));
  }

  failed(_event: IncomingEvent, error: PrismError): void {
    if (this.#request) this.#idempotency.end(this.#request);
    this.#kernel.fail(this.#exchange, error);
  }

  /** Ids and times need no escaping. */
  #body(result: Exclude<EventResult, { status: "conflict" }>): string {
    return `{"id":"${result.id}","seq":${result.seq},"status":"${result.status}","receivedAt":"${toRfc3339(this.#receivedAt)}"}`;
  }
}

interface BatchParts {
  readonly exchange: Exchange;
  readonly kernel: HttpKernel;
  readonly idempotency: Idempotency;
  readonly request: IdempotentRequest | null;
  readonly wantsAllResults: boolean;
}

interface ItemResult {
  readonly index: number;
  readonly id?: string;
  readonly status: "accepted" | "duplicate" | "rejected";
  readonly error?: ItemError;
}

/**
 * One request with many events. They go into the pipeline in their order and may be spread over several commits; the answer goes out after the
 * last. Of a batch that carried an Idempotency-Key and was cut short by a crash, the items that were done are not sent again.
 */
export class BatchIngest implements EventOwner {
  isAbandoned = false;
  readonly hasRows: boolean;
  readonly #parts: BatchParts;
  readonly #results: ItemResult[];
  /** Item numbers of the events in the pipeline. */
  readonly #indexes: number[] = [];
  readonly #events: IncomingEvent[] = [];
  #numbered = 0;
  #settled = 0;
  #firstSeq: number | null = null;
  #lastSeq: number | null = null;

  constructor(parts: BatchParts, items: readonly BatchItem[]) {
    this.#parts = parts;
    this.hasRows = parts.request !== null;
    const itemsDone = parts.request?.itemsDone ?? 0;
    this.#results = items.map((item, index): ItemResult => {
      if ("code" in item) return { index, status: "rejected", error: item };
      if (index >= itemsDone) {
        this.#indexes.push(index);
        this.#events.push(item);
      }
      return { index, status: "accepted" };
    });
  }

  /** Hands the events in, or answers at once when there are none to hand in. @throws OVERLOADED, STORAGE_FULL */
  start(pipeline: EventPipeline): void {
    pipeline.requireRoom(this.#events.reduce((bytes, event) => bytes + event.bytes, 0));
    for (const event of this.#events) pipeline.accept(event, this);
    if (this.#events.length === 0) this.#answer();
  }

  /** Called for each slice, in order; the answer is known when the last event has its number. */
  rowsFor(results: readonly EventResult[]): OwnerRows {
    for (const result of results) this.#note(this.#numbered++, result);
    const { idempotency, request } = this.#parts;
    if (!request) return {};
    if (this.#numbered < this.#indexes.length) {
      const itemsDone = (this.#indexes[this.#numbered - 1] as number) + 1;
      return { idempotency: idempotency.row(request, null, String(itemsDone)) };
    }
    return this.#counts().stored === 0 ? {} : { idempotency: idempotency.row(request, 202, this.#body()) };
  }

  settled(_event: IncomingEvent, result: EventResult): void {
    if (!this.hasRows) this.#note(this.#settled, result);
    this.#settled++;
    if (this.#settled === this.#indexes.length) this.#answer();
  }

  failed(_event: IncomingEvent, error: PrismError): void {
    if (this.isAbandoned) return;
    this.isAbandoned = true;
    this.#end();
    this.#parts.kernel.fail(this.#parts.exchange, error);
  }

  #note(at: number, result: EventResult): void {
    const index = this.#indexes[at] as number;
    if (result.status === "conflict") {
      this.#results[index] = { index, status: "rejected", error: itemError(idConflict()) };
      return;
    }
    this.#results[index] = { index, id: result.id, status: result.status };
    if (result.status === "duplicate") return;
    this.#firstSeq ??= result.seq;
    this.#lastSeq = result.seq;
  }

  #answer(): void {
    this.#end();
    const { exchange, kernel } = this.#parts;
    if (this.#counts().stored > 0) exchange.sendJsonFast(202, this.#body());
    else kernel.fail(exchange, this.#rejection());
  }

  #end(): void {
    const { idempotency, request } = this.#parts;
    if (request) idempotency.end(request);
  }

  #counts(): { accepted: number; duplicates: number; rejected: number; stored: number } {
    const counts = { accepted: 0, duplicate: 0, rejected: 0 };
    for (const { status } of this.#results) counts[status]++;
    const { accepted, duplicate, rejected } = counts;
    return { accepted, duplicates: duplicate, rejected, stored: accepted + duplicate };
  }

  #body(): string {
    const { stored: _stored, ...counts } = this.#counts();
    const results = this.#parts.wantsAllResults
      ? this.#results
      : this.#results.filter(({ status }) => status === "rejected");
    return JSON.stringify({ ...counts, firstSeq: this.#firstSeq, lastSeq: this.#lastSeq, results });
  }

  #rejection(): PrismError {
    const details = this.#results
      .slice(0, MAX_ERROR_DETAILS)
      .flatMap(({ index, error }) => (error ? [{ index, ...error }] : []));
    return new PrismError("BATCH_REJECTED", "None of the events could be accepted", { details });
  }
}
