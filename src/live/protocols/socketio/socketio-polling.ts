import * as v from "valibot";
import { PrismError } from "../../../core/errors.ts";
import { decodeUtf8 } from "../../../core/json-text.ts";
import type { Exchange } from "../../../http/exchange.ts";
import { ANSWERS_LATER, type Route, route } from "../../../http/route.ts";
import { MAX_PENDING_MESSAGE_BYTES } from "../../connections.ts";
import { requireOrigin } from "../upgrade.ts";
import { SOCKETIO_PATH } from "./engine.ts";
import { EngineHttpReply, type EngineQuery, EngineRequest } from "./engine-http.ts";
import { PACKET_SEPARATOR } from "./engine-types.ts";
import { queryRefused, readEngineQuery } from "./handshake-query.ts";
import { MAX_PACKET_BYTES } from "./packet-gate.ts";
import type { SocketIoServer } from "./socketio-server.ts";
import type { SocketIoSession } from "./socketio-session.ts";
import { Visitor } from "./visitor.ts";

/** Stands for what is no text. */
const NO_PACKET = "";
const NO_BODY: Buffer = Buffer.alloc(0);
const SHARED = {
  path: SOCKETIO_PATH,
  tag: "Realtime",
  access: "public",
  undocumented: true,
  // Sessions are counted as connections are, their packets as messages; what is neither is counted here.
  unlimited: true,
  quiet: true,
} as const;

/** Requests of Socket.IO clients that poll, as routes: the kernel reads and answers them, and engine.io comes in between. */
export function pollingRoutes(server: SocketIoServer): readonly Route[] {
  const { parts, sessions } = server;

  /** What is queryRefused is counted by its address, for no credential stands behind it. */
  function counted<T>(exchange: Exchange, answer: () => T): T {
    try {
      requireOrigin(parts, exchange);
      return answer();
    } catch (error) {
      parts.kernel.limitAddress(exchange);
      throw error;
    }
  }

  function hand(exchange: Exchange, query: EngineQuery, visitor: Visitor | null, body = NO_BODY): typeof ANSWERS_LATER {
    const headers = exchange.method === "POST" ? { "content-length": String(body.length) } : {};
    server.hand(exchange.clientAddress, (engine) => {
      // The client may not have waited for the engine.
      if (exchange.isOver) return;
      engine.request(new EngineHttpReply(exchange, body), new EngineRequest(exchange, query, visitor, { headers }));
    });
    return ANSWERS_LATER;
  }

  function begin(exchange: Exchange, query: EngineQuery): typeof ANSWERS_LATER {
    if (parts.kernel.requests.isDraining) throw new PrismError("SHUTTING_DOWN", "The server is stopping");
    const visitor = new Visitor(exchange, parts);
    parts.connections.requireRoom(null, exchange.clientAddress);
    return hand(exchange, query, visitor);
  }

  function sessionOf(sid: string | undefined): SocketIoSession {
    const session = sid === undefined ? undefined : sessions.get(sid);
    if (session) return session;
    if (parts.kernel.requests.isDraining) throw new PrismError("SHUTTING_DOWN", "The server is stopping");
    throw queryRefused("sid", "is of no session that there is");
  }

  return [
    route({
      ...SHARED,
      method: "GET",
      summary: "Socket.IO: a poll, or the beginning of a session",
      handle: (exchange) =>
        counted(exchange, () => {
          const query = readEngineQuery(exchange, "polling");
          if (exchange.method !== "GET") throw new PrismError("METHOD_NOT_ALLOWED", "This path answers GET, POST");
          const { sid } = query;
          if (sid === undefined) return begin(exchange, query);
          if (server.bidFarewell(exchange, sid)) return ANSWERS_LATER;
          sessionOf(sid).poll = exchange;
          return hand(exchange, query, null);
        }),
    }),
    route({
      ...SHARED,
      method: "PUT",
      summary: "Socket.IO: queryRefused as Engine.IO refuses it, with 400",
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
          const query = readEngineQuery(exchange, "polling");
          const session = sessionOf(query.sid);
          const bytes = body as unknown as Buffer;
          if (admits(session, bytes)) return hand(exchange, query, null, bytes);
          // The session has been ended: its poll says why, for to the client library an error here is one of the network.
          exchange.send(200, "ok", { "Content-Type": "text/plain" });
          return ANSWERS_LATER;
        }),
    }),
  ];

  /** @returns false when one of the packets has ended the session. @throws PAYLOAD_TOO_LARGE for one that is nobody's yet */
  function admits(session: SocketIoSession, bytes: Buffer): boolean {
    if (bytes.length > MAX_PENDING_MESSAGE_BYTES && parts.connections.isPending(session.live)) {
      session.live.close("tooBig");
      throw new PrismError("PAYLOAD_TOO_LARGE", "Say who you are before you say more than 4 KiB");
    }
    const packets = decodeUtf8(bytes)?.split(PACKET_SEPARATOR) ?? [NO_PACKET];
    return packets.every((packet) => session.admits(packet, Buffer.byteLength(packet)));
  }
}
