import type { WebSocket } from "uWebSockets.js";
import type { Clock, EpochMs } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Principal } from "../base/principal.ts";
import { CLOSE, type CloseReason } from "./close-codes.ts";
import type { Connection, Connections, RealtimeAccess, Transport } from "./connections.ts";
import type { Hub } from "./hub.ts";
import { type StreamEntry, type StreamGap, type StreamRef, streamName } from "./stream.ts";
import { type From, type Sink, Subscription } from "./subscription.ts";
import { type Follower, isWorthCompressing, MAX_BUFFERED_BYTES, type TopicBroadcaster } from "./topic-broadcaster.ts";

/** Bytes of the conversation that may wait for a client which does not read. */
export const MAX_BACKLOG_BYTES = 1_048_576;
const PING_AFTER_MS = 30_000;
const SILENT_LIMIT_MS = 60_000;
const STUCK_LIMIT_MS = 30_000;
const EXPIRY_NOTICE_MS = 60_000;
const MESSAGES_PER_SECOND = 50;
const MESSAGE_BURST = 100;
/** What WebSocket.send returns when the message was not taken. */
const SEND_DROPPED = 2;

/** How one WebSocket protocol says things. */
export interface SocketProtocol {
  readonly transport: Transport;
  entryText(stream: string, entry: StreamEntry): string;
  gapText(stream: string, gap: StreamGap): string;
  /** A notice that the credential ends soon; absent where the protocol has none. */
  expiringText?(expiresAt: EpochMs): string;
}

/** What all sockets of a protocol share. */
export interface SocketParts {
  readonly hub: Hub;
  readonly access: RealtimeAccess;
  readonly connections: Connections;
  readonly protocol: SocketProtocol;
  readonly broadcaster: TopicBroadcaster;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface SubscribeOptions {
  readonly from: From;
  readonly accepts?: ((entry: StreamEntry) => boolean) | undefined;
  /** Called when the socket has taken an entry. With it every entry is written to this socket by itself. */
  readonly onTaken?: ((entry: StreamEntry) => void) | undefined;
}

/** One WebSocket: what it follows, how far it has got, and whether it is still well. The protocol decides what is said. */
export class LiveSocket implements Connection, Follower {
  readonly transport: Transport;
  readonly address: string;
  readonly #ws: WebSocket<unknown>;
  readonly #parts: SocketParts;
  readonly #subscriptions = new Map<string, Subscription>();
  principal: Principal;
  #isOpen = true;
  /** Messages of the conversation that wait until the socket takes more. Entries of streams never wait: they can be read again. */
  #backlog: string[] = [];
  #backlogBytes = 0;
  /** Since when the socket takes no more, or when it last wrote something although it does not. */
  #blockedSince: EpochMs | null = null;
  /** When the client last gave a sign of life. */
  #heardAt: EpochMs;
  #pingedAt: EpochMs = 0;
  #hasBeenWarned = false;
  #messageTokens = MESSAGE_BURST;
  #tokensAt: EpochMs;

  constructor(ws: WebSocket<unknown>, principal: Principal, address: string, parts: SocketParts) {
    this.#ws = ws;
    this.#parts = parts;
    this.principal = principal;
    this.address = address;
    this.transport = parts.protocol.transport;
    this.#heardAt = parts.clock.now();
    this.#tokensAt = this.#heardAt;
    parts.connections.add(this);
  }

