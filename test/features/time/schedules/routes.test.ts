import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeUser } from "../../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { countOf, rowsOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";

const PATH = "/api/v1/schedules";
const HOUR = 3_600_000;
const EVENT = { action: { type: "event", event: "tick", persist: true } };
const TIMER = { queue: "timers", kind: "timer", payload: EVENT };

interface View {
  readonly id: string;
  readonly version: number;
  readonly cron: string | null;
  readonly everyMs: number | null;
  readonly createdBy: string | null;
  readonly nextRunAt: string | null;
  readonly lastRunAt: string | null;
  readonly payload: { readonly action: Record<string, unknown> };
  readonly nextRuns: readonly { readonly at: string; readonly local: string; readonly dst?: string }[];
  readonly error: {
    readonly code: string;
    readonly details: readonly { readonly path: string; readonly message: string }[];
  };
}

const create = (prism: TestPrism, more: object = {}) =>
  prism.post<View>(PATH, { name: "hourly", cron: "0 * * * *", ...TIMER, ...more });

test("a schedule is made, shown, changed and deleted, and each change leaves its record", async (t) => {
  const prism = await startPrism(t, { clock: new FakeClock(Date.parse("2026-06-01T10:20:00Z")) });
  const made = await create(prism, { timezone: "Europe/Berlin", label: "each hour" });
  assert.equal(made.status, 201, made.text);
  const { id, nextRuns } = made.body;
  assert.deepEqual(nextRuns[0], { at: "2026-06-01T11:00:00.000Z", local: "2026-06-01T13:00:00" });
  assert.equal(nextRuns.length, 5);
  assert.equal(made.body.nextRunAt, "2026-06-01T11:00:00.000Z");
  const shown = await prism.get<View>(`${PATH}/${id}`);
  assert.deepEqual(shown.body, made.body);
  assert.equal((await create(prism)).body.error.code, "NAME_TAKEN");

  const changed = await prism.put<View>(`${PATH}/${id}`, { everyMs: HOUR }, { headers: { "If-Match": '"1"' } });
  assert.deepEqual(
    [changed.status, changed.body.cron, changed.body.everyMs, changed.body.version],
    [200, null, HOUR, 2],
  );
  const late = await prism.put<View>(`${PATH}/${id}`, { active: false }, { headers: { "If-Match": '"1"' } });
  assert.deepEqual([late.status, late.body.error.code], [412, "VERSION_CONFLICT"]);
  const idle = await prism.put<View>(`${PATH}/${id}`, { active: false });
  assert.deepEqual([idle.body.nextRunAt, idle.body.nextRuns], [null, []]);

  const run = await prism.post<{ jobId: string }>(`${PATH}/${id}/run`);
  assert.equal(run.status, 201, run.text);
  const { db } = prism.services;
  await eventually("the job has run", () => countOf(prism, "events") === 1);
  const job = await db.read.selectFrom("jobs").selectAll().where("id", "=", run.body.jobId).executeTakeFirst();
  assert.equal(job?.scheduleId, id);

  assert.equal((await prism.delete(`${PATH}/${id}`)).status, 204);
  for (const gone of [
    prism.get<View>(`${PATH}/${id}`),
    prism.delete<View>(`${PATH}/${id}`),
    prism.put<View>(`${PATH}/x`, {}),
  ])
    assert.equal((await gone).body.error.code, "SCHEDULE_NOT_FOUND");
  assert.deepEqual(
    rowsOf<{ action: string; resourceId: string }>(
      prism,
      "select action, resourceId from audit_log where resourceType = 'schedule' order by seq",
    ),
    ["schedule.create", "schedule.update", "schedule.update", "schedule.run", "schedule.delete"].map((action) => ({
      action,
      resourceId: id,
    })),
  );
});

