import * as v from "valibot";
import { PrismError } from "../../../core/errors.ts";
import { decodeUtf8 } from "../../../core/text/json-text.ts";
import { ANSWERS_LATER, type Route, route } from "../../../http/api/route.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import { MAX_PENDING_MESSAGE_BYTES } from "../../connections.ts";
import { requireOrigin } from "../upgrade.ts";
import { MAX_PACKET_BYTES, PACKET_SEPARATOR, SOCKETIO_PATH } from "./engine.ts";
import { HandshakeRequest, queryRefused, readSessionId } from "./handshake-request.ts";
import type { SocketIoServer } from "./socketio-server.ts";
import type { SocketIoSession } from "./socketio-session.ts";

/** Stands in for a body that is not UTF-8; the gate refuses it. */
const NO_PACKET = "";
const SHARED = {
  path: SOCKETIO_PATH,
  tag: "Realtime",
  access: "public",
  undocumented: true,
  // Sessions count as connections and their packets as messages; all other requests are counted
  // below.
  unlimited: true,
  quiet: true,
} as const;

/**
 * Routes for polling Socket.IO clients: the kernel reads and counts bodies, the engine responds.
 */
export function pollingRoutes(server: SocketIoServer): readonly Route[] {
  const { parts, sessions } = server;

  /** A refused request counts for its address: its credential has not been checked. */
  function counted<T>(exchange: Exchange, answer: () => T): T {
    try {
      requireOrigin(parts, exchange);
      return answer();
    } catch (error) {
      parts.kernel.limitAddress(exchange);
      throw error;
    }
  }

  function start(exchange: Exchange): typeof ANSWERS_LATER {
    if (parts.kernel.requests.isDraining) throw new PrismError("SHUTTING_DOWN", "The server is stopping");
    const request = new HandshakeRequest(exchange, parts);
    parts.connections.requireRoom(null, exchange.clientAddress);
    server.whenOpen(exchange.clientAddress, (engine) => {
      // The client may have disconnected meanwhile.
      if (!exchange.isOver) server.startSession(engine, request, null).takePoll(exchange);
    });
    return ANSWERS_LATER;
  }

  function sessionOf(sid: string | undefined): SocketIoSession {
    const session = sid === undefined ? undefined : sessions.get(sid);
    if (session && !session.engine.ws) return session;
    if (parts.kernel.requests.isDraining) throw new PrismError("SHUTTING_DOWN", "The server is stopping");
    throw queryRefused("sid", "is not the id of a polling session");
  }

  return [
    route({
      ...SHARED,
      method: "GET",
      summary: "Socket.IO: a poll, or the start of a session",
      handle: (exchange) =>
        counted(exchange, () => {
          const sid = readSessionId(exchange, "polling");
          if (exchange.method !== "GET") throw new PrismError("METHOD_NOT_ALLOWED", "This path accepts GET, POST");
          if (sid === undefined) return start(exchange);
          if (!server.replyWithCloseReason(exchange, sid)) sessionOf(sid).engine.takePoll(exchange);
          return ANSWERS_LATER;
        }),
    }),
    route({
      ...SHARED,
      method: "PUT",
      summary: "Socket.IO: refused as Engine.IO refuses it, with 400",
      handle: (exchange) =>
        counted(exchange, () => {
          throw queryRefused("transport", "polling takes GET and POST only");
        }),
    }),
    route({
      ...SHARED,
      method: "POST",
      summary: "Socket.IO: packets of a client that polls",
      body: v.string(),
      raw: { types: ["text/plain"], gzip: false },
      maxBodyBytes: MAX_PACKET_BYTES,
      handle: (exchange, { body }) =>
        counted(exchange, () => {
          const session = sessionOf(readSessionId(exchange, "polling"));
          const packets = packetsOf(session, body as unknown as Buffer);
          if (packets.every((packet) => session.admits(packet, Buffer.byteLength(packet))))
            for (const packet of packets) session.engine.receive(packet);
          // Also after the session was closed: its poll contains the reason, and the client library
          // takes an HTTP error for a network error.
          exchange.send(200, "ok", { "Content-Type": "text/html" });
          return ANSWERS_LATER;
        }),
    }),
  ];

  /** @throws PAYLOAD_TOO_LARGE when a pending client sends too much */
  function packetsOf(session: SocketIoSession, bytes: Buffer): readonly string[] {
    if (bytes.length > MAX_PENDING_MESSAGE_BYTES && parts.connections.isPending(session.live)) {
      session.live.close("tooBig");
      throw new PrismError("PAYLOAD_TOO_LARGE", "Authenticate before sending more than 4 KiB");
    }
    return decodeUtf8(bytes)?.split(PACKET_SEPARATOR) ?? [NO_PACKET];
  }
}
