import { test } from "node:test";
import fc from "fast-check";
import { histories } from "./promise-actions.ts";
import { PromiseRun } from "./promise-run.ts";

const RUNS = process.env["TEST_ALL_RUNS"] ? 40 : 4;

test("whatever people, ways, policies and the clock do, an incident that no one has taken care of is looked at again", async (t) => {
  await fc.assert(
    fc.asyncProperty(histories, async (history) => {
      const run = await PromiseRun.start(t);
      await run.play(history);
      await run.end();
    }),
    { numRuns: RUNS, endOnFailure: true, includeErrorInReport: true },
  );
});
