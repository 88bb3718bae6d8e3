import type { Server as SocketIo } from "socket.io";
import { PENDING_LIMIT_MS } from "../../connections.ts";
import type { EngineHandlers, EngineSession } from "./engine-types.ts";
import { MAX_PACKET_BYTES } from "./packet-gate.ts";

/** As clients of Socket.IO have it by default. */
export const SOCKETIO_PATH = "/socket.io/";
const PING_EVERY_MS = 30_000;
const PING_ANSWER_MS = 30_000;
const UPGRADE_LIMIT_MS = 10_000;

/** Socket.IO and what it would have put on an app. */
export interface Engine {
  readonly io: SocketIo;
  readonly handlers: EngineHandlers;
}

/**
 * Socket.IO, attached to nothing: it believes to have put its handlers on an app of uWebSockets, of which it is given the two methods that it calls.
 * Whoever has these handlers says what reaches them. The library is loaded here: a server whose clients speak other protocols starts sooner
 * without it, and is smaller.
 */
export async function openEngine(opened: (session: EngineSession) => void): Promise<Engine> {
  const { Server } = await import("socket.io");
  const io = new Server({
    path: SOCKETIO_PATH,
    serveClient: false,
    transports: ["polling", "websocket"],
    maxHttpBufferSize: MAX_PACKET_BYTES,
    connectTimeout: PENDING_LIMIT_MS,
    pingInterval: PING_EVERY_MS,
    pingTimeout: PING_ANSWER_MS,
    upgradeTimeout: UPGRADE_LIMIT_MS,
    // Their names are the clients'.
    cleanupEmptyChildNamespaces: true,
    // Of WebSockets uWebSockets compresses; polls are answered as they are, for a compressor each would be had for nothing.
    perMessageDeflate: false,
    httpCompression: false,
  });
  const handlers: Partial<Record<keyof EngineHandlers, (...args: unknown[]) => void>> = {};
  const app = {
    any(_path: string, request: (...args: unknown[]) => void) {
      handlers.request = request;
      return app;
    },
    ws(_path: string, { upgrade, open }: Record<"upgrade" | "open", (...args: unknown[]) => void>) {
      Object.assign(handlers, { upgrade, open });
      return app;
    },
  };
  io.attachApp(app);
  io.engine.on("connection", (session: unknown) => opened(session as EngineSession));
  return { io, handlers: handlers as EngineHandlers };
}
