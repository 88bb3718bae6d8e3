/**
 * Ten thousand clients connect at once, each as a different user with a token that the server has
 * not seen yet: a hundred concurrent handshakes, the next one as soon as one is done. Compared in
 * turns with bare uWebSockets.js, which accepts every client. Meanwhile other clients send events
 * at a steady pace. Their latency is reported next to the latency before the storm, because the
 * clients compete for processor time on the bare server, too.
 */
import "../scripts/node-version.mjs";
import type { Follows } from "./lib/clients/client.ts";
import { chosenProtocols, PROTOCOLS, type ProtocolName, protocolsThatFollow } from "./lib/clients/protocols.ts";
import { PUSHER_ENVIRONMENT } from "./lib/clients/pusher.ts";
import { type Crowd, makeCrowd, onePerson } from "./lib/crowd.ts";
import { eventBodies, setUp } from "./lib/prism-setup.ts";
import { type Server, startPrism, startProgram } from "./lib/processes.ts";
import { median, numbersFrom, ROUNDS, type Row, report, round, SECONDS } from "./lib/report.ts";
import { type Latency, runPaced, startProbe } from "./lib/run-paced.ts";
import { type Connects, loadSwarm } from "./lib/start-swarm.ts";

const [SOCKETS = 10_000] = numbersFrom("BENCH_SOCKETS", [10_000]);
const PROBES_PER_SECOND = 200;
const PROBE_CONNECTIONS = 8;
/** No storm takes longer. */
const MAX_PROBES = 120 * PROBES_PER_SECOND;
const ALL = [...new Set([...protocolsThatFollow("user"), ...protocolsThatFollow("project")])];

interface Storm {
  readonly connects: Connects;
  readonly before: Latency;
  readonly meanwhile: Latency;
}

interface Workload {
  readonly protocol: ProtocolName;
  readonly follows: Follows;
}

const workloads = [
  { protocol: "bare", follows: "nothing" } as const,
  ...chosenProtocols(["native"], ALL).flatMap((protocol) => workloadsOf(protocol)),
];
const storms = new Map<Workload, Storm[]>(workloads.map((workload) => [workload, []]));
const crowd = await makeCrowd(SOCKETS);
for (let i = 0; i < ROUNDS; i++)
  for (const [workload, all] of storms)
    all.push(await (workload.protocol === "bare" ? onBare(workload) : onPrism(workload, crowd)));
report(
  "connection-storm",
  `${SOCKETS} connects of as many users, ${PROBES_PER_SECOND} events/s of others, ${ROUNDS} rounds, medians`,
  [...storms].map(([workload, all]) => row(workload, all)),
);

/** Connected only, as on the bare server, and subscribed as a real client. */
function workloadsOf(protocol: ProtocolName): Workload[] {
  const follows: readonly Follows[] = PROTOCOLS[protocol].follows;
  const usual = { protocol, follows: follows[0] ?? "nothing" };
  return follows.includes("nothing") ? [{ protocol, follows: "nothing" }, usual] : [usual];
}

async function onPrism(workload: Workload, { dir, peopleFile }: Crowd): Promise<Storm> {
  const server = await startPrism({ dir, env: PUSHER_ENVIRONMENT });
  const { apiKey } = await setUp(server);
  return storm(server, workload, peopleFile, { "X-API-Key": apiKey });
}

async function onBare(workload: Workload): Promise<Storm> {
  const server = await startProgram("lib/bare-publish.ts", [], { cpus: "0" });
  // The bare server publishes each probe to all ten thousand clients; Prism's events have no
  // subscriber.
  return storm(server, workload, onePerson(server.dir, "nobody", ""), {}, "/unheard");
}

async function storm(
  { port, stop }: Server,
  workload: Workload,
  peopleFile: string,
  headers: Readonly<Record<string, string>>,
  path = "/events",
): Promise<Storm> {
  const probe = {
    port,
    path,
    headers,
    bodies: eventBodies(),
    perSecond: PROBES_PER_SECOND,
    connections: PROBE_CONNECTIONS,
  };
  // Warm-up.
  await runPaced({ ...probe, count: PROBES_PER_SECOND });
  const { answers: before } = await runPaced({ ...probe, count: SECONDS * PROBES_PER_SECOND });
  const loaded = await loadSwarm({ ...workload, port, peopleFile, sockets: SOCKETS });
  const running = await startProbe({ ...probe, count: MAX_PROBES });
  const swarm = await loaded.connect();
  const { answers: meanwhile } = await running.stop();
  await swarm.stop();
  await stop();
  return { connects: swarm.connects, before, meanwhile };
}

function row({ protocol, follows }: Workload, all: readonly Storm[]): Row {
  const of = (figure: (storm: Storm) => number, digits = 2): number => round(median(all.map(figure)), digits);
  return {
    protocol,
    until: follows === "nothing" ? "welcome" : `follows its ${follows}`,
    "connects/s": of(({ connects }) => connects.perSecond, 0),
    "welcome p50 ms": of(({ connects }) => connects.p50Ms),
    "p99 ms": of(({ connects }) => connects.p99Ms),
    "max ms": of(({ connects }) => connects.maxMs),
    "ingest p99 before": of(({ before }) => before.p99Ms),
    "ingest p99 meanwhile": of(({ meanwhile }) => meanwhile.p99Ms),
  };
}
