/**
 * What a cluster costs, and how long it does not write: processor time per event of leader, follower
 * and nats-servers beside a single server, in alternating pairs; and the time without an accepted
 * write when the leader, a nats-server or both end. All of it on one machine, with two nodes and
 * three nats-servers. BENCH_PARTS selects parts: cost, take-over. BENCH_KILLS is how often each kind
 * of end happens: of a hundred, the second longest is the p99.
 */
import "../scripts/node-version.mjs";
import { withScope } from "../test/helpers/scope.ts";
import { measureCost } from "./lib/cluster/cost.ts";
import { measureTakeOver } from "./lib/cluster/take-over.ts";
import { report, SECONDS } from "./lib/report.ts";

const PARTS = (process.env["BENCH_PARTS"] ?? "cost,take-over").split(",");
const PAIRS = Number(process.env["BENCH_PAIRS"] ?? 5);
const KILLS = Number(process.env["BENCH_KILLS"] ?? 3);

if (PARTS.includes("cost")) {
  const workload = `281-byte events over 256 connections, 10 rules, ${PAIRS} alternating pairs of ${SECONDS} s`;
  report("cluster-cost", workload, await measureCost(PAIRS));
}
if (PARTS.includes("take-over")) {
  const rows = await withScope((scope) => measureTakeOver(scope, KILLS));
  report("cluster-take-over", "the longest time between two accepted writes through the follower", rows);
}
