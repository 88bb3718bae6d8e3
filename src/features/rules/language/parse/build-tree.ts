import { Parser } from "expr-eval";
import { isTimezone } from "../../../../core/time/clock.ts";
import { Refusal } from "../errors.ts";
import { unitsOfCodePoints } from "../evaluate/values.ts";
import { LIMITS } from "../limits.ts";
import { Pattern } from "../patterns.ts";
import { mayBe } from "../types.ts";
import { BINARY, type Operand, type OperandSequence } from "./sequence.ts";
import type { ArithmeticSymbol, ComparisonSymbol, TokenList } from "./tokens.ts";
import { type Extent, type FunctionName, isFunctionName, type Node, signatureOf } from "./tree.ts";

/** A node, and the parts of its spelling that the checks need. */
interface Item {
  readonly node: Node;
  /** Indexes of its first and last token, including its parentheses. */
  readonly first: number;
  readonly last: number;
  readonly isParenthesised: boolean;
  /** Nesting depth of its operators; 0 for an operand. */
  readonly depth: number;
}

/**
 * Builds a tree from a checked sequence, with expr-eval's precedence. Its instructions have no
 * positions, but operands name their token, so every item knows its tokens, and an operator is the
 * token before or between its operands.
 * @throws Refusal SYNTAX for a comparison or a bare `not` that is compared, LIMIT for operators
 * nested too deeply, and the errors of `buildCall`.
 */
export function buildTree(tokens: TokenList, sequence: OperandSequence): Node {
  return new TreeBuilder(tokens, sequence).build(orderByPrecedence(sequence.spelling)).node;
}

class TreeBuilder {
  readonly #tokens: TokenList;
  readonly #sequence: OperandSequence;

  constructor(tokens: TokenList, sequence: OperandSequence) {
    this.#tokens = tokens;
    this.#sequence = sequence;
  }

  build(instructions: readonly Instruction[]): Item {
    const items: Item[] = [];
    const callees: number[] = [];
    for (const instruction of instructions) {
      const operand = instruction.type === "IVAR" ? this.#sequence.operands.get(tokenOf(instruction.value)) : undefined;
      if (instruction.type !== "IVAR") items.push(this.#group(this.#step(instruction, items, callees)));
      else if (operand === undefined) callees.push(tokenOf(instruction.value));
      else items.push(this.#group(this.#operand(tokenOf(instruction.value), operand)));
    }
    return pop(items);
  }

  #step(instruction: Exclude<Instruction, { type: "IVAR" }>, items: Item[], callees: number[]): Item {
    switch (instruction.type) {
      case "IEXPR":
        return this.build(instruction.value);
      case "IOP1":
        return this.#unary(pop(items));
      case "IOP2":
        return this.#binary(instruction.value, popMany(items, 2));
      case "IOP3":
        return this.#choice(popMany(items, 3));
      case "IARRAY":
        return this.#list(popMany(items, instruction.value));
      case "IFUNCALL":
        return this.#call(pop(callees), popMany(items, instruction.value));
    }
  }

  #operand(first: number, operand: Operand): Item {
    const { last } = operand;
    const extent = this.#extent(first, last);
    const base = { first, last, isParenthesised: false, depth: 0 };
    switch (operand.kind) {
      case "path":
        return { ...base, node: { kind: "path", path: operand.path, ...extent } };
      case "item":
        return { ...base, node: { kind: "item", segments: operand.path, ...extent } };
      case "literal":
        return { ...base, node: { kind: "literal", value: operand.value, ...extent } };
      case "emptyList":
        return { ...base, node: { kind: "list", items: [], ...extent } };
    }
  }

