import assert from "node:assert/strict";
import test from "node:test";
import type { EventStats } from "../../../../src/client/api-types.gen.ts";
import { makeProject } from "../../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { rowsWith } from "../../../helpers/values.ts";

interface Received {
  readonly at: string;
  readonly type?: string;
  readonly level?: string;
  readonly source?: string;
}

/** Events in the order of their receipt, at these times. */
async function receive(prism: TestPrism, apiKey: string, events: readonly Received[]): Promise<void> {
  const bodies = events.map(({ at: _at, type = "a", ...event }) => ({ type, ...event }));
  const reply = await prism.post("/api/v1/events", bodies, { apiKey });
  assert.ok(reply.status < 300, reply.text);
  await prism.parts.base.database.write(async (trx) => {
    for (const [n, { at }] of events.entries())
      await trx
        .updateTable("events")
        .set({ receivedAt: Date.parse(at) })
        .where("seq", "=", n + 1)
        .execute();
  });
}

async function statsOf(prism: TestPrism, query: string, apiKey: string): Promise<EventStats> {
  const reply = await answered(200, prism.get<EventStats>(`/api/v1/events/stats?${query}`, { apiKey }));
  return reply.body;
}

const MARCH = "from=2026-03-28T00:00:00Z&to=2026-03-31T00:00:00Z";

test("events by day and hour, by level, type and source, in UTC and in a zone whose clocks change", async (t) => {
  const prism = await startPrism(t);
  const { id, apiKey } = await makeProject(prism);
  await receive(prism, apiKey, [
    { at: "2026-03-27T23:59:59Z", type: "before" },
    { at: "2026-03-28T22:30:00Z", type: "a", level: "error", source: "x" },
    { at: "2026-03-28T23:30:00Z", type: "b", source: "x" },
    { at: "2026-03-29T22:30:00Z", type: "a" },
    { at: "2026-03-30T22:30:00Z", type: "a" },
    { at: "2026-03-31T00:00:00Z", type: "after" },
  ]);
  const utc = await statsOf(prism, `${MARCH}&by=type`, apiKey);
  assert.deepEqual(utc, {
    ...{ projectId: id, from: "2026-03-28T00:00:00.000Z", to: "2026-03-31T00:00:00.000Z" },
    ...{ step: "day", timezone: "UTC", by: "type" },
    buckets: ["2026-03-28T00:00:00.000Z", "2026-03-29T00:00:00.000Z", "2026-03-30T00:00:00.000Z"],
    ...{ total: 4, totals: [2, 1, 1] },
    groups: [
      { name: "a", total: 3, counts: [1, 1, 1] },
      { name: "b", total: 1, counts: [1, 0, 0] },
    ],
    ...{ others: { groups: 0, total: 0, counts: [0, 0, 0] }, estimated: false },
  });
  // The 29th has 23 hours there.
  const berlin = await statsOf(prism, `${MARCH}&timezone=Europe/Berlin`, apiKey);
  assert.deepEqual(berlin.buckets, [
    ...["2026-03-28T00:00:00.000Z", "2026-03-28T23:00:00.000Z", "2026-03-29T22:00:00.000Z", "2026-03-30T22:00:00.000Z"],
  ]);
  assert.deepEqual(berlin.totals, [1, 1, 1, 1]);
  const bySource = await statsOf(prism, `${MARCH}&by=source&step=week`, apiKey);
  assert.deepEqual(bySource.buckets, ["2026-03-28T00:00:00.000Z", "2026-03-30T00:00:00.000Z"]);
  assert.deepEqual(bySource.groups, [
    { name: null, total: 2, counts: [1, 1] },
    { name: "x", total: 2, counts: [2, 0] },
  ]);
  const hours = await statsOf(prism, "from=2026-03-28T22:10:00Z&to=2026-03-29T00:00:00Z&step=hour", apiKey);
  assert.deepEqual(
    [hours.buckets, hours.totals],
    [
      ["2026-03-28T22:10:00.000Z", "2026-03-28T23:00:00.000Z"],
      [1, 1],
    ],
  );
  assert.deepEqual(rowsWith(hours.groups, "name", "counts"), [
    ["error", [1, 0]],
    ["info", [0, 1]],
  ]);
  const india = await statsOf(
    prism,
    "from=2026-03-28T22:10:00Z&to=2026-03-29T00:00:00Z&step=hour&timezone=Asia/Kolkata",
    apiKey,
  );
  assert.deepEqual(india.buckets, ["2026-03-28T22:10:00.000Z", "2026-03-28T22:30:00.000Z", "2026-03-28T23:30:00.000Z"]);
  const recent = await statsOf(prism, "step=week", apiKey);
  assert.deepEqual([recent.buckets.length >= 12, recent.estimated], [true, false]);
});

