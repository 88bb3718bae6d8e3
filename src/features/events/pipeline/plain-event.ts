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
} from "../../../core/text/json-text.ts";
import { MAX_JSON_DEPTH } from "../../../http/body/input.ts";
import { Envelope, readMember } from "./event-envelope.ts";

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
const OWN = ["type", "payload", "source", "level", "occurredAt", "id", "dedupeKey", "projectId"].map(
  (name, at): OwnName => ({ name, bit: 1 << at }),
);
const TYPE_BIT = 1;
/** By their length: a name is compared in place, since a new string would be hashed and looked up twice. */
const OWN_BY_LENGTH = Array.from({ length: 11 }, (_, length) => OWN.filter(({ name }) => name.length === length));
/** Escapes of one letter; `\u` may be a lone surrogate. */
const ESCAPES: ReadonlySet<number> = new Set(Buffer.from('"\\/bfnrt'));
const WORDS = ["true", "false", "null"];
/** Members at all depths that are not charged. */
export const FREE_MEMBERS = 1000;
const NO_PAYLOAD: Record<string, unknown> = Object.freeze({});

interface OwnName {
  readonly name: string;
  readonly bit: number;
}

export interface PlainEvent {
  /** Its members, with an empty object in place of the payload. */
  readonly envelope: Envelope;
  /** Without whitespace between tokens. */
  readonly payloadText: string;
}

/** Of longer texts {@link plainEvent} makes nothing: few events are so long. */
const MAX_UNITS = 65_536;
/**
 * The UTF-16 units of the text being read, and a 0 after them, which ends every loop. Reading a string
 * unit by unit takes twice as long: the engine looks at its representation each time.
 */
const bytes = Buffer.alloc((MAX_UNITS + 1) * Uint16Array.BYTES_PER_ELEMENT);
const units = new Uint16Array(bytes.buffer, bytes.byteOffset, MAX_UNITS + 1);

// Nothing is read meanwhile, so no event needs an object for it.
let text = "";
let members = 0;
let hasSpace = false;

/**
 * Reads an event as nearly all producers send them, without making objects of its payload: few rules
 * read it. @returns null for what needs a closer look: invalid JSON or values, other or repeated
 * members, no type, `\u`, much
 */
export function plainEvent(given: string): PlainEvent | null {
  if (given.length > MAX_UNITS) return null;
  bytes.write(given, "utf16le");
  units[given.length] = 0;
  text = given;
  members = 0;
  try {
    return readEvent();
  } finally {
    text = "";
  }
}

function readEvent(): PlainEvent | null {
  let at = skipSpace(0);
  if (units[at] !== OPEN_BRACE) return null;
  const envelope = new Envelope();
  let seen = 0;
  let payloadText = "{}";
  do {
    const start = skipSpace(at + 1);
    const nameEnd = skipString(start);
    const own = readName(start + 1, nameEnd - 1);
    const from = skipColon(nameEnd);
    if (own === null || from < 0 || (seen & own.bit) !== 0) return null;
    seen |= own.bit;
    hasSpace = false;
    at = skipValue(from, 2);
    if (at < 0) return null;
    if (own.name !== "payload") {
      if (readMember(envelope, own.name, parsedValue(from, at)) !== null) return null;
    } else if (units[from] !== OPEN_BRACE) return null;
    else {
      envelope.payload = NO_PAYLOAD;
      const value = text.slice(from, at);
      payloadText = hasSpace ? minifyJson(value) : value;
    }
    at = skipSpace(at);
  } while (units[at] === COMMA);
  if (units[at] !== CLOSE_BRACE || (seen & TYPE_BIT) === 0) return null;
  return skipSpace(at + 1) === text.length ? { envelope, payloadText } : null;
}

/** A string without escapes, as nearly all are, is its own value. */
function parsedValue(from: number, end: number): unknown {
  const inner = units[from] === QUOTE ? text.slice(from + 1, end - 1) : "\\";
  return inner.includes("\\") ? JSON.parse(text.slice(from, end)) : inner;
}

/** The name of {@link OWN} in the text; null for another one, or none. */
function readName(from: number, end: number): OwnName | null {
  for (const own of OWN_BY_LENGTH[end - from] ?? []) if (text.startsWith(own.name, from)) return own;
  return null;
}

/*
 * Each `skip…` returns the place after what begins at a place, or -1 where the text is not JSON, or needs a
 * closer look. Places are passed on, not kept in a variable of the module: that would be a store for
 * each step.
 */

function skipValue(at: number, depth: number): number {
  const unit = units[at] as number;
  if (unit === QUOTE) return skipString(at);
  if (unit === OPEN_BRACE) return skipList(at, depth, CLOSE_BRACE);
  if (unit === OPEN_BRACKET) return skipList(at, depth, CLOSE_BRACKET);
  if (unit === MINUS || (unit >= ZERO && unit <= NINE)) return skipNumber(at);
  return skipWord(at);
}

function skipList(start: number, depth: number, end: number): number {
  if (depth > MAX_JSON_DEPTH) return -1;
  let at = skipSpace(start + 1);
  if (units[at] === end) return at + 1;
  for (;;) {
    if (++members > FREE_MEMBERS) return -1;
    if (end === CLOSE_BRACE) at = skipColon(skipString(at));
    if (at < 0) return -1;
    at = skipValue(at, depth + 1);
    if (at < 0) return -1;
    at = skipSpace(at);
    const unit = units[at++];
    if (unit === end) return at;
    if (unit !== COMMA) return -1;
    at = skipSpace(at);
  }
}

/** The place after a colon and the space around it; -1 without one, or after a name that is none. */
function skipColon(nameEnd: number): number {
  if (nameEnd < 0) return -1;
  const colon = skipSpace(nameEnd);
  return units[colon] === COLON ? skipSpace(colon + 1) : -1;
}

function skipString(start: number): number {
  if (units[start] !== QUOTE) return -1;
  for (let at = start + 1; ; at++) {
    const unit = units[at] as number;
    if (unit === QUOTE) return at + 1;
    if (unit < SPACE || (unit === BACKSLASH && !ESCAPES.has(units[++at] as number))) return -1;
  }
}

function skipNumber(start: number): number {
  let at = units[start] === MINUS ? start + 1 : start;
  at = units[at] === ZERO ? at + 1 : skipDigits(at);
  if (at > 0 && units[at] === DOT) at = skipDigits(at + 1);
  if (at < 0 || ((units[at] as number) | LOWER_CASE) !== LETTER_E) return at;
  const sign = units[++at];
  return skipDigits(sign === PLUS || sign === MINUS ? at + 1 : at);
}

function skipDigits(start: number): number {
  let at = start;
  for (let unit = units[at] as number; unit >= ZERO && unit <= NINE; unit = units[at] as number) at++;
  return at > start ? at : -1;
}

function skipWord(at: number): number {
  for (const word of WORDS) if (text.startsWith(word, at)) return at + word.length;
  return -1;
}

function skipSpace(start: number): number {
  let at = start;
  for (let unit = units[at] as number; unit <= SPACE; unit = units[at] as number) {
    if (unit !== SPACE && unit !== NEWLINE && unit !== RETURN && unit !== TAB) break;
    hasSpace = true;
    at++;
  }
  return at;
}
