import { Agent } from "node:http";
import type { TestContext } from "node:test";
import { io, type ManagerOptions, type Socket, type SocketOptions } from "socket.io-client";
import { eventually } from "../../helpers/eventually.ts";

export const CARRIERS = ["websocket", "polling"] as const;
export type Carrier = (typeof CARRIERS)[number];

export type Payload = Readonly<Record<string, unknown>>;

/** The answer to a client, or its connect error. */
export interface Answer extends Payload {
  readonly ok: boolean;
  readonly error?: { readonly code: string; readonly message: string };
}

export type ClientOptions = Partial<ManagerOptions & SocketOptions>;

/** The official client, with everything that came, in order. */
export class SocketIoClient {
  readonly socket: Socket;
  readonly events: { readonly name: string; readonly payload: Payload }[] = [];
  /**
   * Why it was disconnected: the code and the reason that the server gave, and whether the library
   * would come back by itself.
   */
  readonly end: Promise<string>;
  readonly refusals: Payload[] = [];

  /** Reconnects only with the option `reconnection`. */
  constructor(url: string, options: ClientOptions, socket = openSocket(url, options)) {
    this.socket = socket;
    this.socket.onAny((name: string, payload: Payload) => this.events.push({ name, payload }));
    this.socket.on("connect_error", (error: Error & { data?: Payload }) =>
      this.refusals.push({ message: error.message, ...error.data }),
    );
    this.end = new Promise((resolve) => {
      this.socket.on("disconnect", (how) => {
        const why = this.all("closing").at(-1);
        const then = how === "io server disconnect" ? "stays away" : "comes back";
        resolve(`${why ? `${why["code"]} ${why["reason"]}, ` : ""}${then}`);
      });
    });
  }

  /** A client that is closed when the test ends. */
  static start(t: TestContext, url: string, options: ClientOptions): SocketIoClient {
    const client = new SocketIoClient(url, options);
    t.after(() => client.close());
    return client;
  }

  /** A connected client that has received everything it missed. */
  static async ready(
    t: TestContext,
    url: string,
    carrier: Carrier,
    auth: Readonly<Record<string, unknown>>,
    options: ClientOptions = {},
  ): Promise<SocketIoClient> {
    const client = SocketIoClient.start(t, url, { transports: [carrier], auth, ...options });
    await client.expect("ready");
    return client;
  }

  /** The same connection in another namespace, let in. */
  async join(namespace: string, auth: Readonly<Record<string, unknown>>): Promise<SocketIoClient> {
    const client = this.tryToJoin(namespace, auth);
    await client.expect("ready");
    return client;
  }

  tryToJoin(namespace: string, auth: Readonly<Record<string, unknown>>): SocketIoClient {
    return new SocketIoClient("", {}, this.socket.io.socket(namespace, { auth }));
  }

  /** Sends an event and waits for the answer. */
  async ask(event: string, payload?: unknown): Promise<Answer> {
    return (await this.socket.timeout(60_000).emitWithAck(event, payload)) as Answer;
  }

  all(name: string): Payload[] {
    return this.events.filter((event) => event.name === name).map(({ payload }) => payload);
  }

  /** Waits for an event with these members. */
  expect(name: string, members: Payload = {}): Promise<Payload> {
    return eventually(`${name} ${JSON.stringify(members)}; came ${JSON.stringify(this.events).slice(0, 500)}`, () => {
      const found = this.all(name).find((payload) =>
        Object.entries(members).every(([member, value]) => payload[member] === value),
      );
      // Without a code it is the way to the server that is missing, and the library tries again.
      const isTrying = this.socket.active && this.socket.io.reconnection();
      if (found || this.refusals.length === 0 || isTrying) return found;
      throw new Error(`refused: ${JSON.stringify(this.refusals)}`);
    });
  }

  /** Waits for `connect_error`. */
  refused(): Promise<Payload> {
    return eventually("a refusal", () => this.refusals.at(-1));
  }

  close(): void {
    this.socket.disconnect();
  }
}

function openSocket(url: string, options: ClientOptions): Socket {
  // Polls go on over their connections, as a browser's do.
  const agent = new Agent({ keepAlive: true });
  return io(url, { forceNew: true, reconnection: false, agent: agent as never, ...options });
}
