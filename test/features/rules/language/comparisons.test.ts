import assert from "node:assert/strict";
import { test } from "node:test";
import { compileCondition, type RuleEvent } from "../../../../src/features/rules/language/language.ts";
import { withPayload } from "./support/event.ts";

const OPERATORS = ["==", "!=", "<", ">", "<=", ">="] as const;

type Results = Readonly<Record<(typeof OPERATORS)[number], boolean>>;

const NEVER: Results = { "==": false, "!=": false, "<": false, ">": false, "<=": false, ">=": false };
const UNLIKE: Results = { ...NEVER, "!=": true };
const EQUAL: Results = { "==": true, "!=": false, "<": false, ">": false, "<=": true, ">=": true };
const LESS: Results = { "==": false, "!=": true, "<": true, ">": false, "<=": true, ">=": false };
const SAME_WITHOUT_ORDER: Results = { ...NEVER, "==": true };

const EVENT = withPayload(`{
  "none": null, "yes": true, "no": false, "one": 1, "two": 2, "text": "b", "less": "a", "digits": "5", "five": 5,
  "list": [1], "sameList": [1], "object": {"a": 1}, "price": "0.10", "tenth": 0.1, "composed": "\u00e9", "decomposed": "e\u0301",
  "high": "\u{10000}", "private": "\ue000", "empty": "", "zero": 0, "minusZero": -0, "huge": 1e999
}`);

interface Case {
  readonly name: string;
  readonly left: string;
  readonly right: string;
  readonly results: Results;
}

