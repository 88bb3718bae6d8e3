import type { WebSocket } from "uWebSockets.js";
import type { EpochMs } from "../core/time/clock.ts";
import type { CloseReason, Transport } from "./connections.ts";
import type { StreamEntry, StreamGap } from "./stream.ts";

/**
 * The transport of a `LiveSocket`: a WebSocket, or a substitute where a protocol has other
 * transports too.
 */
export type SocketOutput = Pick<
  WebSocket<unknown>,
  "send" | "end" | "close" | "cork" | "ping" | "getBufferedAmount" | "subscribe" | "unsubscribe" | "publish"
>;

/** How one WebSocket protocol serializes messages. */
export interface SocketProtocol {
  readonly transport: Transport;
  entryText(stream: string, entry: StreamEntry): string;
  gapText(stream: string, gap: StreamGap): string;
  /** Last message and close code; absent: no message, and the code of `CLOSE`. */
  closing?(reason: CloseReason): Closing;
  /**
   * Last message for a client that was silent too long; absent: the socket is cut without a close
   * frame.
   */
  readonly silence?: Closing;
  /** A connection may stay unauthenticated; absent: it is closed after a while. */
  readonly staysAnonymous?: true;
  /** Longest message of a pending connection; absent: `MAX_PENDING_MESSAGE_BYTES`. */
  readonly maxPendingMessageBytes?: number;
  /** A notice that the credential expires soon; absent if the protocol has none. */
  expiringText?(expiresAt: EpochMs): string;
}

/** The last message of a connection, and the code of its close frame. */
export interface Closing {
  readonly code: number;
  readonly text: string;
}
