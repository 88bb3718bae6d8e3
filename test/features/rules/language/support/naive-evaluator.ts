import type { RuleEvent } from "../../../../../src/features/rules/language/language.ts";
import type { Ast, BinaryOperator } from "./ast.ts";
import { callFunction } from "./naive-functions.ts";
import { compare, Decimal, equals, isNumber, type NaiveValue } from "./naive-values.ts";

/**
 * The language read off the contract's tables (6.2, 6.3), as plainly as can be and without a
 * thought of speed: what the compiled closures are compared with.
 */
export function evaluate(ast: Ast, event: RuleEvent, item?: unknown): NaiveValue {
  switch (ast.kind) {
    case "literal":
      return ast.value;
    case "path":
      return readPath(ast.segments, event).value;
    case "item":
      return walk(item, ast.segments).value;
    case "list":
      return ast.items.map((element) => evaluate(element, event, item));
    case "unary": {
      const operand = evaluate(ast.operand, event, item);
      if (ast.operator === "not") return operand !== true;
      if (operand instanceof Decimal) return new Decimal(-operand.digits, operand.places);
      return isNumber(operand) ? -operand : null;
    }
    case "choice":
      return evaluate(evaluate(ast.condition, event, item) === true ? ast.chosen : ast.otherwise, event, item);
    case "binary":
      return evaluateBinary(ast, event, item);
    case "call":
      return evaluateCall(ast, event, item);
  }
}

function evaluateBinary(
  { operator, left, right }: Extract<Ast, { kind: "binary" }>,
  event: RuleEvent,
  item: unknown,
): NaiveValue {
  const a = evaluate(left, event, item);
  const b = evaluate(right, event, item);
  switch (operator) {
    case "and":
      return a === true && b === true;
    case "or":
      return a === true || b === true;
    case "in":
      return a !== null && Array.isArray(b) && b.some((element) => equals(a, element));
    case "+":
    case "-":
    case "*":
    case "/":
    case "%":
      return arithmetic(operator, a, b);
    default: {
      const isNullTest = isNull(left) || isNull(right);
      if (isNullTest && operator === "==") return a === null && b === null;
      if (isNullTest && operator === "!=") return a !== null || b !== null;
      if (a === null || b === null) return false;
      if (operator === "==") return equals(a, b);
      if (operator === "!=") return !equals(a, b);
      const order = compare(a, b);
      if (order === undefined) return false;
      return { "<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0 }[operator];
    }
  }
}

function isNull(ast: Ast): boolean {
  return ast.kind === "literal" && ast.value === null;
}

function arithmetic(operator: BinaryOperator, a: NaiveValue, b: NaiveValue): NaiveValue {
  if (a instanceof Decimal || b instanceof Decimal) return exactArithmetic(operator, exact(a), exact(b));
  if (!isNumber(a) || !isNumber(b)) return null;
  if ((operator === "/" || operator === "%") && b === 0) return null;
  const results: Partial<Record<BinaryOperator, number>> = {
    "+": a + b,
    "-": a - b,
    "*": a * b,
    "/": a / b,
    "%": a % b,
  };
  const result = results[operator];
  return result !== undefined && Number.isFinite(result) ? result : null;
}

function exact(value: NaiveValue): Decimal | null {
  if (value instanceof Decimal) return value;
  const made = isNumber(value) ? Decimal.parse(String(value)) : null;
  return made?.fits() ? made : null;
}

function exactArithmetic(operator: BinaryOperator, a: Decimal | null, b: Decimal | null): NaiveValue {
  if (a === null || b === null || !["+", "-", "*"].includes(operator)) return null;
  const places = Math.max(a.places, b.places);
  const left = a.digits * 10n ** BigInt(places - a.places);
  const right = b.digits * 10n ** BigInt(places - b.places);
  const made =
    operator === "*"
      ? new Decimal(a.digits * b.digits, a.places + b.places)
      : new Decimal(operator === "+" ? left + right : left - right, places);
  return made.fits() ? made : null;
}

function evaluateCall({ name, args }: Extract<Ast, { kind: "call" }>, event: RuleEvent, item: unknown): NaiveValue {
  const [first, second] = args;
  if (name === "now") return event.receivedAt;
  if (name === "exists" && first?.kind === "item") return walk(item, first.segments).isPresent;
  if (first && second && ["any", "all", "count"].includes(name)) {
    const list = evaluate(first, event, item);
    if (!Array.isArray(list)) return name === "count" ? null : false;
    const count = list.filter((element) => evaluate(second, event, element) === true).length;
    return name === "count" ? count : name === "any" ? count > 0 : count === list.length;
  }
  if (name === "exists") return first?.kind === "path" && readPath(first.segments, event).isPresent;
  const values = args.map((arg) => evaluate(arg, event, item));
  if (name === "if") return values[0] === true ? (values[1] ?? null) : (values[2] ?? null);
  return callFunction(name, values);
}

const ENVELOPE = ["id", "type", "source", "level", "projectId", "occurredAt", "receivedAt", "payload", "correlationId"];

function readPath(segments: readonly (string | number)[], event: RuleEvent): { value: NaiveValue; isPresent: boolean } {
  const envelope: Record<string, unknown> = {
    ...event,
    occurredAt: new Date(event.occurredAt).toISOString(),
    receivedAt: new Date(event.receivedAt).toISOString(),
  };
  const steps = ENVELOPE.includes(String(segments[0])) ? segments : ["payload", ...segments];
  return walk(envelope, steps);
}

function walk(
  from: unknown,
  steps: readonly (string | number)[],
): { readonly value: NaiveValue; readonly isPresent: boolean } {
  let current = from ?? null;
  for (const step of steps) {
    const isIndex = typeof step === "number";
    if (step === "length" && (typeof current === "string" || Array.isArray(current))) current = current.length;
    else if (Array.isArray(current) && isIndex && step < current.length) current = current[step];
    else if (typeof current === "object" && current !== null && !Array.isArray(current) && !isIndex) {
      const member = Object.getOwnPropertyDescriptor(current, step);
      if (member === undefined) return { value: null, isPresent: false };
      current = member.value;
    } else return { value: null, isPresent: false };
  }
  return { value: fromJson(current), isPresent: true };
}

/** A number JSON cannot write is stored as null. */
function fromJson(value: unknown): NaiveValue {
  if (typeof value === "number" && !Number.isFinite(value)) return null;
  if (Array.isArray(value)) return value.map(fromJson);
  return value as NaiveValue;
}
