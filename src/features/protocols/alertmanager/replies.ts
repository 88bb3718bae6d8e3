import { PrismError, STATUS_OF } from "../../../core/errors.ts";
import { Reply } from "../../../http/api/route.ts";
import type { Exchange } from "../../../http/server/exchange.ts";

/** The base path; a project's own API is below `/alertmanager/<slug>`. */
export const BASE = "/alertmanager";

/**
 * Codes of the validation in Alertmanager's framework (go-openapi): clients read the HTTP status,
 * people the message.
 */
const VALIDATION_CODES = { type: 601, required: 602, few: 612 } as const;

/** An error of a handler: its message as a JSON string. */
export function refused(status: 400 | 404, message: string): Reply<string> {
  return new Reply(status, message);
}

/** A body or parameter that does not fit Alertmanager's schema. */
export function unprocessable(kind: keyof typeof VALIDATION_CODES, message: string): Reply<unknown> {
  return new Reply(422, { code: VALIDATION_CODES[kind], message });
}

/** A body that is not JSON of the expected shape. */
export function unreadable(name: "alerts" | "silence", problem: string): Reply<unknown> {
  return new Reply(400, { code: 400, message: `parsing ${name} body from "" failed, because ${problem}` });
}

/** 200 without a body, where Prism's own routes send 204. */
export function empty(): Reply<unknown> {
  return new Reply(200, undefined);
}

/** The members of an error in Alertmanager's framework. */
export function errorBodyOf(error: PrismError, exchange: Exchange, allowed: readonly string[]): object {
  return { code: STATUS_OF[error.code], message: frameworkMessage(error, exchange, allowed) };
}

function frameworkMessage({ code, message }: PrismError, exchange: Exchange, allowed: readonly string[]): string {
  if (code === "NOT_FOUND") return `path ${pathOf(exchange.path)} was not found`;
  if (code === "METHOD_NOT_ALLOWED") {
    const methods = allowed.filter((method) => method !== "HEAD" && method !== "OPTIONS").reverse();
    return `method ${exchange.method} is not allowed, but [${methods.join(",")}] are`;
  }
  if (code === "UNSUPPORTED_MEDIA_TYPE") {
    const type = JSON.stringify(exchange.header("content-type"));
    return `unsupported media type ${type}, only [application/json] are allowed`;
  }
  return code === "INTERNAL" ? "Internal error" : message;
}

/** The path as Alertmanager knows it. */
function pathOf(path: string): string {
  return path.slice(Math.max(0, path.indexOf("/api/")));
}

/** The message of a refusal with its details, for a client that shows one text. */
export function messageOf({ message, details = [] }: PrismError): string {
  const texts = details.map(({ path, message: detail }) => (path ? `${path}: ${detail}` : detail));
  return texts.length === 0 ? message : texts.join("\n");
}

export type Refusable<T> = { readonly value: T } | { readonly refusal: Reply<unknown> };

/** Runs `read`; a refusal of Prism's is answered as one of Alertmanager's handlers. */
export async function orRefused<T>(prefix: string, read: () => Promise<T>): Promise<Refusable<T>> {
  try {
    return { value: await read() };
  } catch (error) {
    if (error instanceof PrismError && error.code === "VALIDATION_FAILED")
      return { refusal: refused(400, `${prefix}${messageOf(error)}`) };
    throw error;
  }
}
