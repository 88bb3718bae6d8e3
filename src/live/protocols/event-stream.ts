import type { Principal } from "../../core/caller.ts";
import type { Logger } from "../../core/log.ts";
import type { Clock, EpochMs } from "../../core/time/clock.ts";
import type { Exchange } from "../../http/server/exchange.ts";
import type { Connection, Connections, RealtimeAccess } from "../connections.ts";
import type { Hub } from "../hub.ts";
import type { StreamEntry, StreamGap, StreamRef } from "../stream.ts";
import { type From, type Sink, Subscription } from "../subscription.ts";
import { MAX_BUFFERED_BYTES } from "../topic-broadcaster.ts";

const PING_EVERY_MS = 15_000;
/** uWebSockets itself cuts a response without progress for 10 s, which cannot be configured. */
const STUCK_LIMIT_MS = 30_000;

export interface EventStreamParts {
  readonly hub: Hub;
  readonly access: RealtimeAccess;
  readonly connections: Connections;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Messages of a stream of server-sent events. */
export interface EventStreamOptions {
  readonly stream: StreamRef;
  readonly from: From;
  /** Default: all entries. */
  accepts?(entry: StreamEntry): boolean;
  /** The event name of an entry; default: none, so that `EventSource.onmessage` receives it. */
  nameOf?(entry: StreamEntry): string | undefined;
}

/**
 * Responds with server-sent events of one stream (WHATWG HTML, section 9.2). @throws OVERLOADED,
 * RATE_LIMITED
 */
export function serveEventStream(
  parts: EventStreamParts,
  exchange: Exchange,
  principal: Principal,
  options: EventStreamOptions,
): void {
  parts.connections.requireRoom(principal, exchange.clientAddress);
  exchange.startStream(200, { "Content-Type": "text/event-stream", "X-Accel-Buffering": "no" });
  // The response to HEAD is complete.
  if (exchange.isOver) return;
  exchange.releaseHead();
  const connection = new EventStream(parts, exchange, principal, options);
  parts.connections.add(connection);
  connection.start();
}

/** Also the sink of its only subscription: there are tens of thousands. */
class EventStream implements Connection, Sink {
  readonly transport = "sse";
  readonly address: string;
  principal: Principal;
  readonly #parts: EventStreamParts;
  readonly #exchange: Exchange;
  readonly #stream: StreamRef;
  readonly #subscription: Subscription;
  readonly #nameOf: EventStreamOptions["nameOf"];
  #isOpen = true;
  #pingedAt: number;
  /**
   * Bytes written since the library started to buffer; it does not report how many it still holds.
   */
  #heldBytes = 0;
  /** Since when the library buffers, or when it last wrote some of the buffer. */
  #blockedSince: number | null = null;

  constructor(parts: EventStreamParts, exchange: Exchange, principal: Principal, options: EventStreamOptions) {
    const { stream, from, accepts } = options;
    this.#parts = parts;
    this.#exchange = exchange;
    this.#stream = stream;
    this.principal = principal;
    this.address = exchange.clientAddress;
    this.#nameOf = options.nameOf;
    this.#pingedAt = this.#elapsed();
    this.#subscription = new Subscription(parts.hub, stream, from, this, accepts);
  }

  get connection(): this {
    return this;
  }

  get reader(): this {
    return this;
  }

  isReady(): boolean {
    return this.#isOpen && this.#heldBytes < MAX_BUFFERED_BYTES;
  }

  entry(entry: StreamEntry): boolean {
    return this.isReady() && this.#write(entryText(entry, this.#nameOf?.(entry)));
  }

  gap(gap: StreamGap): void {
    this.#write(gapText(gap));
  }

  failed(error: unknown): void {
    const { requestId } = this.#exchange;
    this.#parts.log.error({ requestId, err: error }, "reading the history of a stream failed");
    this.#end();
  }

  start(): void {
    this.#exchange.onAbort = () => this.#gone();
    this.#exchange.res.onWritable(() => {
      this.#writable();
      return true;
    });
    this.#write("retry: 3000\n\n");
    this.#subscription.start();
  }

  tick(now: EpochMs): void {
    const elapsed = this.#elapsed();
    if (this.principal.expiresAt <= now) this.#expire();
    else if (this.#blockedSince !== null) {
      if (elapsed - this.#blockedSince >= STUCK_LIMIT_MS) this.#cut();
    } else if (elapsed - this.#pingedAt >= PING_EVERY_MS) {
      this.#pingedAt = elapsed;
      this.#write(": ping\n\n");
    }
  }

  /** @param principal null: its credential or account has ended */
  rightsChanged(principal: Principal | null): void {
    if (!principal) {
      this.#expire();
      return;
    }
    this.principal = principal;
    // The client reconnects and gets the reason as an HTTP status.
    if (this.#parts.access.check(principal, this.#stream) !== "allowed") this.#end();
  }

  restart(): void {
    this.#end();
  }

  /** The library writes its buffer only along with new data: a comment, which clients ignore. */
  #writable(): void {
    if (!this.#isOpen) return;
    this.#blockedSince = null;
    this.#write(":\n");
    this.#subscription.drained();
  }

  /** Cut, not ended: the library's buffer would stay in memory until the client reads it. */
  #cut(): void {
    this.#parts.connections.noteSlow();
    this.#exchange.res.close();
  }

  #expire(): void {
    this.#write("event: auth_expired\ndata: {}\n\n");
    this.#end();
  }

  /** In whole milliseconds: numbers with a fraction would be objects. */
  #elapsed(): number {
    return Math.floor(this.#parts.clock.elapsed());
  }

  #write(text: string): boolean {
    if (!this.#isOpen) return false;
    if (this.#exchange.write(text)) {
      this.#heldBytes = 0;
      this.#blockedSince = null;
    } else {
      this.#heldBytes += Buffer.byteLength(text);
      this.#blockedSince ??= this.#elapsed();
    }
    return true;
  }

  #end(): void {
    if (!this.#isOpen) return;
    this.#gone();
    this.#exchange.finishStream(200);
  }

  #gone(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#subscription.end();
    this.#parts.connections.delete(this);
  }
}

function entryText(entry: StreamEntry, name: string | undefined): string {
  const named = name === undefined ? "" : `event: ${name}\n`;
  return `id: ${entry.offset}\n${named}data: ${entry.data}\n\n`;
}

/** It has an id, so that a client which reconnects after it resumes after the gap. */
function gapText(gap: StreamGap): string {
  return `id: ${gap.to}\nevent: gap\ndata: ${JSON.stringify(gap)}\n\n`;
}