test("a schedule that has not changed and has not run is answered 304; a run changes its tag, and no version", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const { body, headers } = await create(prism, { cron: "* * * * *" });
  const etag = headers.get("etag") ?? "";
  const again = () => prism.get<View>(`${PATH}/${body.id}`, { headers: { "If-None-Match": etag } });
  assert.equal((await again()).status, 304);
  clock.advance(60_000);
  await prism.parts.offers.schedules.due.check();
  const later = await again();
  assert.deepEqual([later.status, later.body.version], [200, 1]);
  assert.notEqual(later.body.lastRunAt, null);
  const put = await prism.put<View>(`${PATH}/${body.id}`, { label: "x" }, { headers: { "If-Match": etag } });
  assert.equal(put.status, 200, "the version is still the one that was seen");
});

test("schedules are listed newest first, page by page, and by what they are", async (t) => {
  const prism = await startPrism(t);
  for (const name of ["a", "b", "c"]) await create(prism, { name, active: name !== "b" });
  const list = async (query: string) =>
    (
      await prism.get<{ data: { name: string; nextRuns: unknown[] }[]; total?: number; nextCursor: string }>(
        `${PATH}?${query}`,
      )
    ).body;
  assert.deepEqual(valuesOf((await list("")).data, "name"), ["c", "b", "a"]);
  const first = await list("limit=2");
  assert.deepEqual(valuesOf(first.data, "name"), ["c", "b"]);
  assert.deepEqual(valuesOf((await list(`limit=2&cursor=${first.nextCursor}`)).data, "name"), ["a"]);
  const active = await list("active=true&page=1&runs=2");
  assert.deepEqual([active.data.map(({ name }) => name), active.total], [["c", "a"], 2]);
  assert.equal(active.data[0]?.nextRuns.length, 2);
  assert.deepEqual((await list("queue=alert")).data, []);
  assert.deepEqual((await list("module=none")).data, []);
});

test("the preview shows what the setting of the clock does", async (t) => {
  const prism = await startPrism(t, { clock: new FakeClock(Date.parse("2026-03-07T12:00:00Z")) });
  const preview = async (cron: string, more: object = {}) =>
    (await prism.post<View>(`${PATH}/preview`, { cron, timezone: "America/New_York", ...more })).body;
  assert.deepEqual((await preview("30 2 * * *", { count: 2 })).nextRuns, [
    { at: "2026-03-08T07:00:00.000Z", local: "2026-03-08T03:00:00", dst: "moved" },
    { at: "2026-03-09T06:30:00.000Z", local: "2026-03-09T02:30:00" },
  ]);
  assert.deepEqual((await preview("15,45 2 * * *", { count: 3 })).nextRuns, [
    { at: "2026-03-08T07:00:00.000Z", local: "2026-03-08T02:15:00", dst: "skipped" },
    { at: "2026-03-08T07:00:00.000Z", local: "2026-03-08T02:45:00", dst: "skipped" },
    { at: "2026-03-09T06:15:00.000Z", local: "2026-03-09T02:15:00" },
  ]);
  assert.equal((await preview("@daily", { count: 50 })).nextRuns.length, 50);
  assert.equal((await preview("@daily")).nextRuns.length, 10);
  for (const [body, code] of [
    [{ cron: "0 0 0 1 1 * 2030" }, "INVALID_CRON"],
    [{ cron: "0 0 30 2 *" }, "INVALID_CRON"],
    [{ cron: "@daily", timezone: "Mars/Olympus" }, "INVALID_TIMEZONE"],
    [{ cron: "@daily", count: 51 }, "VALIDATION_FAILED"],
    [{}, "VALIDATION_FAILED"],
  ] as const) {
    const { status, body: refused } = await prism.post<View>(`${PATH}/preview`, body);
    assert.deepEqual([status, refused.error.code], [400, code], JSON.stringify(body));
  }
  assert.equal(countOf(prism, "schedules"), 0);
});

test("only jobs with a handler can be scheduled, and no internal ones", async (t) => {
  const prism = await startPrism(t);
  const withdraw = prism.parts.offers.schedules.offer("module:clockwork", "wind");
  for (const work of [
    { queue: "timers", kind: "message" },
    { queue: "retention", kind: "timer" },
    { queue: "event-processing", kind: "event.process" },
    { queue: "no-queue", kind: "timer" },
    { queue: "module:clockwork", kind: "unwind" },
  ]) {
    const { status, body } = await create(prism, work);
    assert.deepEqual([status, body.error.code], [400, "VALIDATION_FAILED"], JSON.stringify(work));
    assert.equal(body.error.details[0]?.message, "must be one of: wind in module:clockwork, timer in timers");
  }
  const wound = await create(prism, { queue: "module:clockwork", kind: "wind", payload: { turns: 3 } });
  assert.deepEqual([wound.status, wound.body.payload], [201, { turns: 3 }]);
  withdraw();
  const { body } = await create(prism, { name: "other", queue: "module:clockwork", kind: "wind" });
  assert.equal(body.error.details[0]?.message, "must be one of: timer in timers");
});

