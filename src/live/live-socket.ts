import type { WebSocket } from "uWebSockets.js";
import { Bucket } from "../core/bucket.ts";
import type { Clock, EpochMs } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";
import type { Principal } from "../core/principal.ts";
import {
  CLOSE,
  type CloseReason,
  type Connection,
  type Connections,
  MAX_PENDING_MESSAGE_BYTES,
  PENDING_LIMIT_MS,
  type RealtimeAccess,
  type Transport,
} from "./connections.ts";
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
const MESSAGE_BURST = 100;
/** 50 messages a second. */
const BURST_REFILL_MS = 2000;
/** What WebSocket.send returns when the message was not taken. */
export const SEND_DROPPED = 2;

/**
 * What a {@link LiveSocket} writes to: a WebSocket, or what stands for one where a protocol has
 * other ways besides.
 */
export type Channel = Pick<
  WebSocket<unknown>,
  "send" | "end" | "close" | "cork" | "ping" | "getBufferedAmount" | "subscribe" | "unsubscribe" | "publish"
>;

/** How one WebSocket protocol says things. */
export interface SocketProtocol {
  readonly transport: Transport;
  entryText(stream: string, entry: StreamEntry): string;
  gapText(stream: string, gap: StreamGap): string;
  /** What is said before a close, and its code; absent: nothing, and the code of {@link CLOSE}. */
  closing?(reason: CloseReason): Closing;
  /**
   * What is said to a client that has been silent too long; absent: nothing, and no close frame
   * either.
   */
  readonly silent?: Closing;
  /** A connection may stay without saying who it is; absent: it is closed after a while. */
  readonly staysAnonymous?: true;
  /**
   * The longest message of a connection that is still pending; absent: {@link
   * MAX_PENDING_MESSAGE_BYTES}.
   */
  readonly maxPendingMessageBytes?: number;
  /** A notice that the credential ends soon; absent where the protocol has none. */
  expiringText?(expiresAt: EpochMs): string;
}

/** The last words of a connection, and the code of its close frame. */
export interface Closing {
  readonly code: number;
  readonly text: string;
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
  /**
   * Called when the socket has taken an entry. With it every entry is written to this socket by
   * itself.
   */
  readonly onTaken?: ((entry: StreamEntry) => void) | undefined;
  /** Called whenever everything up to now has been sent. */
  readonly onCaughtUp?: (() => void) | undefined;
}

/**
 * One WebSocket: what it follows, how far it has got, and whether it is still well. The protocol
 * decides what is said.
 */
export class LiveSocket implements Connection, Follower {
  readonly transport: Transport;
  readonly address: string;
  readonly isObserver: boolean;
  readonly #ws: Channel;
  readonly #parts: SocketParts;
  readonly #subscriptions = new Map<string, Subscription>();
  /** What entries that came from this connection name it by; null: none does. */
  id: string | null = null;
  #principal: Principal | null;
  #isOpen = true;
  /**
   * Messages of the conversation that wait until the socket takes more. Entries of streams never
   * wait: they can be read again.
   */
  #backlog: string[] = [];
  #backlogBytes = 0;
  /** Since when the socket takes no more, or when it last wrote something although it does not. */
  #blockedSince: number | null = null;
  readonly #openedAt: number;
  /** When the client last gave a sign of life. */
  #heardAt: number;
  #pingedAt = 0;
  #isPongDue = false;
  #hasBeenWarned = false;
  readonly #messages: Bucket;

  /**
   * @param principal null where the protocol has callers say later who they are, see {@link
   * identify}.
   */
  constructor(ws: Channel, principal: Principal | null, address: string, parts: SocketParts, isObserver = false) {
    this.#ws = ws;
    this.#parts = parts;
    this.#principal = principal;
    this.address = address;
    this.isObserver = isObserver;
    this.transport = parts.protocol.transport;
    this.#heardAt = parts.clock.elapsed();
    this.#openedAt = this.#heardAt;
    this.#messages = new Bucket(MESSAGE_BURST, BURST_REFILL_MS, this.#heardAt);
    parts.connections.add(this);
  }

  get principal(): Principal | null {
    return this.#principal;
  }

  /**
   * @throws TypeError while nobody has said who it is: a protocol that authenticates before the
   * upgrade has no such moment.
   */
  get caller(): Principal {
    if (!this.#principal) throw new TypeError("the connection is nobody's");
    return this.#principal;
  }

  /**
   * It is known now whose the connection is. @throws RATE_LIMITED when they have too many; it stays
   * as it was.
   */
  identify(principal: Principal): void {
    this.#parts.connections.identify(this, principal);
    this.#principal = principal;
    this.#hasBeenWarned = false;
  }

  /**
   * Sends one message of the conversation, as soon as the client takes it. One that lets too many
   * wait is closed.
   */
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
    const closing = this.#parts.protocol.closing?.(reason);
    if (closing) this.closeWith(closing, reason);
    else this.#ws.end(CLOSE[reason], reason);
  }

