import { Backoff, type ReconnectOptions, verdictOf } from "./backoff.ts";
import type { Credentials } from "./credentials.ts";
import { errorFrom, PrismError, wrapped } from "./errors.ts";
import { Line, type LineEnd, type Welcome } from "./line.ts";
import type { ClientMessage, ServerMessage, Surroundings, WebSocketConstructor } from "./wire.ts";

/** What a client is doing about its connection. */
export type ConnectionState =
  /** Nothing was asked of it yet. */
  | { readonly state: "idle" }
  | { readonly state: "connecting" }
  | { readonly state: "open"; readonly connectionId: string; readonly userId: string | null }
  /** It connects again after `delayMs`; `error` says why it has to. */
  | { readonly state: "waiting"; readonly delayMs: number; readonly error: PrismError }
  /** It stays away. null: it was told to. */
  | { readonly state: "closed"; readonly error: PrismError | null };

/** @internal */
export interface ConnectionParts {
  /** Of the server, `ws:` or `wss:`, without a slash at its end. */
  readonly url: string;
  readonly WebSocket: WebSocketConstructor;
  readonly credentials: Credentials;
  readonly reconnect: ReconnectOptions;
  readonly surroundings: Surroundings;
  /**
   * Shows a token to the server, whose answer a failed handshake hides. @throws PrismError as the
   * server refuses it
   */
  tryToken(token: string | null): Promise<void>;
  changed(state: ConnectionState): void;
  welcome(userId: string | null): void;
  message(message: ServerMessage, length: number): void;
  /** A connection that had been welcome is gone. */
  lost(): void;
  problem(error: PrismError): void;
}

const PROTOCOL = "prism.v1";
const RENEW_AGAIN_MS = 10_000;
/** When the machine says that its network is back. */
const PROBE_LIMIT_MS = 5000;

/**
 * Holds a connection as long as that makes sense: opens it, renews its token, and opens it again.
 * @internal
 */
export class Connection {
  readonly #parts: ConnectionParts;
  readonly #backoff: Backoff;
  #state: ConnectionState = { state: "idle" };
  #line: Line | null = null;
  /** What the line was opened or renewed with; null for a ticket, and for no credential. */
  #token: string | null = null;
  /** Sent, and not answered yet. */
  #offeredToken: string | null = null;
  #welcomeAt = 0;
  #timer: unknown;
  #renewTimer: unknown;
  /** Counts what ends all that was under way: an answer to an earlier question is not looked at. */
  #era = 0;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    this.#backoff = new Backoff(parts.reconnect, parts.surroundings);
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Does nothing while it is connected or on its way. */
  open(): void {
    if (this.#state.state !== "idle" && this.#state.state !== "closed") return;
    this.#backoff.reset();
    this.#connect();
  }

  close(): void {
    this.#end(null);
  }

  say(message: ClientMessage): void {
    this.#line?.say(message);
  }

  /** Leaves this connection for another one, after a while. */
  restart(error: PrismError): void {
    if (this.#state.state !== "open") return;
    this.#leaveLine();
    this.#wait(error, this.#backoff.nextMs());
  }

  /** The network may have come back or changed. */
  nudge(): void {
    if (this.#state.state === "waiting") this.#connect();
    else this.#line?.probe(PROBE_LIMIT_MS);
  }

  #connect(): void {
    const era = this.#nextEra();
    this.#change({ state: "connecting" });
    this.#target().then(
      (target) => {
        if (era === this.#era) this.#dial(target);
      },
      (error: unknown) => {
        if (era !== this.#era) return;
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
      this.#line = new Line(this.#parts.WebSocket, target, this.#parts.surroundings, {
        welcome: (welcome) => this.#welcome(welcome),
        message: (message, length) => this.#message(message, length),
        ended: (end) => this.#lineEnded(end),
      });
    } catch (error) {
      // A token that no header field can hold, or an address that is none: it would be the same
      // again.
      this.#end(new PrismError("CONNECTION_FAILED", "The WebSocket could not be made", { cause: error }));
    }
  }

  #welcome({ connectionId, userId }: Welcome): void {
    this.#welcomeAt = this.#parts.surroundings.now();
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

  #lineEnded({ code, reason, wasWelcome }: LineEnd): void {
    const { surroundings } = this.#parts;
    this.#leaveLine();
    const says = reason === "" ? "" : ` (${reason})`;
    if (!wasWelcome && !this.#parts.credentials.usesTickets) {
      this.#askWhy(this.#token, new PrismError("CONNECTION_FAILED", `No connection${says}`, { status: code }));
      return;
    }
    if (wasWelcome) this.#backoff.held(surroundings.now() - this.#welcomeAt);
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

  /**
   * A handshake that failed says to a browser neither status nor reason: a request with the same
   * token does.
   */
  #askWhy(token: string | null, otherwise: PrismError): void {
    const era = this.#nextEra();
    this.#parts.tryToken(token).then(
      () => {
        if (era === this.#era) this.#wait(otherwise, this.#backoff.nextMs());
      },
      (error: unknown) => {
        if (era !== this.#era) return;
        const answer = wrapped("CONNECTION_FAILED", "No connection", error);
        if (answer.status === 401) this.#replaceToken(answer);
        else if (answer.status === 403) this.#end(answer);
        else this.#wait(answer, this.#backoff.nextMs(answer.retryAfterMs));
      },
    );
  }

  /** The server takes the token no more. */
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
    credentials.another(this.#token, "refused").then(
      (token) => {
        if (era !== this.#era) return;
        if (token === null) this.#end(why);
        else this.#wait(why, this.#backoff.nextMs());
      },
      (error: unknown) => {
        if (era !== this.#era) return;
        this.#wait(wrapped("CREDENTIALS_FAILED", "No credential could be had", error), this.#backoff.nextMs());
      },
    );
  }

  /** The credential of the open connection ends soon. */
  #renew(): void {
    const { credentials } = this.#parts;
    if (this.#token === null) {
      this.restart(new PrismError("CONNECTION_FAILED", "The ticket's session ends; a new one is needed"));
      return;
    }
    const line = this.#line;
    credentials.another(this.#token, "expiring").then(
      (token) => {
        if (line !== this.#line) return;
        if (token === null) {
          this.#renewLater();
          return;
        }
        this.#offeredToken = token;
        this.say({ op: "auth", id: "auth", token });
      },
      (error: unknown) => {
        if (line !== this.#line) return;
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
    // Another caller's token is good for another connection only.
    if (error.code === "FORBIDDEN") this.restart(error);
    else {
      this.#renewed();
      this.#renewLater();
    }
  }

  #renewLater(): void {
    const { surroundings } = this.#parts;
    surroundings.clearTimeout(this.#renewTimer);
    this.#renewTimer = surroundings.setTimeout(() => this.#renew(), RENEW_AGAIN_MS);
  }

  #wait(error: PrismError, delayMs: number): void {
    const { surroundings } = this.#parts;
    this.#nextEra();
    this.#timer = surroundings.setTimeout(() => this.#connect(), delayMs);
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
    const { surroundings } = this.#parts;
    surroundings.clearTimeout(this.#renewTimer);
    this.#offeredToken = null;
    this.#line?.close();
    this.#line = null;
    if (this.#state.state === "open") this.#parts.lost();
  }

  #nextEra(): number {
    this.#parts.surroundings.clearTimeout(this.#timer);
    return ++this.#era;
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
