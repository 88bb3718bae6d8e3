import { PrismError } from "./errors.ts";
import type { ClientMessage, ServerMessage, Surroundings, WebSocketConstructor, WebSocketLike } from "./wire.ts";

export type Welcome = Extract<ServerMessage, { op: "welcome" }>;

/** How one WebSocket ended. */
export interface LineEnd {
  /** The close code; 1006 when the line broke, or nothing more came over it. */
  readonly code: number;
  readonly reason: string;
  /** Whether the server had let the client in. */
  readonly wasWelcome: boolean;
}

export interface LineEvents {
  welcome(welcome: Welcome): void;
  /** @param length of its text */
  message(message: ServerMessage, length: number): void;
  /** Once, unless {@link Line.close} was called before. */
  ended(end: LineEnd): void;
}

/** From the first packet to the server's welcome. */
const CONNECT_LIMIT_MS = 10_000;
const DEFAULT_HEARTBEAT_MS = 30_000;
const BROKEN = 1006;

/**
 * One WebSocket. What does not answer counts as gone: a line that is only half open never tells so
 * by itself.
 */
export class Line {
  readonly #socket: WebSocketLike;
  readonly #surroundings: Surroundings;
  readonly #events: LineEvents;
  #timer: unknown;
  #isOver = false;
  #isWelcome = false;
  #heartbeatMs = DEFAULT_HEARTBEAT_MS;
  #heardAt = 0;
  /** Until when something must come; null while nothing was asked. */
  #answerDueAt: number | null = null;

  constructor(
    WebSocket: WebSocketConstructor,
    { url, protocols }: { url: string; protocols: string[] },
    surroundings: Surroundings,
    events: LineEvents,
  ) {
    this.#surroundings = surroundings;
    this.#events = events;
    this.#socket = new WebSocket(url, protocols);
    this.#socket.addEventListener("message", ({ data }) => this.#heard(data));
    this.#socket.addEventListener("close", ({ code, reason }) => this.#end(code ?? BROKEN, reason ?? ""));
    // Says nothing about why; a close follows.
    this.#socket.addEventListener("error", () => undefined);
    this.#timer = surroundings.setTimeout(() => this.#giveUp("no welcome"), CONNECT_LIMIT_MS);
  }

  say(message: ClientMessage): void {
    if (!this.#isOver) this.#socket.send(JSON.stringify(message));
  }

  /** Asks for a sign of life, which must come within the limit. */
  probe(limitMs: number): void {
    if (this.#isOver || !this.#isWelcome) return;
    const dueAt = this.#surroundings.now() + limitMs;
    this.#answerDueAt = Math.min(this.#answerDueAt ?? dueAt, dueAt);
    this.say({ op: "ping", id: "ping" });
    this.#surroundings.clearTimeout(this.#timer);
    this.#timer = this.#surroundings.setTimeout(() => this.#watch(), limitMs);
  }

  /** Nothing is told any more. */
  close(code = 1000): void {
    if (this.#isOver) return;
    this.#finish();
    this.#socket.close(code);
  }

  #heard(data: unknown): void {
    if (this.#isOver) return;
    this.#heardAt = this.#surroundings.now();
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
    this.#surroundings.clearTimeout(this.#timer);
    this.#watch();
    this.#events.welcome(welcome);
  }

  /** Runs when something is due; what came in between has only moved the time. */
  #watch(): void {
    const now = this.#surroundings.now();
    if (this.#answerDueAt !== null && now >= this.#answerDueAt) {
      this.#giveUp("silent");
      return;
    }
    if (this.#answerDueAt === null && now - this.#heardAt >= this.#heartbeatMs) {
      this.#answerDueAt = now + this.#heartbeatMs;
      this.say({ op: "ping", id: "ping" });
    }
    const dueAt = this.#answerDueAt ?? this.#heardAt + this.#heartbeatMs;
    this.#timer = this.#surroundings.setTimeout(() => this.#watch(), Math.max(1, dueAt - now));
  }

  #giveUp(why: string): void {
    this.#end(BROKEN, why);
    // Closing politely would wait for a side that may not be there.
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
    this.#surroundings.clearTimeout(this.#timer);
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

/** @throws PrismError where neither the option nor the platform has a WebSocket. */
export function findWebSocket(given: WebSocketConstructor | undefined): WebSocketConstructor {
  const WebSocket = given ?? (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket;
  if (WebSocket) return WebSocket;
  throw new PrismError(
    "NO_WEBSOCKET",
    "There is no WebSocket here (Node has one since 22). Give one: new PrismClient({ WebSocket }), for instance that of the package ws",
  );
}
