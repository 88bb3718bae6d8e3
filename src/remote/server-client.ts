import { randomUUID } from "node:crypto";
import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type FetchLike, PrismApi, type PrismRequest, queryText } from "../client/api.ts";
import type { PrismClientOptions } from "../client/client.ts";
import { Credentials } from "../client/credentials.ts";
import { PrismError } from "../client/errors.ts";
import { CommandError, EXIT, ServerRefused } from "../core/command-error.ts";
import { connectionReason, type ErrorDetail, errorCodes } from "../core/errors.ts";
import { ENDS_LEADER } from "../core/text/vocabulary.ts";
import type { ControlTransport } from "./control-transport.ts";

const REPLY_LIMIT_MS = 30_000;
/** For work that a server does in slices. */
export const SLICED_LIMIT_MS = 600_000;

/** A node takes over within seconds; one that is started again takes a few more. */
const PATIENCE_MS = 15_000;
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 2000;
/** The server is not there yet, or went away in the middle; a time-out and a wrong name are no such codes. */
const COMES_BACK: ReadonlySet<string> = new Set(["ECONNREFUSED", "ECONNRESET", "EPIPE", "ENOENT", "UND_ERR_SOCKET"]);

/** Members of a query; undefined ones are omitted. */
export type Query = Readonly<Record<string, string | number | undefined>>;

/** A page of a list of the API. */
export interface Page<T> {
  readonly data: readonly T[];
  readonly nextCursor: string | null;
}

/** Where a client shows that it waits, and notes what it does. */
export interface ClientOutput {
  progress(label: string): { update(done: number, total?: number): void; end(): void };
  trace(fields: Readonly<Record<string, unknown>>, text: string): void;
  note(text: string): void;
}

interface ServerTarget {
  /** The URL without a trailing slash; for a control socket the server's public name. */
  readonly base: string;
  readonly token: string | undefined;
  /** Over a control socket, or connections with an authority of their own. */
  readonly transport?: ControlTransport;
}

/** A server, over HTTP or its control socket; its refusals end a command with an exit code. */
export class ServerClient {
  readonly base: string;
  readonly token: string | undefined;
  /** Options for a live connection to the same server. */
  readonly live: Required<Pick<PrismClientOptions, "url" | "token" | "fetch">> & { readonly connect?: () => Socket };
  readonly #target: ServerTarget;
  readonly #api: PrismApi;
  readonly #out: ClientOutput;
  #isPatient = false;

  constructor(target: ServerTarget, out: ClientOutput) {
    const { base, token, transport } = target;
    this.#target = target;
    this.base = base;
    this.token = token;
    this.#out = out;
    const given = {
      url: transport?.url ?? base,
      token: token ?? null,
      fetch: transport?.fetch ?? fetchDirectly,
    };
    this.live = transport ? { ...given, connect: transport.connect } : given;
    this.#api = new PrismApi(given.url, new Credentials(given), given.fetch);
  }

