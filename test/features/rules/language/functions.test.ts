import assert from "node:assert/strict";
import { test } from "node:test";
import { compileCondition } from "../../../../src/features/rules/language/language.ts";
import { makeEvent, withPayload } from "./support/event.ts";

const EVENT = withPayload(`{
  "text": "Hello, World", "spaced": " \\t a b \\n", "empty": "", "number": 5, "half": 2.5, "list": ["a", 1, null, true], "none": null,
  "object": {"a": 1}, "yes": true, "smile": "\u{1f600}", "sharp": "ß", "huge": 1e999,
  "orders": [{"sum": 7, "lines": [{"qty": 1}, {"qty": 3}]}, {"sum": 12, "lines": [{"qty": 3}], "note": null}]
}`);

// Every row of the table of functions in contract 6.2. Each source is true of EVENT.
const CASES: Readonly<Record<string, readonly string[]>> = {
  "any, all and count test each element of a list as item": [
    "any(event.list, item == 'a') and not any(event.list, item == 'b')",
    "all(event.orders, item.sum > 5) and not all(event.orders, item.sum > 10)",
    "count(event.orders, item.sum > 10) == 1 and count(event.list, true) == 4",
    "any(event.orders, item.lines[0].qty == 3 and item.sum < event.number * 3)",
    "any(event.orders, any(item.lines, item.qty == 3) and item.sum == 7)",
    "any(event.orders, exists(item.note)) and not all(event.orders, exists(item.note))",
    "count(split('a,b,a', ','), item == 'a') == 2",
    "all([], item == 1) and not any([], item == 1) and count([], item == 1) == 0",
  ],
  "any and all of anything but a list are false, count is null": [
    "not any(event.text, true) and not all(event.text, true) and not all(event.missing, true)",
    "count(event.text, true) == null and count(event.object, true) == null",
  ],
  "hour and weekday are of the event's own time, in UTC or a zone": [
    "hour() == 8 and weekday() == 6",
    "hour('Europe/Berlin') == 9 and hour('America/New_York') == 3 and hour('Asia/Kathmandu') == 14",
    "weekday('Pacific/Kiritimati') == 6 and weekday('Pacific/Pago_Pago') == 5",
  ],
  "first is the first argument with content": [
    "first(event.none, event.missing, event.empty, event.text, 'x') == 'Hello, World'",
    "first(event.none, event.empty) == null and first(false, 1) == false and first(0, 1) == 0",
  ],
  "lookup selects by equality, with a default or null": [
    "lookup(event.number, 4, 'four', 5, 'five', 'other') == 'five'",
    "lookup(event.text, 4, 'four', 5, 'five', 'other') == 'other'",
    "lookup(event.number, '5', 'text', null) == null and lookup(event.missing, 'a', 1) == null",
  ],
  "replace, firstLine, join and stripHtml make texts": [
    "replace(event.text, 'o', '0') == 'Hell0, W0rld' and replace(event.text, ', World', '') == 'Hello'",
    "replace(event.text, '', 'x') == null and replace(event.number, '5', '6') == null",
    "firstLine(' \\n a b \\r\\n c') == 'a b' and firstLine(event.empty) == '' and firstLine(event.list) == null",
    "join(event.list, '-') == 'a-1-true' and join([], ',') == '' and join(event.text, ',') == null",
    "stripHtml('<p>a &amp; b</p><p>c<br>d</p>') == 'a & b\\nc\\nd' and stripHtml(event.number) == null",
    "stripHtml('&#72;&#x69; &unknown; a < b') == 'Hi &unknown; a < b'",
  ],
  "at, pluck and pairs read lists and objects": [
    "at(event.list, 0) == 'a' and at(event.list, -1) == true and at(event.list, 9) == null",
    "at(event.object, 'a') == 1 and at(event.object, 'toString') == null and at(event.object, 0) == null",
    "at(pluck(event.orders, 'sum'), 1) == 12 and length(pluck(event.orders, 'note')) == 0",
    "at(pairs([['a', 1], ['b', 2]]), 'b') == 2 and pairs(event.text) == null",
    "at(pairs(event.orders, 'sum', 'lines'), '7') != null or length(at(pairs(event.orders, 'sum', 'lines'), '7')) == 2",
  ],
  "parseJson reads JSON text, anything else is null": [
    `at(parseJson('{"a": [1, 2]}'), 'b') == null and at(at(parseJson('{"a":[1,2]}'), 'a'), 1) == 2`,
    `parseJson('{') == null and parseJson(event.number) == null and parseJson('"x"') == 'x'`,
  ],
  "exists is about presence": ["exists(event.text)", "exists(event.none)", "not exists(event.missing)"],
  "lower and upper change case": [
    "lower(event.text) == 'hello, world'",
    "upper(event.text) == 'HELLO, WORLD'",
    "upper(event.sharp) == 'SS'",
    "lower(event.empty) == ''",
  ],
  "lower and upper of anything else are null": [
    "lower(event.number) == null and upper(event.number) == null",
    "lower(event.none) == null and upper(event.missing) == null",
    "lower(event.list) == null and upper(event.object) == null and lower(true) == null",
  ],
  "trim takes white space off both ends": [
    "trim(event.spaced) == 'a b'",
    "trim(event.empty) == ''",
    "trim(event.number) == null",
  ],
  "length is of strings, in UTF-16 units, and of lists": [
    "length(event.text) == 12",
    "length(event.smile) == 2",
    "length(event.list) == 4",
    "length(event.empty) == 0 and length([]) == 0",
    "length(event.number) == null and length(event.object) == null and length(event.none) == null",
  ],
  "contains looks into strings": [
    "contains(event.text, 'World')",
    "contains(event.text, '')",
    "not contains(event.text, 'world')",
    "not contains(event.text, event.number) and not contains(event.number, '5')",
    "not contains(event.text, event.none) and not contains(event.missing, 'a') and not contains(event.object, 'a')",
  ],
  "contains looks into lists": [
    "contains(event.list, 'a') and contains(event.list, 1) and contains(event.list, true)",
    "not contains(event.list, '1') and not contains(event.list, null) and not contains(event.list, 'b')",
    "contains([dec('1')], 1) and contains(['x', event.text], event.text)",
  ],
  "startsWith and endsWith look at the ends": [
    "startsWith(event.text, 'Hello') and endsWith(event.text, 'World')",
    "startsWith(event.text, '') and endsWith(event.text, '')",
    "not startsWith(event.text, 'World') and not endsWith(event.text, 'Hello')",
    "not startsWith(event.number, '5') and not endsWith(event.number, '5')",
    "not startsWith(event.text, null) and not endsWith(event.none, 'a') and not startsWith(event.list, 'a')",
    "not (startsWith(event.number, 'x') != false)",
  ],
  "matches finds a pattern anywhere": [
    "matches(event.text, 'W[a-z]+d')",
    "matches(event.text, '^Hello') and not matches(event.text, '^World')",
    "matches(event.text, '(?i)hello') and matches(event.text, '')",
    "matches(event.smile, '^.$')",
    "not matches(event.number, '5') and not matches(event.none, '') and not matches(event.list, 'a')",
  ],
  "concat joins strings, null as nothing": [
    "concat('a', 'b', 'c') == 'abc'",
    "concat(event.missing, 'a', null) == 'a'",
    "concat(event.none) == ''",
    "concat('a', event.number) == null and concat(event.list, 'a') == null and concat(true) == null",
    "concat('a', string(event.number)) == 'a5'",
  ],
  "substr cuts by UTF-16 units": [
    "substr(event.text, 0, 5) == 'Hello'",
    "substr(event.text, 7, 99) == 'World'",
    "substr(event.text, 99, 1) == '' and substr(event.text, 0, 0) == '' and substr(event.text, 1, -1) == ''",
    "substr(event.text, -3, 2) == 'He'",
    "substr(event.text, 1.9, 2.9) == 'el'",
    "substr(event.missing, 0, 5) == ''",
    "substr(event.number, 0, 1) == null and substr(event.text, '0', 1) == null and substr(event.text, 0, null) == null",
  ],
  "split gives a list": [
    "contains(split('a,b,c', ','), 'b') and length(split('a,b,c', ',')) == 3",
    "length(split('abc', '')) == 3 and contains(split('abc', null), 'b')",
    "length(split(event.missing, ',')) == 1 and contains(split(event.missing, ','), '')",
    "split(event.number, ',') == null and split(event.text, 1) == null",
  ],
  "abs, min, max, round, floor and ceil are of numbers": [
    "abs(-5) == 5 and abs(event.number) == 5",
    "min(3, 1, 2) == 1 and max(3, 1, 2) == 3 and min(event.number) == 5",
    "round(event.half) == 3 and round(-2.5) == -2 and round(2.4) == 2",
    "floor(event.half) == 2 and floor(-2.5) == -3 and ceil(event.half) == 3 and ceil(-2.5) == -2",
  ],
  "any null or other type makes a number function null": [
    "abs(event.none) == null and round(event.missing) == null and floor(event.text) == null and ceil(event.list) == null",
    "min(1, event.none) == null and max(event.missing, 1) == null and min('1', 2) == null and max(1, true) == null",
    "abs(dec('-1')) == null and abs(event.huge) == null",
  ],
  "number converts": [
    "number('5') == 5 and number('-1.5e3') == -1500 and number(event.half) == 2.5 and number('007') == 7",
    "number(dec('0.1')) == 0.1 and number(dec('-12')) == -12",
    "number('') == null and number(' 5') == null and number('0x10') == null and number('Infinity') == null",
    "number('1e400') == null and number('+5') == null and number('5.') == null and number('.5') == null and number('5,0') == null",
    "number(true) == null and number(event.none) == null and number(event.list) == null",
  ],
  "string converts": [
    "string(5) == '5' and string(event.half) == '2.5' and string(1e21) == '1e+21' and string(-0) == '0'",
    "string(true) == 'true' and string(false) == 'false' and string(event.text) == 'Hello, World'",
    "string(dec('1500.10')) == '1500.1' and string(dec('-0.0001')) == '-0.0001' and string(dec('-0')) == '0'",
    "string(event.none) == null and string(event.list) == null and string(event.object) == null",
  ],
  "now is the time of receipt": ["now() == time(event.receivedAt)", "now() - time(event.occurredAt) == 750"],
  "coalesce gives the first that is not null": [
    "coalesce(event.none, event.missing, 5) == 5",
    "coalesce(event.number, 6) == 5",
    "coalesce(false, true) == false",
    "coalesce(event.none) == null",
  ],
  "if chooses by true alone": [
    "if(event.yes, 1, 2) == 1 and if(event.number, 1, 2) == 2 and if(event.missing, 1, 2) == 2",
    "if(event.yes, event.yes, false)",
  ],
};

