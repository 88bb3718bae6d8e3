import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { minifyJson, scanJson } from "../../../src/core/text/json-text.ts";
import { readEnvelope } from "../../../src/features/events/pipeline/event-envelope.ts";
import { plainEvent } from "../../../src/features/events/pipeline/plain-event.ts";
import { readEvent } from "../../../src/features/events/pipeline/read-events.ts";
import { startPrism, type TestPrism } from "../../helpers/prism.ts";
import { keepsPromise } from "../../helpers/promise.ts";
import { scalarOf } from "../../helpers/tables.ts";
import { valuesOf } from "../../helpers/values.ts";

const KEPT: readonly { name: string; sent: string; stored: string }[] = [
  {
    name: "every digit of a number",
    sent: '{"type":"a","payload":{"n":12345678901234567890.10,"e":1E+2,"z":-0.0}}',
    stored: '{"n":12345678901234567890.10,"e":1E+2,"z":-0.0}',
  },
  {
    name: "no whitespace between tokens, all of it inside strings",
    sent: '{ "type" : "a" , "payload" : { "a b" : [ 1 ,\n\t2 ] , "s" : " x \\" y " } }',
    stored: '{"a b":[1,2],"s":" x \\" y "}',
  },
  {
    name: "the order of members, and a repeated one",
    sent: '{"payload":{"z":1,"a":2,"z":3},"type":"a"}',
    stored: '{"z":1,"a":2,"z":3}',
  },
  {
    name: "members called __proto__ and constructor, as data",
    sent: '{"type":"a","payload":{"__proto__":{"x":1},"constructor":2}}',
    stored: '{"__proto__":{"x":1},"constructor":2}',
  },
  {
    name: "escapes and letters of any script as they were written",
    sent: '{"type":"a","payload":{"\\u0061":"\\ud83d\\ude00 \u{1f600} \\u00e9 é"}}',
    stored: '{"\\u0061":"\\ud83d\\ude00 \u{1f600} \\u00e9 é"}',
  },
  {
    name: "a lone surrogate as U+FFFD",
    sent: '{"type":"a","payload":{"s":"\\ud83d x \\ude00","\\udfff":1}}',
    stored: '{"s":"\ufffd x \ufffd","\ufffd":1}',
  },
  {
    name: "the last of two payloads, as parsers do",
    sent: '{"type":"a","payload":{"n":1},"payload":{"n":2.50}}',
    stored: '{"n":2.50}',
  },
  {
    name: "a payload whose own name is written with an escape",
    sent: '{"type":"a","payload":{"n":1},"p\\u0061yload":{"n":2.50}}',
    stored: '{"n":2.50}',
  },
  { name: "an empty object by default", sent: '{"type":"a"}', stored: "{}" },
];

const FOLDED: readonly { name: string; sent: string; stored: string }[] = [
  {
    name: "an unknown member goes into the payload, its digits kept",
    sent: '{"type":"a","amount": 1500.10 }',
    stored: '{"amount":1500.10}',
  },
  {
    name: "it is after the payload's own",
    sent: '{"amount":2,"type":"a","payload":{ "z": 1 }}',
    stored: '{"z":1,"amount":2}',
  },
  {
    name: "a member that is in the payload already wins",
    sent: '{"type":"a","amount":2,"payload":{"amount":1}}',
    stored: '{"amount":1}',
  },
  {
    name: "members of the envelope are not folded, whatever the payload calls its own",
    sent: '{"type":"a","level":"warn","payload":{"type":"b","level":"none"}}',
    stored: '{"type":"b","level":"none"}',
  },
  {
    name: "__proto__ and constructor are members like others",
    sent: '{"type":"a","__proto__":{"admin":true},"constructor":1}',
    stored: '{"__proto__":{"admin":true},"constructor":1}',
  },
  {
    name: "a name written with escapes is read as parsers read it",
    sent: '{"type":"a","a\\/b":1.0,"q\\"q":2.00,"\\u0063":3.000}',
    stored: '{"a/b":1.0,"q\\"q":2.00,"c":3.000}',
  },
  {
    name: "of two spellings of one name the last counts",
    sent: '{"type":"a","amount":1,"am\\u006funt":2.0}',
    stored: '{"amount":2.0}',
  },
  {
    name: "a name that looks like another's escape is its own",
    sent: '{"type":"a","x\\\\u0041":1,"x\\u0041":2}',
    stored: '{"x\\\\u0041":1,"xA":2}',
  },
];

function storedPayload(prism: TestPrism, id: string): string | undefined {
  return scalarOf<string>(prism, "select payload from events where id = ?", id);
}

