/**
 * A thousand events of one project to a thousand and to ten thousand connections, stored and live.
 * Compared in turns with bare uWebSockets.js, which publishes messages of the same size for each
 * request. Requests wait until every client has received the messages of some requests before;
 * otherwise the kernel's buffers would be measured. The processor time of the server per message is
 * reported with the rates: it is comparable even if the clients are the bottleneck.
 */

import "../scripts/node-version.mjs";
import { chosenProtocols, type ProtocolName, protocolsThatFollow } from "./lib/clients/protocols.ts";
import { onePerson } from "./lib/crowd.ts";
import { call, eventBodies, setUp } from "./lib/prism-setup.ts";
import { processorTime } from "./lib/process-figures.ts";
import { type Server, startPrism, startProgram } from "./lib/processes.ts";
import { median, numbersFrom, ROUNDS, type Row, report, round } from "./lib/report.ts";
import { type SwarmOptions, startSwarm } from "./lib/start-swarm.ts";

const SOCKETS = numbersFrom("BENCH_SOCKETS", [1000, 10_000]);
const [EVENTS = 1000] = numbersFrom("BENCH_EVENTS", [1000]);
const BATCH = 10;
/** Concurrent requests: while one waits for its commit, the batch before it is sent. */
const REQUESTS = 2;
/**
 * Events that a client may lag: 40 KB, less than the limit at which Prism switches from the socket
 * to the log.
 */
const WINDOW = 50;
/** Size of an event of this benchmark on /ws. */
const MESSAGE_BYTES = 790;

interface FanOut {
  readonly perSecond: number;
  readonly cpuMicroseconds: number;
  /** Of the main thread, which sends. */
  readonly mainMicroseconds: number;
}

const rows: Row[] = [];
for (const protocol of chosenProtocols(["native"], protocolsThatFollow("project")))
  for (const sockets of SOCKETS) rows.push(await compare(protocol, sockets));
report(
  "live-fan-out",
  `${EVENTS} events of 281 bytes in requests of ${BATCH}, clients at most ${WINDOW} behind, ${ROUNDS} rounds, medians`,
  rows,
);

async function compare(protocol: ProtocolName, sockets: number): Promise<Row> {
  const prism: FanOut[] = [];
  const bare: FanOut[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    bare.push(await throughBare(sockets));
    prism.push(await throughPrism(protocol, sockets));
  }
  const ratios = prism.map(({ perSecond }, i) => perSecond / (bare[i] as FanOut).perSecond);
  return {
    protocol,
    sockets,
    "messages/s": round(median(prism.map(({ perSecond }) => perSecond))),
    "bare publish/s": round(median(bare.map(({ perSecond }) => perSecond))),
    ratio: round(median(ratios), 3),
    ratios: ratios.map((ratio) => ratio.toFixed(3)).join(" "),
    "us/message": round(median(prism.map(({ cpuMicroseconds }) => cpuMicroseconds)), 2),
    "bare us/message": round(median(bare.map(({ cpuMicroseconds }) => cpuMicroseconds)), 2),
    "main us/message": round(median(prism.map(({ mainMicroseconds }) => mainMicroseconds)), 2),
  };
}

async function throughPrism(protocol: ProtocolName, sockets: number): Promise<FanOut> {
  const server = await startPrism({
    env: {
      PRISM_REALTIME_COMPRESSION: "false",
      PRISM_REALTIME_MAX_PER_USER: "100000",
      PRISM_REALTIME_MAX_PER_IP: "100000",
    },
  });
  const { token, projectId, userId } = await setUp(server);
  const bodies = eventBodies().map((body) => JSON.stringify({ ...(JSON.parse(body) as object), projectId }));
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/x-ndjson" };
  const body = bodies.slice(0, BATCH).join("\n");
  const peopleFile = onePerson(server.dir, userId, token);
  return fanOut(server, { protocol, sockets, projectId, peopleFile }, async () => {
    const answer = await fetch(`${server.url}/ingest`, { method: "POST", headers, body });
    if (answer.status !== 202) throw new Error(await answer.text());
    await answer.arrayBuffer();
  });
}

async function throughBare(sockets: number): Promise<FanOut> {
  const server = await startProgram("lib/bare-publish.ts", [String(BATCH), String(MESSAGE_BYTES)], { cpus: "0" });
  const peopleFile = onePerson(server.dir, "nobody", "");
  return fanOut(server, { protocol: "bare", sockets, peopleFile }, () => call(server, "GET", "/go"));
}

async function fanOut(
  server: Server,
  options: Omit<SwarmOptions, "port" | "follows">,
  publishBatch: () => Promise<unknown>,
): Promise<FanOut> {
  const swarm = await startSwarm({
    ...options,
    port: server.port,
    follows: "project",
    messages: EVENTS,
    reportEvery: BATCH,
  });
  const before = processorTime(server.pid);
  const underWay: Promise<unknown>[] = [];
  for (let sent = 0; sent < EVENTS; sent += BATCH) {
    await swarm.reached(Math.max(0, sent + BATCH - WINDOW));
    if (underWay.length === REQUESTS) await underWay.shift();
    underWay.push(publishBatch());
  }
  const ms = await swarm.done();
  const after = processorTime(server.pid);
  const perMessage = (seconds: number): number => (seconds * 1e6) / (options.sockets * EVENTS);
  await swarm.stop();
  await server.stop();
  return {
    perSecond: (options.sockets * EVENTS) / (ms / 1000),
    cpuMicroseconds: perMessage(after.total - before.total),
    mainMicroseconds: perMessage(after.main - before.main),
  };
}
