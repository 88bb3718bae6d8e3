import type { TestContext } from "node:test";

/**
 * Takes chance out of back-offs until the test ends: each is this part of its limit. One that is
 * nearly nothing begins ahead of its time, and a clock that stands never shows it waiting.
 */
export function steadyJitter(t: TestContext, part = 0.5): void {
  t.mock.method(Math, "random", () => part);
}
