import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import type { Timer } from "../../../../src/client/api-types.gen.ts";
import { deferred } from "../../../../src/core/promises.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { answered, startPrism } from "../../../helpers/prism.ts";
import { steadyJitter } from "../../../helpers/steady-jitter.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";

interface Page {
  readonly data: readonly Timer[];
  readonly total?: number;
  readonly nextCursor: string | null;
  readonly error?: { readonly code: string };
}

const TRIGGER = "/api/v1/time/trigger";
const TIMERS = "/api/v1/timers";
const note = { type: "notify", payload: { userId: "me", title: "t", body: "b" } };

async function server(t: TestContext) {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const make = async (label: string, more: object, token?: string): Promise<Timer> => {
    const body = { label, action: note, ...more };
    const reply = await answered(201, prism.post<Timer>(TRIGGER, body, token === undefined ? {} : { token }));
    return reply.body;
  };
  const labels = async (query = "", token = prism.adminToken): Promise<string[]> =>
    (await prism.get<Page>(`${TIMERS}${query}`, { token })).body.data.map(({ label }) => label);
  const stateOf = (jobId: string) => scalarOf<string>(prism, "select state from jobs where id = ?", jobId);
  return { prism, clock, make, labels, stateOf };
}

test("GET /timers lists what has not ended, one-shot and recurring, newest first, in pages", async (t) => {
  const { prism, clock, make, labels, stateOf } = await server(t);
  const one = await make("one", { delayMs: 1000 });
  const two = await make("two", { cron: "0 9 * * *", timezone: "Europe/Berlin" });
  const three = await make("three", {
    delayMs: 86_400_000,
    action: { type: "message", channel: "c", payload: { a: 1 } },
  });
  const four = await make("four", { cron: "*/5 * * * *" });
  const { body } = await prism.get<Page>(TIMERS);
  assert.deepEqual(
    body.data.map(({ jobId, scheduleId, label, state, cron }) => ({ jobId, scheduleId, label, state, cron })),
    [
      { jobId: four.jobId, scheduleId: four.jobId, label: "four", state: "scheduled", cron: "*/5 * * * *" },
      { jobId: three.jobId, scheduleId: null, label: "three", state: "scheduled", cron: null },
      { jobId: two.jobId, scheduleId: two.jobId, label: "two", state: "scheduled", cron: "0 9 * * *" },
      { jobId: one.jobId, scheduleId: null, label: "one", state: "scheduled", cron: null },
    ],
  );
  assert.deepEqual(body.data[1]?.action, { type: "message", channel: "c", payload: { a: 1 } });
  assert.equal(body.data[2]?.runAt, two.runAt);

  assert.deepEqual(await labels("?limit=3&page=1"), ["four", "three", "two"]);
  assert.deepEqual(await labels("?limit=3&page=2"), ["one"]);
  assert.deepEqual(await labels("?offset=2"), ["two", "one"]);
  assert.equal((await prism.get<Page>(`${TIMERS}?page=1`)).body.total, 4);
  const first = await prism.get<Page>(`${TIMERS}?limit=2`);
  assert.deepEqual(await labels(`?limit=2&cursor=${first.body.nextCursor}`), ["two", "one"]);

  clock.advance(1000);
  prism.parts.offers.runner.enqueued([]);
  await eventually("one has fired", () => stateOf(one.jobId) === "succeeded");
  assert.deepEqual(await labels(), ["four", "three", "two"]);
});

test("a schedule with an interval is a recurring timer, also while it is paused", async (t) => {
  const { prism } = await server(t);
  const schedule = { name: "Price feed", queue: "timers", kind: "timer", everyMs: 900_000, active: false };
  const made = await prism.post<{ id: string }>("/api/v1/schedules", { ...schedule, payload: { action: note } });
  assert.equal(made.status, 201, made.text);
  const [timer] = (await prism.get<{ data: object[] }>(TIMERS)).body.data;
  const { id } = made.body;
  assert.deepEqual(timer, { ...timer, jobId: id, scheduleId: id, cron: null, everyMs: 900_000, state: "paused" });
});

