import { KEEPS_UTF8_HEADERS } from "../../../core/runtime.ts";
import { decodeForm, decodeText, isKnownCharset } from "../../../core/text/decode-text.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import { NtfyError } from "./errors.ts";

/** Header names of a parameter in the order in which they are read; query names are the same in lower case. */
export const NAMES = {
  message: ["x-message", "message", "m"],
  title: ["x-title", "title", "t"],
  priority: ["x-priority", "priority", "prio", "p"],
  tags: ["x-tags", "tags", "tag", "ta"],
  delay: ["x-delay", "delay", "x-at", "at", "x-in", "in"],
  click: ["x-click", "click"],
  icon: ["x-icon", "icon"],
  attach: ["x-attach", "attach", "a"],
  filename: ["x-filename", "filename", "file", "f"],
  actions: ["x-actions", "actions", "action"],
  markdown: ["x-markdown", "markdown", "md"],
  email: ["x-email", "x-e-mail", "email", "e-mail", "mail", "e"],
  call: ["x-call", "call"],
  cache: ["x-cache", "cache"],
  unifiedPush: ["x-unifiedpush", "unifiedpush", "up"],
  template: ["x-template", "template", "tpl"],
  sequenceId: ["x-sequence-id", "sequence-id", "sid"],
  poll: ["x-poll", "poll", "po"],
  since: ["x-since", "since", "si"],
  scheduled: ["x-scheduled", "scheduled", "sched"],
  id: ["x-id", "id"],
} as const;

export type ParameterName = keyof typeof NAMES;
/** Reads a parameter; '' if it is not given. */
export type Parameters = (name: ParameterName) => string;

/** The parameters of a request: a header beats the query (docs/ntfy.md). */
export function parametersOf(exchange: Exchange, keepsUtf8Headers = KEEPS_UTF8_HEADERS): Parameters {
  const query = exchange.queryText === "" ? null : queryOf(exchange.queryText);
  return (name) => {
    for (const header of NAMES[name]) {
      const value = headerText(exchange, header);
      if (value !== "") return value;
      if (!keepsUtf8Headers && LOST.has(name) && exchange.headerNames().includes(header)) throw lost(header);
    }
    if (query === null) return "";
    for (const key of NAMES[name]) {
      const value = query.get(key)?.trim() ?? "";
      if (value !== "") return value;
    }
    return "";
  };
}

/** Parameters that people write in their own language. */
const LOST: ReadonlySet<ParameterName> = new Set(["title", "message", "tags", "filename"]);

function lost(header: string): NtfyError {
  const why = "on this platform characters that are not ASCII are lost at the ends of headers";
  return new NtfyError(40000, `the header ${header} arrived empty: ${why}; use the query, JSON or RFC 2047`);
}

/** Values of the query by name; the first of a repeated name. Invalid encodings stay as they are. */
export function queryOf(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const [name, value] of decodeForm(text).fields) if (!values.has(name)) values.set(name, value);
  return values;
}

/**
 * A header's text. uWebSockets hands bytes over as Latin-1 or UTF-8; words of RFC 2047 are decoded.
 * `Priority` is also a field of RFC 9218, which browsers and proxies add.
 */
function headerText(exchange: Exchange, name: string): string {
  const given = exchange.header(name);
  if (given === "") return "";
  // Other white space may be half of a letter until the bytes are read as UTF-8.
  const raw = given.replace(/^[ \t]+|[ \t]+$/g, "");
  if (raw === "" || (name === "priority" && /^(?:u=\d|i(?:$|[=;,\s]))/.test(raw))) return "";
  return decodeWords(headerTextOf(raw)).trim();
}

/** Text whose bytes were read as Latin-1; any other text is returned as it is. */
function headerTextOf(text: string): string {
  if (!/[\x80-\xff]/.test(text) || /[^\0-\xff]/.test(text)) return text;
  return decodeText(Buffer.from(text, "latin1")).text;
}

/** Also with spaces within, as some clients write them. */
const WORD = /=\?([\w-]+)\?([bq])\?([^?\r\n]*)\?=/gi;

/** Decodes encoded words (RFC 2047 section 2); invalid ones stay as they are. */
export function decodeWords(text: string): string {
  if (!text.includes("=?")) return text;
  // White space between two words is not text (section 6.2).
  return text.replace(/(=\?[\w-]+\?[bq]\?[^?\r\n]*\?=)\s+(?==\?[\w-]+\?[bq]\?)/gi, "$1").replace(WORD, decodeWord);
}

function decodeWord(word: string, charset: string, encoding: string, content: string): string {
  try {
    const bytes = encoding.toLowerCase() === "b" ? base64Of(content) : quotedOf(content);
    return isKnownCharset(charset) ? decodeText(bytes, charset).text : word;
  } catch {
    return word;
  }
}

/** @throws TypeError */
function base64Of(text: string): Uint8Array {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw new TypeError("no base64");
  return Buffer.from(text, "base64");
}

function quotedOf(text: string): Uint8Array {
  const latin = text
    .replace(/_/g, " ")
    .replace(/=([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(latin, "latin1");
}

/** `1`, `yes` and `true` are true. */
export function isTrue(value: string): boolean {
  return /^(?:1|yes|true)$/i.test(value);
}

const PRIORITIES = new Map([
  ["1", 1],
  ["min", 1],
  ["2", 2],
  ["low", 2],
  ["3", 3],
  ["default", 3],
  ["4", 4],
  ["high", 4],
  ["5", 5],
  ["max", 5],
  ["urgent", 5],
]);

/** @returns 0 if none is given. @throws NtfyError 40007 */
export function priorityOf(value: string): number {
  if (value === "") return 0;
  const priority = PRIORITIES.get(value.toLowerCase());
  if (priority === undefined) throw new NtfyError(40007);
  return priority;
}

export function tagsOf(value: string): string[] {
  return value
    .split(",")
    .map((tag) => tag.trim())
    .filter((tag) => tag !== "");
}

export const TOPIC = /^[-_A-Za-z0-9]{1,64}$/;
const DISALLOWED = new Set([
  "docs",
  "static",
  "file",
  "app",
  "metrics",
  "account",
  "settings",
  "signup",
  "login",
  "v1",
]);

/** @throws NtfyError 40010 for a reserved name, 40009 for an invalid one */
export function requireTopic(name: string): string {
  if (!TOPIC.test(name)) throw new NtfyError(40009);
  if (DISALLOWED.has(name)) throw new NtfyError(40010);
  return name;
}

export const DISALLOWED_TOPICS: readonly string[] = [...DISALLOWED];
const MAX_TOPICS = 100;

/** Topics of a subscription, separated by commas, without duplicates. @throws NtfyError 40009, 40010 */
export function requireTopics(list: string): readonly string[] {
  const names = [...new Set(list.split(","))];
  if (names.length > MAX_TOPICS) throw new NtfyError(40009, `at most ${MAX_TOPICS} topics`);
  return names.map(requireTopic);
}
