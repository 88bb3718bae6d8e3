import { isAscii, isUtf8 } from "node:buffer";

/** Digits in a row that a double may not hold. */
const LONG = /\d{16}/;
/** No identity is longer; longer ones stay numbers. */
const INTEGER = /^-?\d{16,100}$/;

/** Not yet in the types: a text that JSON.stringify writes as it is. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };

/**
 * An integer of JSON that a double cannot hold, such as an id of 64 bits. `JSON.stringify` writes its
 * digits as a number.
 */
export class LongInteger {
  readonly digits: string;

  constructor(digits: string) {
    this.digits = digits;
  }

  toString(): string {
    return this.digits;
  }

  toJSON(): unknown {
    return rawJSON(this.digits);
  }
}

/** As `JSON.parse`, with such integers as {@link LongInteger}. A text without long digits costs a look. @throws SyntaxError */
export function parseWithLongIntegers(text: string): unknown {
  return LONG.test(text) ? JSON.parse(text, kept) : JSON.parse(text);
}

function kept(_: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  const { source = "" } = context ?? {};
  return INTEGER.test(source) ? new LongInteger(source) : value;
}

/** A copy for another thread, which knows no classes: long integers as bigints. */
export function withBigInts(value: unknown): unknown {
  return copied(value, (each) => (each instanceof LongInteger ? BigInt(each.digits) : undefined));
}

/** Reverts {@link withBigInts}. */
export function withLongIntegers(value: unknown): unknown {
  return copied(value, (each) => (typeof each === "bigint" ? new LongInteger(String(each)) : undefined));
}

function copied(value: unknown, changed: (value: unknown) => unknown): unknown {
  const other = changed(value);
  if (other !== undefined) return other;
  if (Array.isArray(value)) return value.map((each: unknown) => copied(each, changed));
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, copied(each, changed)]));
}

/** Whether a value has such an integer, or digits that look like one. */
export function mayHaveLongIntegers(value: unknown): boolean {
  return LONG.test(JSON.stringify(value));
}

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export const QUOTE = 0x22;
export const BACKSLASH = 0x5c;
export const OPEN_BRACE = 0x7b;
export const CLOSE_BRACE = 0x7d;
export const OPEN_BRACKET = 0x5b;
export const CLOSE_BRACKET = 0x5d;
const LETTER_U = 0x75;
export const COMMA = 0x2c;
export const COLON = 0x3a;

/**
 * Result of one pass over a JSON text: its nesting depth, counted before any parser runs, and the
 * positions of the members of the outermost object or the elements of the outermost array, so that
 * parts can be copied byte for byte. The depth is valid for any input, the positions only for valid
 * JSON.
 */
export interface JsonSpans {
  /** Deepest nesting of arrays and objects. Counting stops above the limit. */
  depth: number;
  /** Members and elements at all depths, counted by commas and brackets. Counting stops above the limit. */
  members: number;
  kind: "object" | "array" | "other";
  /** Positions of an object's keys, quotes included. */
  keyStarts: number[];
  keyEnds: number[];
  valueStarts: number[];
  valueEnds: number[];
  /** A nested value contains whitespace between tokens. */
  innerSpace: boolean;
  /** A string contains a `\u` escape. */
  unicodeEscape: boolean;
}

/** @param memberLimit reading stops above it */
export function scanJson(text: string, depthLimit: number, memberLimit = Number.MAX_SAFE_INTEGER): JsonSpans {
  const outline: JsonSpans = {
    depth: 0,
    members: 0,
    kind: "other",
    keyStarts: [],
    keyEnds: [],
    valueStarts: [],
    valueEnds: [],
    innerSpace: false,
    unicodeEscape: false,
  };
  let depth = 0;
  let valueStart = -1;
  let valueEnd = 0;
  const length = text.length;
  for (let at = 0; at < length; at++) {
    const unit = text.charCodeAt(at);
    if (unit <= 0x20) {
      if (depth > 1) outline.innerSpace = true;
      continue;
    }
    if (depth === 1) {
      if (unit === COLON && outline.kind === "object") {
        outline.keyStarts.push(valueStart);
        outline.keyEnds.push(valueEnd);
        valueStart = -1;
        continue;
      }
      if (unit === COMMA || unit === CLOSE_BRACE || unit === CLOSE_BRACKET) {
        if (valueStart >= 0) {
          outline.valueStarts.push(valueStart);
          outline.valueEnds.push(valueEnd);
        }
        valueStart = -1;
        if (unit !== COMMA) depth--;
        else if (++outline.members > memberLimit) return outline;
        continue;
      }
      if (valueStart < 0) valueStart = at;
    }
    if (unit === QUOTE) {
      at++;
      for (; at < length; at++) {
        const inside = text.charCodeAt(at);
        if (inside === QUOTE) break;
        if (inside === BACKSLASH && text.charCodeAt(++at) === LETTER_U) outline.unicodeEscape = true;
      }
    } else if (unit === OPEN_BRACE || unit === OPEN_BRACKET) {
      if (depth === 0 && outline.depth === 0) outline.kind = unit === OPEN_BRACE ? "object" : "array";
      if (++outline.members > memberLimit) return outline;
      if (++depth > outline.depth) {
        outline.depth = depth;
        if (depth > depthLimit) return outline;
      }
    } else if (unit === CLOSE_BRACE || unit === CLOSE_BRACKET) depth--;
    else if (unit === COMMA && ++outline.members > memberLimit) return outline;
    valueEnd = at + 1;
  }
  return outline;
}

