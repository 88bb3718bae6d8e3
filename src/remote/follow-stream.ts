import WebSocket from "ws";
import { PrismClient } from "../client/client.ts";
import type { ConnectionState } from "../client/connection.ts";
import type { PrismError } from "../client/errors.ts";
import type { Subscription } from "../client/subscription.ts";
import { type Environment, type EventFilter, REAL_ENVIRONMENT, type WebSocketConstructor } from "../client/wire.ts";
import { CommandError, exitCodeOf, ServerRefused } from "../core/command-error.ts";
import { type ErrorCode, STATUS_OF } from "../core/errors.ts";
import { refusalOf, type ServerClient, unreachable } from "./server-client.ts";

/** Start: after an offset, with stored entries, or with future entries. */
export type StreamStart = number | "latest" | "earliest";

export interface Entry {
  readonly offset: number;
  readonly type: string;
  /** RFC 3339. */
  readonly ts: string;
  readonly data: unknown;
}

interface FollowOptions {
  readonly server: ServerClient;
  /** At least one; each starts at `from`. */
  readonly streams: readonly string[];
  readonly from: StreamStart;
  readonly filter: EventFilter | undefined;
  /** @returns false to stop. */
  onEntry(entry: Entry): boolean;
  onNote(text: string): void;
}

/** Shorter than the default, because a person waits, and constant, because there is one client. */
const RECONNECT = { minMs: 250, maxMs: 2000 };
const SURROUNDINGS: Environment = { ...REAL_ENVIRONMENT, random: () => 1 };

/**
 * Follows streams across reconnects, each entry once and in the order of its stream.
 * @throws CommandError 4 when the first connection fails, ServerRefused when the token or its right
 * has expired
 */
export async function followStream(options: FollowOptions): Promise<void> {
  const { server, streams, from, filter, onNote } = options;
  const { url, token, fetch } = server.live;
  let saysEnd = true;
  const client = new PrismClient({
    url,
    fetch,
    token,
    // There is no other token.
    getToken(reason) {
      if (reason === "expiring" && saysEnd) onNote("the token expires soon");
      saysEnd = false;
      return null;
    },
    WebSocket: webSocketOf(server),
    reconnect: RECONNECT,
    environment: SURROUNDINGS,
  });
  try {
    await new Promise<void>((resolve, reject) => {
      const position: Position = { offset: null };
      const take = entryReader(position, options, resolve);
      for (const stream of streams) take(client.subscribe(stream, filter === undefined ? { from } : { from, filter }));
      reportConnection(client, position, options, reject);
    });
  } finally {
    void client.close();
  }
}

/** The last offset shown, or the start. */
interface Position {
  offset: number | null;
}

/** @returns a function that adds the entry handlers to a subscription. */
function entryReader(
  position: Position,
  { onEntry, onNote }: FollowOptions,
  done: () => void,
): (subscription: Subscription) => void {
  let isDone = false;
  return (subscription) => {
    subscription.on("event", (entry) => {
      if (isDone) return;
      position.offset = entry.offset;
      isDone = !onEntry(entry);
      if (isDone) done();
    });
    subscription.on("gap", (gap) => onNote(gapText(gap)));
  };
}

function reportConnection(
  client: PrismClient,
  position: Position,
  { server, streams, onNote }: FollowOptions,
  fail: (error: Error) => void,
): void {
  let wasConnected = false;
  let isNew = true;
  let followed = streams.length;
  // One offset is meaningless for several streams.
  const from = (): string => (position.offset === null || streams.length > 1 ? "" : ` from offset ${position.offset}`);
  client.on("subscribed", ({ offset }) => {
    if (wasConnected && isNew) onNote(`reconnected${from()}`);
    position.offset ??= offset;
    wasConnected = true;
    isNew = false;
  });
  client.on("state", (state: ConnectionState) => {
    if (state.state === "closed" && state.error) fail(finalFailure(state.error, server));
    if (state.state !== "waiting") return;
    isNew = true;
    const { error, delayMs } = state;
    if (wasConnected) onNote(`${wordsOf(error)}; retrying in ${delayMs} ms${from()}`);
    else fail(finalFailure(error, server));
  });
  client.on("error", ({ error, stream }) => {
    if (stream === undefined) return;
    followed--;
    if (followed === 0) fail(finalFailure(error, server));
    else onNote(`${stream} is no longer followed: ${error.message}`);
  });
}

/**
 * `ws`, over the control socket if that is used. A terminal is not a device: showing entries does
 * not mark them delivered.
 */
function webSocketOf({ live: { connect } }: ServerClient): WebSocketConstructor {
  return class extends WebSocket {
    constructor(url: string, protocols: string[]) {
      const observed = new URL(url);
      observed.searchParams.set("observe", "true");
      super(observed, protocols, connect ? { createConnection: connect } : {});
    }
  };
}

function gapText({ from, to }: { readonly from: number; readonly to: number }): string {
  return to < from
    ? `gap: this server has other data, without offset ${from}; all entries that it keeps follow`
    : `gap: entries after ${from} up to ${to} are no longer stored`;
}

/** The error of a final close, after which reconnecting is pointless. */
function finalFailure(error: PrismError, server: ServerClient): Error {
  const { code, status = 0, message } = error;
  const closedWith = FINAL_CLOSE_CODES[status];
  if (closedWith !== undefined) return new CommandError(exitCodeOf(closedWith, ""), wordsOf(error));
  if (code === "CONNECTION_FAILED") return unreachable(server.base, error.cause ?? error);
  if (status >= 400 && status < 600) return refusalOf(error, server);
  return new ServerRefused(STATUS_OF[code as ErrorCode] ?? 403, code, message, []);
}

/** Close codes after which a client must not reconnect, with the equivalent HTTP status. */
const FINAL_CLOSE_CODES: Readonly<Record<number, number>> = { 4400: 400, 4401: 401, 4403: 403, 4404: 404 };

const CLOSE_WORDS: Readonly<Record<number, string>> = {
  1006: "the connection was cut",
  1012: "the server restarts",
  4008: "this client read too slowly",
  4401: "the token has expired or was revoked",
  4403: "the permission for this stream was withdrawn",
  4404: "the stream no longer exists",
};

function wordsOf({ status = 0, message }: PrismError): string {
  return CLOSE_WORDS[status] ?? message;
}