test("a scheduled timer needs a timer's permissions, from its creator and from users who change its action", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma");
  const permissions = ["jobs:read", "jobs:manage", "timers:create"];
  await prism.post("/api/v1/roles", { name: "Job keeper", permissions });
  const { id: keeper, token } = await makeUser(prism, "keeper", ["Job keeper"]);
  const notify = (userId: string) => ({ action: { type: "notify", payload: { userId, title: "t", body: "b" } } });
  const asKeeper = (name: string, payload: object) =>
    prism.post<View>(PATH, { name, cron: "@daily", ...TIMER, payload }, { token });
  const own = await asKeeper("own", notify("me"));
  assert.equal(own.status, 201, own.text);
  assert.deepEqual(own.body.payload.action, {
    type: "notify",
    payload: { title: "t", message: "b", recipients: [keeper], sound: null },
  });
  for (const payload of [notify("uma"), EVENT])
    assert.equal((await asKeeper("others", payload)).body.error.code, "UNAUTHORIZED_ROLE");
  const admins = await create(prism, { payload: notify(uma.id) });
  const path = `${PATH}/${admins.body.id}`;
  assert.equal(
    (await prism.put<View>(path, { payload: notify(uma.id) }, { token })).body.error.code,
    "UNAUTHORIZED_ROLE",
  );
  const moved = await prism.put<View>(path, { cron: "@hourly", payload: admins.body.payload }, { token });
  assert.deepEqual(
    [moved.status, moved.body.createdBy],
    [200, admins.body.createdBy],
    "its time is changed with jobs:manage only",
  );
  const changed = await prism.put<View>(path, { payload: notify("me") }, { token });
  assert.deepEqual([changed.status, changed.body.createdBy], [200, keeper]);
});

test("what the jobs of a module's schedule do is the module's to say; when they run is not", async (t) => {
  const prism = await startPrism(t);
  const { schedules } = prism.parts.offers;
  const { id } = await schedules.put({
    name: "m",
    cron: "@daily",
    queue: "module:clockwork",
    kind: "k",
    module: "clockwork",
  });
  const refused = await prism.put<View>(`${PATH}/${id}`, { payload: { x: 1 } });
  assert.deepEqual([refused.status, refused.body.error.code], [400, "VALIDATION_FAILED"]);
  assert.equal((await prism.put<View>(`${PATH}/${id}`, { cron: "@hourly", payload: {} })).status, 200);
});

test("an invalid body is refused with the problem", async (t) => {
  const prism = await startPrism(t);
  for (const [more, code] of [
    [{ everyMs: 999, cron: null }, "VALIDATION_FAILED"],
    [{ everyMs: 1000 }, "VALIDATION_FAILED"],
    [{ cron: null }, "VALIDATION_FAILED"],
    [{ missed: "never" }, "VALIDATION_FAILED"],
    [{ name: "" }, "VALIDATION_FAILED"],
    [{ payload: { action: { type: "event" } } }, "VALIDATION_FAILED"],
    [{ payload: { ...EVENT, more: 1 } }, "VALIDATION_FAILED"],
    [{ payload: {} }, "VALIDATION_FAILED"],
    [{ cron: "61 * * * *" }, "INVALID_CRON"],
    [{ timezone: "CEST" }, "INVALID_TIMEZONE"],
  ] as const) {
    const { status, body } = await create(prism, more);
    assert.deepEqual([status, body.error.code], [400, code], JSON.stringify(more));
    assert.ok(body.error.details[0]?.message, JSON.stringify(body));
  }
  assert.equal(countOf(prism, "schedules"), 0);
});
