import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import * as v from "valibot";
import { EventInput, readEnvelope } from "../../../src/features/events/pipeline/event-envelope.ts";
import { runs } from "../../helpers/chance.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { answered, startPrism } from "../../helpers/prism.ts";
import { keepsPromise } from "../../helpers/promise.ts";
import { countOf } from "../../helpers/tables.ts";

const UUID = "0198c0de-0000-7000-8000-00000000abcd";
const NOW = Date.parse("2026-03-04T05:06:07.000Z");

const ROWS: readonly { name: string; event: Record<string, unknown>; path?: string }[] = [
  { name: "takes a dotted type", event: { type: "order.failed" } },
  { name: "takes every character a type may have", event: { type: "A.b_c:d-e/9" } },
  { name: "takes a type of 100 characters", event: { type: "x".repeat(100) } },
  { name: "refuses an event without a type", event: { payload: {} }, path: "type" },
  { name: "refuses a type that is null", event: { type: null }, path: "type" },
  { name: "refuses a type that is a number", event: { type: 7 }, path: "type" },
  { name: "refuses an empty type", event: { type: "" }, path: "type" },
  { name: "takes a type with a space", event: { type: "order failed" } },
  { name: "takes a type with a letter outside ASCII", event: { type: "ordné" } },
  { name: "refuses a type of 101 characters", event: { type: "x".repeat(101) }, path: "type" },
  { name: "refuses a type of two lines", event: { type: "a\nb" }, path: "type" },
  { name: "takes a type of 100 code points outside ASCII", event: { type: "ü".repeat(100) } },
  { name: "takes an empty payload", event: { type: "a", payload: {} } },
  { name: "refuses a payload that is null", event: { type: "a", payload: null }, path: "payload" },
  { name: "refuses a payload that is an array", event: { type: "a", payload: [] }, path: "payload" },
  { name: "refuses a payload that is a string", event: { type: "a", payload: "{}" }, path: "payload" },
  { name: "takes a source of 100 code points", event: { type: "a", source: "\u{1f600}".repeat(100) } },
  { name: "takes a source that is null", event: { type: "a", source: null } },
  { name: "refuses a source of 101 code points", event: { type: "a", source: "x".repeat(101) }, path: "source" },
  { name: "refuses a source that is an object", event: { type: "a", source: {} }, path: "source" },
  ...["debug", "info", "warn", "error", "fatal"].map((level) => ({
    name: `takes the level ${level}`,
    event: { type: "a", level },
  })),
  { name: "refuses an unknown level", event: { type: "a", level: "notice" }, path: "level" },
  { name: "refuses a level in capitals", event: { type: "a", level: "ERROR" }, path: "level" },
  { name: "refuses a level that is null", event: { type: "a", level: null }, path: "level" },
  { name: "takes a time with an offset", event: { type: "a", occurredAt: "2026-03-01T10:00:00+02:00" } },
  { name: "takes a time 24 hours ahead", event: { type: "a", occurredAt: "2026-03-05T05:06:07.000Z" } },
  {
    name: "refuses a time further ahead",
    event: { type: "a", occurredAt: "2026-03-05T05:06:07.001Z" },
    path: "occurredAt",
  },
  {
    name: "refuses a time without offset",
    event: { type: "a", occurredAt: "2026-03-01T10:00:00" },
    path: "occurredAt",
  },
  {
    name: "refuses a day that does not exist",
    event: { type: "a", occurredAt: "2026-02-30T10:00:00Z" },
    path: "occurredAt",
  },
  { name: "refuses a time in milliseconds", event: { type: "a", occurredAt: 1_772_000_000_000 }, path: "occurredAt" },
  { name: "takes an id that is a UUID", event: { type: "a", id: UUID } },
  { name: "takes a UUID in capitals", event: { type: "a", id: "0198C0DE-0000-7000-8000-00000000ABCE" } },
  { name: "refuses an id that is not a UUID", event: { type: "a", id: "order-1" }, path: "id" },
  { name: "refuses a UUID without dashes", event: { type: "a", id: UUID.replaceAll("-", "") }, path: "id" },
  { name: "refuses an id that is null", event: { type: "a", id: null }, path: "id" },
  { name: "takes a dedupe key of 256 code points", event: { type: "a", dedupeKey: "é".repeat(256) } },
  { name: "takes a dedupe key that is null", event: { type: "a", dedupeKey: null } },
  { name: "refuses an empty dedupe key", event: { type: "a", dedupeKey: "" }, path: "dedupeKey" },
  {
    name: "refuses a dedupe key of 257 code points",
    event: { type: "a", dedupeKey: "k".repeat(257) },
    path: "dedupeKey",
  },
  { name: "refuses a dedupe key of controls only", event: { type: "a", dedupeKey: "\u0001" }, path: "dedupeKey" },
  { name: "refuses a project that is a number", event: { type: "a", projectId: 1 }, path: "projectId" },
];

