import type { EpochMs } from "../base/clock.ts";
import type { Principal } from "../base/principal.ts";
import type { Exchange } from "../http/exchange.ts";
import type { Connection, Connections, RealtimeAccess } from "./connections.ts";
import type { Hub } from "./hub.ts";
import type { StreamEntry, StreamGap, StreamRef } from "./stream.ts";
import { type From, type Sink, Subscription } from "./subscription.ts";

const PING_EVERY_MS = 15_000;
const MAX_BUFFERED_BYTES = 65_536;
const STUCK_LIMIT_MS = 30_000;

export interface EventStreamParts {
  readonly hub: Hub;
  readonly access: RealtimeAccess;
  readonly connections: Connections;
}

/** Answers a request with a stream of server-sent events (WHATWG HTML, section 9.2) of one stream. */
export function serveEventStream(
  parts: EventStreamParts,
  exchange: Exchange,
  principal: Principal,
  stream: StreamRef,
  from: From,
): void {
  parts.connections.requireRoom(principal, exchange.clientAddress);
  exchange.startStream(200, {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
  });
  const connection = new EventStream(parts, exchange, principal, stream, from);
  parts.connections.add(connection);
  connection.start();
}

class EventStream implements Connection {
  readonly transport = "sse";
  readonly address: string;
  readonly principal: Principal;
  readonly #parts: EventStreamParts;
  readonly #exchange: Exchange;
  readonly #stream: StreamRef;
  readonly #subscription: Subscription;
  #isOpen = true;
  #pingedAt: EpochMs = Date.now();
  /** Bytes that the socket had written when it stopped taking more, and when that was. */
  #blockedSince: EpochMs | null = null;
  #bufferedBytes = 0;

  constructor(parts: EventStreamParts, exchange: Exchange, principal: Principal, stream: StreamRef, from: From) {
    this.#parts = parts;
    this.#exchange = exchange;
    this.#stream = stream;
    this.principal = principal;
    this.address = exchange.clientAddress;
    const sink: Sink = {
      isReady: () => this.#isOpen && this.#bufferedBytes < MAX_BUFFERED_BYTES,
      entry: (entry) => this.#write(entryText(entry)),
      gap: (gap) => void this.#write(gapText(gap)),
    };
    this.#subscription = new Subscription(parts.hub, stream, from, sink);
  }

  start(): void {
    this.#exchange.onAbort = () => this.#gone();
    this.#exchange.res.onWritable(() => {
      this.#bufferedBytes = 0;
      this.#blockedSince = null;
      this.#subscription.drained();
      return true;
    });
    this.#write("retry: 3000\n\n");
    this.#subscription.start();
  }

  tick(now: EpochMs): void {
    if (this.#blockedSince !== null && now - this.#blockedSince >= STUCK_LIMIT_MS) this.#end();
    else if (this.principal.expiresAt <= now) this.#expire();
    else if (now - this.#pingedAt >= PING_EVERY_MS) {
      this.#pingedAt = now;
      this.#write(": ping\n\n");
    }
  }

  rightsChanged(principal: Principal | null): void {
    if (!principal || !this.#parts.access.maySubscribe(principal, this.#stream)) this.#expire();
  }

  restart(): void {
    this.#end();
  }

  #expire(): void {
    this.#write("event: auth_expired\ndata: {}\n\n");
    this.#end();
  }

  #write(text: string): boolean {
    if (!this.#isOpen) return false;
    const { res } = this.#exchange;
    res.cork(() => {
      if (res.write(text)) return;
      // From the first refused write on everything is buffered by the library until onWritable.
      this.#bufferedBytes += text.length;
      this.#blockedSince ??= Date.now();
    });
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

function entryText(entry: StreamEntry): string {
  return `id: ${entry.offset}\nevent: event\ndata: ${entry.data}\n\n`;
}

function gapText(gap: StreamGap): string {
  return `event: gap\ndata: ${JSON.stringify(gap)}\n\n`;
}
