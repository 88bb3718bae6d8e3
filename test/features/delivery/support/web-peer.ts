import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Socket } from "node:net";
import type { TestContext } from "node:test";
import type { TestCertificate } from "../../../helpers/certificate.ts";
import { listening } from "../../../helpers/listening.ts";

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export type Answering = (response: ServerResponse, request: IncomingMessage) => void;

/** A real HTTP server that records requests and answers as configured. */
export class WebPeer {
  readonly received: Received[] = [];
  /** Sockets that were opened to it, whatever came of them. */
  connections = 0;
  port = 0;
  answer: Answering = status(204);

  static async start(t: TestContext, certificate?: TestCertificate): Promise<WebPeer> {
    const peer = new WebPeer();
    const serve = (request: IncomingMessage, response: ServerResponse): void => void peer.#take(request, response);
    const server = certificate ? createTlsServer(certificate, serve) : createServer(serve);
    server.on("connection", (socket: Socket) => {
      peer.connections++;
      socket.on("error", () => undefined);
    });
    peer.port = await listening(t, server);
    return peer;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/hook`;
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      return;
    }
    const { method = "", url = "", headers } = request;
    this.received.push({ method, path: url, headers, body: Buffer.concat(chunks).toString() });
    this.answer(response, request);
  }
}

export function status(code: number, headers: Readonly<Record<string, string>> = {}, body = ""): Answering {
  return (response) => void response.writeHead(code, headers).end(body);
}

/** Says nothing, ever. */
export const silence: Answering = () => undefined;

export const reset: Answering = (_response, request) => void request.socket.resetAndDestroy();

/** The head and the first bytes of a body whose rest never comes. */
export const slowBody =
  (code: number): Answering =>
  (response) => {
    response.writeHead(code, { "Content-Length": "1000" });
    response.write("the beginning");
  };
