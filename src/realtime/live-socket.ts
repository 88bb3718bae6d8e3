import type { TemplatedApp, WebSocket } from "uWebSockets.js";
import type { EpochMs } from "../base/clock.ts";
import type { Principal } from "../base/principal.ts";
import { CLOSE, type CloseReason } from "./close-codes.ts";
import type { Connection, RealtimeAccess, Transport } from "./connections.ts";
import type { Broadcaster, Hub } from "./hub.ts";
import { type StreamEntry, type StreamGap, type StreamRef, streamName } from "./stream.ts";
import { type From, type Sink, Subscription } from "./subscription.ts";

/** Bytes buffered for one connection before it reads from the log instead; also uWebSockets' `maxBackpressure`. */
export const MAX_BUFFERED_BYTES = 65_536;
export const MAX_MESSAGE_BYTES = 65_536;
/** Beyond this the library drops the connection (1006); between the two the client gets 1009. */
export const LIBRARY_MAX_MESSAGE_BYTES = 262_144;
export const IDLE_TIMEOUT_S = 60;
const COMPRESS_FROM_BYTES = 512;
const PING_AFTER_MS = 30_000;
const SILENT_LIMIT_MS = 60_000;
const STUCK_LIMIT_MS = 30_000;
const EXPIRY_NOTICE_MS = 60_000;
const MESSAGES_PER_SECOND = 50;
const MESSAGE_BURST = 100;

/** How one WebSocket protocol says things. */
export interface SocketProtocol {
  readonly transport: Transport;
  entryText(stream: string, entry: StreamEntry): string;
  gapText(stream: string, gap: StreamGap): string;
  /** What {@link entryText} wrote, read back from a message that was dropped. */
  readEntry(text: string): { readonly stream: string | null; readonly offset: number };
  /** A notice that the credential ends soon; absent where the protocol has none. */
  expiringText?(expiresAt: EpochMs): string;
}

/** Sends to all sockets of a protocol that follow a stream with one publish of uWebSockets. */
export class TopicBroadcaster implements Broadcaster {
  readonly #app: TemplatedApp;
  readonly #protocol: SocketProtocol;

  constructor(app: TemplatedApp, protocol: SocketProtocol) {
    this.#app = app;
    this.#protocol = protocol;
  }

  topic(stream: string): string {
    return `${this.#protocol.transport}/${stream}`;
  }

  broadcast(stream: string, entry: StreamEntry): void {
    const text = this.#protocol.entryText(stream, entry);
    this.#app.publish(this.topic(stream), text, false, text.length >= COMPRESS_FROM_BYTES);
  }
}

export interface SocketParts {
  readonly hub: Hub;
  readonly access: RealtimeAccess;
  readonly protocol: SocketProtocol;
  readonly broadcaster: TopicBroadcaster;
}

export interface SubscribeOptions {
  readonly from: From;
  readonly accepts?: ((entry: StreamEntry) => boolean) | undefined;
  /** Called when the socket has taken an entry. With it every entry is written to this socket by itself. */
  readonly onTaken?: ((entry: StreamEntry) => void) | undefined;
}

/** One WebSocket: what it follows, how far it has got, and whether it is still well. The protocol decides what is said. */
export class LiveSocket implements Connection {
  readonly transport: Transport;
  readonly address: string;
  readonly #ws: WebSocket<unknown>;
  readonly #parts: SocketParts;
  readonly #subscriptions = new Map<string, Subscription>();
  principal: Principal;
  #isOpen = true;
  #lastFrameAt: EpochMs = Date.now();
  #pingedAt: EpochMs = 0;
  #blockedSince: EpochMs | null = null;
  #hasBeenWarned = false;
  #messageTokens = MESSAGE_BURST;
  #tokensAt: EpochMs = Date.now();

  constructor(ws: WebSocket<unknown>, principal: Principal, address: string, parts: SocketParts) {
    this.#ws = ws;
    this.#parts = parts;
    this.principal = principal;
    this.address = address;
    this.transport = parts.protocol.transport;
  }

