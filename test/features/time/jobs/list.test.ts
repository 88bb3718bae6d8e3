import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import SqliteDatabase from "better-sqlite3";
import { migrateFile } from "../../../../src/store/sqlite/migrate.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { temporaryDir } from "../../../helpers/store.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { type JobPage, jobOf, makeJob } from "./support/make-jobs.ts";

const get = async (prism: TestPrism, query: string): Promise<JobPage> => {
  const { status, body, text } = await prism.get<JobPage>(`/api/v1/jobs?${query}`);
  assert.equal(status, 200, `${query}: ${text}`);
  return body;
};

/** All that the pages of a list hold, joined. */
async function joined(prism: TestPrism, query: string): Promise<string[]> {
  const ids: string[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const page: JobPage = await get(prism, cursor === "" ? query : `${query}&cursor=${cursor}`);
    ids.push(...page.data.map(({ id }) => id));
    cursor = page.nextCursor;
  }
  return ids;
}

test("jobs are listed newest first, and joined pages give each once", async (t) => {
  const prism = await startPrism(t);
  const ids: string[] = [];
  for (let i = 0; i < 7; i++) ids.unshift(await makeJob(prism, { queue: i % 2 === 0 ? "digest" : "alert" }));
  assert.deepEqual(await joined(prism, "limit=3"), ids);
  assert.deepEqual(await joined(prism, "limit=2&state=scheduled"), ids);
  assert.deepEqual(
    await joined(prism, "limit=1&queue=alert"),
    ids.filter((_, i) => i % 2 === 1),
  );
  const second = await get(prism, "page=2&limit=3");
  assert.deepEqual([second.data.map(({ id }) => id), second.page, second.total], [ids.slice(3, 6), 2, 7]);
  const offset = await get(prism, "offset=5&limit=3&state=scheduled,dead");
  assert.deepEqual([offset.data.map(({ id }) => id), offset.total, offset.nextCursor], [ids.slice(5), 7, null]);
  assert.deepEqual((await get(prism, "")).total, undefined);
});

test("every filter leaves just the jobs that pass", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  prism.parts.offers.runner.handle("done", async () => undefined);
  const old = await makeJob(prism, { label: "Old one" });
  const at = clock.now();
  clock.advance(60_000);
  const alert = await makeJob(prism, { queue: "alert", label: "50% off" });
  const dead = await makeJob(prism, { kind: "unknown", delayMs: 0 });
  const done = await makeJob(prism, { kind: "done", delayMs: 0 });
  const cancelled = await makeJob(prism);
  await prism.post(`/api/v1/jobs/${cancelled}/cancel`);
  await eventually("one is dead", async () => (await jobOf(prism, dead)).state === "dead");
  await eventually("one is done", async () => (await jobOf(prism, done)).state === "succeeded");
  const time = (ms: number) => encodeURIComponent(new Date(ms).toISOString());
  for (const { query, ids } of [
    { query: "queue=alert", ids: [alert] },
    { query: "queue=alert-suppression-queue", ids: [] },
    { query: "kind=unknown", ids: [dead] },
    { query: "state=scheduled", ids: [alert, old] },
    { query: "state=dead", ids: [dead] },
    { query: "state=dead&queue=alert", ids: [] },
    { query: "state=scheduled,dead&queue=digest", ids: [dead, old] },
    { query: "state=succeeded,dead", ids: [done, dead] },
    { query: "state=cancelled", ids: [cancelled] },
    { query: "state=ready,running,retrying", ids: [] },
    { query: "label=Old%20one", ids: [old] },
    { query: "label=Old", ids: [] },
    { query: "q=old", ids: [old] },
    { query: "q=50%25", ids: [alert] },
    { query: "q=no%20handler", ids: [dead] },
    { query: `from=${time(at + 1)}`, ids: [cancelled, done, dead, alert] },
    { query: `to=${time(at + 1)}`, ids: [old] },
    { query: `from=${time(at)}&to=${time(at + 1)}&state=scheduled`, ids: [old] },
  ])
    await t.test(query, async () => {
      assert.deepEqual(await joined(prism, `${query}&limit=1`), ids);
      assert.equal((await get(prism, `${query}&page=1`)).total, ids.length);
    });
});

