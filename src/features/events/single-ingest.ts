import { toRfc3339 } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import type { Exchange } from "../../http/exchange.ts";
import type { Idempotency, IdempotentRequest } from "../../http/idempotency.ts";
import type { HttpKernel } from "../../http/kernel.ts";
import type { EventResult, IncomingEvent } from "../rules/index.ts";
import type { EventOwner, OwnerRows } from "./pipeline/pipeline.ts";

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

export function idConflict(): PrismError {
  return new PrismError("ID_CONFLICT", "Another project has an event with this id");
}
