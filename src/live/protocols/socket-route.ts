import type { TemplatedApp, WebSocket } from "uWebSockets.js";
import type { Principal } from "../../core/caller.ts";
import type { Logger } from "../../core/log.ts";
import { decodeUtf8, scanJson } from "../../core/text/json-text.ts";
import type { Clock } from "../../core/time/clock.ts";
import { MAX_JSON_DEPTH } from "../../http/body/input.ts";
import type { Exchange } from "../../http/server/exchange.ts";
import { uWS } from "../../http/server/uws.ts";
import type { CloseReason, RealtimeAccess } from "../connections.ts";
import type { Hub } from "../hub.ts";
import { LiveSocket, MAX_BACKLOG_BYTES, type SocketParts } from "../live-socket.ts";
import type { SocketProtocol } from "../socket-protocol.ts";
import { TopicBroadcaster } from "../topic-broadcaster.ts";
import { type Authenticate, type Upgraded, type UpgradeParts, upgrade } from "./upgrade.ts";

const MAX_MESSAGE_BYTES = 65_536;

/** Parses a client's text message. @returns the object, or why the socket must be closed. */
function readClientMessage(bytes: Buffer, isBinary: boolean): object | CloseReason {
  if (bytes.length > MAX_MESSAGE_BYTES) return "tooBig";
  const text = isBinary ? undefined : decodeUtf8(bytes);
  if (text === undefined || scanJson(text, MAX_JSON_DEPTH).depth > MAX_JSON_DEPTH) return "malformed";
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : "malformed";
  } catch {
    return "malformed";
  }
}

/**
 * Longer messages make the library drop the connection (1006); between our own limit and this one
 * the client gets 1009.
 */
export const LIBRARY_MAX_MESSAGE_BYTES = 262_144;
/** Fallback of the library in case our heartbeat fails. */
export const IDLE_TIMEOUT_S = 60;

export interface SocketRouteParts extends UpgradeParts {
  readonly app: TemplatedApp;
  readonly hub: Hub;
  readonly access: RealtimeAccess;
  readonly clock: Clock;
  readonly log: Logger;
  readonly compression: boolean;
}

/** The session of one client over one socket. */
export interface Session {
  /** The client sent a JSON object. */
  message(message: object): void;
  /** The socket is gone. */
  closed?(): void;
}

interface SocketRoute<T, P extends Principal | null> {
  readonly paths: readonly string[];
  readonly protocol: SocketProtocol;
  readonly authenticate: Authenticate<P>;
  /** Reads what the session needs from the request. Throws a PrismError to refuse the upgrade. */
  prepare(exchange: Exchange, upgraded: Upgraded<P>): T;
  open(socket: LiveSocket, start: T): Session;
}

interface SocketData<T> {
  /** Null once the session has started with it. */
  opening: { readonly upgraded: Upgraded<Principal | null>; readonly start: T } | null;
  socket: LiveSocket | null;
  session: Session | null;
}

/** Serves a WebSocket protocol: everything that does not depend on its messages. */
export function serveSocketRoute<T, P extends Principal | null>(
  parts: SocketRouteParts,
  route: SocketRoute<T, P>,
): void {
  const { app, hub } = parts;
  const { protocol } = route;
  const broadcaster = new TopicBroadcaster(app, hub, protocol.transport, protocol.entryText);
  const shared: SocketParts = { ...parts, protocol, broadcaster };
  for (const path of route.paths) {
    app.ws<SocketData<T>>(path, {
      maxPayloadLength: LIBRARY_MAX_MESSAGE_BYTES,
      maxBackpressure: MAX_BACKLOG_BYTES,
      idleTimeout: IDLE_TIMEOUT_S,
      sendPingsAutomatically: false,
      compression: parts.compression ? uWS.SHARED_COMPRESSOR : uWS.DISABLED,
      upgrade: (res, req, context) =>
        upgrade<SocketData<T>, P>(parts, res, req, context, route.authenticate, (exchange, upgraded) => ({
          opening: { upgraded, start: route.prepare(exchange, upgraded) },
          socket: null,
          session: null,
        })),
      open: (ws) => {
        const data = ws.getUserData();
        if (!data.opening) return;
        const { upgraded, start } = data.opening;
        const { principal, address, isObserver } = upgraded;
        data.opening = null;
        data.socket = new LiveSocket(ws as WebSocket<unknown>, principal, address, shared, isObserver);
        data.session = route.open(data.socket, start);
      },
      message: (ws, message, isBinary) => receive(ws.getUserData(), Buffer.from(message), isBinary),
      drain: (ws) => ws.getUserData().socket?.drained(),
      dropped: (ws) => ws.getUserData().socket?.dropped(),
      pong: (ws) => ws.getUserData().socket?.pongReceived(),
      ping: (ws) => ws.getUserData().socket?.receive(),
      close(ws) {
        const { socket, session } = ws.getUserData();
        // The socket accepts nothing from here on: what the session sends to others may close some
        // of them, whose sessions send to others in turn.
        socket?.closed();
        session?.closed?.();
      },
    });
  }
}

function receive({ socket, session }: SocketData<unknown>, bytes: Buffer, isBinary: boolean): void {
  if (!socket?.receive()) return;
  if (socket.exceedsPendingLimit(bytes.length)) {
    socket.close("tooBig");
    return;
  }
  const message = readClientMessage(bytes, isBinary);
  if (typeof message === "string") socket.close(message);
  else session?.message(message);
}
