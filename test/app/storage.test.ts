import assert from "node:assert/strict";
import { promises, renameSync } from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { StorageGuard } from "../../src/store/write-health.ts";
import { eventually } from "../helpers/eventually.ts";
import { LogLines } from "../helpers/log-lines.ts";
import { makeProject } from "../helpers/people.ts";
import { type Reply, startPrism, type TestPrism } from "../helpers/prism.ts";
import { openBeside, temporaryDir } from "../helpers/store.ts";
import { countOf, scalarOf } from "../helpers/tables.ts";
import { runOn } from "../store/support/statements-of.ts";

type Answer = Reply<{ id?: string; error?: { code: string } }>;

interface Write {
  readonly name: string;
  /** Rows that it would add. */
  readonly table: string;
  run(prism: TestPrism, n: number): Promise<Answer>;
}

const api = (path: string) => `/api/v1${path}`;
const LONG = "x".repeat(3000);

const WRITES: readonly Write[] = [
  {
    name: "an event",
    table: "events",
    run: (prism) => prism.post(api("/events"), { type: "a", payload: { text: LONG } }),
  },
  {
    name: "a batch",
    table: "events",
    run: (prism) =>
      prism.post(
        api("/events"),
        [1, 2].map((n) => ({ type: "a", payload: { n, text: LONG } })),
      ),
  },
  {
    name: "a notification",
    table: "notifications",
    run: (prism) => prism.post(api("/notifications"), { recipients: ["me"], title: "t", message: LONG }),
  },
  {
    name: "a timer",
    table: "jobs",
    run: (prism) =>
      prism.post(api("/time/trigger"), {
        label: "l",
        delayMs: 1_000_000,
        action: { type: "event", event: "x", payload: { text: LONG } },
      }),
  },
  {
    name: "a rule",
    table: "rules",
    run: (prism) =>
      prism.post(api("/rules"), {
        name: crypto.randomUUID(),
        description: LONG,
        condition: "false",
        targetUsers: ["me"],
      }),
  },
  { name: "a project", table: "projects", run: (prism, n) => prism.post(api("/projects"), { name: `p ${n}` }) },
  {
    name: "a key",
    table: "api_keys",
    run: (prism, n) => prism.post(api("/projects/default/keys"), { name: `k ${n}` }),
  },
];

async function fillUp(prism: TestPrism): Promise<void> {
  for (let n = 0; n < 2000; n++) {
    const { status } = await prism.post(api("/events"), { type: "a", payload: { text: LONG } });
    if (status !== 202) return;
  }
  throw new Error("the database does not get full");
}

test("a full database answers 507 on every route that stores something; nothing of it is stored, and reads go on", async (t) => {
  const prism = await startPrism(t, { settings: { maxDbBytes: "3000000" } });
  await fillUp(prism);
  for (const { name, table, run } of WRITES)
    await t.test(name, async () => {
      // Pages that are half empty take some more.
      let last = await run(prism, 0);
      let rows = countOf(prism, table);
      for (let n = 1; last.status < 300 && n < 500; n++) {
        rows = countOf(prism, table);
        last = await run(prism, n);
      }
      assert.deepEqual([last.status, last.body.error?.code], [507, "STORAGE_FULL"], last.text);
      assert.doesNotMatch(last.text, /SQLITE|prism\.db/);
      assert.equal(countOf(prism, table), rows);
    });
  for (const path of ["/events", "/notifications", "/rules", "/projects", "/users/me"])
    assert.equal((await prism.get(api(path))).status, 200, path);
  assert.equal((await prism.get("/health/live")).status, 200);

  await t.test("and can be started on", async () => {
    const token = prism.adminToken;
    await prism.restart();
    // For a new one there is no room to record it.
    prism.adminToken = token;
    assert.equal((await prism.get(api("/events"))).status, 200);
    assert.equal((await prism.post(api("/projects"), { name: "p" })).status, 507);
  });

  await t.test("and is written to again by itself when there is room", async (t) => {
    const beside = openBeside(t, join(prism.dir, "prism.db"));
    beside.exec("delete from events where seq % 2 = 0");
    for (const { name, run } of WRITES) assert.ok((await run(prism, 1000)).status < 300, name);
    const { body } = await prism.get<{ ok: boolean }>(api("/audit/verify"));
    assert.equal(body.ok, true);
  });
});

test("while another process holds the database longer than Prism waits, writes get 503 with Retry-After, reads go on, and then all is well", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const beside = openBeside(t, join(prism.dir, "prism.db"));
  beside.exec("begin immediate");
  const write = prism.post<{ error?: { code: string } }>(api("/events"), { type: "a" }, { apiKey: shop.apiKey });
  assert.equal((await prism.get(api("/events"))).status, 200);
  const { status, headers, body } = await write;
  assert.deepEqual([status, body.error?.code], [503, "DATABASE_UNAVAILABLE"]);
  assert.match(headers.get("retry-after") ?? "", /^\d+$/);
  assert.equal(countOf(prism, "events"), 0);
  beside.exec("commit");
  assert.equal((await prism.post(api("/events"), { type: "a" }, { apiKey: shop.apiKey })).status, 202);
});

