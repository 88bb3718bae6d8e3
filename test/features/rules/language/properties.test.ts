import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compileCondition, type RuleEvent } from "../../../../src/features/rules/language/language.ts";
import { condition, event, SEED, spelling } from "./support/arbitraries.ts";
import { type Ast, print } from "./support/ast.ts";
import { evaluate } from "./support/naive-evaluator.ts";
import { Decimal, type NaiveValue } from "./support/naive-values.ts";
import { canonical, parseAst } from "./support/parse-ast.ts";

test("a condition printed and parsed again is equal, in every spelling", () => {
  fc.assert(
    fc.property(condition, spelling, (ast, how) => {
      assert.deepEqual(parseAst(print(ast, how)), canonical(ast));
    }),
    { seed: SEED, numRuns: 3000 },
  );
});

test("S2-27 a compiled condition decides as the contract's tables do", () => {
  let matched = 0;
  fc.assert(
    fc.property(condition, fc.array(event, { minLength: 4, maxLength: 4 }), (ast, events) => {
      const compiled = compileCondition(print(ast));
      for (const each of events) {
        const expected = evaluate(ast, each) === true;
        matched += expected ? 1 : 0;
        assert.equal(compiled.test(each), expected, print(ast));
      }
    }),
    { seed: SEED, numRuns: 8000 },
  );
  assert.ok(matched > 1000, `the events must say something about the conditions: ${matched} matches`);
});

test("a trace decides as the condition does and shows the value of each path it names", () => {
  fc.assert(
    fc.property(condition, event, (ast, each) => {
      const compiled = compileCondition(print(ast));
      const { matched, trace } = compiled.trace(each);
      assert.equal(matched, compiled.test(each));
      const values = valuesByText(ast, each);
      for (const { text, value, item } of trace) {
        // Within a list the value is that of one element.
        if (item !== undefined) continue;
        // Long texts, lists and objects are abridged in a trace.
        if (!text.endsWith("…") && (typeof value !== "object" || value === null))
          assert.equal(value, values.get(text), text);
      }
    }),
    { seed: SEED, numRuns: 1500 },
  );
});

/** What every part of `ast` is worth, by the text it is printed as. */
function valuesByText(ast: Ast, each: RuleEvent): ReadonlyMap<string, unknown> {
  const values = new Map<string, unknown>();
  const visit = (part: Ast): void => {
    values.set(print(part), shown(evaluate(part, each)));
    for (const child of childrenOf(part)) visit(child);
  };
  visit(ast);
  return values;
}

function shown(value: NaiveValue): unknown {
  return value instanceof Decimal ? value.toString() : value;
}

function childrenOf(ast: Ast): readonly Ast[] {
  switch (ast.kind) {
    case "list":
      return ast.items;
    case "call":
      return ast.args;
    case "unary":
      return [ast.operand];
    case "binary":
      return [ast.left, ast.right];
    case "choice":
      return [ast.condition, ast.chosen, ast.otherwise];
    default:
      return [];
  }
}
