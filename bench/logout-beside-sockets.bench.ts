/**
 * What one logout costs the main loop of a server with connected native sockets of other users: its
 * main thread's processor time during logouts one after the other, minus what it uses for as long
 * without one. A single logout a second would measure how cold the processor's caches are.
 */
import "../scripts/node-version.mjs";
import { readFileSync, writeFileSync } from "node:fs";
import { makeCrowd } from "./lib/crowd.ts";
import { type Server, startPrism } from "./lib/processes.ts";
import { numbersFrom, type Row, report, round } from "./lib/report.ts";
import { startSwarm } from "./lib/start-swarm.ts";

const SOCKETS = numbersFrom("BENCH_SOCKETS", [0, 2000, 10_000]);
const [LOGOUTS = 300] = numbersFrom("BENCH_LOGOUTS", [300]);
/** The first logouts compile their code. */
const WARM_UPS = 300;
const IDLE_MS = 3000;

const rows: Row[] = [];
for (const sockets of SOCKETS) rows.push(await measure(sockets));
report("logout-beside-sockets", `one of ${LOGOUTS} logouts beside native sockets of other users`, rows);

async function measure(sockets: number): Promise<Row> {
  const { dir, peopleFile } = await makeCrowd(sockets + WARM_UPS + LOGOUTS);
  const people = readFileSync(peopleFile, "utf8").trim().split("\n");
  writeFileSync(peopleFile, `${people.slice(0, sockets).join("\n")}\n`);
  const tokens = people.slice(sockets).map((line) => line.split(" ")[1] ?? "");
  const server = await startPrism({ dir });
  const swarm =
    sockets === 0
      ? null
      : await startSwarm({ port: server.port, protocol: "native", follows: "user", peopleFile, sockets });
  for (const token of tokens.splice(0, WARM_UPS)) await logOut(server, token);
  const startedAt = performance.now();
  const busyMs = await held(server, async () => {
    for (const token of tokens) await logOut(server, token);
  });
  const tookMs = performance.now() - startedAt;
  const idleMs = await held(server, () => pause(IDLE_MS));
  await swarm?.stop();
  await server.stop();
  return {
    sockets,
    "ms a logout": round((busyMs - (idleMs * tookMs) / IDLE_MS) / LOGOUTS, 2),
    "idle ms a second": round((idleMs * 1000) / IDLE_MS, 2),
  };
}

/** Processor time of the main thread while `act` runs. */
async function held({ pid }: Server, act: () => Promise<unknown>): Promise<number> {
  const before = mainThreadMs(pid);
  await act();
  return mainThreadMs(pid) - before;
}

async function logOut(server: Server, token: string): Promise<void> {
  const { status } = await fetch(`${server.url}/api/v1/auth/logout`, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: "{}",
  });
  if (status !== 204) throw new Error(`a logout was answered ${status}`);
}

/** Processor time of the main thread in ms (proc_pid_schedstat: the first field, in ns). */
function mainThreadMs(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "latin1").split(" ")[0]) / 1e6;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
