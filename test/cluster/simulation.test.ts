import assert from "node:assert/strict";
import test from "node:test";
import { TEST_SEED } from "../helpers/chance.ts";
import { type Fault, runHistory } from "./support/simulation.ts";

/* `npm run test:simulation` runs a million. */

const HISTORIES = Number(process.env["PRISM_TEST_HISTORIES"] ?? 10_000);
/** Enough to find each fault. */
const MOST_SEARCHED = 2000;

test(`${HISTORIES} histories: one leader acts, nothing acknowledged is lost, tables are equal`, async (t) => {
  t.diagnostic(`TEST_SEED=${TEST_SEED} PRISM_TEST_HISTORIES=1 repeats the first`);
  for (let n = 0; n < HISTORIES; n++) {
    const problems = await runHistory(TEST_SEED + n);
    assert.deepEqual(problems, [], `TEST_SEED=${TEST_SEED + n} PRISM_TEST_HISTORIES=1 repeats this history`);
  }
});

const FAULTS: readonly Fault[] = ["CL-2", "CL-3", "CL-5"];

for (const fault of FAULTS)
  test(`a history shows the fault ${fault} of the first design`, async (t) => {
    for (let n = 0; n < MOST_SEARCHED; n++) {
      const [problem] = await runHistory(TEST_SEED + n, fault);
      if (problem === undefined) continue;
      t.diagnostic(`seed ${TEST_SEED + n}: ${problem}`);
      return;
    }
    assert.fail(`${fault} was not found in ${MOST_SEARCHED} histories`);
  });
