import { types } from "node:util";
import pino from "pino";
import { maskCredentials } from "./mask.ts";

const MASK = "***";
const DEPTH = 8;

/** Names of members whose value never reaches a log, and endings of such names; without their hyphens and underscores, in lower case. */
const NAMES = new Set(["authorization", "cookie", "token", "password", "secret", "key", "ticket"]);
const ENDINGS = [
  "authorization",
  "cookie",
  "token",
  "password",
  "secret",
  "ticket",
  "apikey",
  "privatekey",
  "encryptionkey",
];

/** The fields of a log line with the values of sensitive members masked, wherever they stand. Errors become plain objects. */
export function redactFields(fields: object): Record<string, unknown> {
  return redactMembers(fields, DEPTH);
}

function redactMembers(object: object, depth: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(object).map(([name, value]) => [name, isSensitive(name) ? maskOf(value) : redact(value, depth)]),
  );
}

function redact(value: unknown, depth: number): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (depth === 0) return "[deep]";
  if (isErrorLike(value)) return redactMembers(errorFields(value), depth - 1);
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) return value.map((each) => redact(each, depth - 1));
  return redactMembers(value, depth - 1);
}

/** Errors, also those that the engine does not count as such: SqliteError is made by a function, DOMException has its members on the prototype. */
function isErrorLike(value: object): value is Error {
  if (types.isNativeError(value) || value instanceof Error) return true;
  const { message, stack } = value as Partial<Error>;
  return typeof message === "string" && typeof stack === "string";
}

/** Type, message and stack with those of its causes, codes, and what else it has. */
function errorFields(error: Error): Record<string, unknown> {
  const { code } = error as { code?: unknown };
  const fields = pino.stdSerializers.err(error);
  const { type, message, stack } = fields;
  // All names of errors that there are stand on the prototype of a DOMException.
  const own: Record<string, unknown> =
    error instanceof DOMException ? { type: error.name, message, stack } : { ...fields, type, message, stack };
  if (typeof code === "string" || typeof code === "number") own["code"] = code;
  const causeCodes = causesOf(error).flatMap((cause) => (typeof cause.code === "string" ? [cause.code] : []));
  return causeCodes.length > 0 ? { ...own, causeCodes } : own;
}

const MAX_CAUSES = 5;

/** What led to an error, the nearest first. */
function causesOf(error: Error): { readonly code?: unknown }[] {
  const causes: { readonly code?: unknown }[] = [];
  let { cause } = error;
  while (typeof cause === "object" && cause !== null && causes.length < MAX_CAUSES) {
    causes.push(cause);
    ({ cause } = cause as { cause?: unknown });
  }
  return causes;
}

/** That there was none is worth knowing. */
function maskOf(value: unknown): unknown {
  return value === undefined || value === null || value === "" ? value : MASK;
}

function isSensitive(name: string): boolean {
  const plain = name.replace(/[-_]/g, "").toLowerCase();
  return NAMES.has(plain) || ENDINGS.some((ending) => plain.endsWith(ending));
}

// Prism's own tokens, JWTs, credentials of a header, and the members of a query or fragment that may carry a secret.
const IN_TEXT =
  /\b(pr[krst]_)[\w-]{20,}|\beyJ[\w-]{10,}\.[\w-]+\.[\w-]+|\b((?:bearer|apikey|basic) +)[\w.~+/=-]{8,}|([?&#](?:\w*token|ticket|key|secret|password)=)[^&\s"\\]+/gi;

/** A finished log line, or any text, without what looks like a secret: messages and stacks quote what they were given. */
export function redactText(text: string): string {
  return maskCredentials(text).replace(
    IN_TEXT,
    (_, prefix?: string, scheme?: string, member?: string) => `${prefix ?? scheme ?? member ?? ""}${MASK}`,
  );
}
