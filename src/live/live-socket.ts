import type { Principal } from "../core/caller.ts";
import { Bucket } from "../core/limits/bucket.ts";
import type { Logger } from "../core/log.ts";
import type { Clock, EpochMs } from "../core/time/clock.ts";
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
import type { Closing, SocketOutput, SocketProtocol } from "./socket-protocol.ts";
import { type StreamEntry, type StreamGap, type StreamRef, streamName } from "./stream.ts";
import { type From, type Sink, Subscription } from "./subscription.ts";
import { type Follower, isWorthCompressing, MAX_BUFFERED_BYTES, type TopicBroadcaster } from "./topic-broadcaster.ts";

/** Bytes of responses that may wait for a client which does not read. */
export const MAX_BACKLOG_BYTES = 1_048_576;
const PING_AFTER_MS = 30_000;
const SILENT_LIMIT_MS = 60_000;
const STUCK_LIMIT_MS = 30_000;
const EXPIRY_NOTICE_MS = 60_000;
const MESSAGE_BURST = 100;
/** 50 messages a second. */
const BURST_REFILL_MS = 2000;
/** Result of `WebSocket.send` for a dropped message. */
export const SEND_DROPPED = 2;

/** Services that all sockets of a protocol share. */
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
   * Called when the socket has accepted an entry. Entries are then written to this socket
   * separately.
   */
  readonly onAccepted?: ((entry: StreamEntry, stream: StreamRef) => void) | undefined;
  /** Called whenever all entries up to now have been sent. */
  readonly onCaughtUp?: (() => void) | undefined;
}

const NO_SUBSCRIPTIONS: readonly Subscription[] = [];

/**
 * One WebSocket: its subscriptions, backlog, heartbeat and rights. The protocol serializes
 * messages. There are tens of thousands, so that none has a collection, closure or bucket which an
 * idle one does not need.
 */
export class LiveSocket implements Connection, Follower {
  readonly transport: Transport;
  readonly address: string;
  readonly isObserver: boolean;
  readonly #ws: SocketOutput;
  readonly #parts: SocketParts;
  /** By the time of subscribing; replaced by each change. */
  #subscriptions = NO_SUBSCRIPTIONS;
  /** Identifies this connection as the origin of entries; null: it is never one. */
  id: string | null = null;
  #principal: Principal | null;
  #isOpen = true;
  /**
   * Responses that wait until the socket accepts more. Entries of streams never wait here: they are
   * read again. Null: none waits.
   */
  #backlog: string[] | null = null;
  #backlogBytes = 0;
  /** Since when the socket accepts nothing, or since it last wrote something meanwhile. */
  #blockedSince: number | null = null;
  readonly #openedAt: number;
  /** When the client last sent or accepted something. */
  #activeAt: number;
  #pingedAt = 0;
  #isPongDue = false;
  #isExpiryNotified = false;
  /** What the client may send now; null: as much as ever. */
  #messages: Bucket | null = null;

  /** @param principal null when the protocol authenticates later by {@link identify} */
  constructor(ws: SocketOutput, principal: Principal | null, address: string, parts: SocketParts, isObserver = false) {
    this.#ws = ws;
    this.#parts = parts;
    this.#principal = principal;
    this.address = address;
    this.isObserver = isObserver;
    this.transport = parts.protocol.transport;
    this.#activeAt = this.#elapsed();
    this.#openedAt = this.#activeAt;
    parts.connections.add(this);
  }

  get principal(): Principal | null {
    return this.#principal;
  }

