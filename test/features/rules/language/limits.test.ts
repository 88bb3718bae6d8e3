import assert from "node:assert/strict";
import { test } from "node:test";
import { PrismError } from "../../../../src/core/errors.ts";
import { compileCondition } from "../../../../src/features/rules/language/language.ts";
import { makeEvent } from "./support/event.ts";
import { marked, refusalOf } from "./support/refusals.ts";

const SMILE = "\u{1f600}";

function times(count: number, text: string, between = ""): string {
  return Array.from({ length: count }, () => text).join(between);
}

/** 85 × 12 tokens, without the last `or`: 1019. */
const TOKENS_1019 = times(85, "((1)) == ((1))", " or ");
/** 127 × 4 nodes, without the last `or`: 507. */
const NODES_507 = times(127, "1 == 1", " or ");

// Bounds of what is written: accepted at the bound, refused one over it, at the ▸.
for (const { name, at, over } of [
  { name: "a source has 4096 characters", at: `1 == 1${times(4090, " ")}`, over: `1 == 1${times(4090, " ")}▸ ` },
  {
    name: "a source is counted in code points",
    at: `event.a in ['${times(1000, SMILE)}', '${times(1000, SMILE)}']${times(2077, " ")}`,
    over: `event.a in ['${times(1000, SMILE)}', '${times(1000, SMILE)}']${times(2077, " ")}▸\n`,
  },
  { name: "a condition has 1024 tokens", at: `${TOKENS_1019} or not (true)`, over: `${TOKENS_1019} or ((true)▸)` },
  { name: "a condition has 512 nodes", at: `${NODES_507} or not (1 == 1)`, over: `${NODES_507} or not (1 == -▸1)` },
  {
    name: "parentheses nest 32 deep",
    at: `${times(32, "(")}1 == 1${times(32, ")")}`,
    over: `${times(32, "(")}▸(1 == 1${times(33, ")")}`,
  },
  {
    name: "calls nest 32 deep",
    at: `contains(${times(31, "lower(")}event.a${times(31, ")")}, 'x')`,
    over: `contains(${times(31, "lower(")}lower▸(event.a${times(32, ")")}, 'x')`,
  },
  {
    name: "lists nest 32 deep",
    at: `1 in ${times(31, "[")}1${times(31, "]")}`,
    over: `1 ▸in ${times(32, "[")}1${times(32, "]")}`,
  },
  { name: "not nests 32 deep", at: `${times(32, "not ")}true`, over: `▸${times(33, "not ")}true` },
  { name: "minus nests 32 deep", at: `${times(31, "-")}1 == 1`, over: `${times(32, "-")}1 ▸== 1` },
  {
    name: "choices nest 32 deep",
    at: `${times(32, "event.a ? true : ")}true`,
    over: `event.a ▸? true : ${times(32, "event.a ? true : ")}true`,
  },
  {
    name: "a list has 256 elements",
    at: `event.a in [${times(256, "1", ",")}]`,
    over: `event.a in [${times(256, "1", ",")},▸1]`,
  },
  {
    name: "a string has 1024 characters",
    at: `event.a == '${times(1024, "x")}'`,
    over: `event.a == ▸'${times(1025, "x")}'`,
  },
  {
    name: "a string is counted in code points, escapes as their characters",
    at: `event.a == '${times(512, SMILE)}${times(512, "\\n")}'`,
    over: `event.a == ▸'${times(512, SMILE)}${times(513, "\\n")}'`,
  },
  { name: "a call has 8 arguments", at: `max(${times(8, "1", ",")}) == 1`, over: `max(${times(8, "1", ",")},▸1) == 1` },
  { name: "a path has 16 segments", at: `event${times(16, ".a")} == 1`, over: `event${times(16, ".a")}.▸a == 1` },
  { name: "an index is a segment", at: `event.a${times(15, "[0]")} == 1`, over: `event.a${times(15, "[0]")}[▸0] == 1` },
  {
    name: "a pattern has 256 characters",
    at: `matches(event.a, '${times(256, "x")}')`,
    over: `matches(event.a, ▸'${times(257, "x")}')`,
  },
  {
    name: "a pattern compiles to 512 instructions",
    at: "matches(event.a, 'x{500}')",
    over: "matches(event.a, ▸'x{500}x{500}')",
  },
]) {
  test(`${name}, no more`, () => {
    assert.equal(compileCondition(at).source, at);
    const { source, position } = marked(over);
    const refused = refusalOf(source);
    assert.deepEqual([refused.code, refused.position], ["LIMIT", position], refused.message);
  });
}

