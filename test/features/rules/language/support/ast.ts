/**
 * Conditions as the tests write them: a tree of their own, so that printing, parsing and evaluating
 * can be checked against something that shares no line with src/rules.
 */
type Literal = null | boolean | number | string;

export type Ast =
  | { readonly kind: "literal"; readonly value: Literal }
  | { readonly kind: "path" | "item"; readonly segments: readonly (string | number)[] }
  | { readonly kind: "list"; readonly items: readonly Ast[] }
  | { readonly kind: "call"; readonly name: string; readonly args: readonly Ast[] }
  | { readonly kind: "unary"; readonly operator: "not" | "-"; readonly operand: Ast }
  | { readonly kind: "binary"; readonly operator: BinaryOperator; readonly left: Ast; readonly right: Ast }
  | { readonly kind: "choice"; readonly condition: Ast; readonly chosen: Ast; readonly otherwise: Ast };

export type BinaryOperator = "or" | "and" | Comparison | "in" | "+" | "-" | "*" | "/" | "%";
export type Comparison = "==" | "!=" | "<" | "<=" | ">" | ">=";

/** How one operator or value is written; the language has two ways for some. */
export interface Spelling {
  readonly and: "and" | "&&";
  readonly or: "or" | "||";
  readonly not: "not " | "!";
  readonly quote: "'" | '"';
  /** Brackets for members instead of dots. */
  readonly brackets: boolean;
  /** Between tokens. */
  readonly space: " " | "\n\t";
}

const PLAIN: Spelling = { and: "and", or: "or", not: "not ", quote: "'", brackets: false, space: " " };

const RANK: Readonly<Record<BinaryOperator, number>> = {
  or: 2,
  and: 3,
  "==": 4,
  "!=": 4,
  "<": 4,
  "<=": 4,
  ">": 4,
  ">=": 4,
  in: 4,
  "+": 5,
  "-": 5,
  "*": 6,
  "/": 6,
  "%": 6,
};
const CHOICE_RANK = 1;
const COMPARISON_RANK = 4;
const UNARY_RANK = 7;
const PRIMARY_RANK = 8;

/** Prints with as few parentheses as the grammar allows. */
export function print(ast: Ast, spelling: Spelling = PLAIN): string {
  return printAt(ast, CHOICE_RANK, spelling);
}

/** @param rank the lowest precedence that needs no parentheses here. */
function printAt(ast: Ast, rank: number, spelling: Spelling): string {
  const text = printBare(ast, spelling);
  return rankOf(ast) < rank ? `(${text})` : text;
}

function rankOf(ast: Ast): number {
  switch (ast.kind) {
    case "choice":
      return CHOICE_RANK;
    case "binary":
      return RANK[ast.operator];
    case "unary":
      return UNARY_RANK;
    default:
      return PRIMARY_RANK;
  }
}

function printBare(ast: Ast, spelling: Spelling): string {
  const { space } = spelling;
  switch (ast.kind) {
    case "literal":
      return typeof ast.value === "string" ? printString(ast.value, spelling.quote) : String(ast.value);
    case "path":
    case "item":
      return [
        ast.kind === "path" ? "event" : "item",
        ...ast.segments.map((segment) => printSegment(segment, spelling)),
      ].join("");
    case "list":
      return `[${ast.items.map((item) => print(item, spelling)).join(`,${space}`)}]`;
    case "call":
      return `${ast.name}(${ast.args.map((arg) => print(arg, spelling)).join(`,${space}`)})`;
    case "unary":
      return `${ast.operator === "not" ? spelling.not : "-"}${printAt(ast.operand, UNARY_RANK, spelling)}`;
    case "choice": {
      const [condition, chosen, otherwise] = [
        printAt(ast.condition, CHOICE_RANK + 1, spelling),
        print(ast.chosen, spelling),
        print(ast.otherwise, spelling),
      ];
      return [condition, "?", chosen, ":", otherwise].join(space);
    }
    case "binary":
      return printBinary(ast, spelling);
  }
}

function printBinary({ operator, left, right }: Extract<Ast, { kind: "binary" }>, spelling: Spelling): string {
  const rank = RANK[operator];
  // Comparisons do not chain, and take a `not` only in parentheses.
  const isComparison = rank === COMPARISON_RANK;
  const side = (ast: Ast, least: number): string =>
    isComparison && ast.kind === "unary" && ast.operator === "not"
      ? `(${print(ast, spelling)})`
      : printAt(ast, least, spelling);
  const word = operator === "and" || operator === "or" ? spelling[operator] : operator;
  return [side(left, isComparison ? rank + 1 : rank), word, side(right, rank + 1)].join(spelling.space);
}

function printSegment(segment: string | number, { brackets, quote }: Spelling): string {
  if (typeof segment === "number") return `[${segment}]`;
  const isName = /^[A-Za-z_$][\w$]*$/.test(segment) && !/^(and|or|not|in|true|false|null)$/.test(segment);
  return isName && !brackets ? `.${segment}` : `[${printString(segment, quote)}]`;
}

function printString(value: string, quote: string): string {
  let text = "";
  for (const unit of value.split("")) {
    if (unit === "\\" || unit === quote) text += `\\${unit}`;
    else if (unit === "\n") text += "\\n";
    else if (unit < " " || (unit >= "\ud800" && unit <= "\udfff"))
      text += `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
    else text += unit;
  }
  return `${quote}${text}${quote}`;
}
