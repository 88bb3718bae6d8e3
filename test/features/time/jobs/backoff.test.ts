import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import {
  jitteredDelayMs,
  RETRY_BASE_MS,
  RETRY_CAP_MS,
  retryDelayMs,
} from "../../../../src/features/time/jobs/runner/job-execution.ts";

const DEFAULT = { backoffBaseMs: RETRY_BASE_MS, backoffCapMs: RETRY_CAP_MS };

test("the delay before jitter doubles from the base to the cap and stays there", () => {
  const shown = [1, 2, 3, 10, 11, 1000].map((attempt) => retryDelayMs(attempt));
  assert.deepEqual(shown, [RETRY_BASE_MS, 2000, 4000, 512_000, RETRY_CAP_MS, RETRY_CAP_MS]);
  assert.equal(retryDelayMs(3, 10, 25), 25);
});

test("the delay before jitter never shrinks and never passes the cap", () =>
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000_000 }),
      (attempt) => retryDelayMs(attempt) <= retryDelayMs(attempt + 1) && retryDelayMs(attempt + 1) <= RETRY_CAP_MS,
    ),
  ));

test("jitter takes any part of the delay, from none to all, in whole milliseconds", () =>
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 100 }), fc.double({ min: 0, max: 1, noNaN: true }), (attempt, random) => {
      const delay = jitteredDelayMs(attempt, DEFAULT, () => random);
      assert.ok(Number.isInteger(delay) && delay >= 0 && delay <= retryDelayMs(attempt));
      assert.equal(
        jitteredDelayMs(attempt, DEFAULT, () => 0),
        0,
      );
      assert.equal(
        jitteredDelayMs(attempt, DEFAULT, () => 1),
        retryDelayMs(attempt),
      );
    }),
  ));