for (const [name, sources] of Object.entries(CASES)) {
  test(`${name}`, () => {
    for (const source of sources) {
      assert.equal(compileCondition(source).test(EVENT), true, source);
    }
  });
}

test("S2-27 hour and weekday follow the zone over the changes of its clock, and before 1970", () => {
  const isRight = (iso: string): boolean =>
    compileCondition(
      `concat(string(weekday('Europe/Berlin')), ' ', string(hour('Europe/Berlin'))) == event.local`,
    ).test(makeEvent({ occurredAt: Date.parse(iso), payload: { local: localOf(iso) } }));
  const localOf = (iso: string): string => {
    const parts = new Intl.DateTimeFormat("en-GB", {
      ...{ timeZone: "Europe/Berlin", weekday: "short", hour: "2-digit", hourCycle: "h23" },
    } as const).formatToParts(Date.parse(iso));
    const part = (type: string): string => parts.find((each) => each.type === type)?.value ?? "";
    return `${["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].indexOf(part("weekday")) + 1} ${Number(part("hour"))}`;
  };
  for (const iso of [
    ...["2026-03-29T00:59:59.999Z", "2026-03-29T01:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"],
    ...["2026-10-24T22:30:00Z", "1969-12-31T22:59:59Z", "1969-12-31T23:00:00Z", "1900-01-01T00:00:00Z"],
  ])
    assert.equal(isRight(iso), true, iso);
});

