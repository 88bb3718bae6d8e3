import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { test } from "node:test";
import { SharedReads } from "../../src/core/shared-reads.ts";

test("what is asked for at the same time is one read, and each gets its own result", async () => {
  const reads: (readonly number[])[] = [];
  const doubled = new SharedReads(async (keys: readonly number[]) => {
    reads.push(keys);
    return keys.map((key) => 2 * key);
  });
  assert.deepEqual(await Promise.all([doubled.of(1), doubled.of(2), doubled.of(1)]), [2, 4, 2]);
  assert.equal(await doubled.of(3), 6);
  assert.deepEqual(reads, [[1, 2, 1], [3]]);
});

test("what is asked for while a read runs is the next one", async () => {
  const reads: (readonly string[])[] = [];
  const shared = new SharedReads(
    async (keys: readonly string[]) => {
      reads.push(keys);
      await new Promise(setImmediate);
      return keys;
    },
    () => new Promise(setImmediate),
  );
  const first = shared.of("a");
  while (reads.length === 0) await new Promise(setImmediate);
  assert.deepEqual(await Promise.all([first, shared.of("b")]), ["a", "b"]);
  assert.deepEqual(reads, [["a"], ["b"]]);
});

test("a read that fails fails for all who share it, and not for the next", async () => {
  let isBroken = true;
  const shared = new SharedReads(async (keys: readonly string[]) => {
    if (isBroken) throw new Error("the database is closed");
    return keys;
  });
  const both = await Promise.allSettled([shared.of("a"), shared.of("b")]);
  assert.deepEqual(
    both.map(({ status }) => status),
    ["rejected", "rejected"],
  );
  isBroken = false;
  assert.equal(await shared.of("c"), "c");
});

test("a read runs in the context of none of its callers, and each caller keeps its own", async () => {
  const caller = new AsyncLocalStorage<string>();
  const contexts: unknown[] = [];
  const shared = new SharedReads(async (keys: readonly string[]) => {
    contexts.push(caller.getStore());
    return keys;
  });
  const found = ["a", "b"].map((key) => caller.run(key, async () => [await shared.of(key), caller.getStore()]));
  assert.deepEqual(await Promise.all(found), [
    ["a", "a"],
    ["b", "b"],
  ]);
  assert.deepEqual(contexts, [undefined]);
});
