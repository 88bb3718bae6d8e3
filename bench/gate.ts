/**
 * Fails if this checkout is slower or larger than the commit of `bench/baseline.json`: a figure that
 * is a tenth worse in three of three alternating pairs. Without the history it says so and passes.
 *
 *     npm run bench:gate
 *     npm run bench:gate -- --build   only builds that commit
 *
 * A change that is worth its cost names a new commit in `bench/baseline.json`, with the reason.
 */
import "../scripts/node-version.mjs";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { buildOf, builtHere, hasCommit } from "./lib/build-of.ts";
import { isWorse } from "./lib/pairs.ts";
import { copiesOf, ENTRY_PARTS, type Measure, PARTS, type Pair, pairOf } from "./lib/parts.ts";
import { hasWrk } from "./lib/wrk.ts";

const PAIRS = 3;
const LIMIT = 1.1;
const MEASURES: Readonly<Record<string, Measure>> = { ...PARTS, ...ENTRY_PARTS };
const FIGURES: Readonly<Record<string, readonly string[]>> = {
  start: ["processor ms until ready", "anonymous MiB idle"],
  // A lone request.
  "http-1": ["µs each"],
  "http-64": ["µs each"],
  "receiver: request": ["µs each"],
};

const { commit } = JSON.parse(readFileSync(join(import.meta.dirname, "baseline.json"), "utf8")) as { commit: string };
if (hasCommit(commit)) await (process.argv.includes("--build") ? buildOf(commit) : compare());
else console.log(`speed: not compared, because this clone does not have the commit ${commit}`);

async function compare(): Promise<void> {
  const copies = copiesOf(buildOf(commit), builtHere());
  for (const [part, figures] of Object.entries(FIGURES)) {
    if (part !== "start" && !hasWrk()) {
      console.log(`speed: ${part} is not compared, because wrk is not installed`);
      continue;
    }
    const pairs: Pair[] = [];
    // One pair is enough for figures that are not worse.
    let worse = figures;
    while (worse.length > 0 && pairs.length < PAIRS) {
      pairs.push(await pairOf(MEASURES[part] as Measure, copies, pairs.length));
      worse = figures.filter((figure) => isWorse(pairs, figure, LIMIT));
    }
    for (const figure of figures) {
      const shown = pairs.map(({ before, after }) => `${before[figure]?.toFixed(1)} → ${after[figure]?.toFixed(1)}`);
      console.log(`speed: ${part}, ${figure}: ${shown.join(", ")}${worse.includes(figure) ? " FAILED" : ""}`);
    }
    if (worse.length > 0) process.exitCode = 1;
  }
  if (process.exitCode === 1)
    console.log(`speed: a tenth worse than ${commit} in ${PAIRS} of ${PAIRS} pairs; see docs/benchmarks.md`);
}