test("the largest twenty groups, and the others together", async (t) => {
  const prism = await startPrism(t);
  const { apiKey } = await makeProject(prism);
  const events = Array.from({ length: 25 }, (_, n) =>
    Array.from({ length: n + 1 }, () => ({ type: `type.${String(n).padStart(2, "0")}` })),
  ).flat();
  const reply = await prism.post("/api/v1/events", events, { apiKey });
  assert.ok(reply.status < 300, reply.text);
  const { groups, others, total } = await statsOf(prism, "by=type&step=day", apiKey);
  assert.deepEqual([groups.length, groups[0]?.name, groups[0]?.total], [20, "type.24", 25]);
  assert.deepEqual([others.groups, others.total, total], [5, 15, 325]);
});

test("a period with many events is counted exactly, and its groups are estimated", async (t) => {
  const prism = await startPrism(t);
  const { id, apiKey } = await makeProject(prism);
  const now = Date.now();
  await prism.post("/api/v1/events", { type: "first" }, { apiKey });
  await prism.parts.base.database.write(async (trx) => {
    const row = await trx.selectFrom("events").selectAll().where("projectId", "=", id).executeTakeFirstOrThrow();
    for (let n = 0; n < 21; n++) {
      const rows = Array.from({ length: 1000 }, (_, at) => {
        const seq = row.seq + 1 + n * 1000 + at;
        const type = at % 4 === 0 ? "rare" : "common";
        return {
          ...row,
          seq,
          id: `${row.id.slice(0, 24)}${seq.toString(16).padStart(12, "0")}`,
          type,
          receivedAt: now,
        };
      });
      for (let at = 0; at < rows.length; at += 100)
        await trx
          .insertInto("events")
          .values(rows.slice(at, at + 100))
          .execute();
    }
  });
  const { total, groups, estimated } = await statsOf(
    prism,
    "by=type&step=day&from=2020-01-01T00:00:00Z&to=2020-02-01T00:00:00Z",
    apiKey,
  );
  assert.deepEqual([total, groups, estimated], [0, [], false]);
  const stats = await statsOf(prism, "by=type", apiKey);
  assert.deepEqual([stats.total, stats.estimated], [21_001, true]);
  const share = (name: string): number => (stats.groups.find((group) => group.name === name)?.total ?? 0) / stats.total;
  assert.ok(Math.abs(share("rare") - 0.25) < 0.05, JSON.stringify(stats.groups));
});

test("what is refused", async (t) => {
  const prism = await startPrism(t);
  const { apiKey } = await makeProject(prism);
  for (const query of [
    "step=minute",
    "by=payload",
    "timezone=Nowhere/Here",
    "timezone=%2B02:00",
    "from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z",
    "from=2020-01-01T00:00:00Z&to=2026-01-01T00:00:00Z&step=hour",
    "from=0001-01-01T00:00:00Z",
    "nothing=1",
  ]) {
    const reply = await prism.get<{ error?: { code: string } }>(`/api/v1/events/stats?${query}`, { apiKey });
    assert.deepEqual([query, reply.status, reply.body.error?.code], [query, 400, "VALIDATION_FAILED"]);
  }
  await answered(404, prism.get("/api/v1/events/stats?projectId=none", { apiKey }));
});
