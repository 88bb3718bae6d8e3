import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { ErrorWindow } from "../../../src/features/bursts/error-window.ts";

test("D28 a burst is as many errors as the threshold within the window, whatever came before", () =>
  fc.assert(
    fc.property(
      fc.array(fc.nat(50), { maxLength: 300 }),
      fc.integer({ min: 1, max: 90 }),
      fc.integer({ min: 1, max: 500 }),
      (steps, threshold, windowMs) => {
        const window = new ErrorWindow();
        const times: number[] = [];
        for (const [seq, step] of steps.entries()) {
          const at = (times.at(-1) ?? 0) + step;
          times.push(at);
          window.add(at, seq);
          const within = times.filter((time) => time > at - windowMs);
          const burst = window.burst(threshold, windowMs);
          assert.equal(burst !== undefined, within.length >= threshold);
          if (!burst) continue;
          assert.deepEqual(
            [burst.count, burst.firstAt, burst.lastAt, burst.lastSeq],
            [threshold, times.at(-threshold), at, seq],
          );
          const newest = Math.min(5, threshold);
          assert.deepEqual(
            burst.samples,
            Array.from({ length: newest }, (_, i) => seq - newest + 1 + i),
          );
          assert.equal(window.isOver(at + windowMs, windowMs), true);
          assert.equal(window.isOver(at + windowMs - 1, windowMs), false);
        }
      },
    ),
  ));
