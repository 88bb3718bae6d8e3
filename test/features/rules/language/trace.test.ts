import assert from "node:assert/strict";
import { test } from "node:test";
import { compileCondition } from "../../../../src/features/rules/language/language.ts";
import { rowsWith } from "../../../helpers/values.ts";
import { makeEvent, withPayload } from "./support/event.ts";

test("a trace holds each path, comparison and call with its place and value", () => {
  const source = "event.type == 'payment' && lower(event.status) != \"ok\"";
  assert.deepEqual(compileCondition(source).trace(makeEvent()), {
    matched: true,
    value: true,
    trace: [
      { pos: 0, text: "event.type", value: "payment" },
      { pos: 0, text: "event.type == 'payment'", value: true },
      { pos: 33, text: "event.status", value: "failed" },
      { pos: 27, text: "lower(event.status)", value: "failed" },
      { pos: 27, text: 'lower(event.status) != "ok"', value: true },
    ],
  });
});

test("what was short-circuited is absent", () => {
  const { matched, trace } = compileCondition("event.amount > 9999 and exists(event.tags) or 'us' in event.tags").trace(
    makeEvent(),
  );
  assert.equal(matched, false);
  assert.deepEqual(rowsWith(trace, "text", "value"), [
    ["event.amount", 1500],
    ["event.amount > 9999", false],
    ["event.tags", ["eu"]],
    ["'us' in event.tags", false],
  ]);
});

test("a trace shows what does not match: missing values as null, and a value that is not true", () => {
  assert.deepEqual(compileCondition("event.flag").trace(makeEvent()), {
    matched: false,
    value: null,
    trace: [{ pos: 0, text: "event.flag", value: null }],
  });
  const { matched, value } = compileCondition("event.amount ? true : event.tags").trace(makeEvent());
  assert.deepEqual([matched, value], [false, ["eu"]]);
});

test("every kind of call is in a trace", () => {
  const calls = [
    "exists(event.a)",
    "matches(event.type, 'x')",
    "coalesce(event.flag, true)",
    "if(true, true, false)",
    "contains('ab', 'a')",
    "any(event.tags, true)",
    "hour() > 5",
  ];
  for (const call of calls) {
    const { trace } = compileCondition(call).trace(makeEvent());
    assert.equal(trace.at(-1)?.text, call);
  }
});

test("the parts of a search are in a trace for its first elements, with the element's index", () => {
  const list = Array.from({ length: 50 }, (_, n) => ({ n }));
  const { matched, trace } = compileCondition("any(event.list, item.n > 40)").trace(makeEvent({ payload: { list } }));
  assert.equal(matched, true);
  const inner = trace.filter(({ item }) => item !== undefined);
  assert.deepEqual(
    inner.map(({ text, value, item }) => [text, value, item]),
    [0, 1, 2].flatMap((n) => [
      ["item.n", n, n],
      ["item.n > 40", false, n],
    ]),
  );
  assert.deepEqual([trace.at(-1)?.text, trace.at(-1)?.item], ["any(event.list, item.n > 40)", undefined]);
});

test("decimals, dates and objects are JSON-safe", () => {
  const event = withPayload('{"price":"1.50","object":{"__proto__":{"a":1},"b":[2,{"c":"d"}]},"bad":1e999}');
  const source =
    "dec(event.price) > 1 and event.object != null and event.occurredAt > '2000' and event.bad == null and event != null";
  const { matched, trace } = compileCondition(source).trace(event);
  assert.equal(matched, true);
  const shown = new Map(trace.map(({ text, value }) => [text, JSON.stringify(value)]));
  assert.equal(shown.get("dec(event.price)"), '"1.5"');
  assert.equal(shown.get("event.object"), '{"__proto__":{"a":1},"b":[2,{"c":"d"}]}');
  assert.equal(shown.get("event.occurredAt"), '"2026-01-31T08:15:00.250Z"');
  assert.equal(shown.get("event.bad"), "null");
  assert.match(shown.get("event") ?? "", /"receivedAt":"2026-01-31T08:15:01.000Z"/);
});

test("long texts, long lists, large and deep objects are abridged", () => {
  const event = makeEvent({
    payload: {
      text: "x".repeat(100_000),
      list: Array.from({ length: 50 }, (_, index) => index),
      object: Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`${"k".repeat(1000)}${index}`, index])),
      members: Object.fromEntries(Array.from({ length: 21 }, (_, index) => [`m${index}`, index])),
      deep: { a: { b: { c: { d: { e: 1 } } } } },
    },
  });
  const shownOf = (member: string): unknown => compileCondition(`event.${member} == 1`).trace(event).trace[0]?.value;
  assert.equal(shownOf("text"), `${"x".repeat(199)}…`);
  assert.deepEqual(shownOf("list"), [...Array.from({ length: 20 }, (_, index) => index), "… 30 more"]);
  assert.ok(JSON.stringify(shownOf("object")).length < 3000);
  assert.equal(Object.entries(shownOf("members") as object).length, 21);
  assert.deepEqual(Object.entries(shownOf("members") as object).at(-1), ["…", "… 1 more"]);
  assert.deepEqual(shownOf("deep"), { a: { b: { c: { d: "…" } } } });
  const { trace } = compileCondition(`event.text == '${"y".repeat(1000)}'`).trace(event);
  assert.equal(trace.at(-1)?.text.length, 200);
});

test("a trace is bounded whatever the event holds", () => {
  const row = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`k${index}`, "v".repeat(300)]));
  const event = makeEvent({ payload: { rows: Array.from({ length: 40 }, () => row) } });
  const source = Array.from({ length: 120 }, () => "event.rows==1").join("||");
  assert.ok(JSON.stringify(compileCondition(source).trace(event)).length < 400_000);
});

test("an evaluation that fails is a trace with its error, not an exception", () => {
  const event = makeEvent({ payload: { big: "x".repeat(600_000) } });
  const { matched, value, trace, error } = compileCondition(
    "event.type == 'payment' and concat(event.big, event.big) != ''",
  ).trace(event);
  assert.deepEqual([matched, value, trace.length], [false, null, 4]);
  assert.match(error ?? "", /takes too long/);
});
