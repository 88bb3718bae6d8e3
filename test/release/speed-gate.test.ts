// needs: git
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { hasCommit } from "../../bench/lib/build-of.ts";
import { isWorse } from "../../bench/lib/pairs.ts";

const pair = (before: number, after: number) => ({ before: { "µs each": before }, after: { "µs each": after } });

test("a figure is worse only if it is so in each pair", () => {
  const worse = (...pairs: ReturnType<typeof pair>[]) => isWorse(pairs, "µs each", 1.1);
  assert.equal(worse(pair(10, 11.2), pair(20, 23), pair(10, 12)), true);
  assert.equal(worse(pair(10, 11.2), pair(20, 21), pair(10, 12)), false);
  assert.equal(worse(pair(10, 9)), false);
  assert.equal(isWorse([pair(10, 12)], "unknown", 1.1), false);
});

test("the commit to compare with is a whole id, and an unknown one is not there", () => {
  const file = join(import.meta.dirname, "../../bench/baseline.json");
  const { commit } = JSON.parse(readFileSync(file, "utf8")) as { commit: string };
  assert.match(commit, /^[0-9a-f]{40}$/);
  assert.equal(hasCommit("0".repeat(40)), false);
});
