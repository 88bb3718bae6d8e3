import assert from "node:assert/strict";
import test from "node:test";
import { sql } from "kysely";
import type { Stats } from "../../../../src/client/api-types.gen.ts";
import { uuidv7 } from "../../../../src/core/ids.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { answered, startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { rowsOf } from "../../../helpers/tables.ts";

const MINUTE_MS = 60_000;

async function statsOf(prism: TestPrism, query = "", token?: string): Promise<Stats> {
  const reply = await answered(200, prism.get<Stats>(`/api/v1/stats${query}`, token === undefined ? {} : { token }));
  return reply.body;
}

/** Moves all events of a project back in time, without changing their order. */
function moveBack(prism: TestPrism, projectId: string, byMs: number): Promise<unknown> {
  return prism.parts.base.database.write((trx) =>
    trx
      .updateTable("events")
      .set((e) => ({ receivedAt: e("receivedAt", "-", byMs) }))
      .where("projectId", "=", projectId)
      .execute(),
  );
}

test("the figures of an hour are counted by level, by recipients' actions and by job, with those of the hour before", async (t) => {
  const prism = await startPrism(t);
  const { id: shop } = await makeProject(prism);
  await prism.post("/api/v1/events", [{ type: "old", projectId: shop }]);
  await moveBack(prism, shop, 90 * MINUTE_MS);
  await prism.post("/api/v1/events", [
    { type: "a", projectId: shop, level: "error" },
    { type: "a", projectId: shop, level: "fatal" },
    { type: "b" },
  ]);
  const sent = await prism.post<{ id: string }>("/api/v1/notifications", { userId: "me", title: "t", message: "m" });
  await prism.patch(`/api/v1/notifications/${sent.body.id}/read`);
  await eventually(
    "the jobs are done",
    () => rowsOf(prism, "select 1 from jobs where finishedAt is null").length === 0,
  );

  const { events, notifications, deliveries, jobs, points, stepMs } = await statsOf(prism);
  assert.equal(stepMs, 30_000);
  assert.ok(points === 120 || points === 121, String(points));
  assert.deepEqual(events?.totals, { total: 3, debug: 0, info: 1, warn: 0, error: 1, fatal: 1 });
  assert.deepEqual(events.previous, { total: 1, debug: 0, info: 1, warn: 0, error: 0, fatal: 0 });
  assert.equal(events.series["total"]?.length, points);
  assert.equal(
    events.series["total"]?.slice(-2).reduce((a, b) => a + b),
    3,
  );
  assert.equal(events.estimated, false);
  assert.deepEqual(notifications?.totals, { sent: 1, seen: 1, acknowledged: 0 });
  assert.equal(notifications.scope, "all");
  const only = await statsOf(prism, "?parts=events");
  assert.deepEqual(only.events?.totals, events.totals);
  assert.deepEqual([only.notifications, only.deliveries, only.jobs], [null, null, null], "only what is asked for");
  assert.equal(deliveries?.now.waiting, 0);
  assert.ok((jobs?.now["dead"] ?? -1) === 0);

  const ofShop = await statsOf(prism, `?projectId=${shop}`);
  assert.equal(ofShop.events?.totals["total"], 2);
  assert.deepEqual([ofShop.deliveries, ofShop.jobs], [null, null]);
});

test("a user sees the figures of the own notifications and of readable projects, and nothing of the server", async (t) => {
  const prism = await startPrism(t);
  const { id: shop } = await makeProject(prism);
  const uma = await makeUser(prism, "uma", ["User"]);
  const { id: hers } = await makeProject(prism, "hers");
  await prism.post(`/api/v1/projects/${hers}/members`, { userId: uma.id, role: "viewer" });
  const sent = ["a", "b", "c"].map((type) => ({ type, projectId: { a: shop, b: hers, c: "default" }[type] }));
  await prism.post("/api/v1/events", sent);
  await prism.post("/api/v1/notifications", { recipients: ["uma"], title: "t", message: "m" });
  await prism.post("/api/v1/notifications", { userId: "me", title: "t", message: "m" });
  const { events, notifications, deliveries, jobs } = await statsOf(prism, "", uma.token);
  assert.equal(events?.totals["total"], 1, "the event of her project");
  assert.deepEqual([notifications?.scope, notifications?.totals["sent"]], ["own", 1]);
  assert.deepEqual([deliveries, jobs], [null, null]);
  await answered(404, prism.get(`/api/v1/stats?projectId=${shop}`, { token: uma.token }));
});

