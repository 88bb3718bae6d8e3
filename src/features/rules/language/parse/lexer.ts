import { LIMITS } from "../limits.ts";
import { Refusal } from "../refusal.ts";
import { isKeyword } from "./names.ts";
import { readString } from "./string-literal.ts";
import { type SymbolName, type Token, TokenList } from "./tokens.ts";

const NAME = /[A-Za-z_$][A-Za-z0-9_$]*/y;
const NUMBER = /[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const SPACE = /[ \t\r\n]+/y;
// Longer before shorter: `<=` must not be read as `<`.
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
 * Splits `source` into tokens. It knows characters, strings, numbers and their limits, and nothing of what may follow what.
 *
 * @param from index of the first unit to read; positions stay those of the whole source.
 * @param closing where this stands between two tokens, reading ends: the `}}` of a placeholder.
 * @throws Refusal SYNTAX for what is no token, LIMIT for too many tokens, too long a string, too large a number.
 */
export function tokenize(source: string, from = 0, closing?: string): TokenList {
  const tokens: Token[] = [];
  let at = skipSpace(source, from);
  while (at < source.length && !(closing !== undefined && source.startsWith(closing, at))) {
    if (tokens.length === LIMITS.tokens) {
      throw new Refusal("LIMIT", at, `more than ${LIMITS.tokens} tokens`);
    }
    const token = readToken(source, at);
    tokens.push(token);
    at = skipSpace(source, token.end);
  }
  // What is missing at the end is missing after the last token, not after the spaces and lines that follow it.
  const end = closing === undefined ? (tokens.at(-1)?.end ?? from) : at;
  return new TokenList(source, tokens, end);
}

function readToken(source: string, start: number): Token {
  const first = source[start];
  if (first === "'" || first === '"') return readString(source, start);

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
  // `0x10`, `1e` and `5px` would otherwise be a number and a name side by side, with a message about a missing operator.
  if (matchAt(NAME, source, end) !== undefined) {
    throw new Refusal("SYNTAX", end, "a number cannot be followed directly by a letter");
  }
  const value = Number(text);
  if (!Number.isFinite(value)) throw new Refusal("LIMIT", start, "this number is too large for a double");
  return { kind: "number", value, isInteger: /^[0-9]+$/.test(text), start, end };
}

function foreignOperator(operator: string, at: number): Refusal {
  const meant = MEANT[operator];
  const message = `there is no ${operator}${meant ? `; ${meant.write}` : ""}`;
  // Of `===` the last character is the one too many.
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
