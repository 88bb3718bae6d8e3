import { createHash } from "node:crypto";
import {
  FILTERS,
  type FilterCall,
  type Placeholder,
  pathText,
  Refusal,
  readTemplate,
  type TemplateFilter,
  type TemplatePlace,
  throughFilters,
  type Value,
} from "../../rules/index.ts";
import { html, markdown, markdownV2, mrkdwn, notCommand, wiki, withoutLinks } from "./markup.ts";

/** The unit in which a service counts its texts. */
export type TextUnit = "utf16" | "codepoints" | "bytes" | "gsm";

/** GSM 03.38: one septet each, and those of the extension table, which take two. */
const GSM = new Set(
  "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
);
const GSM_EXTENDED = new Set("^{}\\[~]|€");
/** A part of a long SMS holds 153 septets, or 67 units of UCS-2. */
const UCS2_SEPTETS = 153 / 67;
/** Made on first use: it takes several milliseconds. */
let segmenter: Intl.Segmenter | undefined;

export function measure(text: string, unit: TextUnit): number {
  switch (unit) {
    case "utf16":
      return text.length;
    case "bytes":
      return Buffer.byteLength(text);
    case "gsm":
      return septets(text);
    case "codepoints": {
      let count = 0;
      for (const _ of text) count += 1;
      return count;
    }
  }
}

function septets(text: string): number {
  let count = 0;
  for (const char of text) {
    if (GSM.has(char)) count += 1;
    else if (GSM_EXTENDED.has(char)) count += 2;
    else return Math.ceil(text.length * UCS2_SEPTETS);
  }
  return count;
}

/**
 * Shortens a text to `limit` units, at a word where one is near, never within a character that
 * readers see as one (an emoji with its modifiers).
 */
export function cutTo(text: string, limit: number, unit: TextUnit): string {
  if (measure(text, unit) <= limit) return text;
  const end = unit === "gsm" ? "..." : "…";
  // A code point has two units of UTF-16 at most, so more of them never fit.
  let [low, high] = [0, Math.min(text.length, 2 * limit + 2)];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (measure(text.slice(0, middle) + end, unit) <= limit) low = middle;
    else high = middle - 1;
  }
  const kept = text.slice(0, boundaryAt(text, low));
  if (kept === "") return "";
  const word = kept.search(/\s\S*$/);
  return (word > kept.length * 0.8 ? kept.slice(0, word) : kept).trimEnd() + end;
}

/** Characters that are read as one are shorter than this. */
const WINDOW = 128;

/** The last position at or before `index` that is not within a character as readers see it. */
function boundaryAt(text: string, index: number): number {
  if (index >= text.length) return text.length;
  const start = Math.max(0, index - WINDOW);
  const around = text.slice(start, index + WINDOW);
  segmenter ??= new Intl.Segmenter("en", { granularity: "grapheme" });
  return start + (segmenter.segment(around).containing(index - start)?.index ?? 0);
}

const TRANSLITERATED: Readonly<Record<string, string>> = {
  "…": "...",
  "–": "-",
  "—": "-",
  "‘": "'",
  "’": "'",
  "“": '"',
  "”": '"',
  "„": '"',
  "•": "-",
  "→": "->",
  "\t": " ",
  "`": "'",
};

/** Letters of an SMS of 160 characters, for those that have a near equivalent. */
export function toGsm(text: string): string {
  return Array.from(text, (char) => {
    if (GSM.has(char) || GSM_EXTENDED.has(char)) return char;
    const plain = TRANSLITERATED[char] ?? char.normalize("NFD").replace(/\p{M}/gu, "");
    return [...plain].every((each) => GSM.has(each) || GSM_EXTENDED.has(each)) ? plain : char;
  }).join("");
}

type TextFilter = (text: string, argument: string) => string;

/** Filters of the value itself, besides those of all templates. */
const OF_VALUES: Readonly<Record<string, TextFilter>> = {
  trim: (text) => text.trim(),
  line: (text) => text.replace(/\s*[\r\n\t]+\s*|\s{4,}/g, " ").trim(),
  prefix: (text, before) => (text === "" ? "" : before + text),
  suffix: (text, after) => (text === "" ? "" : text + after),
  cut: (text, limit) => cutTo(text, numberOf(limit), "codepoints"),
  first: (text, count) => Array.from(text).slice(0, numberOf(count)).join(""),
  date: dateText,
  gsm: toGsm,
  hash: (text, length) =>
    createHash("sha256")
      .update(text)
      .digest("hex")
      .slice(0, length === "" ? 64 : numberOf(length)),
  uuid: uuidOf,
  raw: (text) => text,
};

/** Filters that escape: a text is shortened before them. */
const ESCAPES: Readonly<Record<string, TextFilter>> = {
  html,
  mrkdwn,
  br: (text, by) => text.replace(/\r?\n/g, by === "" ? "<br>" : by),
  md: markdown,
  md2: markdownV2,
  nolinks: withoutLinks,
  wiki,
  nocommand: notCommand,
  json: (text) => JSON.stringify(text),
  b64: (text) => Buffer.from(text).toString("base64"),
  url: encodeURIComponent,
};

