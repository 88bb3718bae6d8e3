import { cutText, wellFormed } from "../code-points.ts";
import type { Keyword } from "./names.ts";

/** Operators in their one spelling: `&&`, `||` and `!` are read as `and`, `or` and `not`. */
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
  /** Of the first unit and of the one after the last, in the source. */
  readonly start: number;
  readonly end: number;
}

export type Token = Place &
  (
    | { readonly kind: "symbol"; readonly symbol: SymbolName }
    | { readonly kind: "name"; readonly name: string }
    | { readonly kind: "string"; readonly value: string }
    | { readonly kind: "number"; readonly value: number; readonly isInteger: boolean }
    | { readonly kind: "end" }
  );

/** Tokens of one condition or placeholder. The last is always `end`, so that a reader can look one ahead without a check. */
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

  /** The token as it stands in the source, shortened for a message; `the end` for the end. */
  quote(index: number): string {
    const token = this.at(index);
    if (token.kind === "end") return "the end";
    const text = this.source.slice(token.start, token.end);
    return wellFormed(cutText(text, 40));
  }
}
