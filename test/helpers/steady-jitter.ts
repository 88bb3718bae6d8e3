import type { TestContext } from "node:test";

/**
 * Makes back-offs constant until the test ends: each is this part of its limit. One of nearly zero
 * starts early, and a stopped clock never shows it waiting.
 */
export function steadyJitter(t: TestContext, part = 0.5): void {
  t.mock.method(Math, "random", () => part);
}
