import { Acknowledger } from "./acknowledger.ts";
import { EntryQueue, type Item } from "./entry-queue.ts";
import { errorFrom, PrismError, wrapped } from "./errors.ts";
import type { EntriesOf, Entry, Gap } from "./views.ts";
import type { ClientMessage, Environment, EventFilter, ServerMessage } from "./wire.ts";

export interface SubscribeOptions {
  /** Start without a stored offset: after one, with all entries, or (default) with future ones. */
  readonly from?: number | "latest" | "earliest";
  readonly filter?: EventFilter;
  /**
   * For the user's own `user:` stream. Undefined: a notification counts as delivered when the
   * server has sent it. `auto`: when its handlers have returned. `manual`: when {@link
   * Subscription.ack} is called.
   */
  readonly ack?: "auto" | "manual";
}

/** Stores offsets across restarts of the program or page. A value is a decimal number. */
export interface OffsetStorage {
  get(key: string): string | null | undefined | Promise<string | null | undefined>;
  set(key: string, value: string): void | Promise<void>;
}

/** Handles an entry. If it throws or rejects, it is called again with the entry after a delay. */
export type Handler<Value> = (value: Value) => void | Promise<void>;

/** Any of a stream's entries. */
export type AnyEntry<Entries> = { [Type in keyof Entries & string]: Entry<Type, Entries[Type]> }[keyof Entries &
  string];

/** The open connection, as a subscription sees it. @internal */
export interface Link {
  readonly userId: string | null;
  /** A message id; its answer is passed to the subscription. */
  nextId(): string;
  say(message: ClientMessage): void;
}

/** @internal */
export interface SubscriptionParts {
  readonly environment: Environment;
  readonly storage: OffsetStorage | undefined;
  readonly maxQueued: number;
  keyOf(stream: string): string;
  problem(error: PrismError, about: { stream: string; entry?: Entry | Gap }): void;
  /** This subscription cannot use the connection: another one is opened. */
  restart(error: PrismError): void;
  closed(): void;
}

type Phase =
  /** No connection, or nothing requested yet. */
  | { readonly kind: "away" }
  | { readonly kind: "asked"; readonly id: string }
  | { readonly kind: "live" }
  /** Unsubscribed until the handlers have caught up. */
  | { readonly kind: "paused" }
  | { readonly kind: "refused" };

const RESERVED = new Set(["event", "gap"]);
/** Refusals that a retry would repeat. */
const FINAL = new Set(["CHANNEL_FORBIDDEN", "VALIDATION_FAILED", "RATE_LIMITED", "FORBIDDEN"]);

/**
 * One stream: its handlers and their position. Entries are handled one after the other, in order;
 * the offset advances when all handlers of an entry have returned. After a reconnect the stream
 * continues after the last received entry.
 */
export class Subscription<Stream extends string = string> {
  /** As requested. */
  readonly stream: Stream;
  /** Resolves when the server has confirmed the subscription for the first time: later entries arrive. */
  readonly opened: Promise<void>;
  readonly #options: SubscribeOptions;
  readonly #parts: SubscriptionParts;
  readonly #handlers = new Map<string, Set<Handler<never>>>();
  readonly #queue: EntryQueue;
  readonly #acks: Acknowledger;
  #open: () => void = () => undefined;
  #phase: Phase = { kind: "away" };
  #link: Link | null = null;
  #resolved: string | null = null;
  /** Entries up to here are queued or handled; null: unknown. */
  #received: number | null = null;
  #offset: number | null = null;

