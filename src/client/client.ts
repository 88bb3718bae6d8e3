import { type FetchLike, PrismApi } from "./api.ts";
import type { ReconnectOptions } from "./backoff.ts";
import { Connection, type ConnectionState } from "./connection.ts";
import { type CredentialOptions, Credentials } from "./credentials.ts";
import { errorFrom, PrismError } from "./errors.ts";
import { findWebSocket } from "./socket-link.ts";
import { type Link, type OffsetStorage, type SubscribeOptions, Subscription } from "./subscription.ts";
import type { Entry, Gap } from "./views.ts";
import { type Environment, REAL_ENVIRONMENT, type ServerMessage, type WebSocketConstructor } from "./wire.ts";

export interface PrismClientOptions extends CredentialOptions {
  /** Address of the server, such as `https://prism.example`; a path is kept as a prefix. */
  readonly url: string | URL;
  /** Required where the platform has none: Node before 22. The package `ws` works. */
  readonly WebSocket?: WebSocketConstructor;
  readonly fetch?: FetchLike;
  /** Stores offsets; without it they are lost with the client. */
  readonly storage?: OffsetStorage;
  readonly reconnect?: ReconnectOptions;
  /** Limit of waiting entries per stream; the server keeps the rest. Default 1000. */
  readonly maxQueued?: number;
  /** Timers and randomness. */
  readonly environment?: Environment;
}

/** A problem. The code decides what the client does about it, see {@link PrismError}. */
export interface Problem {
  readonly error: PrismError;
  /** The affected stream. */
  readonly stream?: string;
  /** The entry whose handler failed. */
  readonly entry?: Entry | Gap;
}

export interface ClientEvents {
  readonly state: ConnectionState;
  readonly error: Problem;
  /** The server now sends a stream; `offset` was its head at that moment. */
  readonly subscribed: { readonly stream: string; readonly offset: number };
}

interface Target {
  addEventListener?(type: string, listener: () => void): void;
  removeEventListener?(type: string, listener: () => void): void;
}

const DEFAULT_MAX_QUEUED = 1000;

/**
 * A client of Prism's live streams and their HTTP API. It connects with the first subscription,
 * reconnects after each loss, and continues each stream after the last entry: nothing is missed or
 * handled out of order.
 */
export class PrismClient {
  /** The HTTP API. It needs a token: `getTicket` alone is not enough. */
  readonly api: PrismApi;
  readonly #options: PrismClientOptions;
  readonly #url: string;
  readonly #environment: Environment;
  readonly #connection: Connection;
  readonly #listeners = new Listeners<ClientEvents>();
  /** By requested name. */
  readonly #subscriptions = new Map<string, Subscription>();
  /** By the server's name. */
  readonly #byResolved = new Map<string, Subscription>();
  /** Subscriptions waiting for an answer, by message id. */
  readonly #asked = new Map<string, Subscription>();
  #lastId = 0;
  readonly #nudge = (): void => this.#connection.nudge();

