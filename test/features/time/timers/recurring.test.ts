import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeUser } from "../../../helpers/people.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { countOf, rowsOf } from "../../../helpers/tables.ts";

interface Made {
  readonly jobId: string;
  readonly scheduleId: string;
  readonly label: string;
  readonly runAt: string;
  readonly state: string;
  readonly action: unknown;
  readonly error?: { readonly code: string };
}

const TRIGGER = "/api/v1/time/trigger";
const MINUTE = 60_000;
const ring = { type: "event", event: "rang", payload: { n: 1 }, persist: true };

async function server(t: TestContext) {
  // 12:00:30 in the middle of a Wednesday.
  const clock = new FakeClock(Date.UTC(2026, 6, 1, 12, 0, 30));
  const prism = await startPrism(t, { clock });
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    await prism.parts.offers.schedules.due.check();
    prism.parts.offers.runner.enqueued([]);
  };
  return { prism, clock, pass };
}

test("a timer by cron fires again and again until it is cancelled, and each time once", async (t) => {
  const { prism, pass } = await server(t);
  const { status, body } = await prism.post<Made>(TRIGGER, { label: "every minute", cron: "* * * * *", action: ring });
  assert.equal(status, 201);
  assert.deepEqual(body, {
    jobId: body.scheduleId,
    scheduleId: body.scheduleId,
    label: "every minute",
    runAt: "2026-07-01T12:01:00.000Z",
    action: { type: "event" },
    state: "scheduled",
  });
  const { devUserId } = prism.parts.offers;
  const [schedule] = rowsOf<Record<string, unknown>>(prism, "select * from schedules where id = ?", body.scheduleId);
  assert.deepEqual(
    [schedule?.["queue"], schedule?.["kind"], schedule?.["label"], schedule?.["createdBy"], schedule?.["timezone"]],
    ["timers", "timer", "every minute", devUserId, "UTC"],
  );
  for (let n = 1; n <= 3; n++) {
    await pass(MINUTE);
    await eventually("it has fired again", () => countOf(prism, "events") === n);
  }
  assert.deepEqual(rowsOf(prism, "select distinct type, source, payload from events"), [
    { type: "rang", source: "timer", payload: '{"n":1}' },
  ]);
  assert.equal((await prism.delete(`/api/v1/timers/${body.jobId}`)).status, 200);
  await eventually(
    "the last one has ended",
    () => rowsOf(prism, "select 1 from jobs where finishedAt is null").length === 0,
  );
  await pass(5 * MINUTE);
  assert.deepEqual([countOf(prism, "events"), countOf(prism, "schedules")], [3, 0]);
});

test("the pattern is one of the zone's wall clock; an invalid pattern or zone is refused and leaves nothing", async (t) => {
  const { prism } = await server(t);
  const zone = await prism.post<Made>(TRIGGER, { label: "l", cron: "0 9 * * *", timezone: "Asia/Tokyo", action: ring });
  assert.equal(zone.body.runAt, "2026-07-02T00:00:00.000Z");
  for (const { cron, timezone, code } of [
    { cron: "every day", code: "INVALID_CRON" },
    { cron: "* * * *", code: "INVALID_CRON" },
    { cron: "0 0 30 2 *", code: "INVALID_CRON" },
    { cron: "* * * * * * *", code: "INVALID_CRON" },
    { cron: "0 9 * * *", timezone: "Mars/Olympus", code: "INVALID_TIMEZONE" },
  ]) {
    const reply = await prism.post<Made>(TRIGGER, { label: "l", cron, timezone, action: ring });
    assert.deepEqual([reply.status, reply.body.error?.code], [400, code], `${cron}: ${reply.text}`);
  }
  assert.equal(countOf(prism, "schedules"), 1);
});

test("labels of recurring timers need not differ; with a dedupeKey the next is not created", async (t) => {
  const { prism } = await server(t);
  const { token } = await makeUser(prism, "dora", ["Operator"]);
  const make = (more: object = {}, options: object = {}) =>
    prism.post<Made>(TRIGGER, { label: "same", cron: "0 9 * * *", action: ring, ...more }, options);
  const [first, second] = [await make(), await make()];
  assert.notEqual(second.body.jobId, first.body.jobId);
  const keyed = await make({ dedupeKey: "k" });
  assert.deepEqual((await make({ dedupeKey: "k", label: "other" })).body, keyed.body);
  assert.notEqual((await make({ dedupeKey: "k" }, { token })).body.jobId, keyed.body.jobId);
  await prism.delete(`/api/v1/timers/${keyed.body.jobId}`);
  assert.notEqual((await make({ dedupeKey: "k" })).body.jobId, keyed.body.jobId);
});

test("who may make which recurring timer, and that rights are asked at each firing", async (t) => {
  const { prism, pass } = await server(t);
  const uma = await makeUser(prism, "uma", ["User"]);
  const own = { type: "notify", payload: { userId: "me", title: "again", body: "b" } };
  const make = (action: object) => prism.post<Made>(TRIGGER, { label: "l", cron: "* * * * *", action }, uma);
  assert.equal((await make(ring)).body.error?.code, "UNAUTHORIZED_ROLE");
  assert.equal((await make({ ...own, payload: { ...own.payload, userId: "nobody" } })).status, 403);
  const { body } = await make(own);
  await pass(MINUTE);
  await eventually("it has told her", () => countOf(prism, "notifications") === 1);
  await prism.services.db.write((trx) => trx.deleteFrom("user_roles").where("userId", "=", uma.id).execute());
  prism.rightsChanged();
  await pass(MINUTE);
  const dead = () =>
    rowsOf<{ lastError: string }>(
      prism,
      "select lastError from jobs where scheduleId = ? and state = 'dead'",
      body.scheduleId,
    );
  await eventually("it is dead", () => dead().length === 1);
  assert.match(dead()[0]?.lastError ?? "", /^FORBIDDEN/);
  assert.equal(countOf(prism, "notifications"), 1);
});
