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
  if (types.isNativeError(value)) return redactMembers(pino.stdSerializers.err(value), depth - 1);
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) return value.map((each) => redact(each, depth - 1));
  return redactMembers(value, depth - 1);
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
