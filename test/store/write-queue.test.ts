import assert from "node:assert/strict";
import { test } from "node:test";
import { PrismError } from "../../src/core/errors.ts";
import { insertLater, WriteQueue } from "../../src/store/database.ts";
import { column, openTestStore, type TestStore } from "../helpers/store.ts";
import { testBothWriters } from "./support/both-writers.ts";

const KEYS = "select key from settings where key like 'test.%' order by key";

/** A queue of keys; each is a row, and `test.bad` is an error. */
function queueOf({ database: db }: TestStore, transactions: string[][], bad: () => Error, mayWait?: number) {
  return new WriteQueue<string, string>({
    db,
    options: { sharesCommit: true },
    most: 4,
    ...(mayWait === undefined ? {} : { mayWait }),
    async store(trx, keys) {
      transactions.push([...keys]);
      for (const key of keys) {
        insertLater(trx, "settings", { key, value: 1, updatedAt: 0 });
        if (key === "test.bad") throw bad();
      }
      return keys.map((key) => `${key} stored`);
    },
  });
}

testBothWriters("inputs that wait are one transaction, up to a limit, in order", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const transactions: string[][] = [];
  const queue = queueOf(store, transactions, () => new Error("unused"));
  const keys = [1, 2, 3, 4, 5, 6].map((n) => `test.${n}`);
  const results = await Promise.all(keys.map((key) => queue.add(key)));
  assert.deepEqual(
    results,
    keys.map((key) => `${key} stored`),
  );
  assert.deepEqual(transactions, [keys.slice(0, 4), keys.slice(4)]);
  assert.deepEqual(column(store.reader, KEYS), keys);
  assert.equal(await queue.add("test.7"), "test.7 stored");
});

testBothWriters("an input with a defect fails alone, and leaves no row", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const queue = queueOf(store, [], () => new Error("a defect"));
  const results = await Promise.allSettled(["test.1", "test.bad", "test.2"].map((key) => queue.add(key)));
  assert.deepEqual(
    results.map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled"],
  );
  assert.deepEqual(column(store.reader, KEYS), ["test.1", "test.2"]);
});

testBothWriters("an error of the store is that of all that wait", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const queue = queueOf(store, [], () => new PrismError("STORAGE_FULL", "no room"));
  const results = await Promise.allSettled(["test.1", "test.bad"].map((key) => queue.add(key)));
  assert.deepEqual(
    results.map((each) => each.status === "rejected" && (each.reason as PrismError).code),
    ["STORAGE_FULL", "STORAGE_FULL"],
  );
  assert.deepEqual(column(store.reader, KEYS), []);
});

test("more than may wait are refused, and later ones are stored", async (t) => {
  const store = openTestStore(t);
  const queue = queueOf(store, [], () => new Error("unused"), 2);
  const waiting = [queue.add("test.1"), queue.add("test.2")];
  assert.throws(() => queue.add("test.3"), { code: "OVERLOADED" });
  await Promise.all(waiting);
  await queue.add("test.4");
  assert.deepEqual(column(store.reader, KEYS), ["test.1", "test.2", "test.4"]);
});
