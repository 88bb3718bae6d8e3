import { UNIT } from "../../../../core/text/decimal.ts";
import { Refusal } from "../errors.ts";
import { cutText, unitsOfCodePoints, wellFormed } from "../evaluate/values.ts";
import { LIMITS } from "../limits.ts";

/** Operators and values, never names. A payload member with such a name needs brackets. */
const KEYWORDS = ["and", "or", "not", "in", "true", "false", "null"] as const;

type Keyword = (typeof KEYWORDS)[number];

const keywords: ReadonlySet<string> = new Set(KEYWORDS);

function isKeyword(word: string): word is Keyword {
  return keywords.has(word);
}

// Reading these names is harmless today, because nothing inherited can be read. They are refused so
// that the author sees the attempt, and so that no later change of the evaluator can make them
// work.
const refusedNames: ReadonlySet<string> = new Set([
  "__proto__",
  "prototype",
  "constructor",
  "__defineGetter__",
  "__defineSetter__",
  "__lookupGetter__",
  "__lookupSetter__",
  "toString",
  "valueOf",
  "hasOwnProperty",
]);

/** Whether the language refuses `name` as an identifier, member or string key. */
export function isRefusedName(name: string): boolean {
  return refusedNames.has(name);
}

/** Operators in canonical spelling: `&&`, `||` and `!` are read as `and`, `or` and `not`. */
export type SymbolName =
  | Keyword
  | ComparisonSymbol
  | ArithmeticSymbol
  | "("
  | ")"
  | "["
  | "]"
  | ","
  | "."
  | "?"
  | ":"
  | "|";

export type ComparisonSymbol = "==" | "!=" | "<" | "<=" | ">" | ">=";
export type ArithmeticSymbol = "+" | "-" | "*" | "/" | "%";

interface Place {
  /** Start and exclusive end in the source. */
  readonly start: number;
  readonly end: number;
}

type Token = Place &
  (
    | { readonly kind: "symbol"; readonly symbol: SymbolName }
    | { readonly kind: "name"; readonly name: string }
    | { readonly kind: "string"; readonly value: string }
    | { readonly kind: "number"; readonly value: number | bigint; readonly isInteger: boolean }
    | { readonly kind: "end" }
  );

/** Tokens of a condition or placeholder; the last is `end`, so looking ahead needs no check. */
export class TokenList {
  readonly source: string;
  readonly #tokens: readonly Token[];
  readonly #end: Token;

  constructor(source: string, tokens: readonly Token[], end: number) {
    this.source = source;
    this.#tokens = tokens;
    this.#end = { kind: "end", start: end, end };
  }

  /** Number of tokens, without the `end`. */
  get length(): number {
    return this.#tokens.length;
  }

  /** Token `index`; `end` for every index past the last. */
  at(index: number): Token {
    return this.#tokens[index] ?? this.#end;
  }

  isSymbol(index: number, symbol: SymbolName): boolean {
    const token = this.at(index);
    return token.kind === "symbol" && token.symbol === symbol;
  }

  /** The token as written, shortened for a message; `the end` for the end. */
  quote(index: number): string {
    const token = this.at(index);
    if (token.kind === "end") return "the end";
    const text = this.source.slice(token.start, token.end);
    return wellFormed(cutText(text, 40));
  }
}