test("a period has at most 200 points, and its buckets are multiples of the step", async (t) => {
  const prism = await startPrism(t);
  const at = "2026-01-31T08:00:30Z";
  const stats = await statsOf(prism, `?from=${at}&to=2026-01-31T09:00:00Z&stepMs=60000`);
  assert.deepEqual([stats.from, stats.to, stats.points], ["2026-01-31T08:00:00.000Z", "2026-01-31T09:00:00.000Z", 60]);
  const month = await statsOf(prism, "?from=2026-01-01T00:00:00Z&to=2026-02-01T00:00:00Z");
  assert.deepEqual([month.stepMs, month.points], [43_200_000, 62]);
  for (const query of ["?from=2026-01-01T00:00:00Z&stepMs=1000", `?from=${at}&to=${at}`]) {
    const { status, body } = await prism.get<{ error: { code: string } }>(`/api/v1/stats${query}`);
    assert.deepEqual([status, body.error.code], [400, "VALIDATION_FAILED"], query);
  }
});

test("of many events the total and the errors of each bucket are exact, and other levels are estimated", async (t) => {
  const prism = await startPrism(t, { settings: { "rateLimit.enabled": "false" } });
  const { id: shop } = await makeProject(prism);
  const step = 10 * MINUTE_MS;
  const now = Math.floor(Date.now() / step) * step;
  const perBucket = 5000;
  await prism.parts.base.database.write(async (trx) => {
    const { rows } = await insertEvents(trx, { projectId: shop, first: now - 6 * step, step, perBucket });
    assert.equal(rows.length, 0);
  });
  for (const scope of ["", `&projectId=${shop}`]) {
    const query = `?from=${at(now - 6 * step)}&to=${at(now)}&stepMs=${step}${scope}`;
    const { events } = await statsOf(prism, query);
    assert.equal(events?.estimated, true);
    assert.deepEqual(
      events.series["total"],
      Array.from({ length: 6 }, () => perBucket),
    );
    assert.deepEqual(
      events.series["error"],
      Array.from({ length: 6 }, () => perBucket / 10),
    );
    assert.ok((events.series["warn"]?.[3] ?? 0) > 0);
  }
});

const at = (ms: number): string => new Date(ms).toISOString();

/** One in ten is an error, one in ten a warning. */
function insertEvents(
  trx: Parameters<Parameters<TestPrism["parts"]["base"]["database"]["write"]>[0]>[0],
  { projectId, first, step, perBucket }: { projectId: string; first: number; step: number; perBucket: number },
) {
  return sql`
    with recursive n (i) as (select 0 union all select i + 1 from n where i + 1 < ${6 * perBucket})
    insert into events (id, projectId, type, level, payload, occurredAt, receivedAt, processedAt)
    select 'e' || i, ${projectId}, 'x', case i % 10 when 0 then 'error' when 1 then 'warn' else 'info' end, '{}',
      cast(${first} + i * ${step / perBucket} as integer), cast(${first} + i * ${step / perBucket} as integer), 1
    from n`.execute(trx);
}

test("notifications of now are counted when ids are ahead of the clock, as after it was set back", async (t) => {
  const prism = await startPrism(t);
  uuidv7(Date.now() + 10 * MINUTE_MS);
  await prism.post("/api/v1/notifications", { userId: "me", title: "t", message: "m" });
  const { notifications } = await statsOf(prism);
  assert.equal(notifications?.totals["sent"], 1);
});