  /** Sends one message of the conversation, as soon as the client takes it. One that lets too many wait is closed. */
  send(text: string): void {
    if (!this.#isOpen || this.#tryWrite(text)) return;
    this.#backlog.push(text);
    this.#backlogBytes += text.length;
    if (this.#backlogBytes > MAX_BACKLOG_BYTES) this.close("tooSlow");
  }

  /** The close handler runs before this returns. */
  close(reason: CloseReason): void {
    if (!this.#isOpen) return;
    if (reason === "tooSlow") this.#parts.connections.noteSlow();
    this.#ws.end(CLOSE[reason], reason);
  }

  /** Follows a stream; a second time, with other options. `announce` runs before anything of the stream is sent. */
  subscribe(stream: StreamRef, options: SubscribeOptions, announce: () => void): void {
    const name = streamName(stream);
    this.#subscriptions.get(name)?.end();
    const sink = this.#sink(stream, options);
    const subscription = new Subscription(this.#parts.hub, stream, options.from, sink, options.accepts);
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

  /** A message came in. @returns false when it was one too many; the socket is then closed. */
  receive(): boolean {
    const now = this.#parts.clock.now();
    this.#heardAt = now;
    const refill = (Math.max(0, now - this.#tokensAt) * MESSAGES_PER_SECOND) / 1000;
    this.#messageTokens = Math.min(MESSAGE_BURST, this.#messageTokens + refill) - 1;
    this.#tokensAt = now;
    if (this.#messageTokens >= 0) return true;
    this.close("rate");
    return false;
  }

  /** A ping or a pong came in. */
  heard(): void {
    this.#heardAt = this.#parts.clock.now();
  }

  /** uWebSockets has written some of what was buffered. */
  drained(): void {
    this.#blockedSince = null;
    // A slow client reads what lies before the ping first: that it takes something says that it lives.
    this.#heardAt = this.#parts.clock.now();
    let written = 0;
    for (const text of this.#backlog) {
      if (!this.#hasRoom() || !this.#write(text)) break;
      this.#backlogBytes -= text.length;
      written++;
    }
    this.#backlog.splice(0, written);
    if (this.#isReady()) for (const subscription of this.#subscriptions.values()) subscription.drained();
  }

  /**
   * uWebSockets has thrown something away, maybe more than it says: only the client knows what it has, so it is to come back and resume.
   * The socket cannot be closed in here, for it is being written to.
   */
  dropped(): void {
    setImmediate(() => this.close("tooSlow"));
  }

  fallBehindIfSlow(): void {
    if (!this.#hasRoom()) for (const subscription of this.#subscriptions.values()) subscription.fallBehind();
  }

  closed(): void {
    this.#isOpen = false;
    for (const subscription of this.#subscriptions.values()) subscription.end();
    this.#subscriptions.clear();
    this.#backlog = [];
    this.#parts.connections.delete(this);
  }

  tick(now: EpochMs): void {
    const silentMs = now - this.#heardAt;
    if (silentMs >= SILENT_LIMIT_MS) {
      this.#ws.close();
      return;
    }
    if (this.principal.expiresAt <= now) {
      this.close("unauthenticated");
      return;
    }
    this.fallBehindIfSlow();
    if (this.#blockedSince !== null && now - this.#blockedSince >= STUCK_LIMIT_MS) {
      this.close("tooSlow");
      return;
    }
    this.#warnOfExpiry(now);
    // The warning may have been one message too many.
    if (this.#isOpen && silentMs >= PING_AFTER_MS && now - this.#pingedAt >= PING_AFTER_MS) {
      this.#pingedAt = now;
      this.#ws.ping();
    }
  }

  /** @param principal as it is now; null when it has ended. */
  rightsChanged(principal: Principal | null): void {
    if (!principal) {
      this.close("unauthenticated");
      return;
    }
    this.principal = principal;
    for (const { stream } of this.#subscriptions.values()) {
      const verdict = this.#parts.access.check(principal, stream);
      if (verdict === "allowed") continue;
      this.close(verdict);
      return;
    }
  }

  /** A new token has come in over the socket. */
  renew(principal: Principal): void {
    this.#hasBeenWarned = false;
    this.rightsChanged(principal);
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

  #sink(stream: StreamRef, { onTaken, accepts }: SubscribeOptions): Sink {
    const { protocol, broadcaster, log } = this.#parts;
    const name = streamName(stream);
    const base: Sink = {
      isReady: () => this.#isReady(),
      entry: (entry) => {
        if (!this.#tryWrite(protocol.entryText(name, entry))) return false;
        onTaken?.(entry);
        return true;
      },
      gap: (gap) => this.send(protocol.gapText(name, gap)),
      failed: (error) => {
        log.error({ stream: name, err: error }, "a stream's history could not be read");
        this.close("internal");
      },
    };
    if (onTaken || accepts) return base;
    const topic = broadcaster.topic(name);
    return {
      ...base,
      group: {
        join: () => {
          this.#ws.subscribe(topic);
          broadcaster.joined(stream, this);
        },
        leave: () => {
          if (this.#isOpen) this.#ws.unsubscribe(topic);
          broadcaster.left(stream, this);
        },
      },
    };
  }

  /** Whether entries may be written: the socket takes more, and nothing of the conversation waits. */
  #isReady(): boolean {
    return this.#isOpen && this.#backlog.length === 0 && this.#hasRoom();
  }

  #hasRoom(): boolean {
    if (this.#ws.getBufferedAmount() < MAX_BUFFERED_BYTES) return true;
    this.#blockedSince ??= this.#parts.clock.now();
    return false;
  }

  #tryWrite(text: string): boolean {
    return this.#isReady() && this.#write(text);
  }

  #write(text: string): boolean {
    return this.#ws.send(text, false, isWorthCompressing(text)) !== SEND_DROPPED;
  }
}
