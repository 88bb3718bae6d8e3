import { ESCAPES, FILTER_NAMES, FILTERS, WITH_ARGUMENT } from "./filters.ts";
import { cutTo, measure, type TextUnit } from "./measure.ts";

/** A template of a preset or channel that cannot be read. */
export class BadTemplate extends Error {
  override readonly name = "BadTemplate";
}

/** The roots of a template by name. Only own members are read. */
export type TemplateScope = Readonly<Record<string, unknown>>;

interface Call {
  readonly name: string;
  readonly argument: { readonly text: string } | { readonly path: readonly string[] } | null;
}

export interface Fill {
  readonly path: readonly string[];
  readonly filters: readonly Call[];
  readonly escapes: readonly Call[];
}

/** Texts and placeholders, alternating as written. */
export type ValueTemplate = readonly (string | Fill)[];

const MAX_PLACEHOLDERS = 32;
const MAX_FILTERS = 8;
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
  const parts: (string | Fill)[] = [];
  let at = 0;
  for (let opening = source.indexOf("{{"); opening !== -1; opening = source.indexOf("{{", at)) {
    const closing = source.indexOf("}}", opening);
    if (closing === -1) throw new BadTemplate(`{{ without }} in: ${source.slice(opening, opening + 40)}`);
    parts.push(source.slice(at, opening), readFill(source.slice(opening + 2, closing)));
    if (parts.length > 2 * MAX_PLACEHOLDERS) throw new BadTemplate(`more than ${MAX_PLACEHOLDERS} placeholders`);
    at = closing + 2;
  }
  parts.push(source.slice(at));
  return parts.filter((part) => part !== "");
}

function readFill(source: string): Fill {
  const [path = "", ...calls] = splitOutside(source, "|");
  if (calls.length > MAX_FILTERS) throw new BadTemplate(`more than ${MAX_FILTERS} filters: ${source}`);
  const filters = calls.map(readCall);
  const from = filters.findIndex(({ name }) => Object.hasOwn(ESCAPES, name));
  return {
    path: readPath(path),
    filters: from === -1 ? filters : filters.slice(0, from),
    escapes: from === -1 ? [] : filters.slice(from),
  };
}

function readCall(source: string): Call {
  const [name = "", ...rest] = splitOutside(source, ":");
  if (!FILTER_NAMES.includes(name)) throw new BadTemplate(`there is no filter ${name}`);
  const argument = rest.join(":");
  if (argument === "") {
    if (WITH_ARGUMENT.has(name)) throw new BadTemplate(`write ${name}:'text'`);
    return { name, argument: null };
  }
  const quoted = /^'([^']*)'$|^"([^"]*)"$|^(\d+)$/.exec(argument);
  if (quoted) return { name, argument: { text: quoted[1] ?? quoted[2] ?? quoted[3] ?? "" } };
  return { name, argument: { path: readPath(argument) } };
}

/** @throws BadTemplate */
export function readPath(source: string): readonly string[] {
  const path = source.trim();
  if (!PATH.test(path)) throw new BadTemplate(`not a path: ${path.slice(0, 60)}`);
  const steps = (path.match(STEP) ?? []).map((step) => step.replace(/^['"]|['"]$/g, ""));
  if (steps.some((step) => FORBIDDEN.has(step))) throw new BadTemplate(`not a path: ${path}`);
  return steps;
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
        : { text: apply(part.filters, FILTERS, textOf(valueAt(scope, part.path)), scope), fill: part },
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
  return fill === null ? text : apply(fill.escapes, { ...FILTERS, ...ESCAPES }, text, scope);
}

function apply(
  calls: readonly Call[],
  filters: Readonly<Record<string, (text: string, argument: string) => string>>,
  text: string,
  scope: TemplateScope,
): string {
  let result = text;
  for (const { name, argument } of calls) {
    const given = argument === null ? "" : "text" in argument ? argument.text : textOf(valueAt(scope, argument.path));
    result = filters[name]?.(result, given) ?? result;
  }
  return result;
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
