import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { Worker } from "node:worker_threads";
import { sql } from "kysely";
import { type Caller, runAs } from "../../src/core/caller.ts";
import { Scanner } from "../../src/store/scanner.ts";
import { eventually } from "../helpers/eventually.ts";
import { startPrism } from "../helpers/prism.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { openBeside, openTestStore, temporaryDatabase } from "../helpers/store.ts";
import { testUser } from "../http/support/bare-kernel.ts";

function scannerOf(t: TestContext, file: string, idleMs?: number): Scanner {
  const scanner = new Scanner(file, idleMs);
  t.after(() => scanner.close());
  return scanner;
}

test("the scan thread starts on first use and stops when nothing was asked for a while", async (t) => {
  const scanner = scannerOf(t, temporaryDatabase(t), 20);
  assert.equal(scanner.isRunning, false);
  assert.deepEqual(await scanner.query("select 1 as one", []), [{ one: 1 }]);
  assert.equal(scanner.isRunning, true);
  await eventually("the thread has stopped", () => !scanner.isRunning);
  assert.deepEqual(await scanner.query("select ? as two", [2]), [{ two: 2 }], "and starts again");
});

test("a query that comes while an idle thread stops is answered by the next thread", async (t) => {
  const scanner = scannerOf(t, temporaryDatabase(t), 0);
  for (let i = 0; i < 5; i++) {
    assert.deepEqual(await scanner.query("select ? as i", [i]), [{ i }]);
    await eventually("the thread stops", () => !scanner.isRunning);
  }
});

test("queries asked at once are answered each with its own rows", async (t) => {
  const scanner = scannerOf(t, temporaryDatabase(t));
  const asked = Array.from({ length: 50 }, (_, i) => i);
  const rows = await Promise.all(asked.map((i) => scanner.query("select ? as i", [i])));
  assert.deepEqual(
    rows,
    asked.map((i) => [{ i }]),
  );
});

test("a scan sees every commit whose promise is settled, and cannot write", async (t) => {
  const store = openTestStore(t, { writer: "thread" });
  const { database } = store;
  for (let i = 0; i < 10; i++) {
    await database.write((trx) =>
      trx
        .insertInto("settings")
        .values({ key: `k${i}`, value: i, updatedAt: 0 })
        .execute(),
    );
    const { n } = await database.scan
      .selectFrom("settings")
      .select((e) => e.fn.countAll<number>().as("n"))
      .where("key", "like", "k%")
      .executeTakeFirstOrThrow();
    assert.equal(n, i + 1);
  }
  await assert.rejects(database.scan.deleteFrom("settings").execute(), { code: "SQLITE_READONLY" });
});

test("an error of SQL rejects that query only, with SQLite's code", async (t) => {
  const scanner = scannerOf(t, temporaryDatabase(t));
  const wrong = scanner.query("select absent", []);
  const right = scanner.query("select 1 as one", []);
  await assert.rejects(wrong, { code: "SQLITE_ERROR", message: /no such column: absent/ });
  assert.deepEqual(await right, [{ one: 1 }]);
});

test("a parameter that cannot be sent rejects that query only", async (t) => {
  const scanner = scannerOf(t, temporaryDatabase(t));
  await assert.rejects(scanner.query("select ?", [() => undefined]), { name: "DataCloneError" });
  assert.deepEqual(await scanner.query("select 1 as one", []), [{ one: 1 }]);
});

test("a thread that dies fails what it was asked; the next query starts another", async (t) => {
  const scanner = scannerOf(t, temporaryDatabase(t));
  const { postMessage } = Worker.prototype;
  let thread: Worker | undefined;
  t.mock.method(Worker.prototype, "postMessage", function (this: Worker, ...args: Parameters<Worker["postMessage"]>) {
    thread = this;
    postMessage.apply(this, args);
  });
  const asked = assert.rejects(
    scanner.query(
      "with recursive n(i) as (select 1 union all select i + 1 from n limit 3000000) select max(i) from n",
      [],
    ),
    { code: "THREAD_GONE" },
  );
  await thread?.terminate();
  await asked;
  assert.deepEqual(await scanner.query("select 1 as one", []), [{ one: 1 }]);
});

test("a thread that cannot open the file fails the query", async (t) => {
  const scanner = scannerOf(t, `${temporaryDatabase(t)}.not-there`);
  await assert.rejects(scanner.query("select 1", []), { code: "THREAD_GONE" });
});

test("after close nothing is asked any more, and what was under way is refused", async (t) => {
  const file = temporaryDatabase(t);
  openBeside(t, file);
  const scanner = scannerOf(t, file);
  const asked = assert.rejects(scanner.query("select 1", []), { code: "THREAD_GONE" });
  await scanner.close();
  await asked;
  await assert.rejects(scanner.query("select 1", []), { code: "THREAD_GONE" });
  assert.equal(scanner.isRunning, false);
});

