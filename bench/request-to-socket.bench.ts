/**
 * Latency from a request to the message on a socket: single events at a fixed pace, with a hundred
 * rules of which one fires for one event in a hundred. Measured for an event of the project, and
 * for its notification on the recipient's own stream. Compared in turns with bare uWebSockets.js at
 * the same pace, which publishes each body unchanged and stores nothing. Times are measured from
 * when a request was due.
 */
import "../scripts/node-version.mjs";
import { chosenProtocols, type ProtocolName, protocolsThatFollow } from "./lib/clients/protocols.ts";
import { PUSHER_ENVIRONMENT } from "./lib/clients/pusher.ts";
import { addRules, call, setUp } from "./lib/prism-setup.ts";
import { startPrism, startProgram } from "./lib/processes.ts";
import { median, numbersFrom, ROUNDS, type Row, report, round } from "./lib/report.ts";
import { type Latency, type PacedPlan, type PacedResult, runPaced } from "./lib/run-paced.ts";

const [EVENTS = 20_000] = numbersFrom("BENCH_EVENTS", [20_000]);
const PER_SECOND = 2000;
const RULES = 100;
const WARM_UP_EVENTS = 2000;
const ALL = [...new Set([...protocolsThatFollow("project"), ...protocolsThatFollow("user")])].filter(
  (name) => name !== "tasks",
);

interface Listened {
  readonly protocol: ProtocolName;
  readonly follows: "project" | "user";
}

const listened = chosenProtocols(["native"], ALL).flatMap((protocol) =>
  (["project", "user"] as const)
    .filter((follows) => protocolsThatFollow(follows).includes(protocol))
    .map((follows): Listened => ({ protocol, follows })),
);
const figures = new Map<string, Latency[]>();
for (let i = 0; i < ROUNDS; i++) {
  const bare = await throughBare();
  note("bare publish: message", bare.messages[0]);
  note("bare publish: answer", bare.answers);
  const prism = await throughPrism();
  note("prism: answer", prism.answers);
  for (const [n, { protocol, follows }] of listened.entries())
    note(`${protocol}: ${follows === "project" ? "event" : "notification"}`, prism.messages[n]);
}
report(
  "request-to-socket",
  `${EVENTS} events of 281 bytes at ${PER_SECOND} a second, ${RULES} rules, 1 % fire one, ${ROUNDS} rounds, medians`,
  [...figures].map(
    ([what, all]): Row => ({
      what,
      "p50 ms": round(median(all.map(({ p50Ms }) => p50Ms)), 2),
      "p99 ms": round(median(all.map(({ p99Ms }) => p99Ms)), 2),
      "max ms": round(median(all.map(({ maxMs }) => maxMs)), 2),
      "p99 of each round": all.map(({ p99Ms }) => p99Ms.toFixed(2)).join(" "),
      messages: median(all.map(({ count }) => count)),
    }),
  ),
);

async function throughPrism(): Promise<PacedResult> {
  const server = await startPrism({
    env: { ...PUSHER_ENVIRONMENT, PRISM_REALTIME_MAX_PER_USER: "1000" },
  });
  const setup = await setUp(server);
  await addRules(server, setup, RULES - 1);
  await call(server, "POST", "/api/v1/rules", setup.token, {
    name: "marked",
    condition: "event.type == 'payment.marked' and event.payload.amount > 1000",
    messageTemplate: "{{event.payload.mark}}",
    targetUsers: [setup.userId],
  });
  const { token, userId, projectId } = setup;
  const load = {
    port: server.port,
    headers: { "X-API-Key": setup.apiKey },
    bodies: markedBodies(),
    perSecond: PER_SECOND,
    listeners: listened.map((one) => ({ ...one, token, userId, projectId })),
  };
  await runPaced({ ...load, count: Math.min(EVENTS, WARM_UP_EVENTS) });
  const result = await runPaced({ ...load, count: EVENTS });
  await server.stop();
  requireAll(result, load.listeners);
  return result;
}

async function throughBare(): Promise<PacedResult> {
  const server = await startProgram("lib/bare-publish.ts", [], { cpus: "0" });
  const load = {
    port: server.port,
    headers: {},
    bodies: markedBodies(),
    perSecond: PER_SECOND,
    listeners: [{ protocol: "bare", follows: "project", token: "", userId: "", projectId: "" }],
  } as const;
  await runPaced({ ...load, count: Math.min(EVENTS, WARM_UP_EVENTS) });
  const result = await runPaced({ ...load, count: EVENTS });
  await server.stop();
  requireAll(result, load.listeners);
  return result;
}

/** Latencies are only valid if no message is missing. */
function requireAll({ messages }: PacedResult, listeners: PacedPlan["listeners"]): void {
  for (const [i, { protocol, follows }] of listeners.entries()) {
    const wanted = follows === "project" ? EVENTS : Math.ceil(EVENTS / 100);
    const count = messages[i]?.count ?? 0;
    if (count !== wanted) throw new Error(`${protocol}, ${follows}: ${count} of ${wanted} messages came`);
  }
}

/** A hundred bodies of 281 bytes; the first one matches a rule. */
function markedBodies(): string[] {
  return Array.from({ length: 100 }, (_, i) => {
    const event = {
      type: i === 0 ? "payment.marked" : "payment.settle",
      source: "shop-frontend",
      payload: { mark: "mark-0;", amount: 1500 + i, region: "eu", customer: `customer-${1000 + i}`, pad: "" },
    };
    event.payload.pad = "x".repeat(281 - JSON.stringify(event).length);
    return JSON.stringify(event);
  });
}

function note(what: string, latency: Latency | undefined): void {
  if (latency) figures.set(what, [...(figures.get(what) ?? []), latency]);
}