  #unary(operand: Item): Item {
    const sign = operand.first - 1;
    const kind = this.#tokens.isSymbol(sign, "not") ? "not" : "negate";
    const extent = this.#extent(sign, operand.last);
    return this.#nest(sign, [operand], sign, operand.last, { kind, operand: operand.node, ...extent });
  }

  #binary(operator: string, [left, right]: readonly Item[]): Item {
    if (left === undefined || right === undefined) throw new TypeError("an operator without two operands");
    const sign = left.last + 1;
    const extent = this.#extent(left.first, right.last);
    const continues = !left.isParenthesised && isSameChain(operator, left.node);
    const sides = { left: left.node, right: right.node, ...extent };
    let node: Node;
    if (operator === "and" || operator === "or") {
      const earlier = continues && left.node.kind === operator ? left.node.operands : [left.node];
      node = { kind: operator, operands: [...earlier, right.node], ...extent };
    } else if (isArithmetic(operator)) {
      node = { kind: "arithmetic", operator, ...sides };
    } else {
      this.#checkCompared(sign, left);
      this.#checkCompared(sign, right);
      node =
        operator === "in"
          ? { kind: "in", ...sides }
          : { kind: "compare", operator: operator as ComparisonSymbol, ...sides };
    }
    // A chain of equal rank is one level: fifty conjuncts are not nested.
    const nested = continues ? [{ depth: left.depth - 1 }, right] : [left, right];
    return this.#nest(sign, nested, left.first, right.last, node);
  }

  #choice([condition, chosen, otherwise]: readonly Item[]): Item {
    if (condition === undefined || chosen === undefined || otherwise === undefined) {
      throw new TypeError("a choice without three parts");
    }
    const extent = this.#extent(condition.first, otherwise.last);
    return this.#nest(condition.last + 1, [condition, chosen, otherwise], condition.first, otherwise.last, {
      kind: "choice",
      condition: condition.node,
      chosen: chosen.node,
      otherwise: otherwise.node,
      ...extent,
    });
  }

  #list(items: readonly Item[]): Item {
    const first = (items[0]?.first ?? 0) - 1;
    const last = this.#closing(first);
    return this.#nest(first, items, first, last, {
      kind: "list",
      items: items.map(({ node }) => node),
      ...this.#extent(first, last),
    });
  }

  #call(first: number, args: readonly Item[]): Item {
    const token = this.#tokens.at(first);
    if (token.kind !== "name" || !isFunctionName(token.name)) throw new TypeError(`token ${first} is no function`);
    const last = this.#closing(first);
    const node = buildCall({ name: token.name, args: args.map(({ node }) => node), ...this.#extent(first, last) });
    return this.#nest(first, args, first, last, node);
  }

  /** @param sign the operator's token, at which an error is reported. */
  #nest(sign: number, within: readonly { readonly depth: number }[], first: number, last: number, node: Node): Item {
    const depth = 1 + Math.max(0, ...within.map((item) => item.depth));
    if (depth > LIMITS.depth) {
      throw new Refusal("LIMIT", this.#tokens.at(sign).start, `operators nest at most ${LIMITS.depth} deep`);
    }
    return { node, first, last, isParenthesised: false, depth };
  }

  /** Extends `item` by the parentheses directly around it. */
  #group(item: Item): Item {
    let { first, last } = item;
    while (this.#sequence.groups.has(first - 1) && this.#sequence.closings.get(first - 1) === last + 1) {
      first -= 1;
      last += 1;
    }
    return first === item.first ? item : { ...item, first, last, isParenthesised: true };
  }

  #checkCompared(sign: number, { node, isParenthesised }: Item): void {
    if (node.kind === "compare" || node.kind === "in") {
      const message = isParenthesised
        ? "a comparison cannot be compared again; combine comparisons with and, or, not"
        : "comparisons do not chain; write a < b and b < c";
      throw new Refusal("SYNTAX", this.#tokens.at(sign).start, message);
    }
    if (node.kind === "not" && !isParenthesised) {
      const operator = this.#tokens.quote(sign);
      throw new Refusal("SYNTAX", node.start, `not binds tighter than ${operator}; write not (x ${operator} y)`, ["("]);
    }
  }

  #closing(opener: number): number {
    const closing = this.#sequence.closings.get(opener);
    if (closing === undefined) throw new TypeError(`token ${opener} opens nothing`);
    return closing;
  }

  #extent(first: number, last: number): Extent {
    return { start: this.#tokens.at(first).start, end: this.#tokens.at(last).end };
  }
}

function isArithmetic(operator: string): operator is ArithmeticSymbol {
  return isSum(operator) || isProduct(operator);
}

function isSum(operator: string): boolean {
  return operator === "+" || operator === "-";
}

function isProduct(operator: string): boolean {
  return operator === "*" || operator === "/" || operator === "%";
}

function isSameChain(operator: string, left: Node): boolean {
  if (left.kind !== "arithmetic") return left.kind === operator;
  return isSum(operator) ? isSum(left.operator) : isProduct(operator) && isProduct(left.operator);
}

/** The index in the spelling of an operand or function name: `t12` is token 12. */
function tokenOf(word: string): number {
  return Number(word.slice(1));
}

function pop<T>(stack: T[]): T {
  const [top] = popMany(stack, 1);
  if (top === undefined) throw new TypeError("an instruction without an operand");
  return top;
}

function popMany<T>(stack: T[], count: number): T[] {
  if (stack.length < count) throw new TypeError("an instruction without its operands");
  return stack.splice(stack.length - count, count);
}

interface Call extends Extent {
  readonly name: FunctionName;
  readonly args: readonly Node[];
}

/**
 * @throws Refusal TYPE for a wrong number of arguments (at the first extra one, or at the closing
 * parenthesis), for `exists` of anything but a path, for `matches` with a pattern and `hour` with a
 * zone that is not a literal, and for a quantifier over something that is no condition; LIMIT for
 * the length of the pattern.
 */
