import { Backoff, type ReconnectOptions, verdictOf } from "./backoff.ts";
import type { Credentials } from "./credentials.ts";
import { errorFrom, PrismError, wrapped } from "./errors.ts";
import { type LinkEnd, SocketLink, type Welcome } from "./socket-link.ts";
import type { ClientMessage, Environment, ServerMessage, WebSocketConstructor } from "./wire.ts";

/** State of a client's connection. */
export type ConnectionState =
  /** Nothing has been requested yet. */
  | { readonly state: "idle" }
  | { readonly state: "connecting" }
  | { readonly state: "open"; readonly connectionId: string; readonly userId: string | null }
  /** It reconnects after `delayMs`; `error` is the reason. */
  | { readonly state: "waiting"; readonly delayMs: number; readonly error: PrismError }
  /** It does not reconnect. null: it was closed on request. */
  | { readonly state: "closed"; readonly error: PrismError | null };

/** @internal */
export interface ConnectionParts {
  /** Address of the server, `ws:` or `wss:`, without a trailing slash. */
  readonly url: string;
  readonly WebSocket: WebSocketConstructor;
  readonly credentials: Credentials;
  readonly reconnect: ReconnectOptions;
  readonly environment: Environment;
  /**
   * Sends a token to the server, because a failed handshake hides the reason. @throws PrismError
   * with the server's refusal
   */
  tryToken(token: string | null): Promise<void>;
  changed(state: ConnectionState): void;
  welcome(userId: string | null): void;
  message(message: ServerMessage, length: number): void;
  /** An established connection was lost. */
  lost(): void;
  problem(error: PrismError): void;
}

const PROTOCOL = "prism.v1";
const RENEW_AGAIN_MS = 10_000;
/** Time limit for an answer after the machine reports that its network is back. */
const PROBE_LIMIT_MS = 5000;

