import { Refusal } from "../refusal.ts";
import { dashedName } from "./dashed-name.ts";
import type { TokenList } from "./tokens.ts";

/** Why token `index` cannot stand where a value is wanted. */
export function missingOperand(tokens: TokenList, index: number): Refusal {
  const expected = ["expression"];
  const { start } = tokens.at(index);
  if (tokens.isSymbol(index, "+")) return new Refusal("SYNTAX", start, "there is no unary plus", expected);
  if (tokens.isSymbol(index, ".") && tokens.at(index + 1).kind === "number") {
    return new Refusal("SYNTAX", start, `a number begins with a digit; write 0.${tokens.quote(index + 1)}`, expected);
  }
  const dashed = dashedName(tokens, index);
  if (dashed !== undefined)
    return new Refusal("SYNTAX", start, `names with - stand in brackets; write ${dashed}`, ["["]);
  if (tokens.isSymbol(index, ".")) {
    return new Refusal("SYNTAX", start, "a number begins with a digit, a path with event", expected);
  }
  return new Refusal("SYNTAX", start, `an expression is missing before ${tokens.quote(index)}`, expected);
}

/** Why token `index` cannot stand after a value. */
export function unexpectedAfterOperand(tokens: TokenList, index: number, expected: readonly string[]): Refusal {
  return new Refusal("SYNTAX", tokens.at(index).start, whyUnexpected(tokens, index, expected), expected);
}

function whyUnexpected(tokens: TokenList, index: number, expected: readonly string[]): string {
  const token = tokens.at(index);
  const missing = `an operator${expected.includes(",") ? " or a comma" : ""} is missing before ${tokens.quote(index)}`;
  if (token.kind === "end") return "the condition ends too early";
  if (token.kind === "name" && /^(and|or|not|in)$/i.test(token.name)) {
    return `keywords are lower-case: ${token.name.toLowerCase()}`;
  }
  if (token.kind !== "symbol") return missing;
  switch (token.symbol) {
    case "not":
      return tokens.isSymbol(index + 1, "in") ? "write not (x in y)" : missing;
    case "(":
      return "only a function can be called, by its bare name";
    case "[":
    case ".":
      return "only a path has members, and it begins with event";
    case "|":
      return "write || or or";
    case ":":
      return "this : has no ?";
    case ")":
    case "]":
      return `${tokens.quote(index)} closes nothing that is open here`;
    default:
      return missing;
  }
}