function buildCall({ name, args, start, end }: Call): Node {
  checkCount({ name, args, start, end });
  switch (name) {
    case "exists":
      return existsOf(argument(args, 0), { start, end });
    case "any":
    case "all":
    case "count":
      return { kind: "quantifier", name, list: argument(args, 0), each: testOf(name, argument(args, 1)), start, end };
    case "hour":
    case "weekday":
      return { kind: "clock", name, zone: zoneOf(name, args[0]), start, end };
    case "matches":
      return matchesOf(argument(args, 0), argument(args, 1), { start, end });
    case "coalesce":
      return { kind: "coalesce", args, start, end };
    case "if":
      return {
        kind: "choice",
        condition: argument(args, 0),
        chosen: argument(args, 1),
        otherwise: argument(args, 2),
        start,
        end,
      };
    default:
      return { kind: "call", name, args, start, end };
  }
}

function checkCount({ name, args, end }: Call): void {
  const { min, max } = signatureOf(name);
  if (args.length >= min && args.length <= max) return;
  const wanted = min === max ? `${min}` : `${min} to ${max}`;
  const message = `${name} takes ${wanted} argument${max === 1 ? "" : "s"}, not ${args.length}`;
  // Too few arguments: report it at the closing parenthesis.
  throw new Refusal("TYPE", args[max]?.start ?? end - 1, message);
}

function existsOf(node: Node, extent: Extent): Node {
  if (node.kind === "item") return { kind: "itemExists", segments: node.segments, ...extent };
  if (node.kind !== "path") throw new Refusal("TYPE", node.start, "exists needs a path", ["event"]);
  return { kind: "exists", path: node.path, ...extent };
}

function testOf(name: FunctionName, node: Node): Node {
  if (mayBe("boolean", node)) return node;
  const message = `the second argument of ${name} is a condition over item; this can never be true`;
  throw new Refusal("TYPE", node.start, message, ["condition"]);
}

/** UTC without an argument. */
function zoneOf(name: FunctionName, node: Node | undefined): string {
  if (node === undefined) return "UTC";
  if (node.kind === "literal" && typeof node.value === "string" && isTimezone(node.value)) return node.value;
  const message = `${name} takes the name of a time zone as a string literal, such as 'Europe/Berlin'`;
  throw new Refusal("TYPE", node.start, message, ["string"]);
}

function matchesOf(subject: Node, literal: Node, extent: Extent): Node {
  return { kind: "matches", subject, pattern: patternOf(literal), patternAt: literal.start, ...extent };
}

/** `checkPatterns` compiles the pattern later. */
function patternOf({ start, ...node }: Node): Pattern {
  if (node.kind !== "literal" || typeof node.value !== "string") {
    throw new Refusal("TYPE", start, "the pattern of matches must be a string literal", ["string"]);
  }
  if (unitsOfCodePoints(node.value, LIMITS.patternCharacters) !== -1) {
    throw new Refusal("LIMIT", start, `a pattern has at most ${LIMITS.patternCharacters} characters`);
  }
  return new Pattern(node.value);
}

function argument(args: readonly Node[], index: number): Node {
  const node = args[index];
  if (node === undefined) throw new TypeError(`argument ${index} was counted but is not there`);
  return node;
}

/**
 * One step of expr-eval's postfix form. `value` of an `expression` is a branch that may be skipped:
 * the right side of `and` and `or`, the two sides of `? :`.
 */
type Instruction =
  | { readonly type: "IVAR"; readonly value: string }
  | { readonly type: "IOP1" | "IOP2" | "IOP3"; readonly value: string }
  | { readonly type: "IFUNCALL" | "IARRAY"; readonly value: number }
  | { readonly type: "IEXPR"; readonly value: readonly Instruction[] };

const UNARY = ["-", "not"];
const parser = makeParser();

/**
 * Converts the operands and operators of a checked sequence to postfix order with expr-eval.
 * @param spelling words separated by spaces; every operand is a plain variable, so no text of a
 * rule's author reaches expr-eval.
 */
function orderByPrecedence(spelling: string): readonly Instruction[] {
  const expression = parser.parse(spelling) as unknown as { readonly tokens: readonly Instruction[] };
  return expression.tokens;
}

function makeParser(): Parser {
  const made = new Parser({
    operators: { assignment: false, fndef: false, concatenate: false, factorial: false, power: false },
  });
  // The parser looks names up in these tables with `in`. The default ones are plain objects with
  // many names (`sin`, `length`, `PI`, and everything inherited), each of which would be read as an
  // operator or a constant.
  return Object.assign(made, {
    unaryOps: table(UNARY),
    binaryOps: table([...BINARY]),
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

// Only the names count: expr-eval parses and never evaluates.
function neverCalled(): never {
  throw new TypeError("the evaluator of expr-eval is not in use");
}
