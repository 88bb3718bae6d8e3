import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { MessagePort } from "node:worker_threads";
import { insertLater, rowsOf, type Trx } from "../../src/store/database.ts";
import { column, openTestStore, type TestStore } from "../helpers/store.ts";
import { testBothWriters } from "./support/both-writers.ts";
import { statementsOf } from "./support/statements-of.ts";

const SHARED = { sharesCommit: true } as const;
const put = (trx: Trx, key: string): void => insertLater(trx, "settings", { key, value: 1, updatedAt: 0 });
const COUNT = "select count(*) as count from settings where key like 'test.%'";

async function countIn(trx: Trx): Promise<number> {
  const [row] = await rowsOf<{ count: number }>(trx, COUNT, []);
  return row?.count ?? Number.NaN;
}

/** The statements that reach the writing connection from now on. */
function recordWriter({ port }: TestStore): string[] {
  const texts: string[] = [];
  const ask = port.ask.bind(port);
  port.ask = (request) => {
    texts.push(request.op, ...statementsOf(request));
    return ask(request);
  };
  return texts;
}

/** On a slow machine a group would end before its last transaction. */
function keepGroupsOpen(t: TestContext): void {
  t.mock.method(performance, "now", () => 0);
}

testBothWriters("a transaction that only reads sends nothing to the writer", async (t, writer) => {
  const store = openTestStore(t, { writer });
  await store.database.write(async (trx) => put(trx, "test.1"));
  const sent = recordWriter(store);
  assert.equal(await store.database.write(countIn), 1);
  assert.deepEqual(sent, []);
});

testBothWriters("a transaction sees its own rows, and those of the ones it shares a commit with", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const sent = recordWriter(store);
  keepGroupsOpen(t);
  const counts = await Promise.all(
    ["test.1", "test.2", "test.3"].map((key) =>
      store.database.write(async (trx) => {
        const before = await countIn(trx);
        put(trx, key);
        return [before, await countIn(trx)];
      }, SHARED),
    ),
  );
  assert.deepEqual(counts, [
    [0, 1],
    [1, 2],
    [2, 3],
  ]);
  assert.equal(sent.filter((text) => text === COUNT).length, 5, "the first read is not the writer's");
});

testBothWriters("the first of several that share a commit may fail at its end; the others go on", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const results = await Promise.allSettled(
    ["test.1 test.1", "test.2", "test.3 test.3", "test.4"].map((keys) =>
      store.database.write(async (trx) => {
        for (const key of keys.split(" ")) put(trx, key);
      }, SHARED),
    ),
  );
  assert.deepEqual(
    results.map(({ status }) => status),
    ["rejected", "fulfilled", "rejected", "fulfilled"],
  );
  assert.deepEqual(column(store.reader, "select key from settings where key like 'test.%' order by key"), [
    "test.2",
    "test.4",
  ]);
});

test("transactions that only write and share a commit cost one message to the writer's thread", async (t) => {
  const store = openTestStore(t, { writer: "thread" });
  keepGroupsOpen(t);
  let messages = 0;
  const post = MessagePort.prototype.postMessage;
  t.mock.method(MessagePort.prototype, "postMessage", function (this: MessagePort, ...args: Parameters<typeof post>) {
    // Threads that start or end send messages too.
    if (JSON.stringify(args[0])?.includes("test.few.")) messages++;
    return post.apply(this, args);
  });
  const writes = Array.from({ length: 20 }, (_, i) =>
    store.database.write(async (trx) => put(trx, `test.few.${i}`), SHARED),
  );
  await Promise.all(writes);
  assert.equal(messages, 1);
  assert.deepEqual(column(store.reader, COUNT), [writes.length]);
});

test("a value that cannot be sent fails its own transaction, not those sent with it", async (t) => {
  const store = openTestStore(t, { writer: "thread" });
  const results = await Promise.allSettled(
    ["test.1", null, "test.2"].map((key) =>
      store.database.write(async (trx) => {
        if (key === null) insertLater(trx, "settings", { key: "test.0", value: (() => 0) as never, updatedAt: 0 });
        else put(trx, key);
      }, SHARED),
    ),
  );
  assert.deepEqual(
    results.map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled"],
  );
  assert.deepEqual(column(store.reader, COUNT), [2]);
});

test("a read that took long runs in the writer's thread the next time", async (t) => {
  const store = openTestStore(t, { writer: "thread" });
  const sent = recordWriter(store);
  let now = 0;
  t.mock.method(performance, "now", () => (now += 5));
  await store.database.write(countIn);
  assert.equal(sent.length, 0);
  await store.database.write(countIn);
  assert.ok(sent.includes(COUNT));
});

test("a read that took long once runs in the main thread again after a while, one that always does hardly ever", async (t) => {
  const store = openTestStore(t, { writer: "thread" });
  const sent = recordWriter(store);
  let [now, stepMs] = [0, 5];
  t.mock.method(performance, "now", () => (now += stepMs));
  const count = async (times: number): Promise<number> => {
    sent.length = 0;
    for (let i = 0; i < times; i++) await store.database.write(countIn);
    return times - sent.filter((text) => text === COUNT).length;
  };
  assert.equal(await count(1000), 7, "in the main thread");
  stepMs = 0;
  await count(1000);
  assert.equal(await count(100), 100, "in the main thread");
});