  /** @throws TypeError while the connection is unauthenticated, which only some protocols allow */
  get caller(): Principal {
    if (!this.#principal) throw new TypeError("the connection is not authenticated");
    return this.#principal;
  }

  /**
   * Authenticates the connection. @throws RATE_LIMITED when the caller has too many; it stays
   * unchanged.
   */
  identify(principal: Principal): void {
    this.#parts.connections.identify(this, principal);
    this.#principal = principal;
    this.#isExpiryNotified = false;
  }

  /**
   * Sends a response as soon as the client accepts it. A client that lets too many wait is closed.
   */
  send(text: string): void {
    if (!this.#isOpen || this.tryWrite(text)) return;
    this.#backlog ??= [];
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

  /** Closes with a message of the protocol. The close handler runs before this returns. */
  closeWith({ code, text }: Closing, reason = ""): void {
    if (!this.#isOpen) return;
    this.#ws.cork(() => {
      this.#write(text);
      this.#ws.end(code, reason);
    });
  }

  /**
   * Follows a stream; again to change the options. `announce` runs before any entry of it is sent.
   */
  subscribe(stream: StreamRef, options: SubscribeOptions, announce: () => void): void {
    const name = streamName(stream);
    this.#unsubscribe(name);
    const sink = new SocketSink(this, this.#parts, stream, name, options);
    const subscription = new Subscription(this.#parts.hub, stream, options.from, sink, options.accepts, name);
    // Not a literal with `...`, which has room for 16 more.
    this.#subscriptions = this.#subscriptions.concat(subscription);
    announce();
    subscription.start();
  }

  unsubscribe(stream: StreamRef): void {
    this.#unsubscribe(streamName(stream));
  }

  #unsubscribe(name: string): void {
    const subscription = this.#subscriptionTo(name);
    if (!subscription) return;
    subscription.end();
    this.#subscriptions = this.#subscriptions.filter((each) => each !== subscription);
  }

  unsubscribeAll(): void {
    for (const subscription of this.#subscriptions) subscription.end();
    this.#subscriptions = NO_SUBSCRIPTIONS;
  }

  get subscriptionCount(): number {
    return this.#subscriptions.length;
  }

  has(stream: StreamRef): boolean {
    return this.#subscriptionTo(streamName(stream)) !== undefined;
  }

  #subscriptionTo(name: string): Subscription | undefined {
    return this.#subscriptions.find((each) => each.name === name);
  }

  /** Whether a message is too long for a connection that has not authenticated. */
  exceedsPendingLimit(bytes: number): boolean {
    const { protocol, connections } = this.#parts;
    return bytes > (protocol.maxPendingMessageBytes ?? MAX_PENDING_MESSAGE_BYTES) && connections.isPending(this);
  }

  /**
   * Counts a message or ping of the client. @returns false when it exceeded the rate; the socket is
   * then closed.
   */
  receive(): boolean {
    const now = this.#elapsed();
    this.#activeAt = now;
    this.#messages ??= new Bucket(MESSAGE_BURST, BURST_REFILL_MS, now);
    if (this.#messages.take(1, now)) return true;
    this.close("rate");
    return false;
  }

  /** Notes activity of the client on another connection that shares its socket. */
  noteActivity(): void {
    this.#activeAt = this.#elapsed();
  }

  /** Handles a pong. An unsolicited one counts as a message, as a ping does. */
  pongReceived(): void {
    if (!this.#isPongDue) {
      this.receive();
      return;
    }
    this.#isPongDue = false;
    this.#activeAt = this.#elapsed();
  }

  /** uWebSockets has written some of its buffer. */
  drained(): void {
    this.#blockedSince = null;
    // A slow client reads older messages before the ping, so accepting data counts as activity.
    this.#activeAt = this.#elapsed();
    const waiting = this.#backlog ?? [];
    let written = 0;
    for (const text of waiting) {
      if (!this.#hasRoom() || !this.#write(text)) break;
      this.#backlogBytes -= text.length;
      written++;
    }
    this.#backlog = written === waiting.length ? null : waiting.slice(written);
    if (this.isReady()) for (const subscription of this.#subscriptions) subscription.drained();
  }

  /**
   * uWebSockets has dropped messages, maybe more than it reports. Only the client knows what it has
   * received, so it must reconnect and resume. The socket is being written to here and cannot be
   * closed yet.
   */
  dropped(): void {
    setImmediate(() => this.close("tooSlow"));
  }

  /** Sends to all other sockets that follow the topic. */
  publish(topic: string, bytes: Uint8Array, isCompressed: boolean): void {
    if (this.#isOpen) this.#ws.publish(topic, bytes, false, isCompressed);
  }

  /** Sends a message that is useless later, if the client has room for it. */
  sendIfRoom(text: string): void {
    if (this.isReady()) this.#write(text);
  }

  detachIfSlow(): void {
    if (!this.#hasRoom()) for (const subscription of this.#subscriptions) subscription.detach();
  }

  closed(): void {
    this.#isOpen = false;
    this.unsubscribeAll();
    this.#backlog = null;
    this.#parts.connections.delete(this);
  }

  tick(now: EpochMs): void {
    // Monotonic: when the clock is set, all connections would look silent.
    const elapsed = this.#elapsed();
    const silentMs = elapsed - this.#activeAt;
    // A bucket that is full again is equal to none.
    if (silentMs >= BURST_REFILL_MS) this.#messages = null;
    if (silentMs >= SILENT_LIMIT_MS) {
      const { silence } = this.#parts.protocol;
      if (silence) this.closeWith(silence);
      else this.#ws.close();
      return;
    }
    if (this.#principal && this.#principal.expiresAt <= now) return this.close("expired");
    if (!this.#principal && this.#isPendingTooLong(elapsed)) {
      if (!this.#parts.protocol.staysAnonymous) return this.close("idle");
      this.#parts.connections.markAnonymous(this);
    }
    this.detachIfSlow();
    if (this.#blockedSince !== null && elapsed - this.#blockedSince >= STUCK_LIMIT_MS) {
      this.close("tooSlow");
      return;
    }
    this.#notifyOfExpiry(now);
    // The notice may have exceeded the backlog and closed the socket.
    if (this.#isOpen && silentMs >= PING_AFTER_MS && elapsed - this.#pingedAt >= PING_AFTER_MS) {
      this.#pingedAt = elapsed;
      this.#isPongDue = true;
      this.#ws.ping();
    }
  }

  /** @param principal null: its credential or account has ended */
  rightsChanged(principal: Principal | null): void {
    if (!principal) {
      this.close("unauthenticated");
      return;
    }
    this.#principal = principal;
    for (const { stream } of this.#subscriptions) {
      const verdict = this.#parts.access.check(principal, stream);
      if (verdict === "allowed") continue;
      this.close(verdict);
      return;
    }
  }

  /** The client sent a new token over the socket. */
  renew(principal: Principal): void {
    this.#isExpiryNotified = false;
    this.rightsChanged(principal);
  }

  restart(): void {
    this.close("restart");
  }

  #notifyOfExpiry(now: EpochMs): void {
    const { expiringText } = this.#parts.protocol;
    const expiresAt = this.#principal?.expiresAt ?? Number.POSITIVE_INFINITY;
    if (!expiringText || this.#isExpiryNotified || expiresAt - now > EXPIRY_NOTICE_MS) return;
    this.#isExpiryNotified = true;
    this.send(expiringText(expiresAt));
  }

  #isPendingTooLong(elapsed: number): boolean {
    return elapsed - this.#openedAt >= PENDING_LIMIT_MS && this.#parts.connections.isPending(this);
  }

  /** Joins or leaves broadcasts. */
  follow(topic: string, isJoining: boolean): void {
    if (isJoining) this.#ws.subscribe(topic);
    else if (this.#isOpen) this.#ws.unsubscribe(topic);
  }

  /** Whether entries may be written: the socket has room and no response waits. */
  isReady(): boolean {
    return this.#isOpen && this.#backlog === null && this.#hasRoom();
  }

  #hasRoom(): boolean {
    if (this.#ws.getBufferedAmount() < MAX_BUFFERED_BYTES) return true;
    this.#blockedSince ??= this.#elapsed();
    return false;
  }

  /** Sends a text unless the socket has no room now, or a response waits. @returns whether it did */
  tryWrite(text: string): boolean {
    return this.isReady() && this.#write(text);
  }

  #write(text: string): boolean {
    return this.#ws.send(text, false, isWorthCompressing(text)) !== SEND_DROPPED;
  }

  /** In whole milliseconds: numbers with a fraction would be objects. */
  #elapsed(): number {
    return Math.floor(this.#parts.clock.elapsed());
  }
}

/** Where a subscription of a socket sends entries. It is its own group of broadcasts. */
class SocketSink implements Sink {
  readonly #socket: LiveSocket;
  readonly #parts: SocketParts;
  readonly #stream: StreamRef;
  readonly #name: string;
  readonly #onAccepted: SubscribeOptions["onAccepted"];
  readonly #onCaughtUp: SubscribeOptions["onCaughtUp"];
  /** Broadcasts reach only sockets that take all entries. */
  readonly group: this | undefined;

  constructor(socket: LiveSocket, parts: SocketParts, stream: StreamRef, name: string, options: SubscribeOptions) {
    this.#socket = socket;
    this.#parts = parts;
    this.#stream = stream;
    this.#name = name;
    this.#onAccepted = options.onAccepted;
    this.#onCaughtUp = options.onCaughtUp;
    this.group = options.onAccepted || options.accepts ? undefined : this;
  }

  get connection(): LiveSocket {
    return this.#socket;
  }

  get reader(): LiveSocket {
    return this.#socket;
  }

  isReady(): boolean {
    return this.#socket.isReady();
  }

  entry(entry: StreamEntry): boolean {
    if (!this.#socket.tryWrite(this.#parts.protocol.entryText(this.#name, entry))) return false;
    this.#onAccepted?.(entry, this.#stream);
    return true;
  }

  gap(gap: StreamGap): void {
    this.#socket.send(this.#parts.protocol.gapText(this.#name, gap));
  }

  caughtUp(): void {
    this.#onCaughtUp?.();
  }

  failed(error: unknown): void {
    this.#parts.log.error({ stream: this.#name, err: error }, "reading the history of a stream failed");
    this.#socket.close("internal");
  }

  join(): void {
    const { broadcaster } = this.#parts;
    this.#socket.follow(broadcaster.topic(this.#name), true);
    broadcaster.joined(this.#stream, this.#socket);
  }

  leave(): void {
    const { broadcaster } = this.#parts;
    this.#socket.follow(broadcaster.topic(this.#name), false);
    broadcaster.left(this.#stream, this.#socket);
  }
}
