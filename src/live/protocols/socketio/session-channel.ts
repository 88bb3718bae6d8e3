import type { RecognizedString, WebSocket } from "uWebSockets.js";
import type { Channel } from "../../live-socket.ts";
import { NOT_DROPPED, type SessionCarrier } from "./session-carrier.ts";
import { inNamespace, MAIN_NAMESPACE } from "./socketio-message.ts";
import type { SocketIoTopics } from "./socketio-topics.ts";

/**
 * What the live connection of one namespace writes to. Topics of uWebSockets carry packets of the main namespace, so only that one follows them, and
 * only over a WebSocket; to all others packets are written one by one.
 */
export class SessionChannel implements Channel {
  readonly #carrier: SessionCarrier;
  readonly #topics: SocketIoTopics;
  readonly #followed = new Set<string>();
  /** Null while the client is in no namespace that this channel writes to: it would take an event for a mistake. */
  #namespace: string | null = null;

  constructor(carrier: SessionCarrier, topics: SocketIoTopics) {
    this.#carrier = carrier;
    this.#topics = topics;
  }

  /** The client has joined a namespace, and understands its events. */
  join(namespace: string): void {
    this.#namespace = namespace;
    this.#carrier.namespaces.add(namespace);
  }

  /** The client has left it. Nothing is followed any more. */
  leave(): void {
    if (this.#namespace !== null) this.#carrier.namespaces.delete(this.#namespace);
    this.#namespace = null;
  }

  /** The session has a WebSocket now. */
  switched(): void {
    const { ws } = this.#carrier;
    if (!ws || this.#namespace !== MAIN_NAMESPACE) return;
    for (const topic of this.#followed) {
      this.#topics.leave(topic, this);
      ws.subscribe(topic);
    }
  }

  send(message: RecognizedString, _isBinary = false, isCompressed = false): number {
    if (this.#namespace === null) return NOT_DROPPED;
    return this.#carrier.write(inNamespace(this.#namespace, message as string), isCompressed);
  }

  getBufferedAmount(): number {
    return this.#carrier.bufferedBytes;
  }

  /** All namespaces end with the session. */
  end(code = 1000, reason: RecognizedString = ""): void {
    this.#carrier.end(code, String(reason), this.#namespace);
  }

  close(): void {
    this.#carrier.close();
  }

  cork(write: () => void): WebSocket<unknown> {
    this.#carrier.cork(write);
    return this as unknown as WebSocket<unknown>;
  }

  /** Engine.IO has pings of its own, which the client waits for. */
  ping(): number {
    return NOT_DROPPED;
  }

  subscribe(topic: RecognizedString): boolean {
    const name = String(topic);
    this.#followed.add(name);
    if (this.#native) this.#native.subscribe(name);
    else this.#topics.join(name, this);
    return true;
  }

  unsubscribe(topic: RecognizedString): boolean {
    const name = String(topic);
    this.#followed.delete(name);
    if (this.#native) this.#native.unsubscribe(name);
    else this.#topics.leave(name, this);
    return true;
  }

  /** No entry names one of these connections as where it came from. */
  publish(): boolean {
    return false;
  }

  /** The session is gone; of a WebSocket the library forgets by itself what it followed. */
  closed(): void {
    for (const topic of this.#followed) this.#topics.leave(topic, this);
    this.#followed.clear();
  }

  /** The WebSocket whose topics of uWebSockets are followed. */
  get #native(): SessionCarrier["ws"] {
    return this.#namespace === MAIN_NAMESPACE ? this.#carrier.ws : null;
  }
}
