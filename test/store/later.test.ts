import assert from "node:assert/strict";
import { insertLater, later, rowsOf, type Trx } from "../../src/store/database.ts";
import { column, openTestStore, type TestStore } from "../helpers/store.ts";
import { testBothWriters } from "./support/both-writers.ts";

const put = (trx: Trx, key: string): void => insertLater(trx, "settings", { key, value: 1, updatedAt: 0 });
const keys = (store: TestStore) =>
  column<string>(store.reader, "select key from settings where key like 'test.%' order by key");

testBothWriters("deferred statements run in order, before the next read of the transaction", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const seen = await store.database.write(async (trx) => {
    put(trx, "test.1");
    later(trx, "update settings set value = 2 where key = ?", ["test.1"]);
    const rows = await rowsOf(trx, "select key, value from settings where key like 'test.%'", []);
    put(trx, "test.2");
    return rows;
  });
  assert.deepEqual(seen, [{ key: "test.1", value: 2 }]);
  assert.deepEqual(keys(store), ["test.1", "test.2"]);
});

testBothWriters("a deferred statement that SQL refuses fails the commit, and nothing is stored", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const write = store.database.write(async (trx) => {
    put(trx, "test.1");
    put(trx, "test.1");
  });
  await assert.rejects(write, { code: "SQLITE_CONSTRAINT_PRIMARYKEY" });
  assert.deepEqual(keys(store), []);
  await store.database.write(async (trx) => put(trx, "test.2"));
  assert.deepEqual(keys(store), ["test.2"]);
});

testBothWriters("it fails its own transaction only, of those that share a commit", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const shared = { sharesCommit: true };
  const results = await Promise.allSettled(
    ["test.1", "test.1", "test.2"].map((key) => store.database.write(async (trx) => put(trx, key), shared)),
  );
  assert.deepEqual(
    results.map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled"],
  );
  assert.deepEqual(keys(store), ["test.1", "test.2"]);
});

testBothWriters("a transaction that fails drops its deferred statements", async (t, writer) => {
  const store = openTestStore(t, { writer });
  const write = store.database.write(async (trx) => {
    put(trx, "test.1");
    throw new Error("no");
  });
  await assert.rejects(write, /^Error: no$/);
  assert.deepEqual(keys(store), []);
});
