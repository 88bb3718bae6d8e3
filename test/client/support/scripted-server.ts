import { once } from "node:events";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { type WebSocket, WebSocketServer } from "ws";
import { eventually } from "../../helpers/eventually.ts";

/** Accepts every client, and simulates rare failures of a server. */
export class ScriptedServer {
  readonly #server: WebSocketServer;
  readonly sockets: WebSocket[] = [];
  /** What clients offered as subprotocols. */
  readonly offers: string[] = [];
  readonly said: { readonly op: string }[] = [];

  private constructor(server: WebSocketServer) {
    this.#server = server;
  }

  static async start(t: TestContext): Promise<ScriptedServer> {
    const server = new WebSocketServer({ host: "127.0.0.1", port: 0, path: "/ws" });
    const scripted = new ScriptedServer(server);
    server.on("connection", (socket, request) => {
      scripted.offers.push(request.headers["sec-websocket-protocol"] ?? "");
      socket.on("message", (data: Buffer) => scripted.said.push(JSON.parse(data.toString()) as { op: string }));
      socket.send(
        JSON.stringify({ op: "welcome", connectionId: "c", userId: null, serverTime: "now", heartbeatMs: 30_000 }),
      );
      scripted.sockets.push(socket);
    });
    await once(server, "listening");
    t.after(() => {
      for (const socket of server.clients) socket.terminate();
      server.close();
    });
    return scripted;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The nth client that came, counted from 1. */
  async client(nth: number): Promise<WebSocket> {
    return eventually(`client ${nth}`, () => this.sockets[nth - 1]);
  }
}
