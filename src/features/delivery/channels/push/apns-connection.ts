import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from "node:http2";
import type { Socket } from "node:net";
import { MAX_ANSWER_BYTES, notReached } from "./http.ts";

/** A connection that was quiet for so long may be dead without notice: the next message opens another. */
const IDLE_MS = 5 * 60_000;
/** The error code with which a server gives a stream back that it has not looked at (RFC 9113 section 7). */
const REFUSED_STREAM = 7;

export interface ApnsConnectionOptions {
  /** https, or http for HTTP/2 without TLS. */
  readonly origin: string;
  /** For the whole exchange, the last byte of the answer included. */
  readonly timeoutMs: number;
  /** Certificates to trust besides the system's; in PEM. */
  readonly ca?: string | undefined;
}

export interface ApnsReply {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly text: string;
}

/** The server has not looked at the request: it may go out again at once. */
class Unprocessed extends Error {
  override readonly name = "Unprocessed";
}

/**
 * One kept connection to Apple over HTTP/2 (RFC 9113). When Apple says that it ends (GOAWAY) or it does not answer, new requests open another, and those
 * under way on the old one come to their end there. A request that the server has certainly not processed goes out again, once.
 */
export class ApnsConnection {
  readonly #options: ApnsConnectionOptions;
  readonly #open = new Set<ClientHttp2Session>();
  /** Where a session has ended, its socket may still wait for Apple's end of it. */
  readonly #sockets = new Set<Socket>();
  #current: ClientHttp2Session | null = null;
  #isClosed = false;

  constructor(options: ApnsConnectionOptions) {
    this.#options = options;
  }

  /** @throws what was in the way, or the signal's reason */
  async post(headers: OutgoingHttpHeaders, body: string, signal?: AbortSignal): Promise<ApnsReply> {
    try {
      return await this.#exchange(headers, body, signal);
    } catch (error) {
      if (!(error instanceof Unprocessed)) throw error;
    }
    try {
      return await this.#exchange(headers, body, signal);
    } catch (error) {
      throw error instanceof Unprocessed ? notReached("APNs", error.cause) : error;
    }
  }

  close(): void {
    this.#isClosed = true;
    for (const session of this.#open) session.destroy();
    for (const socket of this.#sockets) socket.destroy();
  }

  async #exchange(headers: OutgoingHttpHeaders, body: string, signal?: AbortSignal): Promise<ApnsReply> {
    const timeout = AbortSignal.timeout(this.#options.timeoutMs);
    signal?.throwIfAborted();
    const session = await this.#session();
    try {
      const either = signal ? AbortSignal.any([signal, timeout]) : timeout;
      return await read(start(session, headers, either), body);
    } catch (error) {
      signal?.throwIfAborted();
      if (!timeout.aborted) throw error instanceof Unprocessed ? error : notReached("APNs", error);
      this.#retire(session);
      throw new Error(`APNs did not answer within ${this.#options.timeoutMs} ms`, { cause: error });
    }
  }

  async #session(): Promise<ClientHttp2Session> {
    // Loaded with the first message: a server without apps needs it never.
    const { connect } = await import("node:http2");
    if (this.#isClosed) throw new Error("the server stops");
    if (this.#current && !this.#current.closed && !this.#current.destroyed) return this.#current;
    const { origin, ca } = this.#options;
    const session = connect(origin, ca === undefined ? {} : { ca });
    this.#current = session;
    this.#open.add(session);
    // Each request hears of it by itself.
    session.on("error", () => undefined);
    session.on("goaway", () => this.#retire(session));
    session.on("close", () => this.#open.delete(session));
    session.on("connect", (_session, socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    session.setTimeout(IDLE_MS, () => this.#retire(session));
    return session;
  }

  /** Takes no more requests; ends with the last that is under way. */
  #retire(session: ClientHttp2Session): void {
    if (this.#current === session) this.#current = null;
    if (!session.closed) session.close();
  }
}

function start(session: ClientHttp2Session, headers: OutgoingHttpHeaders, signal: AbortSignal): ClientHttp2Stream {
  try {
    return session.request(headers, { signal });
  } catch (error) {
    throw new Unprocessed("the connection has ended", { cause: error });
  }
}

function read(stream: ClientHttp2Stream, body: string): Promise<ApnsReply> {
  return new Promise((resolve, reject) => {
    let [status, bytes] = [0, 0];
    let retryAfter: string | undefined;
    const chunks: Buffer[] = [];
    stream.on("response", (headers) => {
      status = headers[":status"] ?? 0;
      retryAfter = headers["retry-after"];
    });
    stream.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      chunks.push(chunk);
      if (bytes > MAX_ANSWER_BYTES) stream.destroy(new Error("the answer is too long"));
    });
    stream.on("end", () => {
      if (status !== 0) resolve({ status, retryAfter, text: Buffer.concat(chunks).toString() });
    });
    // RFC 9113 section 8.7: a refused stream was not processed, and neither was one after the last that a GOAWAY names.
    stream.on("error", (error) =>
      reject(stream.rstCode === REFUSED_STREAM ? new Unprocessed(error.message, { cause: error }) : error),
    );
    stream.on("close", () => reject(new Error("the connection ended without an answer")));
    stream.end(body);
  });
}
