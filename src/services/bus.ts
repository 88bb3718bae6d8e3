import { uuidv7 } from "../base/ids.ts";
import type { Logger } from "../base/log.ts";

export interface BusMeta {
  readonly event: string;
  readonly correlationId: string;
}

export type BusHandler = (payload: unknown, meta: BusMeta) => void | Promise<void>;

/**
 * Signals inside the process: at most once, gone with it. What must survive is an event of the log. `emit` never throws to the emitter;
 * handlers run after it has returned, in the order they subscribed, and one that fails harms nobody else. `a:*` hears every `a:…`.
 */
export class Bus {
  readonly #handlers = new Map<string, Set<BusHandler>>();
  readonly #log: Logger;

  constructor(log: Logger) {
    this.#log = log;
  }

  emit(event: string, payload?: unknown, correlationId: string = uuidv7()): void {
    void this.deliver(event, payload, correlationId);
  }

  /** {@link emit}, for who wants to know when every handler has been called. @returns how many were, and how many of them failed. */
  async deliver(event: string, payload: unknown, correlationId: string): Promise<{ called: number; failed: number }> {
    const handlers = [...this.#matching(event)];
    let failed = 0;
    for (const handler of handlers) {
      await Promise.resolve();
      try {
        await handler(payload, { event, correlationId });
      } catch (error) {
        failed++;
        this.#log.error({ event, correlationId, err: error }, "a bus handler failed");
      }
    }
    return { called: handlers.length, failed };
  }

  /** @returns a function that ends the subscription. */
  on(event: string, handler: BusHandler): () => void {
    const handlers = this.#handlers.get(event) ?? new Set();
    handlers.add(handler);
    this.#handlers.set(event, handlers);
    return () => {
      handlers.delete(handler);
      if (handlers.size === 0 && this.#handlers.get(event) === handlers) this.#handlers.delete(event);
    };
  }

  once(event: string, handler: (payload: unknown) => void | Promise<void>): () => void {
    const off = this.on(event, (payload) => {
      off();
      return handler(payload);
    });
    return off;
  }

  *#matching(event: string): Iterable<BusHandler> {
    yield* this.#handlers.get(event) ?? [];
    for (let colon = event.lastIndexOf(":"); colon > 0; colon = event.lastIndexOf(":", colon - 1)) {
      yield* this.#handlers.get(`${event.slice(0, colon)}:*`) ?? [];
    }
  }
}
