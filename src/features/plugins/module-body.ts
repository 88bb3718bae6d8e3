import { PrismError } from "../../core/errors.ts";
import type { Exchange } from "../../http/exchange.ts";
import { parseJson } from "../../http/input.ts";

/** Content types of a route whose options say nothing of them. */
export const JSON_TYPES: readonly string[] = ["application/json"];

/** The bytes of a request's body, and what they say by their content type. */
export class ModuleBody {
  readonly bytes: Buffer;
  readonly #contentType: string;
  #value: { readonly of: unknown } | null = null;

  /** @param bytes only valid for now; they are copied. */
  constructor(exchange: Exchange, bytes: Buffer) {
    this.#contentType = exchange.header("content-type").toLowerCase();
    this.bytes = Buffer.from(bytes);
  }

  /**
   * JSON as its value, a form as an object of texts (lists where a name is repeated), text as a text, anything else as bytes; without a body `{}`.
   * Read once it is asked for, so that a route can check a signature before it. @throws MALFORMED_JSON, PAYLOAD_TOO_LARGE
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
    if (type === "application/x-www-form-urlencoded") return formOf(this.bytes.toString("utf8"));
    return type.startsWith("text/") ? this.bytes.toString("utf8") : this.bytes;
  }
}

const MAX_FIELDS = 10_000;

/** @throws PAYLOAD_TOO_LARGE for more fields than any form has. */
function formOf(text: string): Readonly<Record<string, string | string[]>> {
  const form: Record<string, string | string[]> = Object.create(null);
  let fields = 0;
  for (const [name, value] of new URLSearchParams(text)) {
    if (++fields > MAX_FIELDS) throw new PrismError("PAYLOAD_TOO_LARGE", `The form has more than ${MAX_FIELDS} fields`);
    const before = form[name];
    if (Array.isArray(before)) before.push(value);
    else form[name] = before === undefined ? value : [before, value];
  }
  return form;
}
