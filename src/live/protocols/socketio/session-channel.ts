import type { RecognizedString, TemplatedApp, WebSocket } from "uWebSockets.js";
import type { CloseReason } from "../../connections.ts";
import type { SocketOutput } from "../../socket-protocol.ts";
import { DISCONNECT, type EngineSession } from "./engine.ts";
import { closingOf, inNamespace, isFinal, MAIN_NAMESPACE } from "./socketio-message.ts";

/** Result of a write without a WebSocket; uWebSockets returns the same for a sent message. */
const NOT_DROPPED = 1;

/**
 * Topics of all sessions. Those with a WebSocket follow uWebSockets topics in the main namespace,
 * per app (a new certificate adds an app); polling sessions and other namespaces are written to one
 * by one.
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
 * The output of one namespace's live connection. uWebSockets topics carry packets of the main
 * namespace only, and only over a WebSocket; all others are written to one by one.
 */
export class SessionChannel implements SocketOutput {
  readonly #engine: EngineSession;
  /**
   * Namespaces that the client has joined, including those of other channels: it understands only
   * events of these.
   */
  readonly #namespaces: Set<string>;
  readonly #topics: SocketIoTopics;
  readonly #followed = new Set<string>();
  /** Null while the client has not joined the namespace and would reject its events. */
  #namespace: string | null = null;

  constructor(engine: EngineSession, namespaces: Set<string>, topics: SocketIoTopics) {
    this.#engine = engine;
    this.#namespaces = namespaces;
    this.#topics = topics;
  }

  /** The client has joined a namespace. */
  join(namespace: string): void {
    this.#namespace = namespace;
    this.#namespaces.add(namespace);
  }

  /** The client has left the namespace; all topics have been unsubscribed. */
  leave(): void {
    if (this.#namespace !== null) this.#namespaces.delete(this.#namespace);
    this.#namespace = null;
  }

  /** The session has switched to a WebSocket. */
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
   * Closes all namespaces with the session. Each receives the reason and whether to reconnect; this
   * one has received it already.
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

  /** Engine.IO sends its own pings. */
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

  /** No entry originates from one of these connections. */
  publish(): boolean {
    return false;
  }

  /** The session has ended. uWebSockets unsubscribes a closed WebSocket itself. */
  closed(): void {
    for (const topic of this.#followed) this.#topics.leave(topic, this);
    this.#followed.clear();
  }

  /** The WebSocket that follows uWebSockets topics. */
  get #native(): EngineSession["ws"] {
    return this.#namespace === MAIN_NAMESPACE ? this.#engine.ws : null;
  }
}
