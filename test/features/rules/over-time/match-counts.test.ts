import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type EarlierMatches, MatchCounts } from "../../../../src/features/rules/over-time/match-counts.ts";

interface Stored {
  readonly key: string;
  readonly at: number;
  readonly isCounted: 0 | 1;
}

const KEYS = ["", "a", "b"];

/** Decides by looking at all earlier matches. */
function passesByHand(stored: readonly Stored[], key: string, at: number, count: number, windowMs: number): boolean {
  const ofKey = stored.filter((each) => each.key === key);
  const sincePass = ofKey.slice(ofKey.findLastIndex(({ isCounted }) => isCounted === 0) + 1);
  // A large step of the clock between two matches starts the count again.
  let from = 0;
  for (const [i, each] of [...sincePass, { at }].entries())
    for (let j = from; j < i; j++) if (Math.abs((sincePass[j]?.at ?? 0) - each.at) >= windowMs) from = j + 1;
  return sincePass.length - from + 1 >= count;
}

test("a threshold passes as a plain count says, over clock steps, restarts and keys that are evicted", () =>
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          key: fc.constantFrom(...KEYS),
          step: fc.oneof({ arbitrary: fc.nat(40), weight: 12 }, fc.integer({ min: -500, max: 500 })),
          restarts: fc.nat(12).map((n) => n === 0),
        }),
        { maxLength: 120 },
      ),
      fc.integer({ min: 2, max: 9 }),
      fc.integer({ min: 1, max: 200 }),
      (matches, count, windowMs) => {
        const stored: Stored[] = [];
        const earlier: EarlierMatches = (_rule, key, limit) =>
          stored
            .filter((each) => each.key === key)
            .slice(-limit)
            .reverse();
        const window = { count, windowMs };
        let counts = new MatchCounts(earlier, 3);
        let at = 10_000;
        for (const [i, { key, step, restarts }] of matches.entries()) {
          if (restarts) counts = new MatchCounts(earlier, 3);
          at += step;
          // Far apart, so that every key may be evicted.
          const seq = (i + 1) * 20_000;
          const passes = counts.sumWith("r", key, window, counts.countsAt("r", key, window, at, false)) >= count;
          assert.equal(passes, passesByHand(stored, key, at, count, windowMs));
          if (passes) counts.clear("r", key, window, seq);
          else counts.add("r", key, window, at, seq);
          stored.push({ key, at, isCounted: passes ? 0 : 1 });
        }
      },
    ),
    { numRuns: 500 },
  ));

test("a match that is decided late counts with the newest ones", () => {
  const counts = new MatchCounts(() => []);
  const window = { count: 3, windowMs: 100 };
  for (const at of [1000, 1001]) counts.add("r", "", window, at, at);
  assert.equal(counts.countsAt("r", "", window, 500, true), 1001);
  assert.equal(counts.sumWith("r", "", window, counts.countsAt("r", "", window, 500, true)), 3);
  assert.equal(counts.sumWith("r", "", window, 500), 1, "at its own time it would be alone");
});

test("keys of the last events are kept beyond the limit: they may not be stored yet", () => {
  const counts = new MatchCounts(() => [], 2);
  const window = { count: 5, windowMs: 100 };
  for (let n = 0; n < 100; n++) counts.add("r", `k${n}`, window, 1000 + n / 100, n + 1);
  assert.equal(counts.sumWith("r", "k0", window, 1001), 2);
});
