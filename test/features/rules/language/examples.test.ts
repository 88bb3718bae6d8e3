import assert from "node:assert/strict";
import { test } from "node:test";
import { compileCondition } from "../../../../src/features/rules/language/language.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { makeEvent, withPayload } from "./support/event.ts";

interface Case {
  readonly source: string;
  readonly result: boolean;
}

// Every row of the table of examples in contract 6.3, with its event.
for (const { source, result } of [
  { source: "event.type == 'payment' && event.amount > 1000", result: true },
  { source: 'event.payload.status != "ok"', result: true },
  { source: 'event.payload.missing != "ok"', result: false },
  { source: 'not (event.payload.missing == "ok")', result: true },
  { source: "event.missing == null", result: true },
  { source: "exists(event.missing)", result: false },
  { source: 'event.amount == "1500"', result: false },
  { source: "'eu' in event.tags and not ('us' in event.tags)", result: true },
  { source: "dec(event.amountText) >= dec('1500.1')", result: true },
  { source: "event.amount / 0 > 1", result: false },
  { source: "1 == 1 || event.x.y.z > 1", result: true },
] satisfies Case[]) {
  test(`the contract's example ${source} is ${result}`, () => {
    assert.equal(compileCondition(source).test(makeEvent()), result);
  });
}

test("S2-61 the operators == != > < >= <= && || compare and combine", (t) => {
  keepsPromise(t, "S2-61");
  const event = withPayload('{"five":5,"six":6,"text":"b"}');
  for (const { source, result } of [
    { source: "event.five == 5", result: true },
    { source: "event.five == 6", result: false },
    { source: "event.five != 6", result: true },
    { source: "event.five != 5", result: false },
    { source: "event.six > 5", result: true },
    { source: "event.five > 5", result: false },
    { source: "event.five < 6", result: true },
    { source: "event.five < 5", result: false },
    { source: "event.five >= 5", result: true },
    { source: "event.five >= 6", result: false },
    { source: "event.five <= 5", result: true },
    { source: "event.six <= 5", result: false },
    { source: "event.five == 5 && event.six == 6", result: true },
    { source: "event.five == 5 && event.six == 5", result: false },
    { source: "event.five == 6 || event.six == 6", result: true },
    { source: "event.five == 6 || event.six == 5", result: false },
    { source: "event.text == 'b' && event.text > 'a' && event.text <= 'b'", result: true },
  ] satisfies Case[]) {
    assert.equal(compileCondition(source).test(event), result, source);
  }
});

const VALUES = ["true", "false", "null"] as const;
const TRUTH: readonly (readonly [a: string, b: string, and: boolean, or: boolean, not: boolean])[] = [
  ["true", "true", true, true, false],
  ["true", "false", false, true, false],
  ["true", "null", false, true, false],
  ["false", "true", false, true, true],
  ["false", "false", false, false, true],
  ["false", "null", false, false, true],
  ["null", "true", false, true, true],
  ["null", "false", false, false, true],
  ["null", "null", false, false, true],
];

test("the truth table has a row for each pair", () => {
  assert.equal(TRUTH.length, VALUES.length ** 2);
});

for (const [a, b, and, or, not] of TRUTH) {
  test(`with a ${a} and b ${b}, and is ${and}, or is ${or}, not a is ${not}`, () => {
    const event = withPayload(`{"a":${a},"b":${b}}`);
    for (const [left, right] of [
      ["event.a", "event.b"],
      [a, b],
    ]) {
      assert.equal(compileCondition(`${left} and ${right}`).test(event), and);
      assert.equal(compileCondition(`${left} && ${right}`).test(event), and);
      assert.equal(compileCondition(`${left} or ${right}`).test(event), or);
      assert.equal(compileCondition(`${left} || ${right}`).test(event), or);
      assert.equal(compileCondition(`not ${left}`).test(event), not);
      assert.equal(compileCondition(`!${left}`).test(event), not);
    }
  });
}

test("only true is true in a logical place", () => {
  const event = withPayload('{"one":1,"text":"true","list":[true],"object":{"a":true},"yes":true}');
  for (const part of ["event.one", "event.text", "event.list", "event.object", "1", "'true'", "[true]"]) {
    assert.equal(compileCondition(`${part} and true`).test(event), false, part);
    assert.equal(compileCondition(`${part} or false`).test(event), false, part);
    assert.equal(compileCondition(`not ${part}`).test(event), true, part);
    assert.equal(compileCondition(`${part} ? false : true`).test(event), true, part);
  }
  assert.equal(compileCondition("event.yes").test(event), true);
  assert.equal(compileCondition("event.one or event.yes").test(event), true);
});

test("operators bind as the contract ranks them", () => {
  for (const [source, result] of [
    ["true or false and false", true],
    ["(true or false) and false", false],
    ["not false and false", false],
    ["not (false and false)", true],
    ["not not true", true],
    ["1 + 2 * 3 == 7", true],
    ["(1 + 2) * 3 == 9", true],
    ["10 - 2 - 3 == 5", true],
    ["8 / 4 / 2 == 1", true],
    ["7 % 4 * 2 == 6", true],
    ["-2 * -3 == 6", true],
    ["--2 == 2", true],
    ["2 - -2 == 4", true],
    ["1 + 1 in [2]", true],
    ["1 < 2 and 2 < 3", true],
    ["false ? false : true", true],
    ["true ? false ? false : true : false", true],
    ["false ? false : false ? false : true", true],
    ["true or true ? false : true", false],
    ["(true and false) or true", true],
  ] as const) {
    assert.equal(compileCondition(source).test(makeEvent()), result, source);
  }
});

test("and, or and choices leave out what does not count", () => {
  // Evaluating the second side would pass the budget for strings.
  const event = makeEvent({ payload: { big: "x".repeat(200_000) } });
  const costly = `length(concat(${Array.from({ length: 8 }, () => "event.big").join(",")})) > 0`;
  assert.throws(() => compileCondition(costly).test(event));
  for (const [source, result] of [
    [`false and ${costly}`, false],
    [`true or ${costly}`, true],
    [`true and true and false and ${costly}`, false],
    [`false ? ${costly} : true`, true],
    [`if(true, true, ${costly})`, true],
    [`coalesce(true, ${costly})`, true],
  ] as const) {
    assert.equal(compileCondition(source).test(event), result, source);
  }
});
