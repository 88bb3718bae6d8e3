import assert from "node:assert/strict";
import { test } from "node:test";
import { addTo, countOf, type MultiMap, removeFrom, valuesOf } from "../../src/live/hub.ts";

test("a key holds each of its values once, in order, and is gone with the last of them", () => {
  const map: MultiMap<{ readonly name: string }> = new Map();
  const [a, b, c] = [{ name: "a" }, { name: "b" }, { name: "c" }];
  const names = (): string => [...valuesOf(map, "key")].map(({ name }) => name).join("");
  assert.deepEqual([names(), countOf(map, "key"), map.has("key"), map.size], ["", 0, false, 0]);
  addTo(map, "key", a);
  addTo(map, "key", a);
  assert.deepEqual([names(), countOf(map, "key"), map.has("key"), map.size], ["a", 1, true, 1]);
  addTo(map, "key", b);
  addTo(map, "key", b);
  addTo(map, "key", c);
  assert.deepEqual([names(), countOf(map, "key"), map.size], ["abc", 3, 1]);
  removeFrom(map, "key", a);
  removeFrom(map, "key", a);
  removeFrom(map, "other", b);
  assert.equal(names(), "bc");
  removeFrom(map, "key", b);
  removeFrom(map, "key", c);
  assert.deepEqual([names(), countOf(map, "key"), map.has("key"), map.size], ["", 0, false, 0]);
  addTo(map, "key", b);
  removeFrom(map, "key", a);
  assert.equal(names(), "b");
});

test("values that are deleted while they are visited are not visited", () => {
  const map: MultiMap<{ readonly name: string }> = new Map();
  const values = [{ name: "a" }, { name: "b" }, { name: "c" }];
  for (const value of values) addTo(map, "key", value);
  const seen: string[] = [];
  for (const { name } of valuesOf(map, "key")) {
    seen.push(name);
    if (name === "a") removeFrom(map, "key", values[1] as { readonly name: string });
  }
  assert.deepEqual(seen, ["a", "c"]);
});
