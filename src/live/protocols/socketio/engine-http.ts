import type { Exchange } from "../../../http/exchange.ts";
import type { SocketIoSocket } from "./engine-socket.ts";
import type { Visitor } from "./visitor.ts";

/**
 * A request as engine.io reads it. It keeps the first of a session in memory and shows it to whoever asks, so credentials stay out: of the query
 * only what the protocol needs is there, and no header of the client's.
 */
export class EngineRequest {
  readonly visitor: Visitor | null;
  /** The WebSocket that the request has become; null for a poll. */
  readonly socket: SocketIoSocket | null;
  readonly #method: string;
  readonly #path: string;
  readonly #query: string;
  readonly #headers: Readonly<Record<string, string>>;

  /** @param visitor who begins a session with it; null within one. */
  constructor(
    exchange: Pick<Exchange, "method" | "path">,
    query: EngineQuery,
    visitor: Visitor | null,
    {
      socket = null,
      headers = {},
    }: { socket?: SocketIoSocket | null; headers?: Readonly<Record<string, string>> } = {},
  ) {
    this.#method = exchange.method.toLowerCase();
    this.#path = exchange.path;
    const { EIO, transport, sid } = query;
    this.#query = new URLSearchParams({ EIO, transport, ...(sid === undefined ? {} : { sid }) }).toString();
    this.visitor = visitor;
    this.socket = socket;
    this.#headers = headers;
  }

  getMethod(): string {
    return this.#method;
  }

  getUrl(): string {
    return this.#path;
  }

  getQuery(): string {
    return this.#query;
  }

  getHeader(name: string): string {
    return this.#headers[name] ?? "";
  }

  forEach(take: (name: string, value: string) => void): void {
    for (const name in this.#headers) take(name, this.#headers[name] as string);
  }
}

export interface EngineQuery {
  readonly EIO: string;
  readonly transport: "polling" | "websocket";
  /** Of a session that there is. */
  readonly sid: string | undefined;
}

/**
 * The answer to a poll, or to what a client posts, as engine.io writes it. The response of uWebSockets throws once it is answered or aborted, and knows
 * one listener for that; this does nothing, and knows all of them. A posted body has been read by then, within our limits and times.
 */
export class EngineHttpReply {
  readonly #exchange: Exchange;
  readonly #body: Buffer;
  readonly #whenAborted: (() => void)[] = [];
  readonly #headers: Record<string, string> = {};
  #status = 200;

  constructor(exchange: Exchange, body: Buffer) {
    this.#exchange = exchange;
    this.#body = body;
    exchange.onAbort = () => {
      for (const told of this.#whenAborted) told();
    };
  }

  getRemoteAddressAsText(): Buffer {
    return Buffer.from(this.#exchange.clientAddress);
  }

  writeStatus(line: string): this {
    this.#status = Number.parseInt(line, 10);
    return this;
  }

  writeHeader(name: string, value: string): this {
    // Nothing is kept, as it is.
    if (name.toLowerCase() !== "cache-control") this.#headers[name] = value;
    return this;
  }

  /** What the client went on to do with the answer is of no interest to engine.io. */
  end(body = ""): void {
    this.#exchange.onAbort = null;
    this.#exchange.send(this.#status, body, this.#headers);
  }

  cork(write: () => void): void {
    write();
  }

  onAborted(told: () => void): void {
    this.#whenAborted.push(told);
  }

  onData(take: (chunk: Uint8Array, isLast: boolean) => void): void {
    take(this.#body, true);
  }

  close(): void {
    this.#exchange.breakOff(new TypeError("engine.io takes the body for another one"));
  }
}
