/**
 * The executable of this checkout beside that of another commit, in alternating pairs: processor
 * time per unit, memory and start; rates and latencies beside them.
 *
 *     npm run bench -- --against <commit> [part]…
 *
 * Parts are version, start, http-1, http-8, http-64, http-256, ndjson and socket; default: all. So are
 * the entries of entries.bench.ts, such as message, and incident-end, which run only if they are named.
 * BENCH_PAIRS is the number of pairs (10), BENCH_SECONDS the time of each load.
 */
import "../scripts/node-version.mjs";
import { buildOf, builtHere } from "./lib/build-of.ts";
import { ratioRows } from "./lib/pairs.ts";
import { copiesOf, ENTRY_PARTS, type Measure, PARTS, type Pair, pairOf } from "./lib/parts.ts";
import { type Row, report } from "./lib/report.ts";

const PAIRS = Number(process.env["BENCH_PAIRS"] ?? 10);

const [ref, ...chosen] = process.argv.slice(2);
if (ref === undefined) throw new Error("usage: npm run bench -- --against <commit> [part]…");
const parts: Readonly<Record<string, Measure>> = { ...PARTS, ...ENTRY_PARTS };
const unknown = chosen.filter((name) => !(name in parts));
if (unknown.length > 0)
  throw new Error(`no such part: ${unknown.join(", ")}; parts are ${Object.keys(parts).join(", ")}`);
const [before, after] = [buildOf(ref), builtHere()];
const copies = copiesOf(before, after);
const rows: Row[] = [];
for (const name of chosen.length > 0 ? chosen : Object.keys(PARTS)) {
  const pairs: Pair[] = [];
  for (let i = 0; i < PAIRS; i++) pairs.push(await pairOf(parts[name] as Measure, copies, i));
  rows.push(...ratioRows(name, pairs));
}
report("against", `${after.commit} beside ${before.commit}, ${PAIRS} alternating pairs, medians`, rows);