test("S1-02: each member of an event is held to its rule, and a refused event leaves no row", async (t) => {
  keepsPromise(t, "S1-02");
  const settings = { "ingest.lenient": "false" };
  const prism = await startPrism(t, { clock: new FakeClock(NOW), settings });
  const count = () => countOf(prism, "events");
  for (const { name, event, path } of ROWS) {
    await t.test(name, async () => {
      const before = count();
      const { status, body } = await prism.post<{ error?: { code: string; details: { path: string }[] } }>(
        "/api/v1/events",
        event,
      );
      if (path === undefined) assert.equal(status, 202);
      else assert.deepEqual([status, body.error?.code, body.error?.details[0]?.path], [400, "VALIDATION_FAILED", path]);
      assert.equal(count(), path === undefined ? before + 1 : before);
    });
  }
});

test("everything that is wrong with an event is said at once", async (t) => {
  const prism = await startPrism(t, { settings: { "ingest.lenient": "false" } });
  const { body } = await prism.post<{ error: { details: { path: string }[] } }>("/api/v1/events", {
    level: "loud",
    source: 1,
    id: "x",
  });
  assert.deepEqual(body.error.details.map(({ path }) => path).sort(), ["id", "level", "source", "type"]);
});

const anything = fc.oneof(fc.jsonValue(), fc.constantFrom(null, "", 0, {}, []));
const member = {
  type: fc.oneof(fc.stringMatching(/^[a-z.]{1,8}$/), fc.string({ maxLength: 3 }), anything),
  payload: fc.oneof(fc.dictionary(fc.string(), fc.jsonValue()), anything),
  source: fc.oneof(fc.string({ unit: "binary", maxLength: 102 }), anything),
  level: fc.oneof(fc.constantFrom("debug", "info", "warn", "error", "fatal"), anything),
  occurredAt: fc.oneof(
    fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
    fc.constantFrom("2026-02-30T00:00:00Z", "2026-01-01 00:00:00Z", "2026-01-01T24:00:00Z"),
    anything,
  ),
  id: fc.oneof(
    fc.uuid(),
    fc.uuid().map((id) => id.toUpperCase()),
    anything,
  ),
  dedupeKey: fc.oneof(fc.string({ unit: "binary", maxLength: 258 }), anything),
  projectId: fc.oneof(fc.string(), anything),
  other: fc.jsonValue(),
};

test("the hand-written check and the schema that the API document is made of agree on every event", () => {
  const event = fc.record(member, { requiredKeys: [] });
  fc.assert(
    fc.property(event, (value) => {
      const schema = v.safeParse(EventInput, value);
      const hand = attempt(() => readEnvelope(value));
      assert.equal(hand.ok, schema.success);
      if (!hand.ok || !schema.success) return;
      const { occurredAt, id, level = "info", source = null, dedupeKey = null, type, projectId } = schema.output;
      const { unknown: _unknown, payload: _payload, ...read } = hand.value;
      assert.deepEqual({ ...read }, { occurredAt, id, level, source, dedupeKey, type, projectId });
    }),
    { numRuns: runs(2000) },
  );
});