test("while the database is read-only, writes get 503, health says so, and reads go on", async (t) => {
  const prism = await startPrism(t, { settings: { "store.writer": "main" } });
  const { port } = prism.parts.base.store;
  await port.ask({ op: "begin" });
  await runOn(port, "pragma query_only = 1");
  await port.rollback();
  for (const [path, body] of [
    ["/events", { type: "a" }],
    ["/notifications", { recipients: ["me"], title: "t", message: "m" }],
    ["/rules", { name: "r", condition: "true", targetUsers: ["me"] }],
    ["/time/trigger", { label: "l", delayMs: 0, action: { type: "event", event: "x" } }],
  ] as const) {
    const reply = await prism.post<{ error?: { code: string } }>(api(path), body);
    assert.deepEqual([reply.status, reply.body.error?.code], [503, "DATABASE_UNAVAILABLE"], path);
  }
  const health = await prism.get<{ db: string }>("/health");
  assert.deepEqual([health.status, health.body.db], [503, "failed"]);
  assert.equal((await prism.get("/health/db")).status, 503);
  assert.equal((await prism.get("/health/live")).status, 200);
  assert.equal((await prism.get(api("/rules"))).status, 200);
  assert.equal(scalarOf(prism, "select count(*) from events"), 0);
});

test("while the database file is removed, events are refused with 503, and taken again when it is back", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const file = join(prism.dir, "prism.db");
  const post = () => prism.post<{ error?: { code: string } }>(api("/events"), { type: "a" }, { apiKey: shop.apiKey });
  assert.equal((await post()).status, 202);
  renameSync(file, `${file}.moved`);
  const refused = await eventually("a refusal", async () => {
    const reply = await post();
    return reply.status === 202 ? null : reply;
  });
  assert.deepEqual([refused.status, refused.body.error?.code], [503, "DATABASE_UNAVAILABLE"]);
  renameSync(`${file}.moved`, file);
  await eventually("accepted again", async () => (await post()).status === 202);
});

/** A guard over a directory, whose checks the test calls for. */
async function guardOf(t: TestContext, minFreeBytes: number): Promise<{ guard: StorageGuard; log: LogLines }> {
  const log = new LogLines();
  const guard = new StorageGuard([temporaryDir(t)], minFreeBytes, log);
  await guard.start();
  t.after(() => guard.stop());
  return { guard, log };
}

test("less free space than is to be kept refuses events, and is said once in the log", async (t) => {
  const { guard, log } = await guardOf(t, 1e15);
  assert.equal(guard.isFull, true);
  assert.throws(() => guard.requireSpace(), { code: "STORAGE_FULL" });
  assert.deepEqual(
    log.lines.map(({ level }) => level),
    ["error"],
  );
  assert.equal(log.lines[0]?.fields["freeBytes"], guard.freeBytes);
});

test("the guard looks again every second: what was refused is taken when there is room, and the log says both", async (t) => {
  const disk = { bavail: 5 };
  t.mock.timers.enable({ apis: ["setInterval"] });
  t.mock.method(promises, "statfs", async () => ({ bavail: disk.bavail, bsize: 4096 }));
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  const { guard, log } = await guardOf(t, 100_000);
  const nextLook = async (): Promise<void> => {
    t.mock.timers.tick(1000);
    await new Promise(setImmediate);
  };
  assert.equal(guard.isFull, true);
  disk.bavail = 500;
  assert.equal(guard.isFull, true, "not before it has looked");
  await nextLook();
  guard.requireSpace();
  await nextLook();
  disk.bavail = 1;
  await nextLook();
  assert.throws(() => guard.requireSpace(), { code: "STORAGE_FULL" });
  assert.deepEqual(
    log.lines.map(({ level }) => level),
    ["error", "info", "error"],
  );
});

test("the guard watches the disk of the database and that of the data directory", async (t) => {
  const [database, dataDir] = [temporaryDir(t), temporaryDir(t)];
  const free = new Map([
    [database, 1],
    [dataDir, 500],
  ]);
  t.mock.method(promises, "statfs", async (dir: string) => ({ bavail: free.get(dir) ?? 0, bsize: 4096 }));
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  for (const dirs of [
    [database, dataDir],
    [dataDir, database],
  ]) {
    const guard = new StorageGuard(dirs, 100_000, new LogLines());
    await guard.start();
    t.after(() => guard.stop());
    assert.deepEqual([guard.isFull, guard.freeBytes], [true, 4096]);
  }
});

test("enough free space refuses nothing and says nothing", async (t) => {
  const { guard, log } = await guardOf(t, 0);
  assert.ok(guard.freeBytes > 0 && Number.isFinite(guard.freeBytes));
  guard.requireSpace();
  assert.deepEqual(log.lines, []);
});

test("a directory without readable free space refuses nothing: a full disk is detected by its own error", async (t) => {
  const log = new LogLines();
  const guard = new StorageGuard([join(temporaryDir(t), "absent")], 1, log);
  await guard.start();
  t.after(() => guard.stop());
  assert.equal(guard.isFull, false);
  assert.match(log.lines[0]?.message ?? "", /cannot read the free disk space/);
});
