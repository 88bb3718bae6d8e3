import { Backoff } from "./backoff.ts";
import type { Entry, Gap } from "./views.ts";
import type { Environment } from "./wire.ts";

/** Advances a stream's offset. */
export type Item =
  /** The offset at which a new subscription starts. */
  | { readonly kind: "begin"; readonly offset: number }
  | { readonly kind: "entry"; readonly offset: number; readonly entry: Entry }
  | { readonly kind: "gap"; readonly offset: number; readonly gap: Gap; readonly isReset: boolean };

export interface QueueEvents {
  /** The handlers of an item, to be called one after the other. */
  handlersOf(item: Item): readonly (() => unknown)[];
  /** A handler threw; it is called again. */
  failed(error: unknown, entry: Entry | Gap | undefined): void;
  /** All handlers have returned. */
  handled(item: Item): Promise<void>;
}

/** Limit of waiting messages in UTF-16 units, besides their number. */
const MAX_QUEUED_LENGTH = 8_388_608;
const HANDLER_WAIT = { minMs: 500, maxMs: 30_000 };
/** Minimum delay before a failed handler is called again. */
const HANDLER_WAIT_MS = 100;

/** Handles entries in order, one at a time. */
export class EntryQueue {
  readonly #environment: Environment;
  readonly #events: QueueEvents;
  readonly #maxQueued: number;
  #items: { readonly item: Item; readonly length: number }[] = [];
  #length = 0;
  #isClosed = false;
  #running: Promise<void> | null = null;
  #wake: (() => void) | null = null;

  constructor(environment: Environment, maxQueued: number, events: QueueEvents) {
    this.#environment = environment;
    this.#maxQueued = maxQueued;
    this.#events = events;
  }

  get isFull(): boolean {
    return this.#items.length >= this.#maxQueued || this.#length >= MAX_QUEUED_LENGTH;
  }

  /** At most half full. */
  get hasRoom(): boolean {
    return this.#items.length <= this.#maxQueued / 2 && this.#length <= MAX_QUEUED_LENGTH / 2;
  }

  /** @param length of its message. */
  push(item: Item, length: number): void {
    this.#items.push({ item, length });
    this.#length += length;
    this.#running ??= this.#run();
  }

  /** Drops waiting items, and ignores the result of the running one. */
  clear(): void {
    this.#items = [];
    this.#length = 0;
    this.#wake?.();
  }

  /** {@link clear}. @returns when the running handler has returned. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#wake?.();
    await this.#running;
    this.clear();
  }

  async #run(): Promise<void> {
    // In another turn: the caller may still add handlers in this one.
    await undefined;
    for (let first = this.#items[0]; first && !this.#isClosed; first = this.#items[0]) {
      const { item } = first;
      let isHandled = true;
      for (const handler of this.#events.handlersOf(item)) {
        isHandled = await this.#call(handler, first);
        if (!isHandled) break;
      }
      if (!isHandled || this.#items[0] !== first) continue;
      this.#items.shift();
      this.#length -= first.length;
      await this.#events.handled(item);
    }
    this.#running = null;
  }

  /** Calls it until it returns. @returns false when the item is obsolete */
  async #call(handler: () => unknown, current: { readonly item: Item }): Promise<boolean> {
    const backoff = new Backoff(HANDLER_WAIT, this.#environment);
    const { item } = current;
    for (;;) {
      try {
        await handler();
        return true;
      } catch (error) {
        const entry = item.kind === "entry" ? item.entry : item.kind === "gap" ? item.gap : undefined;
        this.#events.failed(error, entry);
      }
      await this.#sleep(backoff.nextMs(HANDLER_WAIT_MS));
      if (this.#isClosed || this.#items[0] !== current) return false;
    }
  }

  #sleep(delayMs: number): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#environment.setTimeout(() => this.#wake?.(), delayMs);
      this.#wake = () => {
        this.#environment.clearTimeout(timer);
        this.#wake = null;
        resolve();
      };
    });
  }
}
