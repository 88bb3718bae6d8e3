import WebSocket from "ws";
import type { ErrorCode } from "../core/errors.ts";
import { cliLog } from "./output/process-ends.ts";
import { authorization, reasonOf, refusalOf, type ServerClient } from "./server-client.ts";

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

/** What a server says on `/ws` (contract 5.2), as far as a reader of one stream listens. */
export type ServerMessage =
  | { readonly op: "welcome" }
  | { readonly op: "subscribed"; readonly offset: number }
  | ({ readonly op: "event" } & Entry)
  | { readonly op: "gap"; readonly from: number; readonly to: number }
  | { readonly op: "auth_expiring"; readonly expiresAt: string }
  | { readonly op: "error"; readonly error: { readonly code: ErrorCode; readonly message: string } };

/** How a connection ended. */
export type ConnectionEnd =
  | { readonly kind: "stopped" }
  | { readonly kind: "closed"; readonly code: number; readonly reason: string }
  | { readonly kind: "refused"; readonly status: number; readonly error: Error }
  | { readonly kind: "unreachable"; readonly reason: string };

const HANDSHAKE_LIMIT_MS = 10_000;
/** The server pings after 30 s of silence; a connection that brings nothing for this long is dead, whatever the network says. */
const SILENCE_LIMIT_MS = 75_000;

export interface ConnectionOptions {
  readonly server: ServerClient;
  readonly stream: string;
  readonly from: StreamStart;
  readonly filter: object | undefined;
  /** @returns how the connection ends, if it does now. */
  onMessage(message: ServerMessage): "go on" | ConnectionEnd;
}

/** Follows a stream over one connection until that ends. */
export function openConnection(options: ConnectionOptions): Promise<ConnectionEnd> {
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
