import { Parser } from "expr-eval";

/**
 * One step of expr-eval's postfix form. `value` of an `expression` is the branch that may be left out: the right side of `and` and
 * `or`, the two sides of `? :`.
 */
export type Instruction =
  | { readonly type: "IVAR"; readonly value: string }
  | { readonly type: "IOP1"; readonly value: string }
  | { readonly type: "IOP2"; readonly value: string }
  | { readonly type: "IOP3"; readonly value: string }
  | { readonly type: "IFUNCALL"; readonly value: number }
  | { readonly type: "IARRAY"; readonly value: number }
  | { readonly type: "IEXPR"; readonly value: readonly Instruction[] };

const UNARY = ["-", "not"];
const BINARY = ["and", "or", "in", "==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%"];
const parser = makeParser();

/**
 * Puts the operands and operators of a checked sequence into postfix order by precedence, with expr-eval.
 *
 * @param spelling words separated by spaces, of which every operand is a plain variable: no text of a rule's author reaches it.
 */
export function orderByPrecedence(spelling: string): readonly Instruction[] {
  const expression = parser.parse(spelling) as unknown as { readonly tokens: readonly Instruction[] };
  return expression.tokens;
}

function makeParser(): Parser {
  const made = new Parser({
    operators: { assignment: false, fndef: false, concatenate: false, factorial: false, power: false },
  });
  // The parser asks these tables with `in`. Its own are plain objects full of names (`sin`, `length`, `PI`, and all that is
  // inherited), each of which would read as an operator or a constant.
  return Object.assign(made, {
    unaryOps: table(UNARY),
    binaryOps: table(BINARY),
    ternaryOps: table(["?"]),
    functions: table([]),
    consts: table([]),
  });
}

function table(names: readonly string[]): Record<string, () => never> {
  const made: Record<string, () => never> = Object.create(null);
  for (const name of names) made[name] = neverCalled;
  return made;
}

// Only the names count: expr-eval parses, its evaluator is never asked.
function neverCalled(): never {
  throw new TypeError("the evaluator of expr-eval is not in use");
}