test("S2-128: a payload is stored as it was sent", async (t) => {
  keepsPromise(t, "S2-128");
  const prism = await startPrism(t);
  for (const { name, sent, stored } of KEPT) {
    await t.test(name, async () => {
      const { status, body } = await prism.post<{ id: string }>("/api/v1/events", sent);
      assert.equal(status, 202);
      assert.equal(storedPayload(prism, body.id), stored);
      const read = await prism.get(`/api/v1/events/${body.id}`);
      assert.ok(read.text.includes(`"payload":${stored}`), "it is also answered so");
    });
  }
});

test("S2-62: unknown members of an event are folded into its payload", async (t) => {
  keepsPromise(t, "S2-62");
  const prism = await startPrism(t);
  for (const { name, sent, stored } of FOLDED) {
    await t.test(name, async () => {
      const { status, body } = await prism.post<{ id: string }>("/api/v1/events", sent);
      assert.equal(status, 202);
      assert.equal(storedPayload(prism, body.id), stored);
    });
  }
});

test("with ingest.lenient false every unknown member is refused by name", async (t) => {
  const prism = await startPrism(t, { settings: { "ingest.lenient": "false" } });
  const { status, body } = await prism.post<{ error: { details: { path: string }[] } }>("/api/v1/events", {
    type: "a",
    amount: 1,
    colour: "red",
    payload: { free: true },
  });
  assert.equal(status, 400);
  assert.deepEqual(valuesOf(body.error.details, "path"), ["amount", "colour"]);
});

test("rules see what is stored: a folded member, and U+FFFD in the place of half a character", async (t) => {
  const prism = await startPrism(t);
  const condition = `event.amount == 1500 && event.note == "\\ufffd!"`;
  await prism.post("/api/v1/rules", { name: "r", condition, targetUsers: ["me"] });
  await prism.post("/api/v1/events", '{"type":"a","amount":1500,"payload":{"note":"\\ud800!"}}');
  const { body } = await prism.get<{ data: unknown[] }>("/api/v1/notifications");
  assert.equal(body.data.length, 1);
});

test("a payload of the largest size is stored, one byte more is refused", async (t) => {
  const prism = await startPrism(t, { settings: { "ingest.maxEventBytes": "2048" } });
  const payload = (bytes: number) => ({ a: "é".repeat((bytes - 8) / 2) });
  assert.equal((await prism.post("/api/v1/events", { type: "a", payload: payload(2048) })).status, 202);
  const alone = await prism.post<{ error: { code: string } }>("/api/v1/events", { type: "a", payload: payload(2050) });
  assert.deepEqual([alone.status, alone.body.error.code], [413, "PAYLOAD_TOO_LARGE"]);
  const batch = await prism.post<{ results: { status: string; error?: { code: string; path: string } }[] }>(
    "/api/v1/events",
    [
      { type: "a", payload: payload(2050) },
      { type: "a", payload: {} },
    ],
  );
  assert.equal(batch.status, 202);
  const rows = batch.body.results.map(({ status, error }) => [status, error?.code, error?.path]);
  assert.deepEqual(rows, [
    ["rejected", "PAYLOAD_TOO_LARGE", "payload"],
    ["accepted", undefined, undefined],
  ]);
});

test("an event of very many unknown members is folded in one pass", async (t) => {
  const prism = await startPrism(t);
  const members = Array.from({ length: 1000 }, (_, i) => `"m\\u0030${i}":${i}`).join(",");
  const { status, body } = await prism.post<{ id: string }>("/api/v1/events", `{"type":"a",${members}}`);
  assert.equal(status, 202);
  const stored = JSON.parse(storedPayload(prism, body.id) ?? "") as Record<string, number>;
  assert.equal(Object.keys(stored).length, 1000);
  assert.equal(stored["m0999"], 999);
});

test("a payload of some megabytes is refused for its size, whatever it is made of", async (t) => {
  const prism = await startPrism(t);
  for (const text of ["x".repeat(7_000_000), "\\n".repeat(3_500_000), '\\"'.repeat(3_500_000)]) {
    const reply = await prism.post<{ error?: { code: string } }>(
      "/api/v1/events",
      `{"type":"a","payload":{ "s" : "${text}" }}`,
    );
    assert.deepEqual([reply.status, reply.body.error?.code], [413, "PAYLOAD_TOO_LARGE"]);
  }
});

const OWN = ["type", "payload", "source", "level", "occurredAt", "id", "dedupeKey", "projectId"];

