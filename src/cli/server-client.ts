import { type Environment, readDotEnv } from "../config/environment.ts";
import { localUrlOf } from "../config/public-url.ts";
import type { ErrorDetail } from "../core/errors.ts";
import { readRetryAfter } from "../features/delivery/retry-after.ts";
import { type Context, isSet } from "./context.ts";
import { readTextFile } from "./files.ts";
import { CommandError, EXIT, ServerRefused } from "./output/exit-codes.ts";
import type { Output } from "./output/output.ts";
import { cliLog } from "./output/process-ends.ts";

const REPLY_LIMIT_MS = 30_000;
/** For what a server does in slices, however many there are. */
export const SLICED_LIMIT_MS = 600_000;
const DEV_TOKEN_LIMIT_MS = 5000;
const FILE_TYPE = "application/octet-stream";

/** Members of a query; what is undefined is left out. */
export type Query = Readonly<Record<string, string | number | undefined>>;

/** A page of a list, as every list of the API answers. */
export interface Page<T> {
  readonly data: readonly T[];
  readonly nextCursor: string | null;
}

/** A running server over HTTP, on behalf of one token. */
export class ServerClient {
  /** Without a slash at its end. */
  readonly base: string;
  readonly token: string | undefined;
  readonly #out: Output;

  constructor(base: string, token: string | undefined, out: Output) {
    this.base = base;
    this.token = token;
    this.#out = out;
  }