  /** Closes in words of the protocol alone. The close handler runs before this returns. */
  closeWith({ code, text }: Closing, reason = ""): void {
    if (!this.#isOpen) return;
    this.#ws.cork(() => {
      this.#write(text);
      this.#ws.end(code, reason);
    });
  }

  /**
   * Follows a stream; a second time, with other options. `announce` runs before anything of the
   * stream is sent.
   */
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

  unsubscribeAll(): void {
    for (const subscription of this.#subscriptions.values()) subscription.end();
    this.#subscriptions.clear();
  }

  get subscriptionCount(): number {
    return this.#subscriptions.size;
  }

  has(stream: StreamRef): boolean {
    return this.#subscriptions.has(streamName(stream));
  }

  /** Whether a message is longer than a connection that has not said who it is may send. */
  isTooLongYet(bytes: number): boolean {
    const { protocol, connections } = this.#parts;
    return bytes > (protocol.maxPendingMessageBytes ?? MAX_PENDING_MESSAGE_BYTES) && connections.isPending(this);
  }

  /**
   * A message or a ping came in. @returns false when it was one too many; the socket is then
   * closed.
   */
  receive(): boolean {
    const now = this.#parts.clock.elapsed();
    this.#heardAt = now;
    if (this.#messages.take(1, now)) return true;
    this.close("rate");
    return false;
  }

  /** The client gave a sign of life elsewhere: several connections share its socket. */
  heard(): void {
    this.#heardAt = this.#parts.clock.elapsed();
  }

  /**
   * A pong came in. One that nobody asked for counts as a message, and so does a ping: the library
   * tells each, and answers it.
   */
  ponged(): void {
    if (!this.#isPongDue) {
      this.receive();
      return;
    }
    this.#isPongDue = false;
    this.#heardAt = this.#parts.clock.elapsed();
  }

  /** uWebSockets has written some of what was buffered. */
  drained(): void {
    this.#blockedSince = null;
    // A slow client reads what lies before the ping first: that it takes something says that it
    // lives.
    this.#heardAt = this.#parts.clock.elapsed();
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
   * uWebSockets has thrown something away, maybe more than it says: only the client knows what it
   * has, so it is to come back and resume. The socket cannot be closed in here, for it is being
   * written to.
   */
  dropped(): void {
    setImmediate(() => this.close("tooSlow"));
  }

  /** Sends to all others that follow the topic, and lets them know nothing of this one. */
  publish(topic: string, bytes: Uint8Array, isCompressed: boolean): void {
    if (this.#isOpen) this.#ws.publish(topic, bytes, false, isCompressed);
  }

  /** Sends what is worth nothing later, if the client has room for it. */
  sendIfRoom(text: string): void {
    if (this.#isReady()) this.#write(text);
  }

  fallBehindIfSlow(): void {
    if (!this.#hasRoom()) for (const subscription of this.#subscriptions.values()) subscription.fallBehind();
  }

  closed(): void {
    this.#isOpen = false;
    this.unsubscribeAll();
    this.#backlog = [];
    this.#parts.connections.delete(this);
  }

  tick(now: EpochMs): void {
    // Whatever the clock is set to: all connections would be silent at once.
    const elapsed = this.#parts.clock.elapsed();
    const silentMs = elapsed - this.#heardAt;
    if (silentMs >= SILENT_LIMIT_MS) {
      const { silent } = this.#parts.protocol;
      if (silent) this.closeWith(silent);
      else this.#ws.close();
      return;
    }
    if (this.#principal && this.#principal.expiresAt <= now) return this.close("expired");
    if (!this.#principal && this.#isPendingTooLong(elapsed)) {
      if (!this.#parts.protocol.staysAnonymous) return this.close("idle");
      this.#parts.connections.markAnonymous(this);
    }
    this.fallBehindIfSlow();
    if (this.#blockedSince !== null && elapsed - this.#blockedSince >= STUCK_LIMIT_MS) {
      this.close("tooSlow");
      return;
    }
    this.#warnOfExpiry(now);
    // The warning may have been one message too many.
    if (this.#isOpen && silentMs >= PING_AFTER_MS && elapsed - this.#pingedAt >= PING_AFTER_MS) {
      this.#pingedAt = elapsed;
      this.#isPongDue = true;
      this.#ws.ping();
    }
  }

  /** @param principal as it is now; null when it has ended. */
  rightsChanged(principal: Principal | null): void {
    if (!principal) {
      this.close("unauthenticated");
      return;
    }
    this.#principal = principal;
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
    const expiresAt = this.#principal?.expiresAt ?? Number.POSITIVE_INFINITY;
    if (!expiringText || this.#hasBeenWarned || expiresAt - now > EXPIRY_NOTICE_MS) return;
    this.#hasBeenWarned = true;
    this.send(expiringText(expiresAt));
  }

  #isPendingTooLong(elapsed: number): boolean {
    return elapsed - this.#openedAt >= PENDING_LIMIT_MS && this.#parts.connections.isPending(this);
  }

  #sink(stream: StreamRef, { onTaken, onCaughtUp, accepts }: SubscribeOptions): Sink {
    const { protocol, broadcaster, log } = this.#parts;
    const name = streamName(stream);
    const base: Sink = {
      connection: this,
      isReady: () => this.#isReady(),
      entry: (entry) => {
        if (!this.#tryWrite(protocol.entryText(name, entry))) return false;
        onTaken?.(entry);
        return true;
      },
      gap: (gap) => this.send(protocol.gapText(name, gap)),
      caughtUp: () => onCaughtUp?.(),
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

  /**
   * Whether entries may be written: the socket takes more, and nothing of the conversation waits.
   */
  #isReady(): boolean {
    return this.#isOpen && this.#backlog.length === 0 && this.#hasRoom();
  }

  #hasRoom(): boolean {
    if (this.#ws.getBufferedAmount() < MAX_BUFFERED_BYTES) return true;
    this.#blockedSince ??= this.#parts.clock.elapsed();
    return false;
  }

  #tryWrite(text: string): boolean {
    return this.#isReady() && this.#write(text);
  }

  #write(text: string): boolean {
    return this.#ws.send(text, false, isWorthCompressing(text)) !== SEND_DROPPED;
  }
}