test("every function of the contract is here", () => {
  const all = Object.values(CASES).flat().join(" ");
  for (const name of [
    ...[
      "exists",
      "lower",
      "upper",
      "trim",
      "length",
      "contains",
      "startsWith",
      "endsWith",
      "matches",
      "concat",
      "substr",
      "split",
    ],
    ...["any", "all", "count", "hour", "weekday"],
    ...["abs", "min", "max", "round", "floor", "ceil", "number", "string", "dec", "time", "now", "coalesce", "if"],
  ]) {
    assert.ok(all.includes(`${name}(`), name);
  }
});

for (const { text, units } of [
  { text: "'0'", units: "'0.0000'" },
  { text: "'-0'", units: "0" },
  { text: "'1'", units: "1" },
  { text: "'0001.5'", units: "1.5" },
  { text: "'1500.10'", units: "'1500.1'" },
  { text: "'1.50000000'", units: "'1.5'" },
  { text: "'-0.0001'", units: "-0.0001" },
  { text: "'999999999999999.9999'", units: "'999999999999999.9999'" },
  { text: "'-999999999999999.9999'", units: "'-999999999999999.9999'" },
  { text: "0.1", units: "'0.1'" },
  { text: "1e14", units: "'100000000000000'" },
  { text: "1e-4", units: "'0.0001'" },
  { text: "dec('2.5')", units: "2.5" },
]) {
  test(`dec(${text}) equals dec(${units})`, () => {
    assert.equal(compileCondition(`dec(${text}) == dec(${units})`).test(EVENT), true);
  });
}

