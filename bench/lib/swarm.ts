/**
 * Many live connections of one protocol in one process. The argument is a {@link SwarmPlan} as
 * JSON. Prints `loaded 0` and starts at the first input; prints `ready <Connecting as JSON>` when
 * all are subscribed, `reached <n>` whenever all have received n messages, and `done <time of the
 * first message> <time of the last one>` in epoch ms. It keeps the connections open until stdin
 * closes, and fails if one of them is lost.
 */
import { readFileSync } from "node:fs";
import type { Listener, Target } from "./clients/client.ts";
import { PROTOCOLS } from "./clients/protocols.ts";
import { percentile } from "./percentile.ts";
import type { Connecting, SwarmPlan } from "./start-swarm.ts";

const plan = JSON.parse(process.argv[2] ?? "{}") as SwarmPlan;
const people = readFileSync(plan.peopleFile, "utf8")
  .trim()
  .split("\n")
  .map((line) => line.split(" "));
const waits: number[] = [];
let startedAt = 0;
let opened = 0;
let following = 0;
let firstMessageAt = 0;
let complete = 0;
/** Number of connections by received messages, in multiples of `reportEvery`. */
const reached: number[] = [];

process.stdin.on("end", () => process.exit(0));
process.stdin.once("data", () => {
  startedAt = now();
  for (let i = 0; i < Math.min(plan.inFlight, plan.sockets); i++) open();
});
process.stdout.write("loaded 0\n");

function open(): void {
  const number = opened++;
  const askedAt = now();
  let count = 0;
  let hasAllowedNext = false;
  const listener: Listener = {
    welcomed() {
      waits.push(now() - askedAt);
    },
    following() {
      if (++following === plan.sockets) ready();
      if (hasAllowedNext || opened >= plan.sockets) return;
      hasAllowedNext = true;
      open();
    },
    message() {
      count++;
      if (count % plan.reportEvery === 0) noteReached(count);
      if (firstMessageAt === 0) firstMessageAt = now();
      if (count === plan.messages && ++complete === plan.sockets)
        process.stdout.write(`done ${firstMessageAt} ${now()}\n`);
    },
    ended(why) {
      process.stderr.write(`connection ${number} of ${plan.protocol}: ${why}\n`);
      process.exit(1);
    },
  };
  PROTOCOLS[plan.protocol].open(targetOf(plan.firstSocket + number), listener);
}

function targetOf(number: number): Target {
  const [userId = "", token = ""] = people[number % people.length] ?? [];
  const { port, projectId, follows, addresses } = plan;
  return { port, projectId, follows, userId, token, from: `127.0.1.${(number % addresses) + 1}` };
}

function ready(): void {
  const sorted = Float64Array.from(waits).sort();
  const connecting: Connecting = {
    startedAt,
    readyAt: now(),
    p50Ms: percentile(sorted, 0.5),
    p99Ms: percentile(sorted, 0.99),
    maxMs: percentile(sorted, 1),
  };
  process.stdout.write(`ready ${JSON.stringify(connecting)}\n`);
}

function noteReached(count: number): void {
  const step = count / plan.reportEvery;
  reached[step] = (reached[step] ?? 0) + 1;
  if (reached[step] === plan.sockets) process.stdout.write(`reached ${count}\n`);
}

/** Epoch ms with fractions, comparable between processes. */
function now(): number {
  return performance.timeOrigin + performance.now();
}