test("filters that mean nothing are refused, each with its name", async (t) => {
  const prism = await startPrism(t);
  for (const { query, code, path } of [
    { query: "queue=nothing", code: "VALIDATION_FAILED", path: "queue" },
    { query: "state=asleep", code: "VALIDATION_FAILED", path: "state.0" },
    { query: "kind=a%20b", code: "VALIDATION_FAILED", path: "kind" },
    { query: "from=yesterday", code: "VALIDATION_FAILED", path: "from" },
    { query: "limit=1001", code: "VALIDATION_FAILED", path: "limit" },
    { query: "sort=label", code: "VALIDATION_FAILED", path: "sort" },
    { query: "page=1&cursor=WzFd", code: "VALIDATION_FAILED", path: "page" },
    { query: "cursor=abc", code: "INVALID_CURSOR", path: undefined },
  ]) {
    const { status, body } = await prism.get<{ error: { code: string; details?: { path: string }[] } }>(
      `/api/v1/jobs?${query}`,
    );
    assert.deepEqual([status, body.error.code, body.error.details?.[0]?.path], [400, code, path], query);
  }
});

test("a list leaves long payloads and results out and says how long payloads are; one job shows its own whole", async (t) => {
  const prism = await startPrism(t);
  prism.parts.offers.runner.handle("long", async () => ({ text: "y".repeat(5000) }));
  const done = await makeJob(prism, { kind: "long", delayMs: 0 });
  await eventually("it is done", async () => (await jobOf(prism, done)).state === "succeeded");
  assert.deepEqual((await jobOf(prism, done)).result, { text: "y".repeat(5000) });
  assert.equal((await get(prism, "kind=long")).data[0]?.result, null);
  const payload = { text: "x".repeat(5000) };
  const id = await makeJob(prism, { payload });
  const [line] = (await get(prism, "")).data;
  assert.deepEqual([line?.payload, line?.payloadBytes], [null, JSON.stringify(payload).length]);
  assert.deepEqual((await jobOf(prism, id)).payload, payload);
});

test("among very many finished jobs a page scans some of them at a time, and the next page continues", async (t) => {
  const dir = temporaryDir(t);
  const file = join(dir, "prism.db");
  migrateFile(file);
  const beside = new SqliteDatabase(file);
  beside.exec(`
    with recursive n (i) as (select 1 union all select i + 1 from n where i < 250000)
    insert into jobs (id, queue, kind, payload, state, runAt, maxAttempts, label, finishedAt, createdAt)
    select printf('0198c0de-0000-7000-8000-%012x', i), 'timers', 'timer', '{}', iif(i = 3, 'cancelled', iif(i = 4, 'dead', 'succeeded')),
           i, 5, iif(i = 2, 'the needle', null), i, i from n`);
  beside.close();
  const prism = await startPrism(t, { dir });
  const idOf = (i: number) => `0198c0de-0000-7000-8000-${i.toString(16).padStart(12, "0")}`;
  const first = await get(prism, "state=cancelled");
  assert.deepEqual([first.data, first.nextCursor === null], [[], false]);
  assert.deepEqual(await joined(prism, "state=cancelled"), [idOf(3)]);
  assert.deepEqual(await joined(prism, "q=needle"), [idOf(2)]);
  const dead = await get(prism, "state=dead");
  assert.deepEqual([dead.data.map(({ id }) => id), dead.nextCursor], [[idOf(4)], null], "by its index, at once");
  const newest = await get(prism, "limit=2");
  assert.deepEqual(valuesOf(newest.data, "id"), [idOf(250_000), idOf(249_999)]);
  assert.equal((await get(prism, "page=1&limit=1&label=the%20needle")).total, 1);
});

test("a search by text reads long payloads in limited parts, and finds the oldest job", async (t) => {
  const dir = temporaryDir(t);
  const file = join(dir, "prism.db");
  migrateFile(file);
  const beside = new SqliteDatabase(file);
  beside
    .prepare(`
      with recursive n (i) as (select 1 union all select i + 1 from n where i < 250)
      insert into jobs (id, queue, kind, payload, state, runAt, maxAttempts, label, finishedAt, createdAt)
      select printf('0198c0de-0000-7000-8000-%012x', i), 'timers', 'timer', ?, iif(i % 2, 'dead', 'succeeded'), i, 5,
             iif(i in (1, 2, 200), 'the needle', null), i, i from n`)
    .run(JSON.stringify({ text: "x".repeat(200_000) }));
  beside.close();
  const prism = await startPrism(t, { dir });
  const labelled = async (query: string) =>
    (await get(prism, query)).data.map(({ id }) => Number.parseInt(id.slice(-4), 16));
  assert.deepEqual(await labelled("q=needle"), [200, 2, 1]);
  assert.deepEqual(await labelled("q=needle&state=dead"), [1]);
  assert.deepEqual(await labelled("q=needle&limit=1"), [200]);
});
