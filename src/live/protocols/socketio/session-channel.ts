import type { RecognizedString, TemplatedApp, WebSocket } from "uWebSockets.js";
import type { CloseReason } from "../../connections.ts";
import type { Channel } from "../../live-socket.ts";
import { DISCONNECT, type EngineSession } from "./engine.ts";
import { closingOf, inNamespace, isFinal, MAIN_NAMESPACE } from "./socketio-message.ts";

/**
 * What a write returns that has not gone to a WebSocket; uWebSockets returns the same for a message
 * that it has sent.
 */
const NOT_DROPPED = 1;

/**
 * Topics of all sessions, whatever they are carried by: those with a WebSocket follow topics of
 * uWebSockets in the main namespace, each app its own (a new certificate makes another app beside
 * the old one); those that poll, and other namespaces, are written to one by one.
 */
export class SocketIoTopics implements Pick<TemplatedApp, "publish"> {
  readonly #apps: TemplatedApp[] = [];
  readonly #direct = new Map<string, Set<SessionChannel>>();

  add(app: TemplatedApp): void {
    this.#apps.push(app);
  }

  join(topic: string, channel: SessionChannel): void {
    const channels = this.#direct.get(topic);
    if (channels) channels.add(channel);
    else this.#direct.set(topic, new Set([channel]));
  }

  leave(topic: string, channel: SessionChannel): void {
    const channels = this.#direct.get(topic);
    if (channels?.delete(channel) && channels.size === 0) this.#direct.delete(topic);
  }

  publish(topic: RecognizedString, message: RecognizedString, isBinary = false, isCompressed = false): boolean {
    for (const app of this.#apps) app.publish(topic, message, isBinary, isCompressed);
    this.#sendDirectly(String(topic), message, isCompressed);
    return true;
  }

  #sendDirectly(topic: string, message: RecognizedString, isCompressed: boolean): void {
    const channels = this.#direct.get(topic);
    if (!channels) return;
    const text = typeof message === "string" ? message : Buffer.from(message as Uint8Array).toString();
    for (const channel of channels) channel.send(text, false, isCompressed);
  }
}

/**
 * What the live connection of one namespace writes to. Topics of uWebSockets carry packets of the
 * main namespace, so only that one follows them, and only over a WebSocket; to all others packets
 * are written one by one.
 */
export class SessionChannel implements Channel {
  readonly #engine: EngineSession;
  /**
   * Namespaces that the client has joined, those of other channels included: it understands events
   * of these only.
   */
  readonly #namespaces: Set<string>;
  readonly #topics: SocketIoTopics;
  readonly #followed = new Set<string>();
  /**
   * Null while the client is in no namespace that this channel writes to: it would take an event
   * for a mistake.
   */
  #namespace: string | null = null;

  constructor(engine: EngineSession, namespaces: Set<string>, topics: SocketIoTopics) {
    this.#engine = engine;
    this.#namespaces = namespaces;
    this.#topics = topics;
  }

  /** The client has joined a namespace, and understands its events. */
  join(namespace: string): void {
    this.#namespace = namespace;
    this.#namespaces.add(namespace);
  }

  /** The client has left it. Nothing is followed any more. */
  leave(): void {
    if (this.#namespace !== null) this.#namespaces.delete(this.#namespace);
    this.#namespace = null;
  }

  /** The session has a WebSocket now. */
  switched(): void {
    const { ws } = this.#engine;
    if (!ws || this.#namespace !== MAIN_NAMESPACE) return;
    for (const topic of this.#followed) {
      this.#topics.leave(topic, this);
      ws.subscribe(topic);
    }
  }

  send(message: RecognizedString, _isBinary = false, isCompressed = false): number {
    if (this.#namespace === null) return NOT_DROPPED;
    return this.#engine.send(inNamespace(this.#namespace, message as string), isCompressed);
  }

  getBufferedAmount(): number {
    return this.#engine.bufferedBytes;
  }

  /**
   * All namespaces end with the session. Each learns why, and whether to come back; this one has
   * been told why already.
   */
  end(code = 1000, reason: RecognizedString = ""): void {
    const { text } = closingOf(reason as CloseReason);
    const names = [...this.#namespaces];
    const others = names.filter((name) => name !== this.#namespace);
    this.#engine.end(code, String(reason), [
      ...others.map((name) => inNamespace(name, text)),
      ...(isFinal(String(reason)) ? names.map((name) => inNamespace(name, DISCONNECT)) : []),
    ]);
  }

  close(): void {
    this.#engine.drop();
  }

  cork(write: () => void): WebSocket<unknown> {
    this.#engine.cork(write);
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
  get #native(): EngineSession["ws"] {
    return this.#namespace === MAIN_NAMESPACE ? this.#engine.ws : null;
  }
}
