/** Events to a thousand WebSocket clients of one project, stored and live, beside bare uWebSockets.js publish of messages of the same size for each request, in turns. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { call, eventBodies, setUp } from "./lib/prism-setup.ts";
import { startPrism, startProgram } from "./lib/processes.ts";
import { median, ROUNDS, report, round } from "./lib/report.ts";

const SOCKETS = 1000;
const EVENTS = 1000;
const BATCH = 10;
/** What an event of this benchmark is on the wire of /ws. */
const MESSAGE_BYTES = 790;

const prism: number[] = [];
const bare: number[] = [];
for (let i = 0; i < ROUNDS; i++) {
  bare.push(await throughBare());
  prism.push(await throughPrism());
}
report(
  "live-fan-out",
  `${EVENTS} events of 281 bytes to ${SOCKETS} sockets, in requests of ${BATCH}, ${ROUNDS} rounds, medians`,
  [
    {
      "messages/s": round(median(prism)),
      "bare publish/s": round(median(bare)),
      ratio: round(median(prism.map((rate, i) => rate / (bare[i] as number))), 3),
    },
  ],
);

async function throughPrism(): Promise<number> {
  const server = await startPrism({
    env: {
      PRISM_REALTIME_COMPRESSION: "false",
      PRISM_REALTIME_MAX_PER_USER: "100000",
      PRISM_REALTIME_MAX_PER_IP: "100000",
    },
  });
  const { token, projectId } = await setUp(server);
  const subscribe = JSON.stringify({ op: "subscribe", stream: `project:${projectId}` });
  // welcome and subscribed come before the events.
  const swarm = startSwarm([String(server.port), "/ws", String(SOCKETS), String(EVENTS), token, subscribe, "2"]);
  await swarm.ready;
  const bodies = eventBodies().map((body) => JSON.stringify({ ...(JSON.parse(body) as object), projectId }));
  for (let sent = 0; sent < EVENTS; sent += BATCH) {
    await fetch(`${server.url}/ingest`, {
      method: "POST",
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/x-ndjson" },
      body: bodies.slice(0, BATCH).join("\n"),
    });
  }
  const ms = await swarm.done;
  await server.stop();
  return (SOCKETS * EVENTS) / (ms / 1000);
}

async function throughBare(): Promise<number> {
  const server = await startProgram("lib/bare-publish.ts", [String(BATCH), String(MESSAGE_BYTES)]);
  const swarm = startSwarm([String(server.port), "/ws", String(SOCKETS), String(EVENTS)]);
  await swarm.ready;
  for (let sent = 0; sent < EVENTS; sent += BATCH) await call(server, "GET", "/go");
  const ms = await swarm.done;
  await server.stop();
  return (SOCKETS * EVENTS) / (ms / 1000);
}

function startSwarm(args: readonly string[]): { ready: Promise<void>; done: Promise<number> } {
  const child = spawn(process.execPath, ["--import", "tsx", join(import.meta.dirname, "lib/swarm.ts"), ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  const saw = (pattern: RegExp): Promise<RegExpExecArray> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        const match = pattern.exec(text);
        if (match) resolve(match);
      };
      child.stdout.on("data", look);
      child.once("exit", () => {
        look();
        reject(new Error(`the clients ended early:\n${text}`));
      });
    });
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  return { ready: saw(/ready/).then(() => undefined), done: saw(/done ([\d.]+)/).then((match) => Number(match[1])) };
}
