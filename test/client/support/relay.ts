import { once } from "node:events";
import { type AddressInfo, createServer, connect as dial, type Server, type Socket } from "node:net";
import type { TestContext } from "node:test";

/**
 * A network between client and server: one address, whatever port the server has at the moment, and
 * lines that can be cut or go silent.
 */
export class Relay {
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  #targetUrl: string;
  #isDown = false;
  #isSilent = false;
  /** Lines that were asked for, also those that were refused. */
  dialled = 0;

  private constructor(server: Server, targetUrl: string) {
    this.#server = server;
    this.#targetUrl = targetUrl;
  }

  static async start(t: TestContext, targetUrl: string): Promise<Relay> {
    const server = createServer();
    const relay = new Relay(server, targetUrl);
    server.on("connection", (socket) => relay.#accept(socket));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => {
      relay.cut();
      server.close();
    });
    return relay;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Where the server is now. */
  leadTo(targetUrl: string): void {
    this.#targetUrl = targetUrl;
  }

  /** Breaks the lines that there are. */
  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
  }

  /** Breaks all lines, and lets no other come about until {@link up}. */
  down(): void {
    this.#isDown = true;
    this.cut();
  }

  up(): void {
    this.#isDown = false;
  }

  /**
   * Existing connections stay open without traffic, and the clients are not notified. Later ones
   * work.
   */
  silence(): void {
    this.#isSilent = true;
    for (const pair of this.#pairs) for (const socket of pair) socket.pause();
  }

  #accept(near: Socket): void {
    this.dialled++;
    near.on("error", () => undefined);
    if (this.#isDown) {
      near.destroy();
      return;
    }
    const { hostname, port } = new URL(this.#targetUrl);
    const far = dial(Number(port), hostname);
    const pair = [near, far] as const;
    this.#pairs.add(pair);
    far.on("error", () => near.destroy());
    near.pipe(far);
    far.pipe(near);
    for (const [one, other] of [pair, [far, near]] as const) {
      one.on("close", () => {
        this.#pairs.delete(pair);
        if (!this.#isSilent) other.destroy();
      });
    }
  }
}