  /** @internal Subscriptions are made by `PrismClient.subscribe`. */
  constructor(stream: Stream, options: SubscribeOptions, parts: SubscriptionParts) {
    this.stream = stream;
    this.opened = new Promise((resolve) => {
      this.#open = resolve;
    });
    this.#options = options;
    this.#parts = parts;
    this.#queue = new EntryQueue(parts.environment, parts.maxQueued, {
      handlersOf: (item) => this.#handlersOf(item),
      failed: (error, entry) => {
        // Anything can be thrown, even values without a text form.
        const why = error instanceof Error ? `: ${error.message}` : "";
        parts.problem(wrapped("HANDLER_FAILED", `A handler failed${why}`, error), this.#about(entry));
      },
      handled: (item) => this.#handled(item),
    });
    this.#acks = new Acknowledger(parts.environment, (offset) => this.#sayAck(offset));
  }

  /** Whether the server sends its entries now, or will again when the handlers have caught up. */
  get isOpen(): boolean {
    return this.#phase.kind === "live" || this.#phase.kind === "paused";
  }

  /** The last handled offset; null if unknown. */
  get offset(): number | null {
    return this.#offset;
  }

  /** Every entry of any type. @returns a function that removes the handler. */
  on(type: "event", handler: Handler<AnyEntry<EntriesOf<Stream>>>): () => void;
  on(type: "gap", handler: Handler<Gap>): () => void;
  /** Entries of one type. Types called `event` or `gap` are only available through `event`. */
  on<Type extends keyof EntriesOf<Stream> & string>(
    type: Type,
    handler: Handler<Entry<Type, EntriesOf<Stream>[Type]>>,
  ): () => void;
  on(type: string, handler: Handler<never>): () => void {
    const handlers = this.#handlers.get(type) ?? new Set();
    this.#handlers.set(type, handlers);
    handlers.add(handler);
    return () => handlers.delete(handler);
  }

  /**
   * Reports that everything up to an offset, by default the last handled one, has reached the user.
   * Resolves when the server knows; repeated after a reconnect. @throws the server's refusal;
   * CONNECTION_CLOSED when the subscription is closed first, or the stream's offsets restart
   */
  ack(offset: number | null = this.#offset): Promise<void> {
    return offset === null ? Promise.resolve() : this.#acks.wait(offset);
  }

  /** Ends the subscription. Resolves after the running handler; later entries are not handled. */
  close(): Promise<void> {
    if (this.#link && this.#resolved !== null) {
      this.#link.say({ op: "unsubscribe", id: this.#link.nextId(), stream: this.#resolved });
    }
    this.disconnected();
    this.#acks.close(new PrismError("CONNECTION_CLOSED", "The subscription was closed"));
    this.#parts.closed();
    return this.#queue.close();
  }

  /** @internal */
  async connected(link: Link): Promise<void> {
    this.#link = link;
    const name = resolve(this.stream, link.userId);
    if (name !== this.#resolved) await this.#becomes(name, link);
    if (this.#link !== link) return;
    if (this.#queue.isFull) this.#phase = { kind: "paused" };
    else this.#ask(link, name);
  }

  /** @internal */
  disconnected(): void {
    this.#link = null;
    this.#phase = { kind: "away" };
  }

  /** @internal An answer to one of its messages. */
  answered(message: ServerMessage): void {
    if (message.op === "subscribed") this.#subscribed(message);
    else if (message.op === "acked") this.#acks.acked(message.id, message.offset);
    else if (message.op === "error") this.#refused(message.id, errorFrom(message));
  }

  /** @internal */
  received(message: Extract<ServerMessage, { op: "event" | "gap" }>, length: number): void {
    // Entries in flight when the stream was left are sent again.
    if (this.#phase.kind !== "live" || this.#received === null) return;
    if (message.op === "gap") this.#gap(message);
    else if (message.offset > this.#received) {
      const { stream, offset, type, data, ts, correlationId } = message;
      this.#received = offset;
      this.#queue.push({ kind: "entry", offset, entry: { stream, offset, type, data, ts, correlationId } }, length);
    }
    if (this.#queue.isFull) this.#pause();
  }

  #gap({ stream, from, to }: Gap): void {
    const isReset = to < from;
    if (!isReset && to <= (this.#received ?? 0)) return;
    this.#received = to;
    this.#queue.push({ kind: "gap", offset: to, gap: { stream, from, to }, isReset }, 0);
  }

  /** The name of `me` is known, or has changed: entries for the former one are dropped. */
  async #becomes(name: string, link: Link): Promise<void> {
    this.#queue.clear();
    if (this.#resolved !== null) this.#acks.reset(restarted());
    this.#received = this.#offset = this.#resolved = null;
    const { storage } = this.#parts;
    try {
      const stored = storage ? offsetIn(await storage.get(this.#parts.keyOf(name))) : null;
      // Another connection has opened in the meantime: it reads for itself.
      if (this.#link !== link) return;
      this.#received = this.#offset = stored;
      this.#resolved = name;
    } catch (error) {
      // Starting anywhere else would miss entries.
      if (this.#link !== link) return;
      const problem = wrapped("STORAGE_FAILED", "The offset could not be read", error);
      this.#parts.problem(problem, this.#about());
      this.disconnected();
      this.#parts.restart(problem);
    }
  }

  #ask(link: Link, stream: string): void {
    const { from = "latest", filter, ack } = this.#options;
    const id = link.nextId();
    this.#phase = { kind: "asked", id };
    link.say({
      op: "subscribe",
      id,
      stream,
      from: this.#received ?? from,
      filter,
      ack: ack === undefined ? undefined : true,
    });
  }

  #subscribed({ id, offset }: Extract<ServerMessage, { op: "subscribed" }>): void {
    if (this.#phase.kind !== "asked" || this.#phase.id !== id) return;
    this.#phase = { kind: "live" };
    this.#open();
    if (this.#received === null) {
      const { from = "latest" } = this.#options;
      this.#received = from === "latest" ? offset : from === "earliest" ? 0 : from;
      // Stored like an entry's offset, so that entries during a disconnect are not missed when
      // there was none before.
      this.#queue.push({ kind: "begin", offset: this.#received }, 0);
    }
    this.#acks.subscribed();
  }

  #refused(id: string | undefined, error: PrismError): void {
    if (this.#phase.kind !== "asked" || this.#phase.id !== id) {
      if (!this.#acks.refused(id, error)) this.#parts.problem(error, this.#about());
      return;
    }
    this.#phase = { kind: "refused" };
    this.#parts.problem(error, this.#about());
    if (!FINAL.has(error.code)) this.#parts.restart(error);
  }

  #pause(): void {
    if (!this.#link || this.#resolved === null) return;
    this.#phase = { kind: "paused" };
    this.#link.say({ op: "unsubscribe", id: this.#link.nextId(), stream: this.#resolved });
  }

  #handlersOf(item: Item): readonly (() => unknown)[] {
    if (item.kind === "begin") return [];
    const value = (item.kind === "gap" ? item.gap : item.entry) as never;
    const names =
      item.kind === "gap" ? ["gap"] : RESERVED.has(item.entry.type) ? ["event"] : [item.entry.type, "event"];
    return names.flatMap((name) => {
      const handlers = this.#handlers.get(name) ?? [];
      return [...handlers].map(
        (handler) => () => (this.#handlers.get(name)?.has(handler) ? handler(value) : undefined),
      );
    });
  }

  /** The offset is stored before the next entry is handled. */
  async #handled(item: Item): Promise<void> {
    this.#offset = item.offset;
    if (item.kind === "gap" && item.isReset) this.#acks.reset(restarted());
    if (item.kind === "entry" && this.#options.ack === "auto") this.#acks.want(item.offset);
    if (this.#phase.kind === "paused" && this.#queue.hasRoom && this.#link && this.#resolved !== null) {
      this.#ask(this.#link, this.#resolved);
    }
    const { storage, keyOf, problem } = this.#parts;
    if (!storage || this.#resolved === null) return;
    try {
      await storage.set(keyOf(this.#resolved), String(item.offset));
    } catch (error) {
      problem(wrapped("STORAGE_FAILED", "The offset could not be stored", error), this.#about());
    }
  }

  #sayAck(offset: number): string | null {
    if (!this.isOpen || !this.#link || this.#resolved === null) return null;
    const id = this.#link.nextId();
    this.#link.say({ op: "ack", id, stream: this.#resolved, offset });
    return id;
  }

  #about(entry?: Entry | Gap): { stream: string; entry?: Entry | Gap } {
    const stream = this.#resolved ?? this.stream;
    return entry ? { stream, entry } : { stream };
  }
}

function resolve(stream: string, userId: string | null): string {
  return userId === null ? stream : stream.replace(/^(user|tasks|messages):me$/, `$1:${userId}`);
}

function restarted(): PrismError {
  return new PrismError("CONNECTION_CLOSED", "The stream's offsets restarted");
}

function offsetIn(text: string | null | undefined): number | null {
  return text && /^\d{1,16}$/.test(text) ? Number(text) : null;
}
