import { lstatSync, statSync } from "node:fs";
import type { Agent, IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";
import { dirname } from "node:path";
import { Readable } from "node:stream";
import type { FetchLike } from "../client/api.ts";
import { withSocketPath } from "../core/listening.ts";

/** Whether a control socket has a server, none, or one that this user may not use. */
export type SocketState = "open" | "none" | "denied";

/** Checks for a server. Another user's socket is not trusted with data; root may use any. */
export async function socketState(path: string): Promise<SocketState> {
  try {
    const user = process.geteuid?.() ?? 0;
    // For a link its own owner counts, who chose its target.
    const { uid } = lstatSync(path);
    const trusted = user === 0 ? [user, statSync(dirname(path)).uid] : [user];
    if (!trusted.includes(uid)) return "denied";
    const socket = connectTo(path);
    await new Promise((resolve, reject) => socket.once("connect", resolve).once("error", reject));
    socket.destroy();
    return "open";
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    return code === "EACCES" || code === "EPERM" ? "denied" : "none";
  }
}

function connectTo(path: string): Socket {
  return withSocketPath(path, (short) => connect(short));
}

/** HTTP and WebSockets over a control socket, or over other connections of the caller, for the client. */
export class ControlTransport {
  /** What requests name as their server. */
  readonly url: string;
  /** Opens one connection, for protocols other than HTTP. */
  readonly connect: () => Socket;
  readonly #http = process.getBuiltinModule("node:http");
  readonly #agent: Agent = new this.#http.Agent({ keepAlive: true });

  constructor(to: string | (() => Socket), url = "http://localhost") {
    this.url = url;
    this.connect = typeof to === "string" ? () => connectTo(to) : to;
    this.#agent.createConnection = this.connect;
  }

  readonly fetch: FetchLike = (url, init = {}) =>
    new Promise((resolve, reject) => {
      const { method = "GET", headers, body, signal } = init as RequestInit;
      const options = { method, headers: headers as Record<string, string>, agent: this.#agent };
      const sent = this.#http.request(url as string, signal ? { ...options, signal } : options, (answer) =>
        resolve(responseOf(answer)),
      );
      sent.once("error", reject);
      sent.end(body);
    });

  close(): void {
    this.#agent.destroy();
  }
}

function responseOf(answer: IncomingMessage): Response {
  const { statusCode: status = 0, rawHeaders } = answer;
  const headers = new Headers();
  for (let at = 0; at < rawHeaders.length; at += 2) headers.append(rawHeaders[at] ?? "", rawHeaders[at + 1] ?? "");
  if (status !== 204 && status !== 304)
    return new Response(Readable.toWeb(answer) as ReadableStream<Uint8Array>, { status, headers });
  answer.resume();
  return new Response(null, { status, headers });
}