  /** Sends one message of the conversation. A client that does not even take those is closed. */
  send(text: string): void {
    if (!this.#isOpen) return;
    if (this.#ws.send(text, false, text.length >= COMPRESS_FROM_BYTES) === SEND_DROPPED) this.close("tooSlow");
  }

  close(reason: CloseReason): void {
    if (this.#isOpen) this.#ws.end(CLOSE[reason], reason);
  }

  /** Follows a stream; a second time, with other options. `announce` runs before anything of the stream is sent. */
  subscribe(stream: StreamRef, options: SubscribeOptions, announce: () => void): void {
    const name = streamName(stream);
    this.#subscriptions.get(name)?.end();
    const isAlone = options.onTaken !== undefined || options.accepts !== undefined;
    const subscription = new Subscription(
      this.#parts.hub,
      stream,
      options.from,
      this.#sink(name, options, isAlone),
      options.accepts,
    );
    this.#subscriptions.set(name, subscription);
    announce();
    subscription.start();
  }

  unsubscribe(stream: StreamRef): void {
    const name = streamName(stream);
    this.#subscriptions.get(name)?.end();
    this.#subscriptions.delete(name);
  }

  get subscriptionCount(): number {
    return this.#subscriptions.size;
  }

  has(stream: StreamRef): boolean {
    return this.#subscriptions.has(streamName(stream));
  }

  /** A frame came in. @returns false when it was one too many; the socket is then closed. */
  receive(): boolean {
    const now = Date.now();
    this.#lastFrameAt = now;
    this.#messageTokens = Math.min(
      MESSAGE_BURST,
      this.#messageTokens + ((now - this.#tokensAt) * MESSAGES_PER_SECOND) / 1000,
    );
    this.#tokensAt = now;
    this.#messageTokens--;
    if (this.#messageTokens >= 0) return true;
    this.close("rate");
    return false;
  }

  ponged(): void {
    this.#lastFrameAt = Date.now();
  }

  /** uWebSockets has written some of what was buffered. */
  drained(): void {
    if (this.#ws.getBufferedAmount() >= MAX_BUFFERED_BYTES) return;
    this.#blockedSince = null;
    for (const subscription of this.#subscriptions.values()) subscription.drained();
  }

  /** A broadcast did not fit into the buffer: it is read from the log once there is room. */
  dropped(text: string): void {
    const { stream, offset } = this.#parts.protocol.readEntry(text);
    this.#blockedSince ??= Date.now();
    const subscription = stream === null ? this.#subscriptions.values().next().value : this.#subscriptions.get(stream);
    subscription?.missed(offset - 1);
  }

  closed(): void {
    this.#isOpen = false;
    for (const subscription of this.#subscriptions.values()) subscription.end();
    this.#subscriptions.clear();
  }

  tick(now: EpochMs): void {
    const silentMs = now - this.#lastFrameAt;
    if (silentMs >= SILENT_LIMIT_MS) this.#ws.close();
    else if (this.#blockedSince !== null && now - this.#blockedSince >= STUCK_LIMIT_MS) this.close("tooSlow");
    else if (this.principal.expiresAt <= now) this.close("unauthenticated");
    else {
      this.#warnOfExpiry(now);
      if (silentMs >= PING_AFTER_MS && now - this.#pingedAt >= PING_AFTER_MS) {
        this.#pingedAt = now;
        this.#ws.ping();
      }
    }
  }

  rightsChanged(principal: Principal | null): void {
    if (!principal) {
      this.close("unauthenticated");
      return;
    }
    this.principal = principal;
    for (const { stream } of [...this.#subscriptions.values()]) {
      if (this.#parts.access.maySubscribe(principal, stream)) continue;
      this.unsubscribe(stream);
      this.close("forbidden");
      return;
    }
  }

  /** A new token has come in over the socket. */
  renew(principal: Principal): void {
    this.principal = principal;
    this.#hasBeenWarned = false;
  }

  restart(): void {
    this.close("restart");
  }

  #warnOfExpiry(now: EpochMs): void {
    const { expiringText } = this.#parts.protocol;
    if (!expiringText || this.#hasBeenWarned || this.principal.expiresAt - now > EXPIRY_NOTICE_MS) return;
    this.#hasBeenWarned = true;
    this.send(expiringText(this.principal.expiresAt));
  }

  #sink(name: string, { onTaken }: SubscribeOptions, isAlone: boolean): Sink {
    const { protocol, broadcaster } = this.#parts;
    const base: Sink = {
      isReady: () => this.#isReady(),
      entry: (entry) => {
        const text = protocol.entryText(name, entry);
        if (!this.#isReady() || this.#ws.send(text, false, text.length >= COMPRESS_FROM_BYTES) === SEND_DROPPED)
          return false;
        onTaken?.(entry);
        return true;
      },
      gap: (gap) => this.send(protocol.gapText(name, gap)),
    };
    if (isAlone) return base;
    const topic = broadcaster.topic(name);
    return {
      ...base,
      group: {
        broadcaster,
        join: () => this.#isOpen && this.#ws.subscribe(topic),
        leave: () => this.#isOpen && this.#ws.unsubscribe(topic),
      },
    };
  }

  #isReady(): boolean {
    if (!this.#isOpen) return false;
    if (this.#ws.getBufferedAmount() < MAX_BUFFERED_BYTES) return true;
    this.#blockedSince ??= Date.now();
    return false;
  }
}

/** What WebSocket.send returns when the message was not taken. */
const SEND_DROPPED = 2;
