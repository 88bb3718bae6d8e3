import { PrismError } from "../../../core/errors.ts";

/** In the order in which Alertmanager sorts them. */
export const MATCH_OPERATORS = ["=", "!=", "=~", "!~"] as const;
export type MatchOperator = (typeof MATCH_OPERATORS)[number];

/** One condition on a label. A regular expression is RE2 and matches the whole value. */
export interface Matcher {
  readonly name: string;
  readonly operator: MatchOperator;
  readonly value: string;
}

interface Token {
  readonly kind: "{" | "}" | "," | "operator" | "text" | "end";
  readonly text: string;
  readonly at: number;
}

/**
 * Reads matchers in the grammar of Alertmanager 0.27: names and values are tokens without reserved
 * characters, or double-quoted with the escapes of Go. @throws VALIDATION_FAILED
 */
export function parseUtf8Matchers(text: string): readonly Matcher[] {
  const tokens = [...readTokens(text)];
  let next = 0;
  const peek = () => tokens[next] ?? { kind: "end", text: "", at: text.length };
  const take = (kind: Token["kind"]): Token => {
    const token = peek();
    if (token.kind !== kind) throw invalid(token.at, `expected ${kind === "text" ? "a name or value" : kind}`);
    next += 1;
    return token;
  };
  const isBraced = peek().kind === "{";
  if (isBraced) take("{");
  const matchers: Matcher[] = [];
  while (peek().kind === "text") {
    const name = take("text").text;
    const operator = take("operator").text as MatchOperator;
    matchers.push({ name, operator, value: take("text").text });
    if (peek().kind !== ",") break;
    take(",");
  }
  if (isBraced) take("}");
  take("end");
  return matchers;
}

/** Reserved: white space, operators, braces, commas, quotes and backslashes. */
export function isReservedCharacter(character: string): boolean {
  return /^[\s\u0085{}!=~,\\"'`]$/u.test(character) && character !== "\ufeff";
}

const OPERATOR = /=~|=|!=|!~/y;
const QUOTED = /"((?:[^"\\]|\\[\s\S])*)"/y;

function* readTokens(text: string): Generator<Token> {
  let at = 0;
  while (at < text.length) {
    const character = String.fromCodePoint(text.codePointAt(at) ?? 0);
    const operator = matchAt(OPERATOR, text, at);
    const start = at;
    if (character === "{" || character === "}" || character === ",") {
      at += 1;
      yield { kind: character, text: character, at: start };
    } else if (operator !== undefined) {
      at += operator.length;
      yield { kind: "operator", text: operator, at: start };
    } else if (character === '"') {
      const quoted = matchAt(QUOTED, text, at);
      if (quoted === undefined) throw invalid(at, 'missing closing "');
      at += quoted.length;
      yield { kind: "text", text: unquote(quoted.slice(1, -1), start), at: start };
    } else if (!isReservedCharacter(character)) {
      at = endOfToken(text, at);
      yield { kind: "text", text: text.slice(start, at), at: start };
    } else if (/\s|\u0085/.test(character)) at += 1;
    else throw invalid(at, `unexpected ${character}`);
  }
  yield { kind: "end", text: "", at };
}

function endOfToken(text: string, from: number): number {
  let at = from;
  for (const character of text.slice(from)) {
    if (isReservedCharacter(character)) break;
    at += character.length;
  }
  return at;
}

const ESCAPE = /\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|[abfnrtv\\"])/y;
const ESCAPED: Readonly<Record<string, string>> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
  '"': '"',
};

/** The value of a double-quoted string of Go. Escapes of bytes may form one UTF-8 character. */
function unquote(body: string, start: number): string {
  if (!body.includes("\\") && !body.includes("\n")) return body;
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const sequence = body[at] === "\\" ? matchAt(ESCAPE, body, at) : undefined;
    if (body[at] === "\n" || (body[at] === "\\" && sequence === undefined))
      throw invalid(start + 1 + at, "invalid escape sequence");
    const plain = sequence ?? (/[^\\\n]+/.exec(body.slice(at))?.[0] || "");
    parts.push(sequence === undefined ? Buffer.from(plain) : escapedBytes(sequence.slice(1), start));
    at += plain.length;
  }
  const bytes = Buffer.concat(parts);
  const value = bytes.toString("utf8");
  if (!Buffer.from(value).equals(bytes)) throw invalid(start, "not valid UTF-8");
  return value;
}

function escapedBytes(sequence: string, start: number): Buffer {
  const kind = sequence[0] ?? "";
  if (kind in ESCAPED && sequence.length === 1) return Buffer.from(ESCAPED[kind] ?? "");
  if (kind === "x") return Buffer.of(Number.parseInt(sequence.slice(1), 16));
  const code = /^[0-7]/.test(kind) ? Number.parseInt(sequence, 8) : Number.parseInt(sequence.slice(1), 16);
  if (/^[0-7]/.test(kind) && code < 0x100) return Buffer.of(code);
  if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) throw invalid(start, "invalid escape sequence");
  return Buffer.from(String.fromCodePoint(code));
}

function matchAt(sticky: RegExp, text: string, at: number): string | undefined {
  sticky.lastIndex = at;
  return sticky.exec(text)?.[0];
}

function invalid(at: number, problem: string): PrismError {
  return new PrismError("VALIDATION_FAILED", `bad matcher format: character ${at + 1}: ${problem}`);
}
