import { randomInt } from "node:crypto";
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

const ID_LENGTH = 12;
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

export function randomText(length: number): string {
  let text = "";
  for (let i = 0; i < length; i++) text += ALPHABET[randomInt(ALPHABET.length)];
  return text;
}

/**
 * Ids that are made of an offset, for events (`E`) and notifications (`N`) shown as messages:
 * `since` finds their position without a table.
 */
const DERIVED = /^([EN])([0-9a-z]{11})$/;

/** A new id. It never looks like a derived one. */
export function newId(): string {
  const id = randomText(ID_LENGTH);
  return DERIVED.test(id) ? newId() : id;
}

export function derivedId(kind: "E" | "N", offset: number): string {
  return kind + offset.toString(36).padStart(ID_LENGTH - 1, "0");
}

/** @returns undefined for an id of a message. */
export function offsetOf(id: string): { readonly kind: "E" | "N"; readonly offset: number } | undefined {
  const [, kind, digits = ""] = DERIVED.exec(id) ?? [];
  const offset = Number.parseInt(digits, 36);
  return kind !== undefined && Number.isSafeInteger(offset) ? { kind: kind as "E" | "N", offset } : undefined;
}

/** An action button of a message, with the members in ntfy's order. */
export interface ActionButton {
  readonly id: string;
  readonly action: string;
  readonly label: string;
  readonly clear: boolean;
  readonly url?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly intent?: string;
  readonly extras?: Readonly<Record<string, string>>;
  readonly value?: string;
}

const MAX_ACTIONS = 3;
const ACTION_ID_LENGTH = 10;
const KINDS = ["view", "broadcast", "http", "copy"] as const;
const TEXT_KEYS = ["url", "method", "body", "intent", "value"] as const;

/** Parameters as the client gave them; texts, but for maps and `clear`. */
type Given = Record<string, unknown>;

/**
 * Actions as JSON, if the text begins with `[`, or in the short form `action, label, url, key=value;
 * …` (docs/ntfy.md). @throws NtfyError 40018
 */
export function parseActions(text: string): ActionButton[] {
  const trimmed = text.trim();
  if (trimmed === "") return [];
  return checkActions(trimmed.startsWith("[") ? jsonOf(trimmed) : new ShortActions(trimmed).read());
}

/** @throws NtfyError 40018 */
export function checkActions(given: unknown): ActionButton[] {
  if (!Array.isArray(given)) throw invalid("must be a list");
  if (given.length > MAX_ACTIONS) throw invalid(`only ${MAX_ACTIONS} actions allowed`);
  return given.map(checkAction);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw invalid("JSON error: the text is not a JSON array");
  }
}

function checkAction(given: unknown): ActionButton {
  if (typeof given !== "object" || given === null) throw invalid("an action must be an object");
  const values = given as Given;
  const action = textOf(values, "action").toLowerCase();
  const label = textOf(values, "label");
  if (!KINDS.some((kind) => kind === action))
    throw invalid(`parameter 'action' cannot be '${action}', valid values are 'view', 'broadcast', 'http' and 'copy'`);
  if (label === "") throw invalid("parameter 'label' is required");
  const texts = Object.fromEntries(
    TEXT_KEYS.map((key) => [key, textOf(values, key)] as const).filter(([, text]) => text !== ""),
  );
  const { url = "", method = "", body = "", value = "" } = texts;
  if ((action === "view" || action === "http") && url === "")
    throw invalid(`parameter 'url' is required for action '${action}'`);
  if (action === "copy" && value === "") throw invalid("parameter 'value' is required for action 'copy'");
  const upper = method.toUpperCase();
  if (action === "http" && (upper === "GET" || upper === "HEAD") && body !== "")
    throw invalid(`parameter 'body' cannot be set if method is ${upper}`);
  const [headers, extras] = [mapOf(values, "headers"), mapOf(values, "extras")];
  return {
    id: randomText(ACTION_ID_LENGTH),
    action,
    label,
    clear: clearOf(values["clear"]),
    ...(url !== "" && { url }),
    ...(upper !== "" && { method: upper }),
    ...(headers && { headers }),
    ...(body !== "" && { body }),
    ...(texts["intent"] && { intent: texts["intent"] }),
    ...(extras && { extras }),
    ...(value !== "" && { value }),
  };
}

