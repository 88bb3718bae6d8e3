import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { stepsOf } from "./steps.ts";

test("after a step that failed, the others fail at once with its title", async (t) => {
  const results: string[] = [];
  const subtest = async (title: string, run: (t: TestContext) => Promise<void>): Promise<void> => {
    await run(t).then(
      () => results.push(`${title}: passed`),
      (error: Error) => results.push(`${title}: ${error.message}`),
    );
  };
  const step = stepsOf({ test: subtest } as unknown as TestContext);
  await step("open", () => undefined);
  await step("fill", () => assert.fail("no such field"));
  await step("save", () => assert.fail("this ran"));
  assert.deepEqual(results, ["open: passed", "fill: no such field", "save: not run, because this step failed: fill"]);
});
