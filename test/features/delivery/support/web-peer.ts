import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { TestContext } from "node:test";
import type { TestCertificate } from "../../../helpers/certificate.ts";

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
  readonly #open = new Set<Socket>();

  static async start(t: TestContext, certificate?: TestCertificate): Promise<WebPeer> {
    const peer = new WebPeer();
    const serve = (request: IncomingMessage, response: ServerResponse): void => void peer.#take(request, response);
    const server = certificate ? createTlsServer(certificate, serve) : createServer(serve);
    server.on("connection", (socket: Socket) => {
      peer.connections++;
      peer.#open.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => peer.#open.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    peer.port = (server.address() as AddressInfo).port;
    t.after(async () => {
      for (const socket of peer.#open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    });
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
