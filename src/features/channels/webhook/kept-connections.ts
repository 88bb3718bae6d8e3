/// <reference path="./undici-client.d.ts" />
import type { IncomingHttpHeaders } from "node:http";
import type { Socket } from "node:net";
import type { Dispatcher, Client as KeptClient } from "undici";
// Its client alone: the whole package is twice as large, and changes Node's fetch.
import Client from "undici/lib/dispatcher/client.js";
import { broken, late } from "../../delivery/calls/connect.ts";
import { NoAnswer } from "../../delivery/channel.ts";

/** Servers close idle connections after five seconds or more. */
const IDLE_MS = 3000;
/** A connection ends this long before the time that its server announces. */
const EARLIER_MS = 1000;
const MAX_IDLE = 64;
const MAX_IDLE_OF_HOST = 8;

export interface SafeAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Its first bytes, if it is too long or did not arrive in time. */
  readonly body: Buffer;
  readonly isWhole: boolean;
}

interface KeptRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | undefined;
  readonly signal: AbortSignal | undefined;
  readonly maxBodyBytes: number;
  /** From the request to the end of the answer. */
  readonly answerMs: number;
}

interface Peer {
  /** Requests with the same name may share connections. */
  readonly name: string;
  readonly open: () => Promise<Socket>;
  /** Sends the request by another client, for answers that this one does not read. */
  readonly alone: () => Promise<SafeAnswer>;
}

/**
 * Connections that wait a short time for the next request to the same addresses. The client of
 * undici takes less than half the processor time of Node's.
 */
export class KeptConnections {
  /** Those that wait, by peer, the one used last at the end. */
  readonly #idle = new Map<string, KeptClient[]>();
  #size = 0;

  /**
   * Sends a request over a connection that waits, else over a new one. A waiting one that the other
   * side has closed is replaced, and the request repeated (RFC 9112 section 9.3.1).
   * @throws NoAnswer, errors of opening, the signal's reason
   */
  async call({ name, open, alone }: Peer, request: KeptRequest): Promise<SafeAnswer> {
    try {
      return await this.#callKept(name, open, request);
    } catch (error) {
      if (!isUnread(error)) throw error;
      return alone();
    }
  }

  async #callKept(name: string, open: Peer["open"], request: KeptRequest): Promise<SafeAnswer> {
    const waiting = this.#take(name);
    if (waiting) {
      try {
        return await this.#exchange(name, waiting, request);
      } catch (error) {
        if (!(error instanceof NoAnswer) || error.timedOut || isUnread(error)) throw error;
      }
    }
    return this.#exchange(name, this.#over(name, await open()), request);
  }

  async #exchange(name: string, client: KeptClient, request: KeptRequest): Promise<SafeAnswer> {
    const answer = await exchange(client, request);
    this.#keep(name, client);
    return answer;
  }

  #take(name: string): KeptClient | undefined {
    const client = this.#idle.get(name)?.at(-1);
    if (client) this.#remove(name, client);
    return client;
  }

  #keep(name: string, client: KeptClient): void {
    // The client has closed the connection, as it does after an answer that ends it.
    if (client.destroyed || !client.stats.connected) return;
    const others = this.#idle.get(name) ?? [];
    if (this.#size >= MAX_IDLE || others.length >= MAX_IDLE_OF_HOST) return close(client);
    this.#idle.set(name, [...others, client]);
    this.#size += 1;
  }

  #remove(name: string, client: KeptClient): void {
    const others = this.#idle.get(name);
    if (!others?.includes(client)) return;
    this.#size -= 1;
    if (others.length === 1) this.#idle.delete(name);
    else this.#idle.set(name, others.toSpliced(others.indexOf(client), 1));
  }

  /** A client of one connection, which ends with it. It has TLS already, so that all are plain here. */
  #over(name: string, socket: Socket): KeptClient {
    let isTaken = false;
    const client = new Client("http://kept.invalid", {
      connect: (_options, done) => {
        if (isTaken) return done(new Error("the connection was closed"), null);
        isTaken = true;
        // Called back at once, it would send nothing.
        process.nextTick(done, null, socket);
      },
      ...{ keepAliveTimeout: IDLE_MS, keepAliveMaxTimeout: IDLE_MS, keepAliveTimeoutThreshold: EARLIER_MS },
      // The limit of the answer is that of the request.
      ...{ headersTimeout: 0, bodyTimeout: 0 },
    });
    client.once("disconnect", () => this.#remove(name, client));
    return client;
  }
}

/** Whether this client does not read the answer, as one after a `100 Continue` that was not asked for. */
function isUnread(error: unknown): boolean {
  return error instanceof NoAnswer && error.cause instanceof Error && error.cause.message === "bad response";
}

/** One request. The connection is closed unless the whole answer has come. @throws NoAnswer, the signal's reason */
function exchange(client: KeptClient, request: KeptRequest): Promise<SafeAnswer> {
  const { method, path, headers, body, signal, maxBodyBytes, answerMs } = request;
  return new Promise((resolve, reject) => {
    let head: Pick<SafeAnswer, "status" | "headers"> | null = null;
    const chunks: Buffer[] = [];
    let size = 0;
    const end = (isWhole: boolean, error?: unknown): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", aborted);
      if (!isWhole) close(client);
      if (head === null) return reject(error);
      const all = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
      resolve({ ...head, body: all.subarray(0, maxBodyBytes), isWhole });
    };
    const aborted = (): void => end(false, signal?.reason);
    const timer = setTimeout(() => end(false, late("answer", answerMs)), answerMs);
    if (signal?.aborted) return aborted();
    signal?.addEventListener("abort", aborted, { once: true });
    const options = { method, path, headers, ...(body && { body }) };
    client.dispatch(options, {
      onRequestStart: () => undefined,
      onResponseStart(_controller, status, given) {
        if (status >= 200) head = { status, headers: headersOf(given) };
      },
      onResponseData(_controller, chunk) {
        chunks.push(chunk);
        size += chunk.length;
        if (size > maxBodyBytes) end(false);
      },
      onResponseEnd: () => end(true),
      onResponseError: (_controller, error) => end(false, broken(asOfNode(error))),
    });
  });
}

/** As Node gives them: of a field that should occur once, the first. */
function headersOf(given: Parameters<NonNullable<Dispatcher.DispatchHandler["onResponseStart"]>>[2]) {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(given)) {
    const first = Array.isArray(value) ? value[0] : value;
    if (first !== undefined) headers[name] = first;
  }
  return headers as SafeAnswer["headers"];
}

/** A connection that was closed has the code of one that was reset, as in Node's client. */
function asOfNode(error: Error): Error {
  const isClosed = "code" in error && error.code === "UND_ERR_SOCKET" && error.message !== "bad response";
  return isClosed ? Object.assign(new Error(error.message, { cause: error }), { code: "ECONNRESET" }) : error;
}

function close(client: KeptClient): void {
  void client.destroy();
}
