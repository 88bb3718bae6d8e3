/** Events for modules; a part of `prism/module`, see module-api.ts. */
import type { Json } from "../core/text/json-text.ts";
import type { Level } from "../core/text/vocabulary.ts";

export interface EventBus {
  /** Calls all listeners after this call has returned. It never throws. Nothing is stored. */
  emit(event: string, payload?: unknown): void;
  /** `a:*` receives every `a:…`. @returns a function that ends it, as the module's end does */
  on(
    event: string,
    handler: (
      payload: unknown,
      meta: { readonly event: string; readonly correlationId: string },
    ) => void | Promise<void>,
  ): () => void;
  once(event: string, handler: (payload: unknown) => void | Promise<void>): () => void;
  /**
   * Stores an event; resolves when it is on disk and decided. It cannot join a transaction: call it
   * after `db.write`, or from a job that was added in the transaction. @throws TypeError inside a
   * transaction; VALIDATION_FAILED, ID_CONFLICT, OVERLOADED
   */
  ingest(event: EventInput): Promise<{ id: string; seq: number }>;
  /**
   * Reads the event log from this reader's stored position; a new reader starts with future events.
   * Batches come one at a time and in order. A batch whose handler throws is repeated, so each
   * event is delivered at least once. @returns a function that ends it; the position stays.
   */
  consume(name: string, handler: (batch: StoredEvent[]) => Promise<void>, options?: ConsumeOptions): () => void;
}

export interface ConsumeOptions {
  /**
   * After this many consecutive failures the events of the batch come one at a time, and one that
   * fails alone is skipped and logged. Default: no event is ever skipped.
   */
  readonly maxAttempts?: number;
}

export interface EventInput {
  readonly type: string;
  readonly payload?: { readonly [name: string]: Json };
  /** Id or slug; default: the default project. */
  readonly projectId?: string;
  /** A UUID of your own: sending it again does not create another event. */
  readonly id?: string;
  /** Default: `module:<name>`. */
  readonly source?: string;
  readonly level?: Level;
  /** An event of the project with the same key is returned instead of a new one. */
  readonly dedupeKey?: string;
  /** RFC 3339. */
  readonly occurredAt?: string;
  readonly correlationId?: string;
}

/** An event of the log. */
export interface StoredEvent {
  readonly id: string;
  readonly seq: number;
  readonly projectId: string;
  readonly type: string;
  readonly level: Level;
  readonly source: string | null;
  readonly payload: { readonly [name: string]: Json };
  readonly dedupeKey: string | null;
  readonly occurredAt: string;
  readonly receivedAt: string;
  readonly processedAt: string | null;
  readonly correlationId: string;
}
