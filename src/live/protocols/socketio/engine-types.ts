/**
 * What is used of engine.io 6.6, in whose types parts of it are private. Its transports for uWebSockets write whatever the client takes, and hand on
 * whatever comes: all our rules stand between them and the server, see {@link EngineHttpReply}, {@link EngineSocket} and `packet-gate.ts`.
 */

/** One session of a client, over one transport after another. */
export interface EngineSession {
  readonly id: string;
  readonly request: unknown;
  readonly transport: EngineTransport;
  /** What waits for the next poll. */
  readonly writeBuffer: readonly EnginePacket[];
  on(event: "close" | "drain", listener: () => void): void;
  on(event: "upgrade", listener: (transport: EngineTransport) => void): void;
  on(event: "packetCreate", listener: (packet: EnginePacket) => void): void;
  write(data: string): void;
  /** @param discard at once, whatever waits. */
  close(discard: true): void;
}

export interface EnginePacket {
  readonly type: string;
  readonly data?: unknown;
}

export interface EngineTransport {
  readonly name: "polling" | "websocket";
  /** Of polling: how long a closed session waits for another poll, in ms. */
  closeTimeout: number;
  /** A packet has come in; a buffer is an attachment of the one before. */
  onData(packet: string | Buffer): void;
  onClose(): void;
}

/** The behaviour that engine.io would have put on the server. */
export interface EngineHandlers {
  request(reply: unknown, request: unknown): void;
  upgrade(reply: unknown, request: unknown): void;
  open(socket: unknown): void;
}

/** Between packets in the body of a poll. */
export const PACKET_SEPARATOR = "\x1e";
/** Engine.IO's packet types, as they begin a packet. */
export const ENGINE_CLOSE = "1";
export const ENGINE_MESSAGE = "4";
/** A Socket.IO event, and the end of the main namespace, as Engine.IO messages. */
export const EVENT_PREFIX = `${ENGINE_MESSAGE}2`;
export const DISCONNECT = `${ENGINE_MESSAGE}1`;
