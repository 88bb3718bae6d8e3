import type { TemplatedApp } from "uWebSockets.js";
import { decodeUtf8 } from "../base/json-text.ts";
import type { Principal } from "../base/principal.ts";
import type { Exchange } from "../http/exchange.ts";
import { parseQuery } from "../http/input.ts";
import { uWS } from "../http/uws.ts";
import type { RealtimeAccess } from "./connections.ts";
import type { Hub } from "./hub.ts";
import {
  IDLE_TIMEOUT_S,
  LIBRARY_MAX_MESSAGE_BYTES,
  LiveSocket,
  MAX_BUFFERED_BYTES,
  MAX_MESSAGE_BYTES,
  type SocketProtocol,
  TopicBroadcaster,
} from "./live-socket.ts";
import { parseFrom } from "./parse-from.ts";
import type { StreamRef } from "./stream.ts";
import type { From } from "./subscription.ts";
import { type UpgradeParts, upgrade } from "./upgrade.ts";

export interface PulseParts extends UpgradeParts {
  readonly app: TemplatedApp;
  readonly hub: Hub;
  readonly access: RealtimeAccess;
  readonly compression: boolean;
  /** The project by id or slug, if this caller may follow it. @throws PROJECT_NOT_FOUND */
  projectFor(principal: Principal, idOrSlug: string): string;
}

/** PulseBoard's own framing (contract 5.3). */
export const pulseProtocol: SocketProtocol = {
  transport: "pulse",
  entryText: (_name, entry) => `{"type":"event","offset":${entry.offset},"event":${entry.data}}`,
  gapText: (_name, gap) => JSON.stringify({ type: "gap", ...gap }),
  readEntry: (text) => ({ stream: null, offset: (JSON.parse(text) as { offset: number }).offset }),
};

interface SocketData {
  readonly principal: Principal;
  readonly address: string;
  readonly stream: StreamRef & { kind: "project" };
  readonly from: From;
  socket: LiveSocket | null;
}

/** Puts `/realtime/:projectId` (S1) on the server: one socket, one project, subscribed from the start. */
export function servePulseSocket(parts: PulseParts): void {
  const broadcaster = new TopicBroadcaster(parts.app, pulseProtocol);
  const prepare = (exchange: Exchange, principal: Principal): SocketData => {
    const query = parseQuery(exchange.queryText);
    return {
      principal,
      address: exchange.clientAddress,
      stream: { kind: "project", projectId: parts.projectFor(principal, exchange.params["id"] ?? "") },
      from: parseFrom(query["from"] ?? query["lastEventId"]),
      socket: null,
    };
  };
  for (const path of ["/realtime/:projectId", "/api/v1/realtime/:projectId"]) {
    parts.app.ws<SocketData>(path, {
      maxPayloadLength: LIBRARY_MAX_MESSAGE_BYTES,
      maxBackpressure: MAX_BUFFERED_BYTES,
      idleTimeout: IDLE_TIMEOUT_S,
      sendPingsAutomatically: false,
      compression: parts.compression ? uWS.SHARED_COMPRESSOR : uWS.DISABLED,
      upgrade: (res, req, context) => upgrade<SocketData>(parts, res, req, context, prepare),
      open: (ws) => {
        const data = ws.getUserData();
        const { hub, access } = parts;
        const socket = new LiveSocket(ws, data.principal, data.address, {
          hub,
          access,
          protocol: pulseProtocol,
          broadcaster,
        });
        data.socket = socket;
        parts.connections.add(socket);
        const { stream, from } = data;
        const connected = { type: "connected", projectId: stream.projectId, offset: hub.head(stream) };
        socket.subscribe(stream, { from }, () => socket.send(JSON.stringify(connected)));
      },
      message: (ws, message) => {
        const { socket } = ws.getUserData();
        if (socket?.receive()) answer(socket, Buffer.from(message));
      },
      drain: (ws) => ws.getUserData().socket?.drained(),
      dropped: (ws, message) => ws.getUserData().socket?.dropped(Buffer.from(message).toString()),
      pong: (ws) => ws.getUserData().socket?.ponged(),
      ping: (ws) => ws.getUserData().socket?.ponged(),
      close: (ws) => {
        const { socket } = ws.getUserData();
        if (!socket) return;
        socket.closed();
        parts.connections.delete(socket);
      },
    });
  }
}

/** The only thing a client may say is `{"type":"ping"}`. */
function answer(socket: LiveSocket, bytes: Buffer): void {
  if (bytes.length > MAX_MESSAGE_BYTES) return socket.close("tooBig");
  let type: unknown;
  try {
    type = (JSON.parse(decodeUtf8(bytes) ?? "") as { type?: unknown } | null)?.type;
  } catch {
    type = undefined;
  }
  if (type === "ping") socket.send('{"type":"pong"}');
  else socket.close("malformed");
}