// Every row of the table of operands in contract 6.3, with both sides as paths, as literals and
// mixed where both are possible.
const CASES: readonly Case[] = [
  { name: "a null value and a number", left: "event.none", right: "1", results: NEVER },
  { name: "a missing value and a number", left: "event.missing", right: "event.one", results: NEVER },
  { name: "a number and a missing value", left: "1", right: "event.missing", results: NEVER },
  { name: "a missing value and a string", left: "event.missing", right: "'b'", results: NEVER },
  { name: "a missing value and a boolean", left: "event.missing", right: "false", results: NEVER },
  { name: "two missing values", left: "event.missing", right: "event.alsoMissing", results: NEVER },
  { name: "a null value and a list", left: "event.none", right: "event.list", results: NEVER },
  { name: "a null result and a number", left: "event.one / 0", right: "0", results: NEVER },
  { name: "an invalid decimal and a number", left: "dec('x')", right: "0", results: NEVER },
  { name: "a number JSON cannot write and a number", left: "event.huge", right: "1", results: NEVER },

  { name: "a missing path and the null literal", left: "event.missing", right: "null", results: SAME_WITHOUT_ORDER },
  { name: "a null path and the null literal", left: "event.none", right: "null", results: SAME_WITHOUT_ORDER },
  { name: "the null literal and a missing path", left: "null", right: "event.missing", results: SAME_WITHOUT_ORDER },
  {
    name: "a null result and the null literal",
    left: "lower(event.one)",
    right: "(null)",
    results: SAME_WITHOUT_ORDER,
  },
  { name: "a number and the null literal", left: "event.one", right: "null", results: UNLIKE },
  { name: "the null literal and a literal", left: "null", right: "5", results: UNLIKE },
  { name: "false and the null literal", left: "event.no", right: "null", results: UNLIKE },
  { name: "an empty string and the null literal", left: "event.empty", right: "null", results: UNLIKE },
  { name: "a list and the null literal", left: "event.list", right: "null", results: UNLIKE },
  { name: "an object and the null literal", left: "event.object", right: "null", results: UNLIKE },
  { name: "the null literal and the null literal", left: "null", right: "null", results: SAME_WITHOUT_ORDER },

  { name: "equal numbers", left: "event.one", right: "1", results: EQUAL },
  { name: "equal numbers in two notations", left: "1e0", right: "event.one", results: EQUAL },
  { name: "a smaller and a larger number", left: "event.one", right: "event.two", results: LESS },
  { name: "a negative literal and a number", left: "-1", right: "event.one", results: LESS },
  { name: "0 and -0", left: "event.zero", right: "event.minusZero", results: EQUAL },

  { name: "equal decimals", left: "dec('0.1')", right: "dec(event.price)", results: EQUAL },
  { name: "a smaller and a larger decimal", left: "dec('0.0999')", right: "dec(event.price)", results: LESS },
  {
    name: "a decimal and its number, by its shortest form",
    left: "dec(event.price)",
    right: "event.tenth",
    results: EQUAL,
  },
  { name: "a number and its decimal", left: "0.1", right: "dec(event.price)", results: EQUAL },
  { name: "a decimal and a whole number", left: "dec('1.0000')", right: "event.one", results: EQUAL },
  { name: "a decimal and a slightly larger number", left: "dec(event.price)", right: "0.10001", results: LESS },
  {
    name: "a decimal and a number beyond every decimal",
    left: "dec('999999999999999.9999')",
    right: "1e23",
    results: LESS,
  },
  {
    name: "a number below every decimal and a decimal",
    left: "-1e300",
    right: "dec('-999999999999999.9999')",
    results: LESS,
  },
  { name: "a tiny number and a decimal", left: "5e-324", right: "dec('0.0001')", results: LESS },
  { name: "a decimal and a string of the same digits", left: "dec('0.10')", right: "event.price", results: UNLIKE },
  {
    name: "decimals a double cannot tell apart",
    left: "dec('900719925474099.1')",
    right: "dec('900719925474099.1001')",
    results: LESS,
  },

  { name: "equal strings", left: "event.text", right: "'b'", results: EQUAL },
  { name: "a smaller and a larger string", left: "event.less", right: "event.text", results: LESS },
  { name: "a string and one it begins", left: "'b'", right: "'ba'", results: LESS },
  { name: "an empty string and another", left: "event.empty", right: "event.text", results: LESS },
  {
    name: "strings that differ in normalisation only",
    left: "event.decomposed",
    right: "event.composed",
    results: LESS,
  },
  { name: "U+E000 and U+10000, by code point", left: "event.private", right: "event.high", results: LESS },
  { name: "the same as literals", left: "'\\ue000'", right: "event.high", results: LESS },
  { name: "U+10000 and U+10001", left: "event.high", right: "'\\ud800\\udc01'", results: LESS },
  { name: "a lone surrogate and the pair it begins", left: "'\\ud800'", right: "event.high", results: LESS },
  { name: "a lone surrogate before U+E000 and a pair", left: "'\\ud800\\ue000'", right: "event.high", results: LESS },

  { name: "equal booleans", left: "event.yes", right: "true", results: SAME_WITHOUT_ORDER },
  { name: "unequal booleans", left: "event.no", right: "event.yes", results: UNLIKE },

  { name: "a number and the string of its digits", left: "event.five", right: "event.digits", results: UNLIKE },
  { name: "the same as literals", left: "5", right: '"5"', results: UNLIKE },
  { name: "a boolean and a number", left: "event.yes", right: "1", results: UNLIKE },
  { name: "a string and a boolean", left: "'true'", right: "event.yes", results: UNLIKE },
  { name: "a number and the empty string", left: "0", right: "event.empty", results: UNLIKE },

  { name: "a list and itself", left: "event.list", right: "event.list", results: UNLIKE },
  { name: "a list and its equal", left: "event.list", right: "[1]", results: UNLIKE },
  { name: "a list and its element", left: "event.list", right: "1", results: UNLIKE },
  { name: "a string and a list", left: "'1'", right: "event.list", results: UNLIKE },
  { name: "an object and itself", left: "event.object", right: "event.object", results: UNLIKE },
  { name: "an object and a string", left: "event.object", right: "'[object Object]'", results: UNLIKE },
  { name: "the event and a number", left: "event", right: "1", results: UNLIKE },
];