/**
 * What S2's producers send, and what becomes of it: the envelope, and the payload that keeps the
 * original.
 */
const FOREIGN: readonly {
  event: Record<string, unknown>;
  envelope?: Record<string, unknown>;
  payload?: Record<string, unknown>;
}[] = [
  { event: { type: "payment failed" }, envelope: { type: "payment failed" } },
  { event: { type: "zahlung.überfällig" }, envelope: { type: "zahlung.überfällig" } },
  { event: { type: "a", id: "order-42" }, payload: { id: "order-42" } },
  { event: { type: "a", id: 42, payload: { n: 1 } }, payload: { n: 1, id: 42 } },
  { event: { type: "a", id: 42, payload: { id: 7 } }, payload: { id: 7 } },
  { event: { type: "a", level: 3 }, envelope: { level: "info" }, payload: { level: 3 } },
  ...[{ toString: 1, valueOf: 1 }, ["error"], null].map((level) => ({
    event: { type: "a", level },
    envelope: { level: "info" },
    payload: { level },
  })),
  { event: { type: "a", level: "critical" }, envelope: { level: "fatal" }, payload: { level: "critical" } },
  { event: { type: "a", level: "warning" }, envelope: { level: "warn" }, payload: { level: "warning" } },
  { event: { type: "a", level: "ERROR" }, envelope: { level: "error" }, payload: { level: "ERROR" } },
  { event: { type: "a", level: "constructor" }, envelope: { level: "info" }, payload: { level: "constructor" } },
  { event: { type: "a", source: 5 }, envelope: { source: "5" }, payload: { source: 5 } },
  {
    event: { type: "a", occurredAt: 1_772_600_000 },
    envelope: { occurredAt: "2026-03-04T04:53:20.000Z" },
    payload: { occurredAt: 1_772_600_000 },
  },
  {
    event: { type: "a", timestamp: 1_772_600_000_500 },
    envelope: { occurredAt: "2026-03-04T04:53:20.500Z" },
    payload: { timestamp: 1_772_600_000_500 },
  },
  {
    event: { type: "a", timestamp: "yesterday" },
    envelope: { occurredAt: new Date(NOW).toISOString() },
    payload: { timestamp: "yesterday" },
  },
  { event: { type: "a", payload: null }, payload: {} },
];

test("members that other systems use in their own way are taken, and kept in the payload as they were sent", async (t) => {
  const prism = await startPrism(t, { clock: new FakeClock(NOW) });
  for (const { event, envelope = {}, payload = {} } of FOREIGN) {
    await t.test(JSON.stringify(event), async () => {
      const accepted = await answered(202, prism.post<{ id: string }>("/api/v1/events", event));
      const stored = (await prism.get<Record<string, unknown>>(`/api/v1/events/${accepted.body.id}`)).body;
      assert.deepEqual(stored["payload"], payload);
      for (const [name, value] of Object.entries(envelope)) assert.equal(stored[name], value, name);
    });
  }
  const two = [
    { type: "a", id: "order-43" },
    { type: "b", id: "order-43" },
  ];
  const before = countOf(prism, "events");
  await prism.post("/api/v1/events", two);
  assert.equal(countOf(prism, "events"), before + 2, "a foreign id names a subject, not one event");
});

test("what cannot be mapped is refused all the same", async (t) => {
  const prism = await startPrism(t, { clock: new FakeClock(NOW) });
  for (const event of [
    { type: "a", payload: [1] },
    { type: "a", occurredAt: "yesterday" },
    { type: "a", occurredAt: 9_999_999_999 },
    { type: "a", source: { host: "x" } },
    { type: "a\tb" },
  ])
    assert.equal((await prism.post("/api/v1/events", event)).status, 400, JSON.stringify(event));
});

function attempt<T>(run: () => T): { ok: true; value: T } | { ok: false } {
  try {
    return { ok: true, value: run() };
  } catch {
    return { ok: false };
  }
}