/** Keeps a connection: opens it, renews its token, and reopens it. @internal */
export class Connection {
  readonly #parts: ConnectionParts;
  readonly #backoff: Backoff;
  #state: ConnectionState = { state: "idle" };
  #link: SocketLink | null = null;
  /** The token it was opened or renewed with; null for a ticket, and without a credential. */
  #token: string | null = null;
  /** Sent and not answered yet. */
  #offeredToken: string | null = null;
  #welcomeAt = 0;
  #timer: unknown;
  #renewTimer: unknown;
  /** Incremented when running operations become obsolete: their results are ignored. */
  #generation = 0;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    this.#backoff = new Backoff(parts.reconnect, parts.environment);
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Does nothing while it is connected or connecting. */
  open(): void {
    if (this.#state.state !== "idle" && this.#state.state !== "closed") return;
    this.#backoff.reset();
    this.#connect();
  }

  close(): void {
    this.#end(null);
  }

  say(message: ClientMessage): void {
    this.#link?.say(message);
  }

  /** Replaces this connection by another one after a delay. */
  restart(error: PrismError): void {
    if (this.#state.state !== "open") return;
    this.#leaveLine();
    this.#wait(error, this.#backoff.nextMs());
  }

  /** The network may have returned or changed. */
  nudge(): void {
    if (this.#state.state === "waiting") this.#connect();
    else this.#link?.probe(PROBE_LIMIT_MS);
  }

  #connect(): void {
    const era = this.#nextEra();
    this.#change({ state: "connecting" });
    this.#target().then(
      (target) => {
        if (era === this.#generation) this.#dial(target);
      },
      (error: unknown) => {
        if (era !== this.#generation) return;
        const problem = wrapped("CREDENTIALS_FAILED", "No credential could be had", error);
        if (problem.code === "NO_TOKEN") this.#end(problem);
        else this.#wait(problem, this.#backoff.nextMs(problem.retryAfterMs));
      },
    );
  }

  async #target(): Promise<{ url: string; protocols: string[] }> {
    const { credentials, url } = this.#parts;
    this.#token = null;
    if (credentials.usesTickets) {
      const ticket = encodeURIComponent(await credentials.ticket());
      return { url: `${url}/ws?ticket=${ticket}`, protocols: [PROTOCOL] };
    }
    const token = await credentials.token();
    this.#token = token;
    return { url: `${url}/ws`, protocols: token === null ? [PROTOCOL] : [PROTOCOL, `bearer.${token}`] };
  }

  #dial(target: { url: string; protocols: string[] }): void {
    try {
      this.#link = new SocketLink(this.#parts.WebSocket, target, this.#parts.environment, {
        welcome: (welcome) => this.#welcome(welcome),
        message: (message, length) => this.#message(message, length),
        ended: (end) => this.#linkEnded(end),
      });
    } catch (error) {
      // An invalid token or address: a retry would fail too.
      this.#end(new PrismError("CONNECTION_FAILED", "Cannot open the WebSocket", { cause: error }));
    }
  }

  #welcome({ connectionId, userId }: Welcome): void {
    this.#welcomeAt = this.#parts.environment.now();
    this.#change({ state: "open", connectionId, userId });
    this.#parts.welcome(userId);
  }

  #message(message: ServerMessage, length: number): void {
    if (message.op === "auth_expiring") this.#renew();
    else if (message.op === "authenticated") this.#renewed();
    else if (message.op === "error" && message.id === "auth") {
      this.#notRenewed(errorFrom(message));
    } else this.#parts.message(message, length);
  }

  #linkEnded({ code, reason, wasWelcome }: LinkEnd): void {
    this.#leaveLine();
    const says = reason === "" ? "" : ` (${reason})`;
    if (!wasWelcome && !this.#parts.credentials.usesTickets) {
      this.#askWhy(this.#token, new PrismError("CONNECTION_FAILED", `No connection${says}`, { status: code }));
      return;
    }
    switch (verdictOf(code)) {
      case "again":
        this.#wait(failed(code, says), this.#backoff.nextMs());
        return;
      case "slower":
        this.#wait(failed(code, says), this.#backoff.nextSlowerMs());
        return;
      case "new token":
        this.#replaceToken(closed(code, says));
        return;
      case "end":
        this.#end(closed(code, says));
    }
  }

  /** Browsers do not reveal why a handshake failed: a request with the same token does. */
  #askWhy(token: string | null, otherwise: PrismError): void {
    const era = this.#nextEra();
    this.#parts.tryToken(token).then(
      () => {
        if (era === this.#generation) this.#wait(otherwise, this.#backoff.nextMs());
      },
      (error: unknown) => {
        if (era !== this.#generation) return;
        const answer = wrapped("CONNECTION_FAILED", "No connection", error);
        // A proxy's page says nothing about the token, and 403 nothing about a connection without one.
        const status = answer.code === "BAD_REPLY" ? undefined : answer.status;
        if (status === 401) this.#replaceToken(answer);
        else if (status === 403 && !this.#parts.credentials.isNone) this.#end(answer);
        else this.#wait(answer, this.#backoff.nextMs(answer.retryAfterMs));
      },
    );
  }

  /** The server no longer accepts the token. */
  #replaceToken(why: PrismError): void {
    const { credentials } = this.#parts;
    if (credentials.isNone) {
      this.#end(why);
      return;
    }
    if (this.#token === null) {
      this.#wait(why, this.#backoff.nextMs());
      return;
    }
    const era = this.#nextEra();
    if (this.#state.state !== "connecting") this.#change({ state: "connecting" });
    credentials.another(this.#token, "refused").then(
      (token) => {
        if (era !== this.#generation) return;
        if (token === null) this.#end(why);
        else this.#wait(why, this.#backoff.nextMs());
      },
      (error: unknown) => {
        if (era !== this.#generation) return;
        this.#wait(wrapped("CREDENTIALS_FAILED", "No credential could be had", error), this.#backoff.nextMs());
      },
    );
  }

  /** The credential of the open connection expires soon. */
  #renew(): void {
    const { credentials } = this.#parts;
    if (this.#token === null) {
      this.restart(new PrismError("CONNECTION_FAILED", "The ticket's session ends; a new one is needed"));
      return;
    }
    const line = this.#link;
    credentials.another(this.#token, "expiring").then(
      (token) => {
        if (line !== this.#link) return;
        if (token === null) {
          this.#renewLater();
          return;
        }
        this.#offeredToken = token;
        this.say({ op: "auth", id: "auth", token });
      },
      (error: unknown) => {
        if (line !== this.#link) return;
        this.#parts.problem(wrapped("CREDENTIALS_FAILED", "No credential could be had", error));
        this.#renewLater();
      },
    );
  }

  #renewed(): void {
    this.#token = this.#offeredToken ?? this.#token;
    this.#offeredToken = null;
  }

  #notRenewed(error: PrismError): void {
    this.#parts.problem(error);
    // A token of another caller needs another connection.
    if (error.code === "FORBIDDEN") this.restart(error);
    else {
      this.#renewed();
      this.#renewLater();
    }
  }

  #renewLater(): void {
    const { environment } = this.#parts;
    environment.clearTimeout(this.#renewTimer);
    this.#renewTimer = environment.setTimeout(() => this.#renew(), RENEW_AGAIN_MS);
  }

  #wait(error: PrismError, delayMs: number): void {
    const { environment } = this.#parts;
    this.#nextEra();
    this.#timer = environment.setTimeout(() => this.#connect(), delayMs);
    this.#change({ state: "waiting", delayMs, error });
  }

  #end(error: PrismError | null): void {
    if (this.#state.state === "closed") return;
    this.#nextEra();
    this.#leaveLine();
    this.#change({ state: "closed", error });
    if (error) this.#parts.problem(error);
  }

  #leaveLine(): void {
    const { environment } = this.#parts;
    environment.clearTimeout(this.#renewTimer);
    this.#offeredToken = null;
    this.#link?.close();
    this.#link = null;
    if (this.#state.state !== "open") return;
    this.#backoff.held(environment.now() - this.#welcomeAt);
    this.#parts.lost();
  }

  #nextEra(): number {
    this.#parts.environment.clearTimeout(this.#timer);
    return ++this.#generation;
  }

  #change(state: ConnectionState): void {
    this.#state = state;
    this.#parts.changed(state);
  }
}

function failed(code: number, says: string): PrismError {
  return new PrismError("CONNECTION_FAILED", `The connection ended with ${code}${says}`, { status: code });
}

function closed(code: number, says: string): PrismError {
  return new PrismError("CONNECTION_CLOSED", `The server closed with ${code}${says}`, { status: code });
}