const NEED_ARGUMENT: ReadonlySet<string> = new Set(["default", "prefix", "suffix", "cut", "first"]);

/** Those of all templates take an argument here too; nothing is an empty text. */
export const CHANNEL_FILTERS: Readonly<Record<string, TemplateFilter>> = Object.fromEntries(
  Object.entries({ ...FILTERS, ...ofTexts(OF_VALUES), ...ofTexts(ESCAPES) }).map(([name, { apply }]) => [
    name,
    { apply, argument: NEED_ARGUMENT.has(name) ? "needed" : "any" } as const,
  ]),
);

export function isEscape(name: string): boolean {
  return Object.hasOwn(ESCAPES, name);
}

function ofTexts(filters: Readonly<Record<string, TextFilter>>): Record<string, Pick<TemplateFilter, "apply">> {
  return Object.fromEntries(
    Object.entries(filters).map(([name, filter]) => [
      name,
      { apply: (value, argument) => filter(value === null ? "" : String(value), argument) },
    ]),
  );
}

function numberOf(text: string): number {
  const number = Number.parseInt(text, 10);
  return Number.isNaN(number) ? 0 : Math.max(0, number);
}

function dateText(text: string): string {
  const at = /^\d+$/.test(text) ? Number(text) : Date.parse(text);
  if (Number.isNaN(at) || Math.abs(at) > 8.64e15) return text;
  const iso = new Date(at).toISOString();
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`;
}

/** RFC 9562 section 5.8: a version 8 UUID from a hash, so that equal texts give equal ids. */
function uuidOf(text: string): string {
  const bytes = createHash("sha256").update(text).digest().subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** A template of a preset or channel that cannot be read. */
export class BadTemplate extends Error {
  override readonly name = "BadTemplate";
}

/** The roots of a template by name. Only own members are read. */
export type TemplateScope = Readonly<Record<string, unknown>>;

type Path = readonly string[];

/** A placeholder. Texts are shortened between its filters and its escapes. */
export interface Fill {
  readonly path: Path;
  readonly filters: readonly FilterCall<Path>[];
  readonly escapes: readonly FilterCall<Path>[];
}

/** Texts and placeholders as written. */
export type ValueTemplate = readonly (string | Fill)[];

const PLACE: TemplatePlace<Path> = {
  filters: CHANNEL_FILTERS,
  most: { placeholders: 32, filters: 8 },
  isPlain: true,
  path(tokens, index) {
    const { text, start, next } = pathText(tokens, index);
    const path = stepsOf(text);
    if (path === undefined) throw new Refusal("SYNTAX", start, notPath(text));
    return { path, next };
  },
};
const PATH = /^[A-Za-z_$][\w$]*(?:\.[\w$-]+|\[(?:\d+|'[^']*'|"[^"]*")\])*$/;
const STEP = /[\w$-]+|'[^']*'|"[^"]*"/g;
const FORBIDDEN = new Set(["__proto__", "constructor", "prototype"]);

const compiled = new Map<string, ValueTemplate>();
/** Texts of presets and channels; an installation has a few thousand at most. */
const MAX_COMPILED = 20_000;

/** @throws BadTemplate */
export function compile(source: string): ValueTemplate {
  const known = compiled.get(source);
  if (known) return known;
  const template = read(source);
  if (compiled.size < MAX_COMPILED) compiled.set(source, template);
  return template;
}

function read(source: string): ValueTemplate {
  try {
    return readTemplate(source, PLACE).map((part) => (typeof part === "string" ? part : fillOf(part)));
  } catch (error) {
    throw error instanceof Refusal ? new BadTemplate(problemIn(source, error)) : error;
  }
}

function fillOf({ path, calls }: Placeholder<Path>): Fill {
  const from = calls.findIndex(({ name }) => isEscape(name));
  return from === -1
    ? { path, filters: calls, escapes: [] }
    : { path, filters: calls.slice(0, from), escapes: calls.slice(from) };
}

/** In the words of channels, whose clients may know them. */
function problemIn(source: string, { code, message, position }: Refusal): string {
  const opening = source.lastIndexOf("{{", position);
  const closing = source.indexOf("}}", opening);
  if (closing === -1) return `{{ without }} in: ${source.slice(opening, opening + 40)}`;
  const inner = source.slice(opening + 2, closing);
  if (code === "LIMIT" && position === opening) return `more than ${PLACE.most.placeholders} placeholders`;
  if (code === "LIMIT") return `more than ${PLACE.most.filters} filters: ${inner}`;
  const [path = ""] = inner.split("|");
  if (position <= opening + 2 + path.length) return notPath(path.trim());
  return /\|\s*(?:\||$)/.test(inner) ? "there is no filter " : message;
}

function notPath(source: string): string {
  return `not a path: ${source.slice(0, 60)}`;
}

/** @throws BadTemplate */
export function readPath(source: string): Path {
  const path = stepsOf(source.trim());
  if (path === undefined) throw new BadTemplate(notPath(source.trim()));
  return path;
}

function stepsOf(path: string): Path | undefined {
  if (!PATH.test(path)) return undefined;
  const steps = (path.match(STEP) ?? []).map((step) => step.replace(/^['"]|['"]$/g, ""));
  return steps.some((step) => FORBIDDEN.has(step)) ? undefined : steps;
}

/** Splits at a separator outside quotes, and trims the parts. */
export function splitOutside(source: string, separator: string): string[] {
  const parts: string[] = [];
  let quote = "";
  let from = 0;
  for (let at = 0; at < source.length; at++) {
    const char = source.charAt(at);
    if (quote !== "") quote = char === quote ? "" : quote;
    else if (char === "'" || char === '"') quote = char;
    else if (source.startsWith(separator, at)) {
      parts.push(source.slice(from, at).trim());
      from = at + separator.length;
      at = from - 1;
    }
  }
  return [...parts, source.slice(from).trim()];
}

export function valueAt(scope: unknown, path: readonly string[]): unknown {
  let value = scope;
  for (const step of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[step];
  }
  return value;
}

export function textOf(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "string") return wellFormed(value);
  return typeof value === "object" ? wellFormed(JSON.stringify(value)) : String(value);
}

function wellFormed(text: string): string {
  return text.replace(/[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/g, "\uFFFD");
}

/** How long a text may be, and how that is counted. */
export interface TextLimit {
  readonly limit: number;
  readonly unit: TextUnit;
  readonly counts: "plain" | "escaped";
}

interface Piece {
  text: string;
  readonly fill: Fill | null;
}

/**
 * Fills a template. With a limit, the longest values of the message are shortened until the text
 * fits, before they are escaped.
 * @param encode applied to every value, last
 */
export function render(
  template: ValueTemplate,
  scope: TemplateScope,
  { limit, encode }: { readonly limit?: TextLimit; readonly encode?: (text: string) => string } = {},
): { readonly text: string; readonly isCut: boolean } {
  const pieces = template.map(
    (part): Piece =>
      typeof part === "string"
        ? { text: part, fill: null }
        : { text: apply(part.filters, textOf(valueAt(scope, part.path)), scope), fill: part },
  );
  const isCut = limit !== undefined && shorten(pieces, scope, limit);
  const text = pieces.map((piece) => {
    if (piece.fill === null) return piece.text;
    const escaped = escapedText(piece, scope);
    return encode ? encode(escaped) : escaped;
  });
  return { text: text.join(""), isCut };
}

function escapedText({ text, fill }: Piece, scope: TemplateScope): string {
  return fill === null ? text : apply(fill.escapes, text, scope);
}

function apply(calls: readonly FilterCall<Path>[], text: string, scope: TemplateScope): string {
  if (calls.length === 0) return text;
  return textOf(throughFilters(text, calls, nothingOf, (path) => textOf(valueAt(scope, path))));
}

/** An empty text is nothing to show. */
function nothingOf(value: Value): Value {
  return value === "" ? null : value;
}

const MAX_ROUNDS = 24;

/** @returns whether a text was shortened */
function shorten(pieces: Piece[], scope: TemplateScope, { limit, unit, counts }: TextLimit): boolean {
  const lengthOf = (): number => {
    const texts = pieces.map((piece) => (counts === "escaped" ? escapedText(piece, scope) : piece.text));
    return measure(texts.join(""), unit);
  };
  let isCut = false;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const excess = lengthOf() - limit;
    if (excess <= 0) return isCut;
    const longest = pieces.find((piece) => isLink(piece) && measure(piece.text, unit) > limit / 2) ?? longestOf(pieces);
    if (!longest) return isCut;
    isCut = true;
    if (isLink(longest)) {
      longest.text = "";
      continue;
    }
    const size = measure(counts === "escaped" ? escapedText(longest, scope) : longest.text, unit);
    const share = Math.max(0, size - excess) / size;
    longest.text = cutTo(longest.text, Math.floor(measure(longest.text, unit) * share), unit);
  }
  return isCut;
}

/** Values of the message are shortened; keys, ids and fields are not. */
function longestOf(pieces: readonly Piece[]): Piece | undefined {
  const values = pieces.filter(({ fill, text }) => text !== "" && (fill?.path[0] === "n" || fill?.path[0] === "item"));
  const texts = values.filter((piece) => !isLink(piece));
  return (texts.length > 0 ? texts : values).sort((a, b) => b.text.length - a.text.length)[0];
}

/** A part of a link leads nowhere, so it is left out instead: last, or first if it is most of the text. */
function isLink({ fill }: Piece): boolean {
  return fill?.path[0] === "n" && (fill.path[1] === "url" || fill.path[1] === "ackUrl");
}
