import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { addJob, jobRow } from "../../../features/time/jobs/workers/support.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { temporaryDir } from "../../../helpers/store.ts";
import { scalarOf } from "../../../helpers/tables.ts";
import { WorkerProcess, workToken } from "../../../helpers/worker-process.ts";

const QUEUE = "module:outside" as const;

/** As an outsider writes it: for a server, of which a worker does the jobs only. */
const OUTSIDE = `
export default {
  name: "outside", version: "1.0.0",
  async register(server, services) {
    server.get("/outside", () => "here");
    await services.scheduler.cron("nightly", "0 3 * * *", "sum", {});
    services.events.on("system:ready", () => undefined);
    const { kv, log } = services;
    services.scheduler.handle("sum", async ({ payload, attempts, queue, kind, createdAt }) => {
      log.info({ numbers: payload.length }, "adding");
      const isNew = Math.abs(services.time.now("UTC").toMillis() - Date.parse(createdAt)) < 86_400_000;
      return { sum: payload.reduce((a, b) => a + b, 0), attempts, queue, kind, isNew };
    });
    services.scheduler.handle("hopeless", async () => { throw Object.assign(new Error("never"), { permanent: true }); });
    services.scheduler.handle("later", async () => { throw Object.assign(new Error("busy"), { retryAfterMs: 3_600_000 }); });
    services.scheduler.handle("hang", () => new Promise(() => undefined));
    services.scheduler.handle("keep", async () => { await kv.set("a", 1); });
  },
};`;

async function openWorld(t: TestContext, code = OUTSIDE): Promise<{ prism: TestPrism; worker(): WorkerProcess }> {
  const prism = await startPrism(t);
  const { token } = await workToken(prism);
  const modulesDir = temporaryDir(t);
  mkdirSync(join(modulesDir, "its-folder"));
  writeFileSync(join(modulesDir, "its-folder/index.mjs"), code);
  const args = ["--modules-dir", modulesDir];
  const settings = { shutdownMs: "3000" };
  return { prism, worker: () => new WorkerProcess(t, { url: prism.url, token, queues: QUEUE, args, settings }) };
}

const add = (prism: TestPrism, kind: string, payload: unknown = {}): Promise<string> =>
  addJob(prism, payload, { queue: QUEUE, kind: `outside:${kind}` });

test("S2-123: a worker runs a module's jobs: results, failures and hand-backs are as in the server", async (t) => {
  const { prism, worker } = await openWorld(t);
  const running = worker();
  const [sum, hopeless, later, unknown] = [
    await add(prism, "sum", [1, 2, 39]),
    await add(prism, "hopeless"),
    await add(prism, "later"),
    await add(prism, "none"),
  ];
  await eventually("the sum is there", () => jobRow(prism, sum).state === "succeeded");
  const { result } = jobRow(prism, sum);
  assert.deepEqual(JSON.parse(result ?? ""), { sum: 42, attempts: 1, queue: QUEUE, kind: "sum", isNew: true });
  await eventually("the others have ended", () =>
    [hopeless, later, unknown].every((id) => jobRow(prism, id).lastError !== null),
  );
  assert.deepEqual([jobRow(prism, hopeless).state, jobRow(prism, hopeless).lastError], ["dead", "never"]);
  assert.equal(jobRow(prism, later).state, "retrying");
  assert.ok(jobRow(prism, later).runAt > Date.now() + 3_000_000);
  assert.match(jobRow(prism, unknown).lastError ?? "", /no handler for jobs of kind outside:none/);
  await running.untilSays("adding");
  const hanging = await add(prism, "hang");
  await eventually("it hangs", () => jobRow(prism, hanging).state === "running");
  assert.equal(await running.stop(), 0);
  assert.deepEqual([jobRow(prism, hanging).state, jobRow(prism, hanging).attempts], ["ready", 0]);
  assert.equal(
    scalarOf(prism, "select count(*) from schedules where name like 'outside%'"),
    0,
    "the server makes those",
  );
});

test("S2-123: a handler that needs what only the server has is handed back, and the worker says which service it is", async (t) => {
  const { prism, worker } = await openWorld(t);
  const running = worker();
  const id = await add(prism, "keep");
  assert.equal(await running.ended(), 3);
  assert.match(running.stderr, /the module outside uses services\.kv\.set, which only the server has/);
  const { state, attempts } = jobRow(prism, id);
  assert.deepEqual([state, attempts], ["ready", 0], "nothing is lost: a server that has the module runs it");
});

test("S2-123: a module that needs the database to register does not start", async (t) => {
  const code = `export default { name: "outside", version: "1.0.0", async register(server, { db, scheduler }) {
    await db.read.selectFrom("users").select("id").execute();
    scheduler.handle("sum", async () => 1);
  } };`;
  const { worker } = await openWorld(t, code);
  const running = worker();
  assert.equal(await running.ended(), 3);
  assert.match(running.stderr, /the module outside cannot run in a worker: .*services\.db\.read\.selectFrom/);
});

test("S2-123: a module that is not there, or handles nothing, is said before anything is claimed", async (t) => {
  for (const [code, words] of [
    [
      `export default { name: "other", version: "1.0.0", register() {} };`,
      /there is no module outside in .*--modules-dir/,
    ],
    [
      `export default { name: "outside", version: "1.0.0", register() {} };`,
      /outside cannot run in a worker: it handles no jobs/,
    ],
  ] as const) {
    const { worker } = await openWorld(t, code);
    const running = worker();
    assert.equal(await running.ended(), 3);
    assert.match(running.stderr, words);
  }
});