for (const { name, left, right, results } of CASES) {
  test(`${name} (${left}, ${right})`, () => {
    for (const operator of OPERATORS) {
      assert.equal(decide(`${left} ${operator} ${right}`), results[operator], operator);
    }
  });
}

test("each comparison is its mirror with the sides exchanged", () => {
  const mirrored: Readonly<Record<string, string>> = {
    "==": "==",
    "!=": "!=",
    "<": ">",
    ">": "<",
    "<=": ">=",
    ">=": "<=",
  };
  for (const { left, right, results } of CASES) {
    for (const operator of OPERATORS) {
      assert.equal(
        decide(`${right} ${mirrored[operator]} ${left}`),
        results[operator],
        `${right} ${mirrored[operator]} ${left}`,
      );
    }
  }
});

for (const { source, result } of [
  { source: "1 in event.list", result: true },
  { source: "2 in event.list", result: false },
  { source: "'1' in event.list", result: false },
  { source: "event.five in [4, 5, '6']", result: true },
  { source: "event.digits in [4, 5, '6']", result: false },
  { source: "event.yes in [1, true]", result: true },
  { source: "event.five in [event.one, event.five]", result: true },
  { source: "event.five in []", result: false },
  { source: "null in [null]", result: false },
  { source: "event.none in [null, 1]", result: false },
  { source: "event.missing in event.list", result: false },
  { source: "event.list in [event.list]", result: false },
  { source: "'b' in event.text", result: false },
  { source: "'a' in event.object", result: false },
  { source: "'x' in event.missing", result: false },
  { source: "1 in 1", result: false },
  { source: "dec('0.1') in [0.1]", result: true },
  { source: "0.1 in [dec('0.1')]", result: true },
  { source: "dec('0.10') in [dec(event.price)]", result: true },
  { source: "dec('0.1') in ['0.1']", result: false },
  { source: "0 in [event.minusZero]", result: true },
  { source: "-1 in [-1]", result: true },
]) {
  test(`${source} is ${result}`, () => {
    assert.equal(decide(source), result);
  });
}

for (const [source, name] of [
  ["event.one + event.two == 3", "+ of numbers"],
  ["event.one - event.two == -1", "- of numbers"],
  ["event.two * 3 == 6", "* of numbers"],
  ["event.one / event.two == 0.5", "/ of numbers"],
  ["-5 % 3 == -2", "% of numbers, with the sign of the left"],
  ["-event.one == -1", "- of a number alone"],
  ["event.one / 0 == null and event.one / event.minusZero == null", "/ by 0 is null"],
  ["event.one % event.zero == null", "% by 0 is null"],
  ["1e308 * 10 == null and -1e308 - 1e308 == null", "a result that is not finite is null"],
  ["event.text + event.less == null and 'a' + 1 == null", "strings do not add"],
  ["true + true == null", "booleans do not add"],
  ["event.missing + 1 == null and 1 - event.none == null", "null does not add"],
  ["event.list + event.list == null", "lists do not add"],
  ["dec('0.1') + dec('0.2') == dec('0.3') and dec('1') - 0.7 == 0.3", "decimals add exactly"],
  ["dec('1.15') * dec('0.19') == dec('0.2185') and 2 * dec('1.5') == 3", "decimals multiply exactly"],
  ["dec('0.001') * dec('0.01') == null", "a product of five places is not a decimal"],
  ["dec('999999999999999') + 1 == null", "a sum that is too large is not a decimal"],
  ["dec('1') + 0.00001 == null", "a number without a decimal form adds to none"],
  ["dec('1') / dec('1') == null and dec('1') % 2 == null", "decimals do not divide"],
  ["dec('1') + '1' == null", "decimals and texts do not add"],
  ["-dec('1.5') == dec('-1.5')", "- of a decimal"],
  ["-event.text == null and -event.missing == null", "- of anything else alone is null"],
] as const) {
  test(`${name}: ${source}`, () => {
    assert.equal(decide(source), true);
  });
}

function decide(source: string, event: RuleEvent = EVENT): boolean {
  return compileCondition(source).test(event);
}
