import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { lastingPort } from "../../helpers/free-ports.ts";
import type { Scope } from "../../helpers/scope.ts";

/**
 * A port in front of a server. Modes: `open` passes everything on; `refused` does not listen and
 * resets what is connected; `hanging` accepts connections and never answers, also on those that
 * were open before.
 */
export class Gate {
  readonly port: number;
  readonly #to: number;
  readonly #sockets = new Set<Socket>();
  #server: Server | null = null;
  #isHanging = false;

  private constructor(port: number, to: number) {
    this.port = port;
    this.#to = to;
  }

  /** @param to the port of the server on this machine. */
  static async open(scope: Scope, to: number): Promise<Gate> {
    const gate = new Gate(await lastingPort(), to);
    await gate.pass();
    scope.after(() => gate.refuse());
    return gate;
  }

  async pass(): Promise<void> {
    this.#isHanging = false;
    if (this.#server) return;
    this.#server = createServer((socket) => this.#take(socket)).listen(this.port, "127.0.0.1");
    await once(this.#server, "listening");
  }

  async refuse(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    const closed = server && new Promise((resolve) => server.close(resolve));
    // Node 24 loses a socket that is reset while it shuts down, and the process does not end.
    for (const socket of this.#sockets) {
      if (socket.writableEnded) socket.destroy();
      else socket.resetAndDestroy();
    }
    await closed;
  }

  hang(): void {
    this.#isHanging = true;
    for (const socket of this.#sockets) {
      socket.unpipe();
      socket.resume();
    }
  }

  #take(socket: Socket): void {
    this.#add(socket);
    if (this.#isHanging) {
      socket.resume();
      return;
    }
    const inner = this.#add(connect(this.#to, "127.0.0.1"));
    socket.pipe(inner).pipe(socket);
    socket.on("close", () => inner.destroy());
    inner.on("close", () => this.#isHanging || socket.destroy());
  }

  #add(socket: Socket): Socket {
    this.#sockets.add(socket);
    return socket
      .setNoDelay()
      .on("error", () => undefined)
      .on("close", () => this.#sockets.delete(socket));
  }
}
