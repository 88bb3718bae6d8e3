import type { Exchange } from "../../http/exchange.ts";
import { parseQuery } from "../../http/input.ts";
import { ANSWERS_LATER, Reply } from "../../http/route.ts";
import type { AnySchema, ModuleRequest } from "../../module/module-api.ts";
import { checkInput } from "./check-input.ts";
import { ModuleBody } from "./module-body.ts";

/** RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/**
 * What a handler is given, with its schemas' results in place of what was sent.
 * @param body the value of a JSON body, or the body itself of a route that takes other types. @throws VALIDATION_FAILED
 */
export async function readModuleRequest(
  exchange: Exchange,
  body: unknown,
  schemas: { readonly [part in "params" | "query" | "body"]: AnySchema | undefined },
  hasRawBody = false,
): Promise<ModuleRequest> {
  const query = parseQuery(exchange.queryText);
  return new Request(exchange, {
    params: schemas.params ? await checkInput(schemas.params, exchange.params, "path") : exchange.params,
    query: schemas.query ? await checkInput(schemas.query, query, "query") : query,
    body: schemas.body ? await checkInput(schemas.body, body instanceof ModuleBody ? body.value : body, "body") : body,
    bytes: body instanceof ModuleBody && hasRawBody ? body.bytes : null,
  });
}

interface RequestParts {
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
  /** Null where the route did not ask for them. */
  readonly bytes: Buffer | null;
}

class Request implements ModuleRequest {
  readonly params: ModuleRequest["params"];
  readonly query: ModuleRequest["query"];
  readonly user: ModuleRequest["user"];
  readonly id: string;
  readonly #exchange: Exchange;
  readonly #body: unknown;
  readonly #bytes: Buffer | null;
  #headers: Record<string, string> | null = null;
  #signal: AbortSignal | null = null;

  constructor(exchange: Exchange, { params, query, body, bytes }: RequestParts) {
    this.#exchange = exchange;
    this.#body = body;
    this.#bytes = bytes;
    this.params = params as ModuleRequest["params"];
    this.query = query as ModuleRequest["query"];
    this.user = exchange.principal;
    this.id = exchange.requestId;
  }

  get body(): unknown {
    return this.#body instanceof ModuleBody ? this.#body.value : this.#body;
  }

  get rawBody(): Uint8Array {
    if (!this.#bytes) throw new TypeError("only a route with the option rawBody: true has the bytes of its body");
    return this.#bytes;
  }

  get headers(): Readonly<Record<string, string>> {
    if (this.#headers) return this.#headers;
    const headers: Record<string, string> = Object.create(null);
    for (const name of this.#exchange.headerNames()) headers[name] = this.#exchange.header(name);
    this.#headers = headers;
    return headers;
  }

  get signal(): AbortSignal {
    if (this.#signal) return this.#signal;
    const controller = new AbortController();
    this.#signal = controller.signal;
    const gone = (): void => controller.abort(new Error("the client has gone away"));
    if (this.#exchange.isOver) gone();
    else this.#exchange.onAbort = gone;
    return this.#signal;
  }

  /** @throws TypeError for what cannot be sent. */
  reply(status: number, body?: unknown, headers: Readonly<Record<string, string>> = {}): Reply {
    if (!Number.isInteger(status) || status < 200 || status > 599)
      throw new TypeError(`${status} is no status of an answer; use 200 to 599`);
    const bad = Object.keys(headers).find(
      (name) => !TOKEN.test(name) || /^(content-length|transfer-encoding|connection)$/i.test(name),
    );
    if (bad !== undefined) throw new TypeError(`a module cannot set the header field ${JSON.stringify(bad)}`);
    return new Reply(status, body, headers);
  }
}

/** Turns what a handler gave into what the kernel answers. @throws TypeError for what has no JSON form */
export function moduleAnswer(exchange: Exchange, value: unknown): unknown {
  if (!(value instanceof Reply)) {
    requireJson(value);
    return value;
  }
  const { status, body } = value;
  const headers = sameNames(value.headers);
  const hasOwnType = "Content-Type" in headers;
  if (!hasOwnType || (typeof body !== "string" && !(body instanceof Uint8Array))) {
    requireJson(body);
    return new Reply(status, body, headers);
  }
  exchange.send(status, body, headers);
  return ANSWERS_LATER;
}

function requireJson(value: unknown): void {
  if (typeof value === "function" || typeof value === "symbol") throw new TypeError(`a ${typeof value} is no answer`);
}

/** The names that the kernel asks for, in its own writing: two fields of one name would both be sent. */
function sameNames(headers: Readonly<Record<string, string>>): Record<string, string> {
  const known = ["Content-Type", "Cache-Control", "ETag"];
  const nameOf = (name: string): string => known.find((each) => each.toLowerCase() === name.toLowerCase()) ?? name;
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [nameOf(name), String(value)]));
}
