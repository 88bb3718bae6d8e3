import assert from "node:assert/strict";
import { test } from "node:test";
import { Parser, type Values } from "expr-eval";
import fc from "fast-check";
import { compileCondition } from "../../../../src/features/rules/language/language.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { SEED } from "./support/arbitraries.ts";
import { type Ast, type BinaryOperator, print } from "./support/ast.ts";
import { makeEvent } from "./support/event.ts";

// The subset that means the same to expr-eval's own evaluator: members that are there, numbers that
// stay finite, operands of `and`, `or`, `not` that are booleans, no null, no decimals, no functions
// of ours. `==` is JavaScript's === in both.
const PAYLOAD = {
  zero: 0,
  one: 1,
  two: 2,
  half: 0.5,
  big: 1e6,
  text: "b",
  other: "a",
  yes: true,
  no: false,
  nested: { deep: 7 },
};

const number = fc.oneof(
  fc.constantFrom("zero", "one", "two", "half", "big").map(path),
  fc.constant<Ast>({ kind: "path", segments: ["payload", "nested", "deep"] }),
  fc.nat(20).map(literal),
);
const text = fc.oneof(fc.constantFrom("text", "other").map(path), fc.constantFrom("a", "b", "").map(literal));
const flag = fc.oneof(fc.constantFrom("yes", "no").map(path), fc.boolean().map(literal));

const { condition } = fc.letrec<{ sum: Ast; condition: Ast }>((tie) => ({
  sum: fc.oneof(
    { maxDepth: 4 },
    number,
    binary(["+", "-", "*"], tie("sum"), tie("sum")),
    binary(["/", "%"], tie("sum"), fc.constantFrom(1, 2, 3, 7).map(literal)),
    tie("sum").map((operand): Ast => ({ kind: "unary", operator: "-", operand })),
    choice(tie("condition"), tie("sum"), tie("sum")),
  ),
  condition: fc.oneof(
    { maxDepth: 4 },
    binary(["==", "!=", "<", "<=", ">", ">="], tie("sum"), tie("sum")),
    binary(["==", "!="], text, text),
    binary(["==", "!="], text, number),
    binary(
      ["in"],
      number,
      fc.array(number, { maxLength: 4 }).map((items): Ast => ({ kind: "list", items })),
    ),
    flag,
    binary(["and", "or"], tie("condition"), tie("condition")),
    tie("condition").map((operand): Ast => ({ kind: "unary", operator: "not", operand })),
    choice(tie("condition"), tie("condition"), tie("condition")),
  ),
}));

test("S2-124 on the common subset a condition decides as expr-eval's own evaluator does", (t) => {
  keepsPromise(t, ["S2-106", "S2-124"]);
  const parser = new Parser();
  const event = makeEvent({ payload: PAYLOAD });
  const values = { event: { payload: PAYLOAD } } as unknown as Values;
  let matched = 0;
  fc.assert(
    fc.property(condition, (ast) => {
      const source = print(ast);
      const expected = parser.evaluate(source, values as never) as unknown;
      assert.equal(compileCondition(source).test(event), expected, source);
      matched += expected === true ? 1 : 0;
    }),
    { seed: SEED, numRuns: 5000 },
  );
  assert.ok(matched > 1000 && matched < 4500, `both outcomes must be common: ${matched}`);
});

test("S2-124 expr-eval's words, constants and functions are cleared", (t) => {
  keepsPromise(t, "S2-124");
  const { consts, functions, unaryOps } = new Parser();
  const names = [...Object.keys(consts), ...Object.keys(functions), ...Object.keys(unaryOps)].filter((name) =>
    /^[a-z]/i.test(name),
  );
  assert.ok(names.length > 50, "the library must still have them");
  const ours = ["true", "false", "not", "length", "min", "max", "abs", "ceil", "floor", "round", "if"];
  for (const name of names.filter((each) => !ours.includes(each))) {
    assert.throws(() => compileCondition(`${name} == 1`), { code: "INVALID_CONDITION" }, name);
    assert.throws(() => compileCondition(`${name}(1) == 1`), { code: "INVALID_CONDITION" }, name);
    assert.throws(() => compileCondition(`${name} event.a == 1`), { code: "INVALID_CONDITION" }, name);
    assert.equal(compileCondition(`event.${name} == null`).test(makeEvent()), true, name);
  }
});

function path(member: string): Ast {
  return { kind: "path", segments: ["payload", member] };
}

function literal(value: string | number | boolean): Ast {
  return { kind: "literal", value };
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

function choice(
  condition: fc.Arbitrary<Ast>,
  chosen: fc.Arbitrary<Ast>,
  otherwise: fc.Arbitrary<Ast>,
): fc.Arbitrary<Ast> {
  return fc
    .tuple(condition, chosen, otherwise)
    .map(([a, b, c]): Ast => ({ kind: "choice", condition: a, chosen: b, otherwise: c }));
}