const NAME = /[A-Za-z_$][A-Za-z0-9_$]*/y;
const NUMBER = /[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const SPACE = /[ \t\r\n]+/y;
// Longer operators first: `<=` must not be read as `<`.
const SYMBOL = /&&|\|\||==|!=|<=|>=|[<>!+\-*/%()[\],.?:|]/y;

/** Operators of other languages, which would otherwise be read in part. */
const FOREIGN = /===|!==|=~|!~|=>|=<|<>|\?\.|\?\?/y;

const MEANT: Readonly<Record<string, { readonly write: string; readonly expected: string }>> = {
  "===": { write: "write ==", expected: "==" },
  "!==": { write: "write !=", expected: "!=" },
  "=~": { write: "write matches(text, 'pattern')", expected: "matches" },
  "!~": { write: "write not matches(text, 'pattern')", expected: "not" },
  "=>": { write: "write >=", expected: ">=" },
  "=<": { write: "write <=", expected: "<=" },
  "<>": { write: "write !=", expected: "!=" },
  "?.": { write: "write a plain dot; what is missing is null", expected: "." },
  "??": { write: "write coalesce(a, b)", expected: "coalesce" },
};

const SPELLINGS: Readonly<Record<string, SymbolName>> = { "&&": "and", "||": "or", "!": "not" };

/**
 * Splits `source` into tokens. It checks characters, strings, numbers and their limits, not the
 * order of tokens.
 * @param from index of the first unit to read; positions refer to the whole source.
 * @param closing ends reading between two tokens: the `}}` of a placeholder.
 * @param isPlain a backslash in a string is one.
 * @throws Refusal SYNTAX for an invalid token, LIMIT for too many tokens, too long a string, too
 * large a number.
 */
export function tokenize(
  source: string,
  from = 0,
  { closing, isPlain = false }: { readonly closing?: string; readonly isPlain?: boolean | undefined } = {},
): TokenList {
  const tokens: Token[] = [];
  let at = skipSpace(source, from);
  while (at < source.length && !(closing !== undefined && source.startsWith(closing, at))) {
    if (tokens.length === LIMITS.tokens) {
      throw new Refusal("LIMIT", at, `more than ${LIMITS.tokens} tokens`);
    }
    const token = readToken(source, at, isPlain);
    tokens.push(token);
    at = skipSpace(source, token.end);
  }
  // A missing token is reported after the last one, not after trailing whitespace.
  const end = closing === undefined ? (tokens.at(-1)?.end ?? from) : at;
  return new TokenList(source, tokens, end);
}

function readToken(source: string, start: number, isPlain: boolean): Token {
  const first = source[start];
  if (first === "'" || first === '"') return isPlain ? readPlainString(source, start) : readString(source, start);

  const number = matchAt(NUMBER, source, start);
  if (number !== undefined) return readNumber(source, start, number);

  const name = matchAt(NAME, source, start);
  if (name !== undefined) {
    const place = { start, end: start + name.length };
    return isKeyword(name) ? { kind: "symbol", symbol: name, ...place } : { kind: "name", name, ...place };
  }

  const foreign = matchAt(FOREIGN, source, start);
  if (foreign !== undefined) throw foreignOperator(foreign, start);

  const symbol = matchAt(SYMBOL, source, start);
  if (symbol === undefined) throw unknownCharacter(source, start);
  return { kind: "symbol", symbol: SPELLINGS[symbol] ?? (symbol as SymbolName), start, end: start + symbol.length };
}

function readNumber(source: string, start: number, text: string): Token {
  const end = start + text.length;
  // `0x10`, `1e` and `5px` would otherwise be a number and a name: "an operator is missing".
  if (matchAt(NAME, source, end) !== undefined) {
    throw new Refusal("SYNTAX", end, "a number cannot be followed directly by a letter");
  }
  const value = Number(text);
  if (!Number.isFinite(value)) throw new Refusal("LIMIT", start, "this number is too large for a double");
  const isInteger = /^[0-9]+$/.test(text);
  // Compared digit by digit with integers of events.
  const exact = isInteger && !Number.isSafeInteger(value) ? BigInt(text) * UNIT : value;
  return { kind: "number", value: exact, isInteger, start, end };
}

function foreignOperator(operator: string, at: number): Refusal {
  const meant = MEANT[operator];
  const message = `there is no ${operator}${meant ? `; ${meant.write}` : ""}`;
  // In `===` the last character is the extra one.
  const position = operator.length === 3 ? at + 2 : at;
  return new Refusal("SYNTAX", position, message, meant ? [meant.expected] : []);
}

function unknownCharacter(source: string, at: number): Refusal {
  const character = String.fromCodePoint(source.codePointAt(at) ?? 0);
  switch (character) {
    case "=":
      return new Refusal("SYNTAX", at, "there is no assignment; write == to compare", ["=="]);
    case "&":
      return new Refusal("SYNTAX", at, "write && or and", ["&&"]);
    case ";":
      return new Refusal("SYNTAX", at, "a condition is one expression; there is no ;");
    case "^":
      return new Refusal("SYNTAX", at, "there is no power operator");
    default:
      return new Refusal("SYNTAX", at, `unexpected character ${JSON.stringify(character)}`);
  }
}

function skipSpace(source: string, at: number): number {
  return at + (matchAt(SPACE, source, at)?.length ?? 0);
}

function matchAt(sticky: RegExp, source: string, at: number): string | undefined {
  sticky.lastIndex = at;
  return sticky.exec(source)?.[0];
}

const ESCAPES: Readonly<Record<string, string>> = { "\\": "\\", "'": "'", '"': '"', n: "\n", t: "\t", r: "\r" };

/**
 * @throws Refusal SYNTAX for an unknown escape (at its backslash) or a missing quote (at the
 * opening one), LIMIT for a long value.
 */
function readString(source: string, start: number): Token {
  const quote = source.charAt(start);
  let value = "";
  let at = start + 1;
  for (;;) {
    const plain = endOfPlain(source, at, quote);
    value += source.slice(at, plain);
    if (plain >= source.length) throw unclosed(source, start);
    if (unitsOfCodePoints(value, LIMITS.stringCharacters) !== -1) {
      throw new Refusal("LIMIT", start, `a string has at most ${LIMITS.stringCharacters} characters`);
    }
    if (source[plain] === quote) return { kind: "string", value, start, end: plain + 1 };

    const escaped = readEscape(source, plain);
    value += escaped.character;
    at = escaped.end;
  }
}

function readPlainString(source: string, start: number): Token {
  const end = source.indexOf(source.charAt(start), start + 1);
  if (end === -1) throw unclosed(source, start);
  return { kind: "string", value: source.slice(start + 1, end), start, end: end + 1 };
}

function unclosed(source: string, start: number): Refusal {
  return new Refusal("SYNTAX", start, "this string has no closing quote", [source.charAt(start)]);
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
