import WebSocket from "ws";
import { type ErrorCode, STATUS_OF } from "../core/errors.ts";
import { CommandError, EXIT, exitCodeOf, ServerRefused } from "./output/exit-codes.ts";
import { cliLog } from "./output/process-ends.ts";
import { authorization, reasonOf, refusalOf, type ServerClient, unreachable } from "./server-client.ts";

/** Where to begin: behind an offset, with what is kept, or with what comes next. */
export type StreamStart = number | "latest" | "earliest";

/** One entry of a stream, as `/ws` sends it. */
export interface Entry {
  readonly offset: number;
  readonly type: string;
  /** RFC 3339. */
  readonly ts: string;
  readonly data: unknown;
}

/** What a server says on `/ws` (docs/realtime.md), as far as a reader of one stream listens. */
type ServerMessage =
  | { readonly op: "welcome" }
  | { readonly op: "subscribed"; readonly offset: number }
  | ({ readonly op: "event" } & Entry)
  | { readonly op: "gap"; readonly from: number; readonly to: number }
  | { readonly op: "auth_expiring"; readonly expiresAt: string }
  | { readonly op: "error"; readonly error: { readonly code: ErrorCode; readonly message: string } };

/** How a connection ended. */
type ConnectionEnd =
  | { readonly kind: "stopped" }
  | { readonly kind: "closed"; readonly code: number; readonly reason: string }
  | { readonly kind: "refused"; readonly status: number; readonly error: Error }
  | { readonly kind: "unreachable"; readonly reason: string };

const HANDSHAKE_LIMIT_MS = 10_000;
/**
 * The server pings after 30 s of silence; a connection that brings nothing for this long is dead,
 * whatever the network says.
 */
const SILENCE_LIMIT_MS = 75_000;

interface ConnectionOptions extends Pick<FollowOptions, "server" | "stream" | "from" | "filter"> {
  /** @returns how the connection ends, if it does now. */
  onMessage(message: ServerMessage): "go on" | ConnectionEnd;
}

/** Follows a stream over one connection until that ends. */
function openConnection(options: ConnectionOptions): Promise<ConnectionEnd> {
  const { server, stream, from, filter } = options;
  const socket = new WebSocket(`${server.base.replace(/^http/, "ws")}/ws`, {
    headers: authorization(server.token),
    handshakeTimeout: HANDSHAKE_LIMIT_MS,
  });
  return new Promise((resolve) => {
    const silence = setTimeout(() => socket.terminate(), SILENCE_LIMIT_MS);
    const end = (reason: ConnectionEnd): void => {
      clearTimeout(silence);
      cliLog().debug({ stream, from, end: reason.kind }, "connection ended");
      resolve(reason);
    };
    socket.on("ping", () => silence.refresh());
    socket.on("message", (data: Buffer) => {
      silence.refresh();
      if (socket.readyState !== WebSocket.OPEN) return;
      const message = parseMessage(data);
      if (!message) {
        end({ kind: "unreachable", reason: `${server.base} does not speak as Prism does` });
        socket.terminate();
        return;
      }
      if (message.op === "welcome") socket.send(JSON.stringify({ op: "subscribe", id: "1", stream, from, filter }));
      const verdict = options.onMessage(message);
      if (verdict === "go on") return;
      end(verdict);
      socket.terminate();
    });
    socket.on("unexpected-response", (_request, response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("close", () => {
        const status = response.statusCode ?? 0;
        end({ kind: "refused", status, error: refusalOf(status, Buffer.concat(chunks).toString(), server) });
        socket.terminate();
      });
    });
    socket.on("error", (error) => end({ kind: "unreachable", reason: reasonOf(error) }));
    socket.on("close", (code, reason) => end({ kind: "closed", code, reason: reason.toString() }));
  });
}

function parseMessage(data: Buffer): ServerMessage | undefined {
  try {
    return JSON.parse(data.toString("utf8")) as ServerMessage;
  } catch {
    return undefined;
  }
}

const FIRST_DELAY_MS = 250;
const MAX_DELAY_MS = 2000;

interface FollowOptions {
  readonly server: ServerClient;
  readonly stream: string;
  readonly from: StreamStart;
  readonly filter: { readonly type?: string; readonly level?: readonly string[] } | undefined;
  /** @returns false when enough was seen. */
  onEntry(entry: Entry): boolean;
  onNote(text: string): void;
}

/**
 * Follows a stream over as many connections as it takes, each entry once and in order: a new
 * connection begins behind the last entry that was handed over.
 * @throws CommandError 4 when the first connection fails, ServerRefused when the token or its right
 * has ended
 */