/**
 * Index after the JSON value that starts at `start`, found by brackets and quotes only, without
 * validation. A scalar ends before the next comma, bracket or whitespace.
 */
export function jsonValueEnd(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) {
      for (at++; at < text.length && text.charCodeAt(at) !== QUOTE; at++) if (text.charCodeAt(at) === BACKSLASH) at++;
      if (depth === 0) return at + 1;
    } else if (unit === OPEN_BRACE || unit === OPEN_BRACKET) depth++;
    else if (unit === CLOSE_BRACE || unit === CLOSE_BRACKET) {
      if (--depth <= 0) return depth < 0 ? at : at + 1;
    } else if (depth === 0 && (unit === COMMA || unit <= 0x20)) return at;
  }
  return text.length;
}

/**
 * Parses JSON text; undefined for invalid text, and for values nested deeper than `depth`.
 * @param charge called with the number of members before they are parsed
 */
export function parseJsonWithin(text: string, depth: number, charge?: (members: number) => void): unknown {
  const found = scanJson(text, depth);
  if (found.depth > depth) return undefined;
  charge?.(found.members);
  try {
    return parseWithLongIntegers(text);
  } catch {
    return undefined;
  }
}

/** Whether text starts with the mark of UTF-8. */
export function hasByteOrderMark(bytes: Uint8Array): boolean {
  return bytes.length >= 3 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
}

/** Decodes UTF-8; undefined if invalid or with a byte order mark (RFC 8259 section 8.1). */
export function decodeUtf8(bytes: Buffer): string | undefined {
  // Not by the function: this runs for each event.
  if (bytes.length >= 3 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return undefined;
  // One byte a character, as of nearly all bodies, is copied without decoding.
  if (isAscii(bytes)) return bytes.toString("latin1");
  return isUtf8(bytes) ? bytes.toString("utf8") : undefined;
}

/** Position of a syntax error, if the engine's message contains it. */
export function jsonErrorPosition(error: unknown): number | undefined {
  const match = error instanceof SyntaxError ? /position (\d+)/.exec(error.message) : null;
  return match ? Number(match[1]) : undefined;
}

/**
 * Removes whitespace between the tokens of a valid JSON text; strings and numbers keep their
 * spelling. Not a regular expression, because one that skips strings overflows the stack on a
 * string of several megabytes.
 */
export function minifyJson(text: string): string {
  let out = "";
  let copied = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit === QUOTE) {
      for (at++; at < text.length && text.charCodeAt(at) !== QUOTE; at++) if (text.charCodeAt(at) === BACKSLASH) at++;
    } else if (unit <= 0x20) {
      out += text.slice(copied, at);
      copied = at + 1;
    }
  }
  return copied === 0 ? text : out + text.slice(copied);
}

// A surrogate pair, a lone surrogate (captured), or any other escape (skipped).
const ESCAPE = /\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|(u[dD][89a-fA-F][\da-fA-F]{2})|.)/gs;

/**
 * Replaces escaped lone surrogates in a valid JSON text by U+FFFD. SQLite and other languages would
 * read invalid Unicode otherwise.
 */
export function replaceLoneSurrogates(text: string): string {
  if (!/\\u[dD][89a-fA-F]/.test(text)) return text;
  return text.replace(ESCAPE, (found, lone: string | undefined) => (lone === undefined ? found : "\ufffd"));
}

const AMPERSAND = 0x26;
/** `{` and `[` differ in this bit. */
const BRACKETS = 0x20;

/**
 * At least the members of a body, in whatever form and encoding, without decoding it. Reading stops
 * above the limit.
 */
export function membersAtMost(bytes: Buffer, limit: number): number {
  let members = 0;
  for (let i = 0; i < bytes.length && members <= limit; i++) {
    const byte = bytes[i] as number;
    if (byte === COMMA || byte === AMPERSAND || (byte | BRACKETS) === OPEN_BRACE) members++;
  }
  return members;
}