  /** @throws ServerRefused, CommandError 4 when no server answers */
  async get<T>(path: string, query: Query = {}): Promise<T> {
    return readJson<T>(await this.#request("GET", path, query, undefined, AbortSignal.timeout(REPLY_LIMIT_MS)));
  }

  /**
   * @param signal gives the request up. @throws ServerRefused, CommandError 4 when no server
   * answers
   */
  async post<T>(path: string, body: unknown, limitMs = REPLY_LIMIT_MS, signal?: AbortSignal): Promise<T> {
    const json = JSON.stringify(body);
    const limit = AbortSignal.timeout(limitMs);
    const either = signal ? AbortSignal.any([limit, signal]) : limit;
    return readJson<T>(await this.#request("POST", path, {}, json, either));
  }

  /** @throws ServerRefused, CommandError 4 when no server answers */
  async change<T>(method: "PUT" | "PATCH", path: string, body: unknown): Promise<T> {
    const json = JSON.stringify(body);
    return readJson<T>(await this.#request(method, path, {}, json, AbortSignal.timeout(REPLY_LIMIT_MS)));
  }

  /** Sends a file. @throws ServerRefused, CommandError 4 when no server answers */
  async upload<T>(path: string, bytes: Buffer, query: Query): Promise<T> {
    return readJson<T>(await this.#request("POST", path, query, bytes, AbortSignal.timeout(REPLY_LIMIT_MS)));
  }

  /**
   * The lines of an answer that says how far it is, each as it arrives. @throws CommandError 4 also
   * when it ends before its end
   */
  async *postLines<T>(path: string, body: unknown): AsyncIterable<T> {
    const response = await this.#request("POST", path, {}, JSON.stringify(body), undefined, "application/x-ndjson");
    let rest = "";
    for await (const text of this.#textOf(response)) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) yield JSON.parse(line) as T;
    }
  }

  /**
   * The text of an answer that may be long, as it arrives. @throws CommandError 4 also when it ends
   * before its end.
   */
  async *stream(path: string, query: Query = {}): AsyncIterable<string> {
    yield* this.#textOf(await this.#request("GET", path, query, undefined, undefined));
  }

  async *#textOf(response: Response): AsyncIterable<string> {
    if (!response.body) return;
    try {
      yield* response.body.pipeThrough(new TextDecoderStream());
    } catch (error) {
      throw new CommandError(EXIT.unreachable, `${this.base} broke off in the middle: ${reasonOf(error)}`, {
        cause: error,
      });
    }
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

  async #request(
    method: string,
    path: string,
    query: Query,
    body: string | Buffer | undefined,
    signal: AbortSignal | undefined,
    accept?: string,
  ): Promise<Response> {
    const url = new URL(this.base + path);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const progress = this.#out.progress(`waiting for ${this.base}`);
    const startedAt = performance.now();
    let response: Response;
    try {
      response = await fetch(url, {
        method,
        redirect: "error",
        headers: {
          ...authorization(this.token),
          ...(body === undefined ? {} : { "Content-Type": Buffer.isBuffer(body) ? FILE_TYPE : "application/json" }),
          ...(accept === undefined ? {} : { Accept: accept }),
        },
        ...(body === undefined ? {} : { body }),
        ...(signal ? { signal } : {}),
      });
    } catch (error) {
      throw unreachable(this.base, error);
    } finally {
      progress.end();
    }
    const durationMs = Math.round(performance.now() - startedAt);
    cliLog().debug({ method, url: url.href, status: response.status, durationMs }, "request");
    if (response.ok) return response;
    throw refusalOf(response.status, await response.text().catch(() => ""), this, retryAfterOf(response));
  }
}

/**
 * The server of `--url` or PRISM_URL; without them the one that `serve` would start here, with its
 * settings. In development that one hands out a token, so none has to be given.
 * @param useDevToken false for programs that run longer than such a token is valid
 * @throws CommandError 2 for no URL, for a token that cannot be one, or a file of PRISM_TOKEN_FILE
 * that cannot be read
 * @throws ConfigRefused for settings that `serve` would refuse, where no URL is given
 */
export async function serverOf({ flags, out, loadConfig }: Context, useDevToken = true): Promise<ServerClient> {
  const named = flags.url ?? process.env["PRISM_URL"];
  const config = isSet(named) ? undefined : loadConfig("none").config;
  const base = isSet(named) ? named : config ? localUrlOf(config, config.port) : "";
  if (!/^https?:$/.test(URL.canParse(base) ? new URL(base).protocol : ""))
    throw new CommandError(EXIT.usage, `${base} is not the URL of a server; use one such as http://127.0.0.1:3000`);
  const asksForToken = useDevToken && config?.env === "development";
  // The token of .env is for the server of that folder, not for any that --url names.
  const ofFolder = isSet(named) ? undefined : tokenIn(readDotEnv(process.cwd(), []));
  const token = flags.token ?? tokenIn(process.env) ?? ofFolder ?? (asksForToken ? await devToken(base) : undefined);
  // Checked here: the errors of a header that cannot be sent repeat its content.
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token))
    throw new CommandError(EXIT.usage, "the token is empty or holds characters that no token has");
  return new ServerClient(base.replace(/\/+$/, ""), token, out);
}

/**
 * The token that a development server gives to this machine; undefined where none answers, so that
 * the command itself reports why.
 */
async function devToken(base: string): Promise<string | undefined> {
  try {
    const response = await fetch(`${base}/dev/token`, {
      redirect: "error",
      signal: AbortSignal.timeout(DEV_TOKEN_LIMIT_MS),
    });
    const { token } = (await response.json()) as { token?: unknown };
    return typeof token === "string" ? token : undefined;
  } catch {
    return undefined;
  }
}

function tokenIn({ PRISM_TOKEN, PRISM_TOKEN_FILE }: Environment): string | undefined {
  if (isSet(PRISM_TOKEN)) return PRISM_TOKEN;
  return isSet(PRISM_TOKEN_FILE) ? readTextFile(PRISM_TOKEN_FILE, "PRISM_TOKEN_FILE").trim() : undefined;
}

export function authorization(token: string | undefined): Record<string, string> {
  return token === undefined ? {} : { Authorization: `Bearer ${token}` };
}

function retryAfterOf({ headers }: Response): number | undefined {
  return readRetryAfter(headers.get("retry-after") ?? undefined, Date.now());
}

/** What a server answered, as the error that ends a command. @param body of the answer, as text. */
export function refusalOf(status: number, body: string, { base, token }: ServerClient, retryAfterMs?: number): Error {
  const error = errorMember(body);
  if (!error) return new CommandError(EXIT.unreachable, `${base} answered ${status}, and not as Prism does`);
  const text = error.message + hintOf(status, error, base, token);
  return new ServerRefused(status, error.code, text, error.details ?? [], retryAfterMs);
}

/** What a person at a terminal can do about a refusal that says little by itself. */
function hintOf(status: number, { code, requestId }: ErrorMember, base: string, token: string | undefined): string {
  if (status === 401 && token === undefined)
    return `; give --token or PRISM_TOKEN (from prism token create --user <name> --name cli; in development: curl -s ${base}/dev/token)`;
  if (code === "INTERNAL") return `; the server's log has more under the request id ${requestId}`;
  return code === "NOT_FOUND" ? `; is ${base} the address of a server of this version?` : "";
}

interface ErrorMember {
  readonly code: string;
  readonly message: string;
  readonly requestId: string;
  readonly details?: readonly ErrorDetail[];
}

function errorMember(body: string): ErrorMember | undefined {
  try {
    const { error } = JSON.parse(body) as { error?: Partial<ErrorMember> };
    return typeof error?.code === "string" && typeof error.message === "string" ? (error as ErrorMember) : undefined;
  } catch {
    return undefined;
  }
}

async function readJson<T>(response: Response): Promise<T> {
  try {
    return (await response.json()) as T;
  } catch (cause) {
    throw new CommandError(EXIT.unreachable, `${response.url} did not answer with JSON`, { cause });
  }
}

export function unreachable(base: string, error: unknown): CommandError {
  const message = `cannot reach ${base}: ${reasonOf(error)}; is it running there? (--url or PRISM_URL)`;
  return new CommandError(EXIT.unreachable, message, { cause: error });
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nothing listens there",
  ENOTFOUND: "there is no such host",
  EAI_AGAIN: "the host name could not be looked up",
  ECONNRESET: "the connection was cut",
  ETIMEDOUT: "no answer",
  UND_ERR_CONNECT_TIMEOUT: "no answer",
  ERR_SSL_WRONG_VERSION_NUMBER: "it does not speak TLS",
  EPROTO: "it does not speak TLS, or another version of it",
};

/** The innermost cause in words: fetch wraps what happened once or twice. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return "no answer in time";
  const inner = error instanceof AggregateError ? error.errors[0] : error.cause;
  if (inner instanceof Error) return reasonOf(inner);
  const code = "code" in error ? String(error.code) : "";
  const [line = ""] = error.message.split("\n");
  return REASONS[code] ?? (line || code);
}