export async function followStream(options: FollowOptions): Promise<void> {
  const position = new Position(options.from);
  let wasConnected = false;
  for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(delayMs * 2, MAX_DELAY_MS)) {
    const end = await openConnection({
      ...options,
      from: position.start,
      onMessage(message) {
        if (message.op === "subscribed") {
          if (wasConnected) options.onNote(`connected again${placeOf(position)}`);
          wasConnected = true;
          delayMs = FIRST_DELAY_MS;
        }
        return take(message, position, options);
      },
    });
    if (end.kind === "stopped") return;
    const failure = finalFailure(end, wasConnected, options.server);
    if (failure) throw failure;
    options.onNote(`${wordsOf(end)}; trying again in ${delayMs} ms${placeOf(position)}`);
    await new Promise((resolve) => setTimeout(resolve, delayMs));
  }
}

function take(message: ServerMessage, position: Position, { onEntry, onNote }: FollowOptions): "go on" | ConnectionEnd {
  switch (message.op) {
    case "subscribed":
      position.subscribed(message.offset);
      return "go on";
    case "event":
      return !position.isNew(message.offset) || onEntry(message) ? "go on" : { kind: "stopped" };
    case "gap":
      onNote(gapText(message));
      position.passGap(message.from, message.to);
      return "go on";
    case "auth_expiring":
      onNote(`the token ends at ${message.expiresAt}`);
      return "go on";
    case "error": {
      const { code, message: words } = message.error;
      const status = STATUS_OF[code] ?? 403;
      return { kind: "refused", status, error: new ServerRefused(status, code, words, []) };
    }
    default:
      return "go on";
  }
}

/** How far a stream has been followed, over all connections. */
class Position {
  #start: StreamStart;

  constructor(from: StreamStart) {
    this.#start = from;
  }

  /** Where the next connection begins. */
  get start(): StreamStart {
    return this.#start;
  }

  /** "From now on" becomes a place: what comes while there is no connection is not missed. */
  subscribed(head: number): void {
    if (this.#start === "latest") this.#start = head;
  }

  /** Whether an entry was not handed over before; from now on it was. */
  isNew(offset: number): boolean {
    if (typeof this.#start === "number" && offset <= this.#start) return false;
    this.#start = offset;
    return true;
  }

  /**
   * A gap that leads back means that the server has another history now, which is then followed
   * from its beginning.
   */
  passGap(from: number, to: number): void {
    if (to < from) this.#start = "earliest";
    else if (typeof this.#start === "number") this.#start = Math.max(this.#start, to);
  }
}

function gapText({ from, to }: { readonly from: number; readonly to: number }): string {
  return to < from
    ? `gap: this server has no offset ${from}, its data is other data; everything that it keeps follows`
    : `gap: entries after ${from} up to ${to} are gone`;
}

function placeOf({ start }: Position): string {
  return typeof start === "number" ? ` from offset ${start}` : "";
}

/** The error of an end after which coming back is of no use; undefined where it is. */
function finalFailure(end: ConnectionEnd, wasConnected: boolean, { base }: ServerClient): Error | undefined {
  switch (end.kind) {
    case "stopped":
      return undefined;
    case "unreachable":
      return wasConnected ? undefined : unreachable(base, new Error(end.reason));
    case "refused":
      return wasConnected && (end.status === 429 || end.status >= 500) ? undefined : end.error;
    case "closed": {
      const status = FINAL_CLOSE_CODES[end.code];
      if (status !== undefined) return new CommandError(exitCodeOf(status, ""), wordsOf(end));
      return wasConnected ? undefined : new CommandError(EXIT.unreachable, `${base}: ${wordsOf(end)}`);
    }
  }
}

/**
 * Close codes after which a client must not come back (docs/realtime.md), by the HTTP status that
 * means the same.
 */
const FINAL_CLOSE_CODES: Readonly<Record<number, number>> = {
  1009: 413,
  4400: 400,
  4401: 401,
  4403: 403,
  4404: 404,
  4429: 429,
};

const CLOSE_WORDS: Readonly<Record<number, string>> = {
  1006: "the connection was cut",
  1012: "the server restarts",
  4008: "the server found this reader too slow",
  4401: "the token has ended",
  4403: "the right to follow this stream has ended",
  4404: "the stream is gone",
};

function wordsOf(end: ConnectionEnd): string {
  switch (end.kind) {
    case "closed":
      return CLOSE_WORDS[end.code] ?? `the server closed the connection (${end.code} ${end.reason})`;
    case "refused":
      return end.error.message;
    case "unreachable":
      return end.reason;
    case "stopped":
      return "stopped";
  }
}
