import { unitsOfCodePoints } from "../code-points.ts";
import { LIMITS } from "../limits.ts";
import { Refusal } from "../refusal.ts";
import type { Token } from "./tokens.ts";

const ESCAPES: Readonly<Record<string, string>> = { "\\": "\\", "'": "'", '"': '"', n: "\n", t: "\t", r: "\r" };

/**
 * Reads the string whose quote stands at `start`.
 *
 * @throws Refusal SYNTAX for an unknown escape (at its backslash) or a missing quote (at the opening one), LIMIT for a value over
 * 1024 characters.
 */
export function readString(source: string, start: number): Token {
  const quote = source.charAt(start);
  let value = "";
  let at = start + 1;
  for (;;) {
    const plain = endOfPlain(source, at, quote);
    value += source.slice(at, plain);
    if (plain >= source.length) throw new Refusal("SYNTAX", start, "this string has no closing quote", [quote]);
    if (unitsOfCodePoints(value, LIMITS.stringCharacters) !== -1) {
      throw new Refusal("LIMIT", start, `a string has at most ${LIMITS.stringCharacters} characters`);
    }
    if (source[plain] === quote) return { kind: "string", value, start, end: plain + 1 };

    const escaped = readEscape(source, plain);
    value += escaped.character;
    at = escaped.end;
  }
}

function endOfPlain(source: string, from: number, quote: string): number {
  let at = from;
  while (at < source.length && source[at] !== quote && source[at] !== "\\") at += 1;
  return at;
}

function readEscape(source: string, backslash: number): { readonly character: string; readonly end: number } {
  const letter = source.charAt(backslash + 1);
  const simple = Object.hasOwn(ESCAPES, letter) ? ESCAPES[letter] : undefined;
  if (simple !== undefined) return { character: simple, end: backslash + 2 };

  const hex = source.slice(backslash + 2, backslash + 6);
  if (letter === "u" && /^[0-9a-fA-F]{4}$/.test(hex)) {
    return { character: String.fromCharCode(Number.parseInt(hex, 16)), end: backslash + 6 };
  }
  throw new Refusal("SYNTAX", backslash, "unknown escape; use \\\\ \\' \\\" \\n \\t \\r or \\uXXXX");
}