for (const text of [
  ...[
    "''",
    "' 1'",
    "'1 '",
    "'+1'",
    "'1e3'",
    "'.5'",
    "'5.'",
    "'1,5'",
    "'abc'",
    "'0x1'",
    "'1.00001'",
    "'--1'",
    "'1.2.3'",
  ],
  ...["'1000000000000000'", "'999999999999999.99991'", "1e15", "1e300", "0.00001", "5e-324", "0.30000000000000004"],
  ...["true", "null", "event.missing", "event.list", "event.object", "event.huge"],
]) {
  test(`dec(${text}) is null`, () => {
    assert.equal(compileCondition(`dec(${text}) == null`).test(EVENT), true);
  });
}

for (const { text, iso } of [
  { text: "1970-01-01T00:00:00Z", iso: "1970-01-01T00:00:00.000Z" },
  { text: "2026-01-31T08:15:00.25Z", iso: "2026-01-31T08:15:00.250Z" },
  { text: "2026-01-31T08:15:00.123987654Z", iso: "2026-01-31T08:15:00.123Z" },
  { text: "2026-01-31t08:15:00z", iso: "2026-01-31T08:15:00.000Z" },
  { text: "2026-01-31T08:15:00+02:30", iso: "2026-01-31T05:45:00.000Z" },
  { text: "2026-01-01T00:00:00-00:01", iso: "2026-01-01T00:01:00.000Z" },
  { text: "2024-02-29T23:59:59Z", iso: "2024-02-29T23:59:59.000Z" },
  { text: "2016-12-31T23:59:60Z", iso: "2017-01-01T00:00:00.000Z" },
  { text: "0001-01-01T00:00:00Z", iso: "0001-01-01T00:00:00.000Z" },
  { text: "9999-12-31T23:59:59.999Z", iso: "9999-12-31T23:59:59.999Z" },
]) {
  test(`time('${text}') is ${iso}`, () => {
    assert.equal(
      compileCondition(`time('${text}') == ${Date.parse(iso)}`.replace("== -", "== 0 - ")).test(EVENT),
      true,
    );
  });
}

for (const text of [
  ...[
    "'2026-02-29T00:00:00Z'",
    "'2026-02-30T00:00:00Z'",
    "'2026-13-01T00:00:00Z'",
    "'2026-00-01T00:00:00Z'",
    "'2026-01-00T00:00:00Z'",
  ],
  ...["'2026-01-31T24:00:00Z'", "'2026-01-31T08:60:00Z'", "'2026-01-31T08:15:61Z'", "'2026-01-31T08:15:00+24:00'"],
  ...[
    "'2026-01-31T08:15:00'",
    "'2026-01-31 08:15:00Z'",
    "'2026-01-31'",
    "'2026-01-31T08:15Z'",
    "'2026-1-31T08:15:00Z'",
    "''",
  ],
  ...["'2026-01-31T08:15:00.Z'", "'2026-01-31T08:15:00+0100'", "' 2026-01-31T08:15:00Z'", "'yesterday'"],
  ...["5", "now()", "true", "null", "event.missing", "event.list"],
]) {
  test(`time(${text}) is null`, () => {
    assert.equal(compileCondition(`time(${text}) == null`).test(EVENT), true);
  });
}
