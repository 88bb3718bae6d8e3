import {
  BACKSLASH,
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COLON,
  COMMA,
  minifyJson,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE,
} from "../../../core/json-text.ts";
import { MAX_JSON_DEPTH } from "../../../http/input.ts";

const TAB = 0x09;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const SPACE = 0x20;
const PLUS = 0x2b;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const LETTER_E = 0x65;
/** Turns an upper case letter into a lower case one. */
const LOWER_CASE = 0x20;

/** An event's own members; every other one needs {@link readEvent}. */
const OWN: ReadonlySet<string> = new Set([
  ...["type", "payload", "source", "level", "occurredAt", "id", "dedupeKey", "projectId"],
]);
/** Escapes of one letter; `\u` may be a lone surrogate. */
const ESCAPES = '"\\/bfnrt';
/** Members at all depths that are not charged. */
export const FREE_MEMBERS = 1000;
const NO_PAYLOAD: Record<string, unknown> = Object.freeze({});

export interface PlainEvent {
  /** As JSON.parse returns them, with an empty object in place of the payload. */
  readonly members: Record<string, unknown>;
  /** Without whitespace between tokens. */
  readonly payloadText: string;
}

// The place of the reader. Nothing is read meanwhile, so no event needs an object for it.
let text = "";
let at = 0;
let members = 0;
let hasSpace = false;

/**
 * Reads an event as nearly all producers send them, without making objects of its payload: few rules
 * read it. @returns null for what needs a closer look: invalid JSON, other members, `\u`, much
 */
export function plainEvent(given: string): PlainEvent | null {
  text = given;
  at = 0;
  members = 0;
  try {
    return readEvent();
  } finally {
    text = "";
  }
}

function readEvent(): PlainEvent | null {
  skipSpace();
  if (text.charCodeAt(at) !== OPEN_BRACE) return null;
  const found: Record<string, unknown> = {};
  let payloadText = "{}";
  do {
    at++;
    skipSpace();
    const name = readName();
    if (!OWN.has(name)) return null;
    hasSpace = false;
    const start = at;
    const isObject = text.charCodeAt(at) === OPEN_BRACE;
    if (!skipValue(2)) return null;
    const value = text.slice(start, at);
    if (name !== "payload") found[name] = parsedValue(value);
    else if (!isObject) return null;
    else {
      found[name] = NO_PAYLOAD;
      payloadText = hasSpace ? minifyJson(value) : value;
    }
    skipSpace();
  } while (text.charCodeAt(at) === COMMA);
  if (text.charCodeAt(at++) !== CLOSE_BRACE) return null;
  skipSpace();
  return at === text.length ? { members: found, payloadText } : null;
}

/** A string without escapes, as nearly all are, is its own value. */
function parsedValue(json: string): unknown {
  return json.charCodeAt(0) === QUOTE && !json.includes("\\") ? json.slice(1, -1) : JSON.parse(json);
}

/** Reads a name, its colon and the space around; "" if there is none. */
function readName(): string {
  const start = at + 1;
  if (text.charCodeAt(at) !== QUOTE || !skipString()) return "";
  const name = text.slice(start, at - 1);
  return skipColon() ? name : "";
}

function skipColon(): boolean {
  skipSpace();
  if (text.charCodeAt(at++) !== COLON) return false;
  skipSpace();
  return true;
}

/** Each `skip…` returns false where the text is not JSON, or needs a closer look. */
function skipValue(depth: number): boolean {
  const unit = text.charCodeAt(at);
  if (unit === QUOTE) return skipString();
  if (unit === OPEN_BRACE) return skipList(depth, CLOSE_BRACE);
  if (unit === OPEN_BRACKET) return skipList(depth, CLOSE_BRACKET);
  if (unit === MINUS || (unit >= ZERO && unit <= NINE)) return skipNumber();
  return skipWord("true") || skipWord("false") || skipWord("null");
}

function skipList(depth: number, end: number): boolean {
  if (depth > MAX_JSON_DEPTH) return false;
  at++;
  skipSpace();
  if (text.charCodeAt(at) === end) {
    at++;
    return true;
  }
  for (;;) {
    if (++members > FREE_MEMBERS) return false;
    if (end === CLOSE_BRACE && !(text.charCodeAt(at) === QUOTE && skipString() && skipColon())) return false;
    if (!skipValue(depth + 1)) return false;
    skipSpace();
    const unit = text.charCodeAt(at++);
    if (unit === end) return true;
    if (unit !== COMMA) return false;
    skipSpace();
  }
}

function skipString(): boolean {
  // Not the variables of the module: this is where the time goes.
  const all = text;
  for (let i = at + 1; i < all.length; i++) {
    const unit = all.charCodeAt(i);
    if (unit === QUOTE) {
      at = i + 1;
      return true;
    }
    if (unit < SPACE || (unit === BACKSLASH && !ESCAPES.includes(all.charAt(++i)))) return false;
  }
  return false;
}

function skipNumber(): boolean {
  if (text.charCodeAt(at) === MINUS) at++;
  if (text.charCodeAt(at) === ZERO) at++;
  else if (!skipDigits()) return false;
  if (text.charCodeAt(at) === DOT) {
    at++;
    if (!skipDigits()) return false;
  }
  if ((text.charCodeAt(at) | LOWER_CASE) !== LETTER_E) return true;
  const sign = text.charCodeAt(++at);
  if (sign === PLUS || sign === MINUS) at++;
  return skipDigits();
}

function skipDigits(): boolean {
  const start = at;
  for (let unit = text.charCodeAt(at); unit >= ZERO && unit <= NINE; unit = text.charCodeAt(at)) at++;
  return at > start;
}

function skipWord(word: string): boolean {
  if (!text.startsWith(word, at)) return false;
  at += word.length;
  return true;
}

function skipSpace(): void {
  for (let unit = text.charCodeAt(at); unit <= SPACE; unit = text.charCodeAt(at)) {
    if (unit !== SPACE && unit !== NEWLINE && unit !== RETURN && unit !== TAB) return;
    hasSpace = true;
    at++;
  }
}
