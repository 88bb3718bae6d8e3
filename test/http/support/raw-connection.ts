import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { TestContext } from "node:test";
import { eventually } from "../../helpers/eventually.ts";

/** An answer as it came over the wire. */
export interface RawReply {
  readonly status: number;
  /** Names in lower case; values of repeated fields joined by commas. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

const ARRIVAL_MS = 10_000;
const NO_BODY = new Set([100, 101, 204, 304]);

/** A TCP connection to the server that sends exactly the given bytes, without a client library. */
export class RawConnection {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  #isClosed = false;
  #arrived: (() => void) | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#arrived?.();
    });
    // The server may close with bytes of ours unread: a reset is then as good an end as any.
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.#isClosed = true;
      this.#arrived?.();
    });
  }

  static async open(t: TestContext, port: number): Promise<RawConnection> {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    t.after(() => socket.destroy());
    return new RawConnection(socket);
  }

  send(bytes: string | Uint8Array): void {
    if (!this.#isClosed) this.#socket.write(bytes);
  }

  /**
   * Hands the bytes over and waits until they have left this process, so that the next ones travel
   * by themselves.
   */
  async sendAlone(bytes: string | Uint8Array): Promise<void> {
    await new Promise<void>((resolve) => this.#socket.write(bytes, () => resolve()));
    await new Promise((resolve) => setTimeout(resolve, 2));
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Ends with a TCP reset, as a client does whose process or machine is gone. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }

  /** Closes its sending half; it can still receive. */
  endWriting(): void {
    this.#socket.end();
  }

  /** Reads nothing more until {@link resume}. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** What has come and was not taken by {@link reply}. */
  get unread(): string {
    return this.#received.toString("latin1");
  }

  /** The bytes of {@link unread}. */
  get unreadBytes(): Buffer {
    return this.#received;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Waits for the next whole answer. @param method of the request: an answer to HEAD has no body.
   */
  async reply(method = "GET"): Promise<RawReply> {
    const take = () => takeReply(this.#received, method, this.#isClosed);
    const taken = take() ?? (await this.#next(take)) ?? (await eventually("an answer", take));
    this.#received = this.#received.subarray(taken.length);
    return taken.reply;
  }

  /** What `take` finds once something has come; polling would cost each request milliseconds. */
  async #next<T>(take: () => T | null): Promise<T | null> {
    if (!this.#isClosed)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ARRIVAL_MS);
        this.#arrived = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    return take();
  }

  /** Waits until the server has closed the connection. */
  async closed(timeoutMs?: number): Promise<void> {
    await eventually("the end of the connection", () => this.#isClosed, timeoutMs);
  }
}

function takeReply(bytes: Buffer, method: string, isClosed: boolean): { reply: RawReply; length: number } | null {
  const headEnd = bytes.indexOf("\r\n\r\n");
  if (headEnd < 0) return null;
  const [statusLine = "", ...lines] = bytes.subarray(0, headEnd).toString("latin1").split("\r\n");
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    headers.set(name, headers.has(name) ? `${headers.get(name)}, ${value}` : value);
  }
  const status = Number(statusLine.split(" ")[1]);
  const rest = bytes.subarray(headEnd + 4);
  const body = takeBody(rest, headers, method === "HEAD" || NO_BODY.has(status), isClosed);
  if (!body) return null;
  return { reply: { status, headers, body: body.text }, length: headEnd + 4 + body.length };
}

function takeBody(
  rest: Buffer,
  headers: ReadonlyMap<string, string>,
  hasNone: boolean,
  isClosed: boolean,
): { text: string; length: number } | null {
  if (hasNone) return { text: "", length: 0 };
  const length = headers.get("content-length");
  if (length !== undefined) {
    const bytes = Number(length);
    return rest.length < bytes ? null : { text: rest.toString("utf8", 0, bytes), length: bytes };
  }
  if (headers.get("transfer-encoding") === "chunked") return takeChunks(rest);
  // Neither: the body ends with the connection.
  return isClosed ? { text: rest.toString("utf8"), length: rest.length } : null;
}

function takeChunks(rest: Buffer): { text: string; length: number } | null {
  let text = "";
  for (let at = 0; ; ) {
    const lineEnd = rest.indexOf("\r\n", at);
    if (lineEnd < 0) return null;
    const size = Number.parseInt(rest.toString("latin1", at, lineEnd), 16);
    const end = lineEnd + 2 + size;
    if (rest.length < end + 2) return null;
    text += rest.toString("utf8", lineEnd + 2, end);
    at = end + 2;
    if (size === 0) return { text, length: at };
  }
}

/** The text of a request. `headers` are lines; a body gets a Content-Length unless one is given. */
export function requestText(
  method: string,
  target: string,
  headers: readonly string[] = [],
  body: string | undefined = undefined,
): string {
  const isFramed = headers.some((line) => /^(content-length|transfer-encoding):/i.test(line));
  const framing = body === undefined || isFramed ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  return `${[`${method} ${target} HTTP/1.1`, "Host: localhost", ...headers, ...framing].join("\r\n")}\r\n\r\n${body ?? ""}`;
}

/** One request on a connection of its own, and its answer. */
export async function exchangeRaw(
  t: TestContext,
  port: number,
  bytes: string | Uint8Array,
  method = "GET",
): Promise<RawReply & { readonly connection: RawConnection }> {
  const connection = await RawConnection.open(t, port);
  connection.send(bytes);
  return { ...(await connection.reply(method)), connection };
}

export function errorCodeOf(reply: { readonly body: string }): string | undefined {
  // A page for people has no code.
  if (reply.body.startsWith("<!doctype")) return undefined;
  type Body = { error?: { code?: string } | string; code?: string | number; prism?: string };
  const { error, code, prism } = JSON.parse(reply.body) as Body;
  // Errors of Healthchecks' API are texts; those of ntfy have numbers.
  return typeof error === "string" ? (typeof code === "string" ? code : prism) : error?.code;
}