test("users see their own timers; with timers:any they see all, and can cancel any", async (t) => {
  const { prism, make, labels } = await server(t);
  const uma = await makeUser(prism, "uma", ["User"]);
  const theo = await makeUser(prism, "theo", ["User"]);
  const viewer = await makeUser(prism, "vera", ["Viewer"]);
  const hers = await make("hers", { delayMs: 60_000 }, uma.token);
  const recurring = await make("her other", { cron: "0 0 * * *" }, uma.token);
  await make("his", { delayMs: 60_000 }, theo.token);
  assert.deepEqual(await labels("", uma.token), ["her other", "hers"]);
  assert.deepEqual(await labels("?page=1", theo.token), ["his"]);
  assert.deepEqual(await labels("", viewer.token), []);
  assert.deepEqual(await labels(), ["his", "her other", "hers"]);
  await answered(403, prism.get<Page>(TIMERS, { apiKey: (await makeProject(prism)).apiKey, token: null }));

  const cancel = (id: string, token?: string) =>
    prism.delete<{ cancelled?: boolean; error?: { code: string } }>(`${TIMERS}/${id}`, token ? { token } : {});
  for (const id of [hers.jobId, recurring.jobId])
    assert.deepEqual(
      [(await cancel(id, theo.token)).status, (await cancel(id, theo.token)).body.error?.code],
      [404, "JOB_NOT_FOUND"],
    );
  assert.deepEqual((await cancel(hers.jobId, uma.token)).body, { cancelled: true });
  assert.deepEqual((await cancel(recurring.jobId)).body, { cancelled: true });
  assert.deepEqual(await labels("", uma.token), []);
  assert.equal((await cancel(recurring.jobId)).status, 404);
  assert.deepEqual(
    rowsOf<{ action: string }>(
      prism,
      "select action, resourceId from audit_log where resourceId in (?, ?) order by seq",
      hers.jobId,
      recurring.jobId,
    ),
    [
      { action: "schedule.create", resourceId: recurring.jobId },
      { action: "job.cancel", resourceId: hers.jobId },
      { action: "schedule.delete", resourceId: recurring.jobId },
    ],
  );
});

test("a running or finished timer cannot be cancelled; a cancelled one never fires", async (t) => {
  steadyJitter(t);
  const { prism, clock, make, stateOf } = await server(t);
  const gate = deferred<void>();
  prism.parts.offers.ingest.ingest = async () => {
    await gate.promise;
    throw new Error("the pipeline is shut");
  };
  const cancel = (id: string) => prism.delete<{ error?: { code: string } }>(`${TIMERS}/${id}`);
  const called = await make("called off", { delayMs: 1000 });
  const runs = await make("runs", { delayMs: 1000, action: { type: "event", event: "x", persist: true } });
  assert.equal((await cancel(called.jobId)).status, 200);
  clock.advance(1000);
  prism.parts.offers.runner.enqueued([]);
  await eventually("it runs", () => stateOf(runs.jobId) === "running");
  for (const id of [runs.jobId, called.jobId]) {
    const { status, body } = await cancel(id);
    assert.deepEqual([status, body.error?.code], [409, "JOB_NOT_CANCELLABLE"]);
  }
  gate.resolve();
  await eventually("it waits for its retry", () => stateOf(runs.jobId) === "retrying");
  assert.equal((await cancel(runs.jobId)).status, 200, "what waits for another attempt can be called off");
  assert.equal(stateOf(called.jobId), "cancelled");
  assert.deepEqual(rowsOf(prism, "select 1 from notifications"), []);
  for (const id of ["nothing", "0198c0de-0000-7000-8000-00000000dead"])
    assert.equal((await cancel(id)).body.error?.code, "JOB_NOT_FOUND");
});

test("a job that is not a timer cannot be cancelled here", async (t) => {
  const { prism, clock } = await server(t);
  const { jobId } = await prism.parts.offers.jobs.enqueue({
    queue: "retention",
    kind: "other",
    payload: {},
    runAt: clock.now() + 1000,
  });
  assert.equal((await prism.delete(`${TIMERS}/${jobId}`)).status, 404);
});
