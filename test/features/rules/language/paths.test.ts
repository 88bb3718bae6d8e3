import assert from "node:assert/strict";
import { test } from "node:test";
import { compileCondition, type RuleEvent } from "../../../../src/features/rules/language/language.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { makeEvent, withPayload } from "./support/event.ts";

function check(event: RuleEvent, sources: readonly string[]): void {
  for (const source of sources) assert.equal(compileCondition(source).test(event), true, source);
}

test("S2-62 a rule reads event.type, event.amount and event.payload.status", (t) => {
  keepsPromise(t, "S2-62");
  check(makeEvent(), [
    "event.type == 'payment'",
    "event.amount == 1500",
    "event.payload.status == 'failed'",
    "event.status == 'failed'",
  ]);
});

test("every envelope member can be read, times as RFC 3339", () => {
  check(makeEvent(), [
    "event.id == '0198d2a0-0000-7000-8000-000000000001'",
    "event.type == 'payment'",
    "event.source == 'shop'",
    "event.level == 'info'",
    "event.projectId == 'default'",
    "event.occurredAt == '2026-01-31T08:15:00.250Z'",
    "event.receivedAt == '2026-01-31T08:15:01.000Z'",
    "event.correlationId == 'corr-1'",
    "event.payload.amount == 1500",
    "event['type'] == 'payment'",
    "time(event.receivedAt) - time(event.occurredAt) == 750",
    "event.occurredAt == '2026-01-31T08:15:00.250Z' and event.receivedAt == '2026-01-31T08:15:01.000Z'",
  ]);
});

test("the envelope comes before the payload (D45)", () => {
  const event = withPayload('{"type":"fake","projectId":"other","payload":{"x":1},"x":2,"seq":7}');
  check(event, [
    "event.type == 'payment'",
    "event.projectId == 'default'",
    "event.payload.type == 'fake'",
    "event.payload['projectId'] == 'other'",
    "event.x == 2",
    "event.payload.x == 2",
    "event.payload.payload.x == 1",
    "event.seq == 7",
  ]);
});

test("a source that is not there is null, and yet present", () => {
  check(makeEvent({ source: null }), ["event.source == null", "exists(event.source)", "not (event.source == 'shop')"]);
});

test("what is missing, and what has no members, reads as null", () => {
  check(withPayload('{"number":5,"text":"abc","list":[10,20],"object":{"a":null},"none":null}'), [
    "event.missing == null",
    "event.missing.deeper.still == null",
    "event.number.x == null",
    "event.none.x == null",
    "event.text.x == null",
    "event.text[0] == null",
    "event.list.x == null",
    "event.list['0'] == null",
    "event.list[2] == null",
    "event.list[4294967296] == null",
    "event.object[0] == null",
    "event[0] == null",
    "event.type.x == null",
    "event.object.a == null",
  ]);
});

test("lists have elements by index, lists and strings a length", () => {
  check(withPayload('{"list":[10,[20,30],{"a":[40]}],"text":"ab\u{1f600}","object":{"length":9},"length":8}'), [
    "event.list[0] == 10",
    "event.list[1][1] == 30",
    "event.list[2].a[0] == 40",
    "event.list.length == 3",
    "event.list['length'] == 3",
    "event.list[1].length == 2",
    "event.text.length == 4",
    "event.type.length == 7",
    "event.object.length == 9",
    "event.length == 8",
    "event.list[0].length == null",
  ]);
});

test("any member name can be reached with brackets", () => {
  check(withPayload('{"in":1,"and":2,"with space":3,"größe":4,"":5,"a.b":6,"$x_1":7,"it\'s":8,"0":9}'), [
    "event['in'] == 1",
    'event.payload["and"] == 2',
    "event['with space'] == 3",
    "event['größe'] == 4",
    "event['gr\\u00f6\\u00dfe'] == 4",
    "event[''] == 5",
    "event['a.b'] == 6",
    "event.$x_1 == 7",
    "event['it\\'s'] == 8",
    "event [ 'in' ] == 1",
    "event . payload . $x_1 == 7",
    "event['0'] == 9",
  ]);
});

test("exists distinguishes presence from a value", () => {
  check(withPayload('{"none":null,"object":{"none":null},"list":[null],"text":""}'), [
    "exists(event)",
    "exists(event.payload)",
    "exists(event.type)",
    "exists(event.none)",
    "exists(event.object.none)",
    "exists(event.list[0])",
    "exists(event.text.length)",
    "not exists(event.list[1])",
    "not exists(event.missing)",
    "not exists(event.none.x)",
    "not exists(event.type.x)",
    "not exists(event.text.x)",
  ]);
});

test("S2-60 a payload with keys of the prototype is data and is harmless", () => {
  const event = withPayload(
    '{"__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}},"toString":"x","a":{"__proto__":{"b":1}}}',
  );
  check(event, [
    "event.admin == null",
    "not exists(event.admin)",
    "event.a.b == null",
    "not exists(event.a.b)",
    "event.a != null",
    "event != 1",
    "event.payload != 1",
  ]);
  assert.deepEqual(Object.keys(event.payload), ["__proto__", "constructor", "toString", "a"]);
  assert.equal(Reflect.get({}, "admin"), undefined);
});

test("S2-60 nothing inherited can be read, not even by names that are not refused", () => {
  const names = [
    "isPrototypeOf",
    "propertyIsEnumerable",
    "toLocaleString",
    "push",
    "map",
    "at",
    "charAt",
    "big",
    "anchor",
    "call",
  ];
  for (const name of names) {
    check(withPayload('{"object":{},"list":[1],"text":"a"}'), [
      `event.${name} == null`,
      `not exists(event.${name})`,
      `event.object.${name} == null`,
      `event.list.${name} == null`,
      `event.text.${name} == null`,
      `event.type.${name} == null`,
    ]);
  }
});

test("S2-60 a polluted Object.prototype does not show", () => {
  Object.defineProperty(Object.prototype, "polluted", { value: "yes", configurable: true });
  try {
    check(makeEvent(), ["event.polluted == null", "event.payload.polluted == null", "not exists(event.polluted)"]);
  } finally {
    Reflect.deleteProperty(Object.prototype, "polluted");
  }
});

test("evaluation changes nothing of the event", () => {
  const event = makeEvent();
  const before = JSON.stringify(event);
  const condition = compileCondition(
    "contains(split(concat(event.type, ','), ','), 'payment') and event != 1 and event.tags[0] == 'eu'",
  );
  assert.equal(condition.test(Object.freeze(event)), true);
  condition.trace(event);
  assert.equal(JSON.stringify(event), before);
});
