import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import test from "node:test";
import { TEST_SEED } from "../helpers/chance.ts";
import type { Fault } from "./support/simulation.ts";
import { runHistories } from "./support/simulation-thread.ts";

/* Other histories in each run; `npm run test:simulation` runs a million. */

const HISTORIES = Number(process.env["PRISM_TEST_HISTORIES"] ?? (process.env["TEST_ALL_RUNS"] ? 10_000 : 400));
/** Beside other tests one thread. */
const THREADS = HISTORIES > 10_000 ? availableParallelism() : 1;
/** Enough to find each fault. */
const MOST_SEARCHED = 2000;

test(`${HISTORIES} histories: one leader acts, nothing acknowledged is lost, tables are equal`, async (t) => {
  t.diagnostic(`TEST_SEED=${TEST_SEED} PRISM_TEST_HISTORIES=1 repeats the first`);
  const count = Math.ceil(HISTORIES / THREADS);
  const all = Array.from({ length: THREADS }, (_, n) => runHistories({ first: TEST_SEED + n * count, count }));
  for (const found of await Promise.all(all))
    if (found)
      assert.fail(`TEST_SEED=${found.seed} PRISM_TEST_HISTORIES=1 repeats this history: ${found.problems.join("; ")}`);
});

const FAULTS: readonly Fault[] = ["CL-2", "CL-3", "CL-5"];

for (const fault of FAULTS)
  test(`a history shows the fault ${fault} of the first design`, async (t) => {
    const found = await runHistories({ first: TEST_SEED, count: MOST_SEARCHED, fault });
    if (!found) assert.fail(`${fault} was not found in ${MOST_SEARCHED} histories`);
    t.diagnostic(`seed ${found.seed}: ${found.problems[0]}`);
  });