test("a chain of operators of one rank does not nest", () => {
  for (const source of [
    times(100, "event.a == 1", " and "),
    `${times(200, "1", " + ")} == 200`,
    `${times(100, "2", " / 2 * ")} == 2`,
  ]) {
    assert.equal(compileCondition(source).source, source);
  }
});

test("a source of 10 MB is refused at its first character too many", () => {
  const refused = refusalOf(times(10_000_000, "("));
  assert.deepEqual([refused.code, refused.position], ["LIMIT", 4096]);
});

// Bounds of what an event brings: `source` is true of the text at the bound, and false or null of
// one unit more.
for (const { name, source, length } of [
  { name: "matches", source: "matches(event.s, 'x$')", length: 16_384 },
  { name: "contains", source: "contains(event.s, 'x')", length: 16_384 },
  { name: "contains, of its second argument", source: "contains(event.s, event.s)", length: 16_384 },
  { name: "lower", source: "lower(event.s) != null", length: 16_384 },
  { name: "upper", source: "upper(event.s) != null", length: 16_384 },
  { name: "split", source: "split(event.s, ',') != null", length: 16_384 },
]) {
  test(`${name} looks at ${length} units`, () => {
    const condition = compileCondition(source);
    assert.equal(condition.test(makeEvent({ payload: { s: times(length, "x") } })), true);
    assert.equal(condition.test(makeEvent({ payload: { s: times(length + 1, "x") } })), false);
  });
}

for (const { name, source } of [
  { name: "dec", source: "dec(event.s) == dec('1')" },
  { name: "number", source: "number(event.s) == 1" },
]) {
  test(`${name} looks at 64 units`, () => {
    const condition = compileCondition(source);
    assert.equal(condition.test(makeEvent({ payload: { s: "1".padStart(64, "0") } })), true);
    assert.equal(condition.test(makeEvent({ payload: { s: "1".padStart(65, "0") } })), false);
  });
}

test("time looks at 64 units", () => {
  const condition = compileCondition("time(event.s) == 1000");
  assert.equal(condition.test(makeEvent({ payload: { s: `1970-01-01T00:00:01.${times(43, "0")}Z` } })), true);
  assert.equal(condition.test(makeEvent({ payload: { s: `1970-01-01T00:00:01.${times(44, "0")}Z` } })), false);
});

test("split gives the first 256 parts", () => {
  const event = makeEvent({ payload: { s: times(1000, "x", ",") } });
  assert.equal(compileCondition("length(split(event.s, ',')) == 256").test(event), true);
});

test("one evaluation makes 1 MiB of strings, no more", () => {
  const condition = compileCondition("length(concat(event.s, event.s, event.s, event.s)) > 0");
  const atBound = makeEvent({ payload: { s: times(262_144, "x") } });
  assert.equal(condition.test(atBound), true);
  assert.equal(condition.test(atBound), true, "each evaluation has a budget of its own");
  assert.throws(
    () => condition.test(makeEvent({ payload: { s: times(262_145, "x") } })),
    (error) => error instanceof PrismError && error.code === "INTERNAL",
  );
  assert.equal(condition.test(atBound), true, "a failed evaluation takes nothing from the next");
});

for (const source of [
  `length(concat(${times(8, "concat(event.s, event.s, event.s, event.s, event.s, event.s, event.s, event.s)", ",")})) > 0`,
  `${times(70, "length(lower(event.s)) > 0", " and ")}`,
  `${times(70, "length(upper(event.s)) > 0", " and ")}`,
  `${times(70, "length(split(event.s, ',')) > 0", " and ")}`,
  `${times(70, "length(substr(event.s, 0, 99999)) > 0", " and ")}`,
]) {
  test(`the budget counts what is made by ${source.slice(0, 32)}…`, () => {
    assert.throws(() => compileCondition(source).test(makeEvent({ payload: { s: times(16_384, "x") } })), PrismError);
  });
}