test("a thread is not ended while it loads its addon: Node-API would end the process", async (t) => {
  const file = temporaryDatabase(t);
  openBeside(t, file);
  const scanner = scannerOf(t, file);
  const thread = await new Promise<Worker>((resolve) => {
    process.once("worker", resolve);
    scanner.query("select 1", []).catch(() => undefined);
  });
  const end = t.mock.method(thread, "terminate");
  let isOnline = false;
  thread.once("online", () => {
    isOnline = true;
    assert.equal(end.mock.callCount(), 0);
  });
  await scanner.close();
  assert.deepEqual([isOnline, end.mock.callCount()], [true, 1]);
});

const callerOf = (userId: string, isGone = () => false): Caller => ({
  principal: testUser(userId),
  process: "request",
  ip: null,
  requestId: null,
  correlationId: null,
  isGone,
});

/** Asks on behalf of a caller and notes in `done` when it is answered. */
function ask(scanner: Scanner, caller: Caller, name: string, done: string[]): Promise<void> {
  return runAs(caller, async () => {
    await scanner.query("select 1", []);
    done.push(name);
  });
}

test("S2-113, S3-06: callers take turns: many reads of one delay another by one read", async (t) => {
  keepsPromise(t, ["S2-113", "S3-06"]);
  const scanner = scannerOf(t, temporaryDatabase(t));
  const done: string[] = [];
  const [alice, bob] = [callerOf("alice"), callerOf("bob")];
  const all = Array.from({ length: 10 }, (_, i) => ask(scanner, alice, `alice ${i}`, done));
  all.push(ask(scanner, bob, "bob", done), ask(scanner, alice, "alice last", done));
  await Promise.all(all);
  assert.deepEqual(done.slice(0, 4), ["alice 0", "alice 1", "bob", "alice 2"]);
  assert.equal(done.at(-1), "alice last");
});

test("API keys share the turns of the person who made them, and 64 reads that wait", async (t) => {
  const scanner = scannerOf(t, temporaryDatabase(t));
  const done: string[] = [];
  const keyOf = (n: number): Caller => ({
    ...callerOf("alice"),
    principal: {
      ...{ key: `key:${n}`, kind: "apiKey", keyId: String(n), projectId: "shop", scopes: new Set() },
      ...{ createdBy: "alice", rateLimit: null, expiresAt: Number.POSITIVE_INFINITY },
    },
  });
  const running = ask(scanner, callerOf("carol"), "carol", done);
  const all = [1, 2, 3, 4].flatMap((n) => Array.from({ length: 16 }, () => ask(scanner, keyOf(n), `key ${n}`, done)));
  await assert.rejects(ask(scanner, keyOf(5), "key 5", done), { code: "RATE_LIMITED" });
  all.push(ask(scanner, callerOf("bob"), "bob", done));
  await Promise.all([running, ...all]);
  assert.deepEqual(done.slice(0, 6), ["carol", "key 1", "bob", "key 2", "key 3", "key 4"]);
});

test("a caller may have 16 reads wait; Prism's own are not limited", async (t) => {
  const scanner = scannerOf(t, temporaryDatabase(t));
  const done: string[] = [];
  const alice = callerOf("alice");
  // One runs, sixteen wait.
  const all = Array.from({ length: 17 }, () => ask(scanner, alice, "alice", done));
  await assert.rejects(ask(scanner, alice, "one more", done), { code: "RATE_LIMITED", retryAfterMs: 1000 });
  all.push(...Array.from({ length: 50 }, async () => void (await scanner.query("select 1", []))));
  all.push(ask(scanner, callerOf("bob"), "bob", done));
  await Promise.all(all);
  assert.equal(done.length, 18);
  await ask(scanner, alice, "later", done);
});

test("a read whose client has gone away is not run, and makes room for the next", async (t) => {
  const scanner = scannerOf(t, temporaryDatabase(t));
  const done: string[] = [];
  let isGone = false;
  const alice = callerOf("alice", () => isGone);
  const first = ask(scanner, callerOf("bob"), "bob", done);
  const dropped = Array.from({ length: 16 }, () => ask(scanner, alice, "dropped", done));
  isGone = true;
  const again = ask(scanner, callerOf("alice"), "alice again", done);
  for (const each of await Promise.allSettled(dropped)) assert.equal(each.status, "rejected");
  await Promise.all([first, again]);
  assert.deepEqual(done, ["bob", "alice again"]);
});

test("requests of one key beyond its waiting reads get 429, and another user's list is answered", async (t) => {
  const prism = await startPrism(t);
  const { database: db } = prism.parts.base;
  const { body } = await prism.post<{ apiKey: string }>("/api/v1/projects", { name: "busy" });
  const path = "/api/v1/events?source=nope&page=1&limit=1";
  const slow = sql`with recursive c(x) as (select 1 union all select x + 1 from c where x < 3000000) select max(x) from c`;
  const running = slow.execute(db.scan);
  const replies = Promise.all(Array.from({ length: 40 }, () => prism.get(path, body)));
  const other = prism.get("/api/v1/users");
  const refused = (await replies).filter(({ status }) => status === 429);
  assert.ok(refused.length > 0, "some are refused");
  for (const { headers } of refused) assert.equal(headers.get("retry-after"), "1");
  assert.equal((await other).status, 200);
  await running;
  assert.equal((await prism.get(path, body)).status, 200, "later there is room again");
});
