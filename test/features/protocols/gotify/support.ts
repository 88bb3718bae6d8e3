import assert from "node:assert/strict";
import { connect } from "node:net";
import type { TestContext } from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { type PrismOptions, type Reply, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { makeAccount, PASSWORD } from "../../access/sessions/support/auth-client.ts";

export interface GotifyMessage {
  readonly id: number;
  readonly appid: number;
  readonly title: string;
  readonly message: string;
  readonly priority: number;
  readonly extras?: Readonly<Record<string, unknown>>;
  readonly date: string;
}

export interface Paged {
  readonly paging: { readonly size: number; readonly since: number; readonly limit: number; readonly next?: string };
  readonly messages: readonly GotifyMessage[];
}

export interface Application {
  readonly id: number;
  readonly token: string;
  readonly name: string;
  readonly description: string;
  readonly internal: boolean;
  readonly image: string;
  readonly defaultPriority: number;
  readonly lastUsed: string | null;
}

export interface GotifyClient {
  readonly id: number;
  readonly token: string;
  readonly name: string;
  readonly lastUsed: string | null;
}

export interface GotifyFault {
  readonly error: string;
  readonly errorCode: number;
  readonly errorDescription: string;
}

type Headers = Readonly<Record<string, string>>;

export const basic = (login: string, password = PASSWORD): Headers => ({
  Authorization: `Basic ${Buffer.from(`${login}:${password}`).toString("base64")}`,
});
export const key = (token: string): Headers => ({ "X-Gotify-Key": token });

/** A server with the account of a person, `uma`. */
export class GotifyTest {
  readonly prism: TestPrism;
  readonly userId: string;

  private constructor(prism: TestPrism, userId: string) {
    this.prism = prism;
    this.userId = userId;
  }

  static async start(t: TestContext, options: PrismOptions = {}): Promise<GotifyTest> {
    const prism = await startPrism(t, options);
    const { id } = await makeAccount(prism, { username: "uma" });
    return new GotifyTest(prism, id);
  }

  get base(): string {
    return `${this.prism.url}/gotify`;
  }

  /** Without a credential of Prism's. */
  request<T>(method: string, path: string, headers: Headers = {}, body?: unknown): Promise<Reply<T>> {
    return this.prism.request<T>(method, `/gotify${path}`, body, { token: null, headers });
  }

  async ok<T>(method: string, path: string, headers: Headers = {}, body?: unknown): Promise<T> {
    const reply = await this.request<T>(method, path, headers, body);
    assert.equal(reply.status, 200, `${method} ${path}: ${reply.text}`);
    return reply.body;
  }

  client(name = "Pixel 9", login = "uma"): Promise<GotifyClient> {
    return this.ok("POST", "/client", basic(login), { name });
  }

  application(name = "Backups", more: object = {}, login = "uma", password = PASSWORD): Promise<Application> {
    return this.ok("POST", "/application", basic(login, password), { name, ...more });
  }

  send(token: string, body: object): Promise<GotifyMessage> {
    return this.ok("POST", "/message", key(token), body);
  }

  list(token: string, query = ""): Promise<Paged> {
    return this.ok("GET", `/message${query}`, key(token));
  }

  stream(t: TestContext, token: string, options: StreamOptions = {}): Promise<FrameStream> {
    return FrameStream.open(t, this.prism.app.port, { path: `/gotify/stream?token=${token}`, ...options });
  }
}

interface StreamOptions {
  readonly path?: string;
  readonly headers?: readonly string[];
}

interface Frame {
  readonly opcode: number;
  readonly payload: Buffer;
}

const OPCODES: Readonly<Record<number, string>> = { 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong" };

/** A WebSocket at the level of frames: what the app must never get would be seen here. */
export class FrameStream {
  readonly #socket;
  #bytes = Buffer.alloc(0);
  head = "";
  readonly frames: Frame[] = [];
  readonly closed: Promise<void>;

  private constructor(port: number) {
    this.#socket = connect(port, "127.0.0.1");
    this.closed = new Promise((resolve) => this.#socket.on("close", () => resolve()));
    this.#socket.on("error", () => undefined);
    this.#socket.on("data", (bytes: Buffer) => this.#read(bytes));
  }

  static async open(t: TestContext, port: number, { path = "", headers = [] }: StreamOptions): Promise<FrameStream> {
    const stream = new FrameStream(port);
    t.after(() => stream.#socket.destroy());
    const lines = [
      `GET ${path} HTTP/1.1`,
      ...(headers.some((line) => line.startsWith("Host:")) ? [] : ["Host: prism.test"]),
      ...["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"],
      "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
      ...headers,
    ];
    stream.#socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    await eventually("an answer to the upgrade", () => stream.head !== "");
    return stream;
  }

  get status(): number {
    return Number(this.head.split(" ")[1]);
  }

  get kinds(): string[] {
    return this.frames.map(({ opcode }) => OPCODES[opcode] ?? String(opcode));
  }

  get messages(): GotifyMessage[] {
    const texts = this.frames.filter(({ opcode }) => opcode === 1);
    return texts.map(({ payload }) => JSON.parse(payload.toString()) as GotifyMessage);
  }

  /** A masked frame of the client. */
  send(opcode: number, payload = ""): void {
    this.#socket.write(
      Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0]), Buffer.from(payload)]),
    );
  }

  #read(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    if (this.head === "") {
      const end = this.#bytes.indexOf("\r\n\r\n");
      if (end < 0) return;
      this.head = this.#bytes.toString("latin1", 0, end);
      this.#bytes = this.#bytes.subarray(end + 4);
    }
    if (this.status === 101) while (this.#frame());
  }

  #frame(): boolean {
    const [first = 0, second = 0] = this.#bytes;
    const short = second & 0x7f;
    const head = short === 127 ? 10 : short === 126 ? 4 : 2;
    if (this.#bytes.length < head) return false;
    const long = short === 127 ? () => Number(this.#bytes.readBigUInt64BE(2)) : () => this.#bytes.readUInt16BE(2);
    const length = short < 126 ? short : long();
    if (this.#bytes.length < head + length) return false;
    this.frames.push({ opcode: first & 0x0f, payload: this.#bytes.subarray(head, head + length) });
    this.#bytes = this.#bytes.subarray(head + length);
    return this.#bytes.length > 0;
  }
}
