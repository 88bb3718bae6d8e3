import fc from "fast-check";
import type { RuleEvent } from "../../../../../src/features/rules/language/language.ts";
import type { Ast, BinaryOperator, Comparison, Spelling } from "./ast.ts";
import { makeEvent } from "./event.ts";

/** Every property of this folder runs from one seed: a red run is red again. */
export const SEED = Number(process.env["TEST_SEED"] ?? 20_260_131);

// Small pools, so that what a condition asks for is often what an event has.
const STRINGS = [
  "",
  "a",
  "ab",
  "A",
  "eu",
  "ok",
  "1",
  "1.50",
  "-0.0001",
  "1e3",
  "payment",
  "2026-01-31T08:15:00.25Z",
  "\u{1f600}",
  "\ue000",
  "é",
];
const NUMBERS = [0, 1, 2, 5, 0.1, 0.0001, 0.00001, 1.5, 1500, 1e15, 1e21, 123456789.1234];
const ENVELOPE = ["payload", "type", "source", "occurredAt", "level"];
const MEMBERS = ["a", "b", "tags", "amount", "length", "in", "type", "with space"];

const string = fc.oneof(fc.constantFrom(...STRINGS), fc.string({ unit: "grapheme", maxLength: 4 }));
const number = fc.oneof(
  fc.constantFrom(...NUMBERS),
  fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }),
  fc.nat(),
);
const literal: fc.Arbitrary<Ast> = fc
  .oneof(fc.constant(null), fc.boolean(), number, string)
  .map((value): Ast => ({ kind: "literal", value: Object.is(value, -0) ? 0 : value }));

const segment = fc.oneof(fc.constantFrom(...MEMBERS), fc.nat(3));
const path: fc.Arbitrary<Ast> = fc
  .tuple(fc.constantFrom(...ENVELOPE, ...MEMBERS), fc.array(segment, { maxLength: 2 }))
  .map(([first, rest]): Ast => ({ kind: "path", segments: [first, ...rest] }));

const literals = fc.array(literal, { maxLength: 4 }).map((items): Ast => ({ kind: "list", items }));

const ONE: readonly string[] = [
  "lower",
  "upper",
  "trim",
  "length",
  "abs",
  "round",
  "floor",
  "ceil",
  "number",
  "string",
  "dec",
  "time",
];
const TWO_BOOLEAN: readonly string[] = ["contains", "startsWith", "endsWith"];
const MANY: readonly string[] = ["concat", "min", "max", "coalesce"];
const PATTERNS = ["a", "^a", "[0-9]+$", "(?i)EU", "^.$", "", "\\.", "a|b"];
const COMPARISONS: readonly Comparison[] = ["==", "!=", "<", "<=", ">", ">="];
const ARITHMETIC: readonly BinaryOperator[] = ["+", "-", "*", "/", "%"];

const { condition } = fc.letrec<{ value: Ast; test: Ast; condition: Ast }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthIdentifier: "ast" },
    { arbitrary: path, weight: 4 },
    { arbitrary: literal, weight: 3 },
    { arbitrary: fc.array(tie("value"), { maxLength: 3 }).map((items): Ast => ({ kind: "list", items })), weight: 1 },
    { arbitrary: binary(ARITHMETIC, tie("value"), tie("value")), weight: 1 },
    { arbitrary: tie("value").map((operand): Ast => ({ kind: "unary", operator: "-", operand })), weight: 1 },
    { arbitrary: call(ONE, fc.tuple(tie("value"))), weight: 2 },
    { arbitrary: call(MANY, fc.array(tie("value"), { minLength: 1, maxLength: 3 })), weight: 1 },
    { arbitrary: call(["split"], fc.tuple(tie("value"), tie("value"))), weight: 1 },
    { arbitrary: call(["substr"], fc.tuple(tie("value"), literal, literal)), weight: 1 },
    { arbitrary: choice(tie("condition"), tie("value"), tie("value")), weight: 1 },
    { arbitrary: call(["if"], fc.tuple(tie("condition"), tie("value"), tie("value"))), weight: 1 },
    { arbitrary: fc.constant<Ast>({ kind: "call", name: "now", args: [] }), weight: 1 },
    { arbitrary: quantifier(["count"], tie("value"), tie("condition")), weight: 1 },
    { arbitrary: tie("test"), weight: 1 },
  ),
  // Gives a boolean and is no comparison: those cannot be compared again.
  test: fc.oneof(
    { maxDepth: 4, depthIdentifier: "ast" },
    { arbitrary: call(["exists"], fc.tuple(path)), weight: 1 },
    { arbitrary: binary(["and", "or"], tie("condition"), tie("condition")), weight: 5 },
    { arbitrary: tie("condition").map((operand): Ast => ({ kind: "unary", operator: "not", operand })), weight: 2 },
    { arbitrary: call(TWO_BOOLEAN, fc.tuple(tie("value"), tie("value"))), weight: 2 },
    { arbitrary: call(["startsWith"], fc.tuple(path, literal)), weight: 1 },
    { arbitrary: call(["matches"], fc.tuple(tie("value"), pattern())), weight: 1 },
    { arbitrary: choice(tie("condition"), tie("condition"), tie("value")), weight: 1 },
    { arbitrary: quantifier(["any", "all"], tie("value"), tie("condition")), weight: 2 },
  ),
  condition: fc.oneof(
    { maxDepth: 4, depthIdentifier: "ast" },
    { arbitrary: binary(COMPARISONS, path, literal), weight: 6 },
    { arbitrary: binary(COMPARISONS, tie("value"), tie("value")), weight: 6 },
    { arbitrary: binary(["in"], tie("value"), tie("value")), weight: 2 },
    { arbitrary: binary(["in"], path, literals), weight: 2 },
    { arbitrary: tie("test"), weight: 10 },
    { arbitrary: path.filter(mayBeBoolean), weight: 1 },
  ),
}));

