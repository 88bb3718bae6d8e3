import type { TestContext } from "node:test";

/** Runs one step of a walk as a subtest. */
type Step = (title: string, run: (t: TestContext) => void | Promise<void>) => Promise<void>;

/**
 * Steps that go on from the state that the steps before them left. After one that failed, the others fail at once,
 * with its title, instead of each waiting for what cannot come.
 */
export function stepsOf(walk: TestContext): Step {
  let failed: string | undefined;
  return (title, run) =>
    walk.test(title, async (t) => {
      if (failed !== undefined) throw new Error(`not run, because this step failed: ${failed}`);
      try {
        await run(t);
      } catch (error) {
        failed = title;
        throw error;
      }
    });
}