  /** @throws PrismError `NO_WEBSOCKET`, `NO_TOKEN`; TypeError for an invalid URL. */
  constructor(options: PrismClientOptions) {
    if (!options.token && options.token !== null && !options.getToken && !options.getTicket) {
      throw new PrismError("NO_TOKEN", "Give one of token, getToken and getTicket");
    }
    this.#options = options;
    this.#url = serverUrl(options.url);
    this.#environment = options.environment ?? REAL_ENVIRONMENT;
    const credentials = new Credentials(options);
    this.api = new PrismApi(this.#url, credentials, options.fetch);
    this.#connection = new Connection({
      url: this.#url.replace(/^http/, "ws"),
      WebSocket: findWebSocket(options.WebSocket),
      credentials,
      reconnect: options.reconnect ?? {},
      environment: this.#environment,
      tryToken: (token) => this.api.tryToken(token),
      changed: (state) => this.#listeners.emit("state", state),
      welcome: (userId) => this.#welcome(userId),
      message: (message, length) => this.#message(message, length),
      lost: () => this.#lost(),
      problem: (error) => this.#listeners.emit("error", { error }),
    });
  }

  get state(): ConnectionState {
    return this.#connection.state;
  }

  /** @returns a function that removes the listener. */
  on<Name extends keyof ClientEvents>(name: Name, listener: (value: ClientEvents[Name]) => void): () => void {
    return this.#listeners.on(name, listener);
  }

  /** Connects, also after an end. {@link subscribe} calls it. */
  connect(): void {
    const target = globalThis as Target;
    target.addEventListener?.("online", this.#nudge);
    this.#connection.open();
  }

  /**
   * Follows a stream: `user:me`, `project:<id>`, `channel:<name>`, `tasks:me`, `messages:me`
   * (docs/realtime.md). Add handlers to the result before awaiting anything, otherwise entries may
   * be missed. A stored offset takes precedence over `options.from`. A refused stream is reported
   * as an `error`.
   * @throws TypeError for a stream that is already followed.
   */
  subscribe<const Stream extends string>(stream: Stream, options: SubscribeOptions = {}): Subscription<Stream> {
    if (this.#subscriptions.has(stream))
      throw new TypeError(`already subscribed to ${stream}: add handlers to that subscription`);
    if (options.ack !== undefined && !stream.startsWith("user:"))
      throw new TypeError("Only a user's stream can be acknowledged");
    const subscription: Subscription<Stream> = new Subscription(stream, options, {
      environment: this.#environment,
      storage: this.#options.storage,
      maxQueued: this.#options.maxQueued ?? DEFAULT_MAX_QUEUED,
      keyOf: (name) => `prism:${this.#url}:${name}`,
      problem: (error, about) => this.#listeners.emit("error", { error, ...about }),
      restart: (error) => this.#connection.restart(error),
      closed: () => this.#forget(kept),
    });
    // Names and types of entries matter to handlers only.
    const kept = subscription as unknown as Subscription;
    this.#subscriptions.set(stream, kept);
    this.connect();
    if (this.state.state === "open") void kept.connected(this.#linkOf(kept, this.state.userId));
    return subscription;
  }

  /** Ends all subscriptions and the connection. Resolves when running handlers have returned. */
  async close(): Promise<void> {
    const target = globalThis as Target;
    target.removeEventListener?.("online", this.#nudge);
    const closed = [...this.#subscriptions.values()].map((subscription) => subscription.close());
    this.#connection.close();
    await Promise.all(closed);
  }

  #welcome(userId: string | null): void {
    for (const subscription of this.#subscriptions.values()) {
      void subscription.connected(this.#linkOf(subscription, userId));
    }
  }

  #linkOf(subscription: Subscription, userId: string | null): Link {
    return {
      userId,
      nextId: () => {
        const id = String(++this.#lastId);
        this.#asked.set(id, subscription);
        return id;
      },
      say: (message) => this.#connection.say(message),
    };
  }

  #message(message: ServerMessage, length: number): void {
    switch (message.op) {
      case "event":
      case "gap":
        this.#byResolved.get(message.stream)?.received(message, length);
        return;
      case "subscribed":
        this.#subscribed(message);
        return;
      case "acked":
        this.#askerOf(message.id)?.answered(message);
        return;
      case "error":
        this.#refused(message);
        return;
      case "unsubscribed":
        this.#askerOf(message.id);
    }
  }

  #subscribed(message: Extract<ServerMessage, { op: "subscribed" }>): void {
    const { stream, offset, id } = message;
    const subscription = this.#askerOf(id);
    // One that was closed meanwhile must not hold the stream's name: another one may follow it.
    if (!subscription || this.#subscriptions.get(subscription.stream) !== subscription) return;
    const before = this.#byResolved.get(stream);
    if (before && before !== subscription) {
      // The server has one subscription per stream: two would take each other's entries.
      const error = new PrismError("VALIDATION_FAILED", `${subscription.stream} and ${before.stream} are one stream`);
      this.#listeners.emit("error", { error, stream });
      this.#subscriptions.delete(subscription.stream);
      subscription.disconnected();
      // The earlier subscription was replaced: it subscribes again over another connection.
      this.#connection.restart(error);
      return;
    }
    this.#byResolved.set(stream, subscription);
    subscription.answered(message);
    this.#listeners.emit("subscribed", { stream, offset });
  }

  #refused(message: Extract<ServerMessage, { op: "error" }>): void {
    const subscription = message.id === undefined ? undefined : this.#askerOf(message.id);
    if (subscription) subscription.answered(message);
    else this.#listeners.emit("error", { error: errorFrom(message) });
  }

  #askerOf(id: string): Subscription | undefined {
    const subscription = this.#asked.get(id);
    this.#asked.delete(id);
    return subscription;
  }

  #lost(): void {
    this.#asked.clear();
    this.#byResolved.clear();
    for (const subscription of this.#subscriptions.values()) subscription.disconnected();
  }

  #forget(subscription: Subscription): void {
    const { stream } = subscription;
    if (this.#subscriptions.get(stream) === subscription) this.#subscriptions.delete(stream);
    for (const [name, kept] of this.#byResolved) if (kept === subscription) this.#byResolved.delete(name);
  }
}

/** @throws TypeError */
function serverUrl(url: string | URL): string {
  const { protocol, origin, host, pathname } = new URL(url);
  const base = /^https?:$/.test(protocol) ? origin : `${protocol.replace(/^ws/, "http")}//${host}`;
  if (!/^(http|ws)s?:$/.test(protocol)) throw new TypeError(`${protocol} is not http:, https:, ws: or wss:`);
  return base + pathname.replace(/\/+$/, "");
}

/** Listeners by event name. */
class Listeners<Events> {
  readonly #byName = new Map<keyof Events, Set<(value: never) => void>>();

  /** @returns a function that removes the listener. */
  on<Name extends keyof Events>(name: Name, listener: (value: Events[Name]) => void): () => void {
    const listeners = this.#byName.get(name) ?? new Set();
    this.#byName.set(name, listeners);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  /** A listener that throws does not affect the others: its error is rethrown asynchronously. */
  emit<Name extends keyof Events>(name: Name, value: Events[Name]): void {
    for (const listener of [...(this.#byName.get(name) ?? [])]) {
      try {
        (listener as (value: Events[Name]) => void)(value);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