export { condition };

/** `any(list, condition)`: paths of the condition that begin with `a` mean the element. */
function quantifier(names: readonly string[], list: fc.Arbitrary<Ast>, each: fc.Arbitrary<Ast>): fc.Arbitrary<Ast> {
  const path = fc.constantFrom<Ast>({ kind: "path", segments: ["tags"] }, { kind: "path", segments: ["a"] });
  return call(names, fc.tuple(fc.oneof(path, list), each.map(bindItem)));
}

function bindItem(ast: Ast): Ast {
  switch (ast.kind) {
    case "path":
      return ast.segments[0] === "a" ? { kind: "item", segments: ast.segments.slice(1) } : ast;
    case "list":
      return { ...ast, items: ast.items.map(bindItem) };
    case "call":
      return { ...ast, args: ast.args.map(bindItem) };
    case "unary":
      return { ...ast, operand: bindItem(ast.operand) };
    case "binary":
      return { ...ast, left: bindItem(ast.left), right: bindItem(ast.right) };
    case "choice": {
      const { condition, chosen, otherwise } = ast;
      return {
        ...ast,
        condition: bindItem(condition),
        chosen: bindItem(chosen),
        otherwise: bindItem(otherwise),
      };
    }
    default:
      return ast;
  }
}

/** The envelope has no booleans, and a condition that can be none is refused. */
function mayBeBoolean(ast: Ast): boolean {
  return (
    ast.kind === "path" &&
    (ENVELOPE.includes(String(ast.segments[0])) === false || (ast.segments[0] === "payload" && ast.segments.length > 1))
  );
}

function binary(
  operators: readonly BinaryOperator[],
  left: fc.Arbitrary<Ast>,
  right: fc.Arbitrary<Ast>,
): fc.Arbitrary<Ast> {
  return fc
    .tuple(fc.constantFrom(...operators), left, right)
    .map(([operator, a, b]): Ast => ({ kind: "binary", operator, left: a, right: b }));
}

function call(names: readonly string[], args: fc.Arbitrary<readonly Ast[]>): fc.Arbitrary<Ast> {
  return fc.tuple(fc.constantFrom(...names), args).map(([name, given]): Ast => ({ kind: "call", name, args: given }));
}

function choice(
  ...[condition, chosen, otherwise]: readonly [fc.Arbitrary<Ast>, fc.Arbitrary<Ast>, fc.Arbitrary<Ast>]
): fc.Arbitrary<Ast> {
  return fc
    .tuple(condition, chosen, otherwise)
    .map(([a, b, c]): Ast => ({ kind: "choice", condition: a, chosen: b, otherwise: c }));
}

function pattern(): fc.Arbitrary<Ast> {
  return fc.constantFrom(...PATTERNS).map((text): Ast => ({ kind: "literal", value: text }));
}

export const spelling: fc.Arbitrary<Spelling> = fc.record({
  and: fc.constantFrom("and", "&&"),
  or: fc.constantFrom("or", "||"),
  not: fc.constantFrom("not ", "!"),
  quote: fc.constantFrom("'", '"'),
  brackets: fc.boolean(),
  space: fc.constantFrom(" ", "\n\t"),
});

/** JSON text, with the keys and numbers that JSON.parse makes something odd of. */
const { json } = fc.letrec<{ json: string }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 3, depthIdentifier: "json" },
    {
      arbitrary: fc.oneof(string, number, fc.boolean(), fc.constant(null)).map((made) => JSON.stringify(made)),
      weight: 6,
    },
    { arbitrary: fc.constantFrom("1e999", "-1e999", "-0", "-5", "-1.5"), weight: 1 },
    { arbitrary: fc.array(tie("json"), { maxLength: 3 }).map((items) => `[${items.join(",")}]`), weight: 2 },
    { arbitrary: object(tie("json"), 3), weight: 2 },
  ),
}));

function object(member: fc.Arbitrary<string>, maxLength: number): fc.Arbitrary<string> {
  const key = fc.constantFrom(...MEMBERS, "__proto__", "constructor", "valueOf");
  return fc
    .array(fc.tuple(key, member), { maxLength })
    .map((members) => `{${members.map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(",")}}`);
}

export const event: fc.Arbitrary<RuleEvent> = fc
  .record({
    payload: object(json, 6).map((text): Record<string, unknown> => JSON.parse(text)),
    type: fc.constantFrom("payment", "a", "ab", "ok"),
    source: fc.constantFrom(null, "eu", "shop"),
    projectId: fc.constantFrom("default", "p1", "p2"),
  })
  .map(makeEvent);
