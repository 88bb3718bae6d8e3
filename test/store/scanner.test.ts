import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { Worker } from "node:worker_threads";
import { Scanner } from "../../src/store/scanner.ts";
import { eventually } from "../helpers/eventually.ts";
import { openBeside, openTestStore, temporaryDatabase } from "../helpers/store.ts";

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
