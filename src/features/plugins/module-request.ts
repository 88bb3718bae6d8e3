import { type ErrorDetail, MAX_ERROR_DETAILS, PrismError } from "../../core/errors.ts";
import { decodeForm, decodeText } from "../../core/text/decode-text.ts";
import { ANSWERS_LATER, Reply } from "../../http/api/route.ts";
import { parseJson, parseQuery } from "../../http/body/input.ts";
import type { Exchange } from "../../http/server/exchange.ts";
import type { AnySchema, ModuleRequest, SchemaIssue } from "../../module/module-api.ts";

/** Whether the value implements Standard Schema version 1: a function (arktype) or an object. */
export function isSchema(value: unknown): value is AnySchema {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  const { "~standard": standard } = value as { "~standard"?: { version?: unknown; validate?: unknown } };
  return standard?.version === 1 && typeof standard.validate === "function";
}

/** Checks a part of a request. @returns the schema's output. @throws VALIDATION_FAILED */
async function checkInput(schema: AnySchema, value: unknown, at: "path" | "query" | "body"): Promise<unknown> {
  const result = await schema["~standard"].validate(value);
  if (!result.issues) return result.value;
  throw new PrismError("VALIDATION_FAILED", `The ${at} is not valid`, {
    details: result.issues.slice(0, MAX_ERROR_DETAILS).map(detailOf),
  });
}

function detailOf({ message, path = [] }: SchemaIssue): ErrorDetail {
  const keys = path.map((segment) => String(typeof segment === "object" ? segment.key : segment));
  return { path: keys.join("."), code: "VALUE", message };
}

/** Default content types of a route. */
export const JSON_TYPES: readonly string[] = ["application/json"];

/** The bytes of a request's body, parsed by their content type. */
export class ModuleBody {
  readonly bytes: Buffer;
  readonly #contentType: string;
  #value: { readonly of: unknown } | null = null;

  /** @param bytes valid only now; they are copied. */
  constructor(exchange: Exchange, bytes: Buffer) {
    this.#contentType = exchange.header("content-type").toLowerCase();
    this.bytes = Buffer.from(bytes);
  }

  /**
   * JSON as its value, a form as an object of texts (lists for repeated names), text as a text,
   * anything else as bytes; `{}` without a body. Parsed on first use, so that a route can check a
   * signature first. @throws MALFORMED_JSON, PAYLOAD_TOO_LARGE
   */
  get value(): unknown {
    this.#value ??= { of: this.bytes.length === 0 ? {} : this.#read() };
    return this.#value.of;
  }

  #read(): unknown {
    const [type = "", ...parameters] = this.#contentType.split(";").map((part) => part.trim());
    const charset = parameters.find((parameter) => parameter.startsWith("charset="));
    const isUtf8 = charset === undefined || /^charset="?(utf-?8|us-ascii)"?$/.test(charset);
    if (!isUtf8) return this.bytes;
    if (type === "application/json" || type.endsWith("+json")) return parseJson(this.bytes);
    if (type === "application/x-www-form-urlencoded") return formOf(decodeForm(this.bytes).fields);
    return type.startsWith("text/") ? decodeText(this.bytes).text : this.bytes;
  }
}

function formOf(pairs: readonly (readonly [string, string])[]): Readonly<Record<string, string | string[]>> {
  const form: Record<string, string | string[]> = Object.create(null);
  for (const [name, value] of pairs) {
    const before = form[name];
    if (Array.isArray(before)) before.push(value);
    else form[name] = before === undefined ? value : [before, value];
  }
  return form;
}

/** RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/**
 * Builds the argument of a handler, with the output of its schemas.
 * @param body the value of a JSON body, or the body itself for a route with other types.
 * @throws VALIDATION_FAILED
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
  /** Null unless the route asked for them. */
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
    const gone = (): void => controller.abort(new Error("the client has disconnected"));
    if (this.#exchange.isOver) gone();
    else this.#exchange.onAbort = gone;
    return this.#signal;
  }

  /** @throws TypeError for a value that cannot be sent. */
  reply(status: number, body?: unknown, headers: Readonly<Record<string, string>> = {}): Reply<unknown> {
    if (!Number.isInteger(status) || status < 200 || status > 599)
      throw new TypeError(`${status} is not the status of a response; use 200 to 599`);
    const bad = Object.keys(headers).find(
      (name) => !TOKEN.test(name) || /^(content-length|transfer-encoding|connection)$/i.test(name),
    );
    if (bad !== undefined) throw new TypeError(`a module cannot set the header field ${JSON.stringify(bad)}`);
    return new Reply(status, body, headers);
  }
}

/** Converts a handler's result to an answer. @throws TypeError for a value without a JSON form */
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
  if (typeof value === "function" || typeof value === "symbol")
    throw new TypeError(`a handler cannot return a ${typeof value}`);
}

/** Uses the kernel's spelling of header names: otherwise both spellings would be sent. */
function sameNames(headers: Readonly<Record<string, string>>): Record<string, string> {
  const known = ["Content-Type", "Cache-Control", "ETag"];
  const nameOf = (name: string): string => known.find((each) => each.toLowerCase() === name.toLowerCase()) ?? name;
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [nameOf(name), String(value)]));
}
