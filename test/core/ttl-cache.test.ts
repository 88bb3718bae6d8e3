import assert from "node:assert/strict";
import test from "node:test";
import { TtlCache } from "../../src/core/limits/ttl-cache.ts";
import { FakeClock } from "../helpers/fake-clock.ts";

function cacheOf(maxEntries = 3): { cache: TtlCache<string, number>; clock: FakeClock } {
  const clock = new FakeClock(1000);
  return { clock, cache: new TtlCache<string, number>({ maxEntries, ttlMs: 100, clock }) };
}

test("an entry ends after its time to live, to the millisecond", () => {
  const { cache, clock } = cacheOf();
  cache.set("a", 1);
  clock.advance(99);
  assert.equal(cache.get("a"), 1);
  clock.advance(1);
  assert.deepEqual([cache.get("a"), cache.size], [undefined, 0]);
});

test("a value with an end of its own ends then, but never later than the time to live", () => {
  const { cache, clock } = cacheOf();
  cache.set("soon", 1, 1010);
  cache.set("late", 2, 9999);
  clock.advance(10);
  assert.deepEqual([cache.get("soon"), cache.get("late")], [undefined, 2]);
  clock.advance(90);
  assert.equal(cache.get("late"), undefined);
});

test("a full cache lets go what was set longest ago; setting again makes it young", () => {
  const { cache } = cacheOf(2);
  cache.set("a", 1);
  cache.set("b", 2);
  cache.set("a", 3);
  cache.set("c", 4);
  assert.deepEqual([cache.get("a"), cache.get("b"), cache.get("c"), cache.size], [3, undefined, 4, 2]);
});

test("deleting and clearing end entries at once", () => {
  const { cache } = cacheOf();
  cache.set("a", 1);
  cache.set("b", 2);
  cache.delete("a");
  assert.deepEqual([cache.get("a"), cache.get("b")], [undefined, 2]);
  cache.clear();
  assert.equal(cache.size, 0);
});

test("hits and misses are counted, an ended entry as a miss", () => {
  const { cache, clock } = cacheOf();
  cache.set("a", 1);
  cache.get("a");
  cache.get("b");
  clock.advance(100);
  cache.get("a");
  assert.deepEqual([cache.hits, cache.misses], [1, 2]);
});

test("with weights the oldest go until the new value fits; one that can never fit evicts nothing", () => {
  const clock = new FakeClock(1000);
  const weight = { maxBytes: 10, bytesOf: (value: number) => value };
  const cache = new TtlCache<string, number>({ maxEntries: 100, ttlMs: 100, clock, weight });
  for (const [key, bytes] of [
    ["a", 4],
    ["b", 4],
    ["c", 3],
  ] as const)
    cache.set(key, bytes);
  assert.deepEqual([cache.get("a"), cache.get("b"), cache.get("c"), cache.bytes], [undefined, 4, 3, 7]);
  cache.set("b", 1);
  cache.set("d", 11);
  assert.deepEqual([cache.get("b"), cache.get("d"), cache.bytes], [1, undefined, 4]);
  clock.advance(100);
  assert.equal(cache.get("b"), undefined);
  assert.equal(cache.bytes, 3, "what has ended is let go when somebody asks for it");
  cache.clear();
  assert.deepEqual([cache.size, cache.bytes], [0, 0]);
});
