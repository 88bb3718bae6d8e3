import assert from "node:assert/strict";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { statSync } from "node:fs";
import test, { type TestContext } from "node:test";
import { Worker } from "node:worker_threads";
import { eventually } from "../helpers/eventually.ts";
import { column, openBeside, openTestStore } from "../helpers/store.ts";
import { testBothWriters } from "./support/both-writers.ts";
import { runOn } from "./support/statements-of.ts";
import { failureOfOutcome, TestSource, WRITTEN } from "./support/write-sets.ts";

/** Gives the thread that was started last: nothing else can make a writer die that does nothing wrong. */
function startedThread(t: TestContext): () => Worker {
  let last: Worker | null = null;
  const onStart = (message: unknown): void => {
    last = (message as { readonly worker: Worker }).worker;
  };
  subscribe("worker_threads", onStart);
  t.after(() => unsubscribe("worker_threads", onStart));
  return () => {
    assert.ok(last, "a thread has started");
    return last;
  };
}

testBothWriters("close waits for the sets in flight and keeps what they wrote", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const source = new TestSource(store.committer);
  const first = source.writeEvent();
  await new Promise((resolve) => setImmediate(resolve));
  const closed = store.close();
  assert.deepEqual((await first).outcome, WRITTEN);
  await closed;
  assert.deepEqual(column(openBeside(t, store.file), "select seq from events"), [1]);
});

testBothWriters("close waits for the transaction that has the writer", async (t, writer) => {
  const store = openTestStore(t, { writer });
  let isInside = false;
  const write = store.database.write(async (trx) => {
    isInside = true;
    await trx.insertInto("settings").values({ key: "kept", value: 1, updatedAt: 0 }).execute();
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  });
  await eventually("the transaction has begun", () => isInside);
  const closed = store.close();
  await write;
  await closed;
  assert.deepEqual(column(openBeside(t, store.file), "select value from settings where key = 'kept'"), [1]);
});

testBothWriters(
  "a transaction that waits for the writer at close is refused, and so is every later one",
  async (t, writer) => {
    const store = openTestStore(t, { writer });
    await store.committer.acquireTransaction();
    const waiting = assert.rejects(store.committer.acquireTransaction(), { code: "SHUTTING_DOWN" });
    const closed = store.close();
    await waiting;
    store.committer.releaseTransaction();
    await closed;
    await assert.rejects(
      store.database.write(async () => undefined),
      { code: "SHUTTING_DOWN" },
    );
  },
);

testBothWriters("after close no set is sealed any more and no mark keeps the process alive", async (t, writer) => {
  const store = openTestStore(t, { writer });
  await store.close();
  let seals = 0;
  store.committer.wantSet({
    seal: () => {
      seals++;
      return null;
    },
  });
  store.committer.markDelivered({ userId: "user-1", seq: 1, at: 1 });
  await store.committer.settled();
  assert.equal(seals, 0);
});

testBothWriters("close writes the delivered marks that wait for a set", async (t, writer) => {
  const store = openTestStore(t, { writer });
  openBeside(t, store.file).exec(
    `insert into notification_recipients (notificationId, userId, seq) values ('n', 'u', 1)`,
  );
  store.committer.markDelivered({ userId: "u", seq: 1, at: 5 });
  await store.close();
  assert.deepEqual(column(openBeside(t, store.file), "select deliveredAt from notification_recipients"), [5]);
});

test("when the writer thread dies, its waiters get an error and nothing hangs", async (t) => {
  const thread = startedThread(t);
  const store = openTestStore(t, { writer: "thread", busyTimeoutMs: 60_000 });
  const beside = openBeside(t, store.file);
  beside.exec("begin immediate");
  const source = new TestSource(store.committer);
  const inFlight = source.writeEvent();
  await new Promise((resolve) => setImmediate(resolve));
  const query = store.port.ask({ op: "ping" });
  query.catch(() => undefined);
  void thread().terminate();
  assert.equal(failureOfOutcome((await inFlight).outcome), "closed");
  await assert.rejects(query, { code: "THREAD_GONE" });
  beside.exec("commit");
  assert.equal(store.deaths.length, 1, "the process is told once");
  assert.equal(failureOfOutcome((await source.writeEvent()).outcome), "closed");
  await assert.rejects(
    store.database.write((trx) => trx.deleteFrom("settings").execute()),
    { code: "DATABASE_UNAVAILABLE" },
  );
  assert.equal(await store.canWrite(), false);
  await store.close();
  assert.deepEqual(column(beside, "select count(*) from events"), [0]);
});

test("when the writer thread dies inside a transaction, the transaction fails as unavailable", async (t) => {
  const thread = startedThread(t);
  const store = openTestStore(t, { writer: "thread" });
  const write = store.database.write(async (trx) => {
    await trx.insertInto("settings").values({ key: "lost", value: 1, updatedAt: 0 }).execute();
    await thread().terminate();
    await trx.insertInto("settings").values({ key: "lost too", value: 1, updatedAt: 0 }).execute();
  });
  await assert.rejects(write, { code: "DATABASE_UNAVAILABLE" });
  assert.deepEqual(column(store.reader, "select key from settings where key like 'lost%'"), []);
});

test("a writer thread that is closed has not died", async (t) => {
  const store = openTestStore(t, { writer: "thread" });
  await store.close();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(store.deaths, []);
});

test("what cannot be sent to the writer thread fails alone: later answers are not mixed up", async (t) => {
  const store = openTestStore(t, { writer: "thread" });
  await store.port.ask({ op: "begin" });
  await assert.rejects(runOn(store.port, "select ?", [() => undefined]), { code: "DataCloneError" });
  assert.deepEqual(await runOn(store.port, "select 1 as one"), [{ one: 1 }]);
  await store.port.rollback();
  await store.port.ask({ op: "ping" });
});

test("a close that has no more time leaves the write-ahead log to the next start, and loses nothing", async (t) => {
  const store = openTestStore(t, { writer: "main" });
  await new TestSource(store.committer).writeEvent();
  // Something holds the writer for longer than the stop may take.
  await store.committer.acquireTransaction();
  await store.close(20);
  assert.ok(statSync(`${store.file}-wal`).size > 0);
  store.committer.releaseTransaction();
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(statSync(`${store.file}-wal`).size > 0, "and it is not moved later either");
  assert.deepEqual(column(openBeside(t, store.file), "select count(*) from events"), [1]);
});

test("a close that runs out of time leaves no thread that would keep the process", async (t) => {
  const store = openTestStore(t, { writer: "thread" });
  const unref = t.mock.method(Worker.prototype, "unref");
  await store.committer.acquireTransaction();
  const before = unref.mock.callCount();
  await store.close(10);
  assert.equal(unref.mock.callCount(), before + 1);
  store.committer.releaseTransaction();
});
