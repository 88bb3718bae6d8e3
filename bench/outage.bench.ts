/**
 * Whether pages survive outages: every way, refusing, hanging, and answering 500, 429 and 410, for
 * 40 s and 7 min with a kill in between (the executable), for 2 h and 20 h with a restart (in this
 * process, on a clock of its own). Whether loads delay pages to healthy targets. How long 5000
 * incidents at once take, compared with Alertmanager. Ends with 1 if a promise is not kept.
 * BENCH_PARTS selects parts: beside, storm, long, outage.
 */
import "../scripts/node-version.mjs";
import { withScope } from "../test/helpers/scope.ts";
import { LOADS, measureBeside } from "./lib/outage/beside.ts";
import { measureLongOutages, measureOutages } from "./lib/outage/outages.ts";
import { measureStorm } from "./lib/outage/storm.ts";
import { type Row, report } from "./lib/report.ts";

const PARTS = (process.env["BENCH_PARTS"] ?? "beside,storm,long,outage").split(",");
const BESIDE_SECONDS = 15;
let areKept = true;

if (PARTS.includes("beside")) {
  const rows: Row[] = [];
  for (const load of LOADS) rows.push(await withScope((scope) => measureBeside(scope, load, BESIDE_SECONDS)));
  publish("outage-beside", `pages to five healthy targets, 4 a second each, ${BESIDE_SECONDS} s idle and beside`, rows);
}
if (PARTS.includes("storm")) {
  const rows = await withScope(measureStorm);
  publish("outage-storm", "5000 incidents at once, one local receiver, the first post of each", rows);
}
if (PARTS.includes("long")) {
  const rows = await measureLongOutages();
  publish("outage-long", "outages of all targets for hours, with a restart in between, on a clock in hand", rows);
}
if (PARTS.includes("outage")) {
  const rows = await measureOutages();
  publish("outage", "outages of all targets, with a kill in between", rows);
}
process.exitCode = areKept ? 0 : 1;

function publish(name: string, workload: string, rows: readonly Row[]): void {
  report(name, workload, rows);
  if (rows.some(({ kept }) => kept === "no")) areKept = false;
}