test("what is stored means what was sent, for any payload and any unknown members", () => {
  const name = fc.oneof(fc.string({ unit: "grapheme" }), fc.constantFrom("__proto__", "constructor", "a\\b", 'q"'));
  const isUnknown = (key: string): boolean => !OWN.includes(key);
  fc.assert(
    fc.property(
      fc.option(fc.dictionary(name, fc.jsonValue(), { noNullPrototype: true }), { nil: undefined }),
      fc.dictionary(name.filter(isUnknown), fc.jsonValue(), { noNullPrototype: true }),
      fc.constantFrom(undefined, 1, "\t"),
      (payload, unknown, space) => {
        const text = JSON.stringify({ ...unknown, type: "a", ...(payload ? { payload } : {}) }, null, space);
        const event = readEvent(
          {
            text,
            outline: scanJson(text, Number.MAX_SAFE_INTEGER),
            value: JSON.parse(text),
            receivedAt: 0,
            newId: null,
            correlationId: null,
            projectOf: () => "p",
          },
          { maxEventBytes: 1e9, lenient: true },
        );
        const expected = JSON.parse(JSON.stringify({ ...unknown, ...payload }));
        assert.deepEqual(JSON.parse(event.payloadText), expected);
        // Integers that a double cannot hold are objects with their digits.
        assert.deepEqual(JSON.parse(JSON.stringify(event.payload)), expected);
      },
    ),
  );
});

test("an event that is read without a parser is what a parser reads, and no other text is one", () => {
  const member = fc.tuple(fc.constantFrom(...OWN, "other"), fc.jsonValue());
  const payload = fc.tuple(fc.constant("payload"), fc.dictionary(fc.string({ unit: "grapheme" }), fc.jsonValue()));
  const valid = fc.oneof(
    fc.tuple(
      fc.constantFrom("source", "dedupeKey", "projectId"),
      fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 }),
    ),
    fc.tuple(fc.constant("level"), fc.constantFrom("debug", "fatal")),
    fc.tuple(fc.constant("id"), fc.uuid()),
    fc.tuple(fc.constant("occurredAt"), fc.constant("2026-01-31T08:00:00Z")),
  );
  const type = fc.tuple(fc.constant("type"), fc.string({ unit: "grapheme" }));
  const value = fc
    .tuple(type, fc.array(fc.oneof({ weight: 6, arbitrary: valid }, member, payload), { maxLength: 6 }))
    .map(([first, members]) => Object.fromEntries([first, ...members]));
  const signs = fc.constantFrom(...'{}[]",:\\u0n1-+.eE \n\t\u0001\u00e9');
  let plain = 0;
  fc.assert(
    fc.property(
      value,
      fc.constantFrom(undefined, 1),
      fc.option(fc.tuple(fc.nat(), fc.constantFrom(0, 1), signs), { nil: undefined }),
      (members, space, change) => {
        const sent = JSON.stringify(members, null, space);
        const place = change === undefined ? 0 : change[0] % sent.length;
        const text = change === undefined ? sent : sent.slice(0, place) + change[2] + sent.slice(place + change[1]);
        const event = plainEvent(text);
        if (event === null) return;
        plain++;
        const parsed = JSON.parse(text) as Record<string, unknown>;
        assert.ok(Object.keys(parsed).every((name) => OWN.includes(name)));
        const { payload: own = {} } = parsed;
        const given = parsed["payload"] === undefined ? {} : { payload: {} };
        assert.deepEqual(event.envelope, readEnvelope({ ...parsed, ...given }));
        assert.deepEqual(JSON.parse(event.payloadText), own);
        assert.equal(event.payloadText, minifyJson(event.payloadText));
      },
    ),
    { numRuns: 3000 },
  );
  assert.ok(plain > 300, String(plain));
});

test("numbers, words and strings of a payload are read as JSON has them", () => {
  const values = ["0", "-0", "1.50", "1e5", "1E-5", "-1.5e+300", "true", "false", "null", '"a\\n\\"b"', "[]", "[1,{}]"];
  for (const json of values)
    assert.equal(plainEvent(`{"type":"a","payload":{"a":${json}}}`)?.payloadText, `{"a":${json}}`);
  const refused = [
    "01",
    "1.",
    ".5",
    "+1",
    "1e",
    "tru",
    "nul",
    '"\\u00e9"',
    '"\\x"',
    "[1,]",
    "{,}",
    "'a'",
    "NaN",
    '"a',
    "-",
  ];
  for (const json of refused) assert.equal(plainEvent(`{"type":"a","payload":{"a":${json}}}`), null, json);
  const deep = `${"[".repeat(40)}${"]".repeat(40)}`;
  const type = '"type":"a"';
  const others = [`{${type}}x`, `{${type},}`, `{${type},"payload":[]}`, `{${type},"a":1}`, `{${type},${type}}`];
  for (const text of ["", "{", "{}", "[]", '{"type":1}', ...others, `{${type},"payload":{"a":${deep}}}`])
    assert.equal(plainEvent(text), null, text);
  assert.deepEqual(plainEvent(' { "type" : "a\\\\b" , "payload" : { "a" : "b c" } } '), {
    envelope: readEnvelope({ type: "a\\b", payload: {} }),
    payloadText: '{"a":"b c"}',
  });
  const many = `{"type":"a","payload":{"a":[${"1,".repeat(1000)}1]}}`;
  assert.equal(plainEvent(many), null, "its members are charged before it is parsed");
});
