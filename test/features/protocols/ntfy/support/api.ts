import { request } from "node:http";
import type { TestContext } from "node:test";
import WebSocket from "ws";
import { eventually } from "../../../../helpers/eventually.ts";
import { makeUser } from "../../../../helpers/people.ts";
import { type PrismOptions, startPrism, type TestPrism } from "../../../../helpers/prism.ts";

/** A message as clients read it. */
export interface Received {
  readonly id: string;
  readonly sequence_id?: string;
  readonly time: number;
  readonly expires?: number;
  readonly event: string;
  readonly topic: string;
  readonly title?: string;
  readonly message?: string;
  readonly priority?: number;
  readonly tags?: string[];
  readonly click?: string;
  readonly icon?: string;
  readonly actions?: Record<string, unknown>[];
  readonly attachment?: { name: string; url: string; type?: string; size?: number; expires?: number };
  readonly content_type?: string;
  readonly encoding?: string;
}

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  readonly bytes: Buffer;
  readonly body: Received & { code?: number; http?: number; error?: string; success?: boolean };
}

export interface Options {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer | undefined;
  /** Default: the administrator's token; null: none. */
  readonly auth?: string | null;
  /** Value of Host: the API is then at the root. */
  readonly host?: string;
}

/** Calls ntfy's API as its clients do: by HTTP/1.1 over a connection of its own. */
export class NtfyClient {
  readonly prism: TestPrism;
  readonly host: string | null;

  constructor(prism: TestPrism, host: string | null = null) {
    this.prism = prism;
    this.host = host;
  }

  get base(): string {
    return this.host === null ? "/ntfy" : "";
  }

  headers({ headers, auth }: Options = {}): Record<string, string> {
    const authorization = auth === undefined ? `Bearer ${this.prism.adminToken}` : auth;
    return {
      ...(this.host === null ? {} : { Host: this.host }),
      ...(authorization === null ? {} : { Authorization: authorization }),
      ...headers,
    };
  }

  send(method: string, path: string, options: Options = {}): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const { body } = options;
      const length = body === undefined ? {} : { "Content-Length": String(Buffer.byteLength(body)) };
      const sent = request(
        {
          ...{ host: "127.0.0.1", port: this.prism.app.port, method, path: this.base + path, agent: false },
          headers: { ...length, ...this.headers(options) },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("error", reject);
          response.on("end", () => {
            const bytes = Buffer.concat(chunks);
            const text = bytes.toString();
            resolve({ status: response.statusCode ?? 0, headers: response.headers, text, bytes, body: jsonOf(text) });
          });
        },
      );
      sent.on("error", reject);
      sent.end(body);
    });
  }

  publish(
    topic: string,
    body: string | Buffer | undefined,
    headers: Record<string, string> = {},
    options: Options = {},
  ): Promise<Reply> {
    return this.send("POST", `/${topic}`, { ...options, body, headers });
  }

  /** What a poll returns. */
  async poll(topics: string, query = "", options: Options = {}): Promise<Received[]> {
    const { text } = await this.send("GET", `/${topics}/json?poll=1${query}`, options);
    return linesOf(text);
  }

  /** Follows topics by one of the streaming formats. */
  stream(t: TestContext, path: string, options: Options = {}): Promise<HttpFollower> {
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          ...{ host: "127.0.0.1", port: this.prism.app.port, method: "GET", path: this.base + path, agent: false },
          headers: this.headers(options),
        },
        (response) => resolve(new HttpFollower(response)),
      );
      sent.on("error", reject);
      sent.end();
      t.after(() => sent.destroy());
    });
  }

  /** Follows topics by WebSocket. */
  socket(t: TestContext, path: string, options: Options = {}): SocketFollower {
    const socket = new WebSocket(`${this.prism.wsUrl}${this.base}${path}`, { headers: this.headers(options) });
    t.after(() => socket.terminate());
    return new SocketFollower(socket);
  }
}

type Incoming = import("node:http").IncomingMessage;

/** A stream as it arrives. */
export class HttpFollower {
  readonly status: number;
  readonly headers: Incoming["headers"];
  readonly response: Incoming;
  text = "";
  /** `ended` with the end of the body; `cut` without. */
  state: "open" | "ended" | "cut" = "open";

  constructor(response: Incoming) {
    this.response = response;
    this.status = response.statusCode ?? 0;
    this.headers = response.headers;
    response.on("data", (chunk: Buffer) => {
      this.text += chunk.toString();
    });
    response.on("end", () => {
      if (this.state === "open") this.state = response.complete ? "ended" : "cut";
    });
    response.on("error", () => {
      this.state = "cut";
    });
    response.on("aborted", () => {
      this.state = "cut";
    });
  }

  get events(): Received[] {
    return linesOf(this.text);
  }

  get messages(): string[] {
    return this.events.filter(({ event }) => event === "message").map(({ message = "" }) => message);
  }
}

/** A WebSocket as its client sees it. */
export class SocketFollower {
  readonly socket: WebSocket;
  readonly texts: string[] = [];
  /** Code and `wasClean` of the close; null while it is open. */
  closed: { readonly code: number } | null = null;
  refused: number | null = null;
  pings = 0;

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on("message", (data) => this.texts.push(String(data)));
    socket.on("ping", () => this.pings++);
    socket.on("close", (code) => {
      this.closed = { code };
    });
    socket.on("unexpected-response", (_request, response) => {
      this.refused = response.statusCode ?? 0;
      response.resume();
    });
    socket.on("error", () => undefined);
  }

  get events(): Received[] {
    return this.texts.map((text) => JSON.parse(text) as Received);
  }

  get messages(): string[] {
    return this.events.filter(({ event }) => event === "message").map(({ message = "" }) => message);
  }

  async opened(): Promise<this> {
    await eventually("the socket has sent open", () => this.texts.length > 0);
    return this;
  }
}

export function linesOf(text: string): Received[] {
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Received);
}

function jsonOf(text: string): Reply["body"] {
  try {
    return JSON.parse(text) as Reply["body"];
  } catch {
    return {} as Reply["body"];
  }
}

export const HOST = "ntfy.example.org";

/** A server, and ntfy's API at the root of a host. */
export async function startNtfy(t: TestContext, options: PrismOptions = {}): Promise<NtfyClient> {
  const settings = { "ntfy.hosts": HOST, ...options.settings };
  return new NtfyClient(await startPrism(t, { ...options, settings }), HOST);
}

export const basic = (login: string, password: string): string =>
  `Basic ${Buffer.from(`${login}:${password}`).toString("base64")}`;

export const PASSWORD = "correct horse battery";

/** A user with a password. */
export async function makePasswordUser(prism: TestPrism, username: string, roles: readonly string[] = ["Operator"]) {
  const user = await makeUser(prism, username, [...roles]);
  const passwordHash = await prism.parts.offers.accounts.passwords.hash(PASSWORD);
  await prism.parts.base.database.write((trx) =>
    trx.updateTable("users").set({ passwordHash, username }).where("id", "=", user.id).execute(),
  );
  return { ...user, basic: basic(username, PASSWORD) };
}
