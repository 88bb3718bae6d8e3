/**
 * Memory of idle connections: ten thousand of each protocol, each of a different user and with the
 * subscription of a typical client (the user's own stream, or the project `default`), measured
 * after several heartbeats. Compared with bare uWebSockets.js.
 */

import "../scripts/node-version.mjs";
import { chosenProtocols, PROTOCOLS, type ProtocolName, protocolsThatFollow } from "./lib/clients/protocols.ts";
import { PUSHER_ENVIRONMENT } from "./lib/clients/pusher.ts";
import { type Crowd, makeCrowd, onePerson } from "./lib/crowd.ts";
import { call } from "./lib/prism-setup.ts";
import { memoryMiB } from "./lib/process-figures.ts";
import { type Server, startPrism, startProgram } from "./lib/processes.ts";
import { numbersFrom, type Row, report, round } from "./lib/report.ts";
import { startSwarm } from "./lib/start-swarm.ts";

const [SOCKETS = 10_000] = numbersFrom("BENCH_SOCKETS", [10_000]);
/** Prism pings after 30 s of silence, Socket.IO after 25 s. */
const [IDLE_SECONDS = 45] = numbersFrom("BENCH_IDLE_SECONDS", [45]);
const SETTLE_MS = 5000;
const ALL = [...new Set([...protocolsThatFollow("user"), ...protocolsThatFollow("project")])];

const crowd = await makeCrowd(SOCKETS);
const rows: Row[] = [await onBare()];
for (const protocol of chosenProtocols(ALL)) rows.push(await onPrism(protocol, crowd));
report("idle-sockets", `${SOCKETS} connections of as many users, resident memory after ${IDLE_SECONDS} s`, rows);

async function onPrism(protocol: ProtocolName, { dir, peopleFile }: Crowd): Promise<Row> {
  // Some protocols follow a project, which all users read.
  const server = await startPrism({ dir, env: { ...PUSHER_ENVIRONMENT, PRISM_PROJECTS_DEFAULT_OPEN: "true" } });
  await call(server, "GET", "/health");
  return idle(server, protocol, peopleFile);
}

async function onBare(): Promise<Row> {
  const server = await startProgram("lib/bare-publish.ts", [], { cpus: "0" });
  return idle(server, "bare", onePerson(server.dir, "nobody", ""));
}

async function idle(server: Server, protocol: ProtocolName, peopleFile: string): Promise<Row> {
  // Memory of the start is freed a moment after it, and would count as that of the connections.
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const before = memoryMiB(server.pid).resident;
  const follows = PROTOCOLS[protocol].follows[0] ?? "nothing";
  const swarm = await startSwarm({ port: server.port, protocol, follows, peopleFile, sockets: SOCKETS });
  const connected = memoryMiB(server.pid).resident;
  await new Promise((resolve) => setTimeout(resolve, IDLE_SECONDS * 1000));
  const after = memoryMiB(server.pid).resident;
  // Fails if a connection was lost meanwhile: it would use no memory.
  await swarm.stop();
  await server.stop();
  return {
    protocol,
    follows,
    "MiB without": round(before, 1),
    "MiB when connected": round(connected, 1),
    "MiB idle": round(after, 1),
    "KiB each": round(((after - before) * 1024) / SOCKETS, 2),
  };
}