  /** A client of the same server for the user of a token. */
  as(token: string): ServerClient {
    const other = new ServerClient({ ...this.#target, token }, this.#out);
    other.#isPatient = this.#isPatient;
    return other;
  }

  /**
   * Reads, too, wait for a server that is away for a moment, as every change does: the command changes
   * something, and shall not fail in a take-over.
   */
  bePatient(): void {
    this.#isPatient = true;
  }

  /** @throws ServerRefused, CommandError 4 if no server answers */
  get<T>(path: string, query: Query = {}): Promise<T> {
    return this.#json({ method: "GET", path, query });
  }

  /** @param signal cancels the request. @throws ServerRefused, CommandError 4 without a server */
  post<T>(path: string, body: unknown, limitMs = REPLY_LIMIT_MS, signal?: AbortSignal): Promise<T> {
    return this.#json({ method: "POST", path, body, limitMs, signal });
  }

  /**
   * @param version of the resource that the caller has seen: a later one is refused. @throws
   * ServerRefused, CommandError 4 if no server answers
   */
  change<T>(method: "PUT" | "PATCH", path: string, body: unknown, version?: number): Promise<T> {
    const headers = version === undefined ? {} : { "If-Match": `"${version}"` };
    return this.#json({ method, path, body, headers });
  }

  /** @returns undefined without a body. @throws ServerRefused, CommandError 4 if no server answers */
  delete<T = void>(path: string, query: Query = {}): Promise<T> {
    return this.#json({ method: "DELETE", path, query });
  }

  /** Sends a file. @throws ServerRefused, CommandError 4 if no server answers */
  upload<T>(path: string, bytes: Buffer, query: Query): Promise<T> {
    return this.#json({ method: "POST", path, query, body: bytes });
  }

  /** Any request, with its answer as JSON. @throws ServerRefused, CommandError 4 if no server answers */
  request<T>(request: PrismRequest): Promise<T> {
    return this.#json(request);
  }

  /** Any request; the answer is read as it arrives. @throws ServerRefused, CommandError 4 */
  open(request: PrismRequest): Promise<Response> {
    return this.#open({ limitMs: null, ...request });
  }

  /** The lines of an answer with progress, as they arrive. @throws CommandError 4 if truncated */
  async *postLines<T>(path: string, body: unknown): AsyncIterable<T> {
    let rest = "";
    for await (const text of this.#text({ method: "POST", path, body, accept: LINES })) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) yield JSON.parse(line) as T;
    }
  }

  /** The text of a long answer, as it arrives. @throws CommandError 4 also if it is truncated */
  stream(path: string, query: Query = {}): AsyncIterable<string> {
    return this.#text({ method: "GET", path, query });
  }

  /** Every item of a list, page by page. */
  async *list<T>(path: string, query: Query = {}): AsyncIterable<T> {
    let cursor: string | undefined;
    do {
      const page: Page<T> = await this.get<Page<T>>(path, { limit: 100, ...query, cursor });
      yield* page.data;
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
  }

  async *#text(request: PrismRequest): AsyncIterable<string> {
    const { body } = await this.#open({ ...request, limitMs: null });
    if (!body) return;
    try {
      yield* body.pipeThrough(new TextDecoderStream());
    } catch (error) {
      throw new CommandError(
        EXIT.unreachable,
        `${this.base} stopped in the middle of the response: ${connectionReason(error)}`,
        {
          cause: error,
        },
      );
    }
  }

  #json<T>(request: PrismRequest): Promise<T> {
    return this.#repeated(request, async (response) => {
      if (response.status === 204) return undefined as T;
      const text = await response.text().catch((cause: unknown) => {
        throw new PrismError("CONNECTION_FAILED", "The answer broke off", { cause });
      });
      try {
        return JSON.parse(text) as T;
      } catch (cause) {
        throw new CommandError(EXIT.unreachable, `${this.base} did not answer with JSON`, { cause });
      }
    });
  }

  #open(request: PrismRequest): Promise<Response> {
    return this.#repeated(request, (response) => Promise.resolve(response));
  }

  /** A change has a key, by which the server gives a repetition the first answer. */
  async #repeated<T>(request: PrismRequest, read: (response: Response) => Promise<T>): Promise<T> {
    const isChange = request.method !== "GET";
    const sent = isChange ? withKey(request) : request;
    if (isChange) this.bePatient();
    // Since the first failure: a request may have taken long before.
    let until: number | undefined;
    for (let tries = 0; ; tries++) {
      try {
        return await this.#once(sent, read);
      } catch (error) {
        if (!(error instanceof PrismError)) throw error;
        until ??= performance.now() + PATIENCE_MS;
        const waitMs = this.#isPatient && isRepeatable(sent) ? waitAfter(error, tries) : undefined;
        if (waitMs === undefined || performance.now() + waitMs > until) throw refusalOf(error, this);
        if (tries === 0) this.#out.note(`${causeOf(error, this.base)}; trying again for ${PATIENCE_MS / 1000} s`);
        await sleep(waitMs, undefined, request.signal ? { signal: request.signal } : {});
      }
    }
  }

  async #once<T>(request: PrismRequest, read: (response: Response) => Promise<T>): Promise<T> {
    const { method, path, query = {} } = request;
    const progress = this.#out.progress(`waiting for ${this.base}`);
    const startedAt = performance.now();
    const trace = (status: number | string): void => {
      const durationMs = Math.round(performance.now() - startedAt);
      const url = this.live.url + path + queryText(query);
      this.#out.trace({ server: this.base, method, url, status, durationMs }, "request");
    };
    try {
      const response = await this.#api.open(request);
      trace(response.status);
      if (response.headers.get("prism-spooled") === "1") this.#out.note(KEPT);
      return await read(response);
    } catch (error) {
      if (error instanceof PrismError) trace(error.status ?? error.code);
      throw error;
    } finally {
      progress.end();
    }
  }
}