function textOf(values: Given, key: string): string {
  const value = values[key];
  if (value === undefined || value === null) return "";
  if (typeof value !== "string") throw invalid(`parameter '${key}' must be a text`);
  return value;
}

function clearOf(value: unknown): boolean {
  if (value === undefined || value === null || value === false) return false;
  if (value === true) return true;
  if (typeof value === "string" && /^(?:true|yes|1)$/i.test(value)) return true;
  if (typeof value === "string" && /^(?:false|no|0)$/i.test(value)) return false;
  throw invalid(
    `parameter 'clear' cannot be '${String(value)}', only boolean values are allowed (true/yes/1/false/no/0)`,
  );
}

function mapOf(values: Given, key: string): Readonly<Record<string, string>> | undefined {
  const value = values[key];
  if (value === undefined || value === null) return undefined;
  const entries = typeof value === "object" && !Array.isArray(value) ? Object.entries(value) : [["", null]];
  if (entries.some(([, each]) => typeof each !== "string")) throw invalid(`parameter '${key}' must be a map of texts`);
  return Object.fromEntries(entries) as Record<string, string>;
}

const POSITIONS = ["action", "label", "url"] as const;

/** Reads the short form character by character; quoted values may contain all separators. */
class ShortActions {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  read(): Given[] {
    const actions: Given[] = [];
    while (this.#skipSpace() < this.#text.length) {
      actions.push(this.#action());
      if (actions.length > MAX_ACTIONS) throw invalid(`only ${MAX_ACTIONS} actions allowed`);
    }
    return actions;
  }

  #action(): Given {
    const action: Given = {};
    for (let position = 0; ; position++) {
      this.#part(action, position);
      const end = this.#text[this.#at++];
      if (end === undefined || end === ";") return action;
    }
  }

  #part(action: Given, position: number): void {
    this.#skipSpace();
    const key = this.#key();
    const value = this.#value();
    if (key !== undefined) this.#set(action, key, value);
    else {
      const name =
        position < 2 || (position === 2 && /^(?:view|http)$/i.test(String(action["action"])))
          ? POSITIONS[position]
          : undefined;
      if (name !== undefined) action[name] = value;
      else if (value !== "") throw invalid(`term '${value}' unknown`);
    }
  }

  /** The key of `key=value`; undefined for a bare value. */
  #key(): string | undefined {
    const match = /^([-.\w]+)\s*=\s*/.exec(this.#text.slice(this.#at, this.#at + MAX_KEY_LENGTH));
    if (!match) return undefined;
    this.#at += match[0].length;
    return match[1];
  }

  #set(action: Given, key: string, value: string): void {
    const [, map, name] = /^(headers|extras)\.(.+)$/.exec(key) ?? [];
    if (map !== undefined && name !== undefined)
      action[map] = { ...(action[map] as object | undefined), [name]: value };
    else if (["action", "label", "clear", ...TEXT_KEYS].includes(key.toLowerCase())) action[key.toLowerCase()] = value;
    else throw invalid(`key '${key}' unknown`);
  }

  #value(): string {
    const quote = this.#text[this.#at];
    if (quote === '"' || quote === "'") return this.#quoted(quote);
    const from = this.#at;
    while (this.#at < this.#text.length && !/[,;]/.test(this.#text[this.#at] as string)) this.#at++;
    return this.#text.slice(from, this.#at).trim();
  }

  #quoted(quote: string): string {
    let value = "";
    for (this.#at++; this.#at < this.#text.length; this.#at++) {
      const letter = this.#text[this.#at] as string;
      if (letter === "\\" && this.#text[this.#at + 1] === quote) value += this.#text[++this.#at];
      else if (letter !== quote) value += letter;
      else {
        this.#at++;
        const end = this.#text[this.#skipSpace()];
        if (end === undefined || end === "," || end === ";") return value;
        throw invalid(`unexpected character '${end}' at position ${this.#at}`);
      }
    }
    throw invalid("unexpected end of input, quote started but not closed");
  }

  #skipSpace(): number {
    while (/\s/.test(this.#text[this.#at] ?? "")) this.#at++;
    return this.#at;
  }
}

/** Longer keys are unknown in any case. */
const MAX_KEY_LENGTH = 300;

function invalid(detail: string): NtfyError {
  return new NtfyError(40018, detail);
}
