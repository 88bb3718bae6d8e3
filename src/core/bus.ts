import { AsyncResource } from "node:async_hooks";
import { type Caller, currentCaller, runAs } from "./caller.ts";
import { uuidv7 } from "./ids.ts";
import type { Logger } from "./log.ts";

export interface BusMeta {
  readonly event: string;
  readonly correlationId: string;
}

export type BusHandler = (payload: unknown, meta: BusMeta) => void | Promise<void>;

interface Subscription {
  /** Handlers run in the order of their subscription, across patterns. */
  readonly order: number;
  readonly handler: BusHandler;
  /** The module that subscribed; undefined for Prism itself. */
  readonly module: string | undefined;
  isActive: boolean;
}

/**
 * In-process signals, delivered at most once and not stored; use events of the log for anything
 * that must survive. `emit` never throws. Handlers run after it returns, on behalf of the emitter's
 * caller, in the order of their subscription and outside the emitter's transaction. A handler that
 * fails or hangs does not affect the others. `a:*` receives every `a:…`.
 */
export class Bus {
  readonly #log: Logger;
  readonly #subscriptions = new Map<string, Set<Subscription>>();
  readonly #running = new Set<Promise<void>>();
  /** The asynchronous context in which the bus was created: no transaction is open there. */
  readonly #outside = new AsyncResource("PrismBus");
  #lastOrder = 0;

  constructor(log: Logger) {
    this.#log = log;
  }

  emit(event: string, payload?: unknown, correlationId: string = uuidv7()): void {
    void this.deliver(event, payload, correlationId);
  }

  /**
   * {@link emit} that resolves when every handler has been called. @returns the number of handlers
   * called.
   * @param done a handler to skip, because the caller has done its work.
   */
  async deliver(
    event: string,
    payload: unknown,
    correlationId: string,
    done?: BusHandler,
  ): Promise<{ called: number }> {
    const subscriptions = this.#matching(event).filter(({ handler }) => handler !== done);
    const caller = currentCaller();
    if (this.#log.isDebug()) this.#log.debug({ event, correlationId, handlers: subscriptions.length }, "event emitted");
    await Promise.resolve();
    let called = 0;
    for (const subscription of subscriptions) {
      // The handler may have unsubscribed since the emit, or be a `once` that has run.
      if (!subscription.isActive) continue;
      called++;
      this.#call(subscription, payload, { event, correlationId }, caller);
    }
    return { called };
  }

  /** @returns a function that ends the subscription. */
  on(event: string, handler: BusHandler, module?: string): () => void {
    const subscription: Subscription = { order: ++this.#lastOrder, handler, module, isActive: true };
    const subscriptions = this.#subscriptions.get(event) ?? new Set();
    subscriptions.add(subscription);
    this.#subscriptions.set(event, subscriptions);
    return () => {
      subscription.isActive = false;
      subscriptions.delete(subscription);
      if (subscriptions.size === 0 && this.#subscriptions.get(event) === subscriptions)
        this.#subscriptions.delete(event);
    };
  }

  /**
   * Whether an event whose name starts with the prefix has a subscriber. Lets callers skip making
   * such events. @param prefix such as `event:`
   */
  hasSubscribers(prefix: string): boolean {
    for (const name of this.#subscriptions.keys()) if (name.startsWith(prefix)) return true;
    return false;
  }

  hasSubscriber(event: string): boolean {
    return this.#matching(event).length > 0;
  }

  once(event: string, handler: (payload: unknown) => void | Promise<void>): () => void {
    const off = this.on(event, (payload) => {
      off();
      return handler(payload);
    });
    return off;
  }

  /** Resolves when the handlers that are running now have finished. */
  async idle(): Promise<void> {
    await Promise.all(this.#running);
  }

  #call({ handler, module }: Subscription, payload: unknown, meta: BusMeta, caller: Caller): void {
    const facts = { ...meta, ...(module === undefined ? {} : { module }) };
    const failed = (error: unknown): void => this.#log.error({ ...facts, err: error }, "event handler failed");
    try {
      const result = this.#outside.runInAsyncScope(() => runAs(caller, () => handler(payload, meta)));
      if (!(result instanceof Promise)) return;
      const run: Promise<void> = result.catch(failed).finally(() => this.#running.delete(run));
      this.#running.add(run);
    } catch (error) {
      failed(error);
    }
  }

  #matching(event: string): Subscription[] {
    const found = [...(this.#subscriptions.get(event) ?? [])];
    for (let colon = event.lastIndexOf(":"); colon > 0; colon = event.lastIndexOf(":", colon - 1))
      found.push(...(this.#subscriptions.get(`${event.slice(0, colon)}:*`) ?? []));
    return found.sort((a, b) => a.order - b.order);
  }
}
