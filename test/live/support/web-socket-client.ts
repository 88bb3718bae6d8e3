import type { IncomingMessage } from "node:http";
import type { TestContext } from "node:test";
import WebSocket, { type ClientOptions } from "ws";
import { eventually } from "../../helpers/eventually.ts";
import { Refused } from "./live-client.ts";

export type Message = Readonly<Record<string, unknown>>;

export interface SocketOptions extends ClientOptions {
  readonly protocols?: readonly string[];
}

/** A WebSocket of the `ws` package with everything it received, in order. */
export class WebSocketClient {
  readonly socket: WebSocket;
  readonly messages: Message[] = [];
  /** Texts as they came. */
  readonly texts: string[] = [];
  /** Header fields of the 101. */
  upgradeHeaders: IncomingMessage["headers"] = {};
  #ended: string | null = null;
  readonly end: Promise<{ readonly code: number; readonly reason: string }>;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on("message", (data: Buffer, isBinary: boolean) => {
      const text = data.toString();
      this.texts.push(text);
      this.messages.push(isBinary ? { binary: true } : (JSON.parse(text) as Message));
    });
    socket.on("upgrade", (response: IncomingMessage) => {
      this.upgradeHeaders = response.headers;
    });
    this.end = new Promise((resolve) => {
      socket.on("close", (code: number, reason: Buffer) => {
        this.#ended = `${code} ${reason}`;
        resolve({ code, reason: reason.toString() });
      });
    });
  }

  /** @throws Refused */
  static async open(url: string, { protocols = [], ...options }: SocketOptions = {}): Promise<WebSocketClient> {
    const client = new WebSocketClient(new WebSocket(url, [...protocols], options));
    await new Promise<void>((resolve, reject) => {
      client.socket.on("open", resolve);
      client.socket.on("error", reject);
      client.socket.on("unexpected-response", (_request, response: IncomingMessage) => {
        readBody(response).then(
          (body) => reject(new Refused(response.statusCode ?? 0, body, response.headers)),
          reject,
        );
      });
    });
    return client;
  }

  /** {@link open}, closed when the test ends. */
  static async openFor(t: TestContext, url: string, options?: SocketOptions): Promise<WebSocketClient> {
    const client = await WebSocketClient.open(url, options);
    t.after(() => client.close());
    return client;
  }

  /**
   * A socket of `/ws` that has been welcomed. @param token access token, service token or API key.
   */
  static async welcomed(t: TestContext, wsUrl: string, token: string): Promise<WebSocketClient> {
    const client = await WebSocketClient.openFor(t, `${wsUrl}/ws`, { headers: { Authorization: `Bearer ${token}` } });
    await client.expect({ op: "welcome" });
    return client;
  }

  /** Sends a message and waits for the answer with its id. */
  async ask(message: Message & { readonly id: string }): Promise<Message> {
    this.send(message);
    return this.expect({ id: message.id });
  }

  send(message: Message | string | Buffer): void {
    const isRaw = typeof message === "string" || Buffer.isBuffer(message);
    this.socket.send(isRaw ? message : JSON.stringify(message));
  }

  /** Waits for a message that has all these members. */
  async expect(members: Message): Promise<Message> {
    return eventually(`a message with ${JSON.stringify(members)}`, () => {
      const found = this.all(members)[0];
      if (found || this.#ended === null) return found;
      throw new Error(`closed with ${this.#ended} before ${JSON.stringify(members)}; came: ${this.texts.join("\n")}`);
    });
  }

  /** All messages with these members so far. */
  all(members: Message): Message[] {
    return this.messages.filter((message) => Object.entries(members).every(([name, value]) => message[name] === value));
  }

  async close(): Promise<void> {
    this.socket.terminate();
    await this.end;
  }
}

async function readBody(response: IncomingMessage): Promise<string> {
  let body = "";
  for await (const chunk of response) body += (chunk as Buffer).toString();
  return body;
}