/** Lines of progress cannot be answered a second time. */
const LINES = "application/x-ndjson";

function withKey(request: PrismRequest): PrismRequest {
  const names = Object.keys(request.headers ?? {}).map((name) => name.toLowerCase());
  const isKeyed = request.idempotencyKey !== undefined || names.includes("idempotency-key");
  return isKeyed || request.accept === LINES ? request : { ...request, idempotencyKey: randomUUID() };
}

/** Whether the server answers a repetition without doing its work again. */
function isRepeatable({ method, accept, path }: PrismRequest): boolean {
  return method === "GET" || (accept !== LINES && !ENDS_LEADER.includes(path));
}

/** @returns how long to wait before the request is sent again; undefined: its answer stands */
function waitAfter({ code, status, cause, retryAfterMs }: PrismError, tries: number): number | undefined {
  const growingMs = Math.min(FIRST_WAIT_MS * 2 ** tries, LONGEST_WAIT_MS);
  if (code === "CONNECTION_FAILED")
    return errorCodes(cause).some((each) => COMES_BACK.has(each)) ? growingMs : undefined;
  // The first request is still at work.
  if (code === "IDEMPOTENCY_IN_PROGRESS" && tries > 0) return growingMs;
  return status === 503 ? retryAfterMs : undefined;
}

function causeOf({ code, message, cause }: PrismError, base: string): string {
  return code === "CONNECTION_FAILED" ? `cannot reach ${base}: ${connectionReason(cause)}` : `${message} (${code})`;
}

const KEPT = "no node of the cluster leads: the request is kept for the next leader, where ids may differ";

/** A token must not follow a redirect. */
const fetchDirectly: FetchLike = (url, init) => fetch(url, { ...init, redirect: "error" });

/** Converts a failed request to the error that ends a command. */
export function refusalOf(error: PrismError, { base, token }: Pick<ServerClient, "base" | "token">): Error {
  const { code, status, details, retryAfterMs } = error;
  if (code === "CONNECTION_FAILED") return unreachable(base, error.cause);
  if (status === undefined || code === "BAD_REPLY")
    return new CommandError(
      EXIT.unreachable,
      `${base} answered ${status}, but not like a Prism server; check the URL`,
      { cause: error },
    );
  const text = error.message + hintOf(error, { status, base, token });
  return new ServerRefused(status, code, text, details as readonly ErrorDetail[], retryAfterMs);
}

/** What any server answers for a path that it does not have. */
const NO_ROUTE = "No such route";

/** A hint for a user about a terse refusal. */
function hintOf(
  { code, message, requestId }: PrismError,
  { status, base, token }: Pick<ServerClient, "base" | "token"> & { readonly status: number },
): string {
  if (status === 401 && token === undefined)
    return (
      "; give --token or PRISM_TOKEN " +
      `(from prism token create --user <name> --name cli; in development: curl -s ${base}/dev/token)`
    );
  if (code === "INTERNAL") return `; see the log of the server for the request id ${requestId}`;
  return code === "NOT_FOUND" && message === NO_ROUTE ? `; is ${base} the URL of a Prism server of this version?` : "";
}

export function unreachable(base: string, error: unknown): CommandError {
  const message = `cannot reach ${base}: ${connectionReason(error)}; is it running there? (--url or PRISM_URL)`;
  return new CommandError(EXIT.unreachable, message, { cause: error });
}
