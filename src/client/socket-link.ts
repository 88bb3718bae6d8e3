import { PrismError } from "./errors.ts";
import type { ClientMessage, Environment, ServerMessage, WebSocketConstructor, WebSocketLike } from "./wire.ts";

export type Welcome = Extract<ServerMessage, { op: "welcome" }>;

/** How a WebSocket ended. */
export interface LinkEnd {
  /** The close code; 1006 when the connection broke or timed out. */
  readonly code: number;
  readonly reason: string;
  /** Whether the server had accepted the client. */
  readonly wasWelcome: boolean;
}

export interface LinkEvents {
  welcome(welcome: Welcome): void;
  /** @param length of its text */
  message(message: ServerMessage, length: number): void;
  /** Called once, unless {@link SocketLink.close} was called before. */
  ended(end: LinkEnd): void;
}

/** From the first packet to the server's welcome. */
const CONNECT_LIMIT_MS = 10_000;
const DEFAULT_HEARTBEAT_MS = 30_000;
const BROKEN = 1006;
/** Of `readyState`. */
const OPEN = 1;

/** One WebSocket. A missing answer is a lost connection: a half-open one reports nothing. */
export class SocketLink {
  readonly #socket: WebSocketLike;
  readonly #environment: Environment;
  readonly #events: LinkEvents;
  #timer: unknown;
  #isOver = false;
  #isWelcome = false;
  #heartbeatMs = DEFAULT_HEARTBEAT_MS;
  #heardAt = 0;
  /** Deadline of the next answer; null if none is expected. */
  #answerDueAt: number | null = null;

  constructor(
    WebSocket: WebSocketConstructor,
    { url, protocols }: { url: string; protocols: string[] },
    environment: Environment,
    events: LinkEvents,
  ) {
    this.#environment = environment;
    this.#events = events;
    this.#socket = new WebSocket(url, protocols);
    this.#socket.addEventListener("message", ({ data }) => this.#heard(data));
    this.#socket.addEventListener("close", ({ code, reason }) => this.#end(code ?? BROKEN, reason ?? ""));
    // It gives no reason; a close follows.
    this.#socket.addEventListener("error", () => undefined);
    this.#timer = environment.setTimeout(() => this.#giveUp("no welcome"), CONNECT_LIMIT_MS);
  }

  say(message: ClientMessage): void {
    // A closing socket drops it, and browsers log a warning.
    if (this.#isOver || (this.#socket.readyState ?? OPEN) > OPEN) return;
    this.#socket.send(JSON.stringify(message));
  }

  /** Sends a ping, which must be answered within the limit. */
  probe(limitMs: number): void {
    if (this.#isOver || !this.#isWelcome) return;
    const dueAt = this.#environment.now() + limitMs;
    this.#answerDueAt = Math.min(this.#answerDueAt ?? dueAt, dueAt);
    this.say({ op: "ping", id: "ping" });
    this.#environment.clearTimeout(this.#timer);
    this.#timer = this.#environment.setTimeout(() => this.#watch(), limitMs);
  }

  /** Suppresses further events. */
  close(code = 1000): void {
    if (this.#isOver) return;
    this.#finish();
    this.#socket.close(code);
  }

  #heard(data: unknown): void {
    if (this.#isOver) return;
    this.#heardAt = this.#environment.now();
    this.#answerDueAt = null;
    const message = typeof data === "string" ? parse(data) : null;
    if (!message || typeof data !== "string") this.#giveUp("no message of Prism's");
    else if (this.#isWelcome) this.#events.message(message, data.length);
    else if (message.op === "welcome") this.#welcome(message);
    else this.#giveUp("no welcome");
  }

  #welcome(welcome: Welcome): void {
    this.#isWelcome = true;
    if (welcome.heartbeatMs > 0) this.#heartbeatMs = welcome.heartbeatMs;
    this.#environment.clearTimeout(this.#timer);
    this.#watch();
    this.#events.welcome(welcome);
  }

  /** Runs at the deadline, which activity may have moved. */
  #watch(): void {
    const now = this.#environment.now();
    if (this.#answerDueAt !== null && now >= this.#answerDueAt) {
      this.#giveUp("silent");
      return;
    }
    if (this.#answerDueAt === null && now - this.#heardAt >= this.#heartbeatMs) {
      this.#answerDueAt = now + this.#heartbeatMs;
      this.say({ op: "ping", id: "ping" });
    }
    const dueAt = this.#answerDueAt ?? this.#heardAt + this.#heartbeatMs;
    this.#timer = this.#environment.setTimeout(() => this.#watch(), Math.max(1, dueAt - now));
  }

  #giveUp(why: string): void {
    this.#end(BROKEN, why);
    // A close handshake would wait for the other side, which may be gone.
    if (this.#socket.terminate) this.#socket.terminate();
    else this.#socket.close();
  }

  #end(code: number, reason: string): void {
    if (this.#isOver) return;
    this.#finish();
    this.#events.ended({ code, reason, wasWelcome: this.#isWelcome });
  }

  #finish(): void {
    this.#isOver = true;
    this.#environment.clearTimeout(this.#timer);
  }
}

function parse(text: string): ServerMessage | null {
  try {
    const message: unknown = JSON.parse(text);
    return typeof message === "object" && message !== null && "op" in message ? (message as ServerMessage) : null;
  } catch {
    return null;
  }
}

/** @throws PrismError when neither the option nor the platform has a WebSocket. */
export function findWebSocket(given: WebSocketConstructor | undefined): WebSocketConstructor {
  const WebSocket = given ?? (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket;
  if (WebSocket) return WebSocket;
  throw new PrismError(
    "NO_WEBSOCKET",
    "This platform has no WebSocket (Node has one since 22). " +
      "Pass one: new PrismClient({ WebSocket }), such as that of the package ws",
  );
}
