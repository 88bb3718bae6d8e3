/**
 * How long one logout blocks the main loop of a server with connected native sockets of other
 * users: processor time of the main thread in the second after it, minus that of a second without a
 * logout. This bounds the longest single turn of the loop.
 */
import "../scripts/node-version.mjs";
import { readFileSync, writeFileSync } from "node:fs";
import { makeCrowd } from "./lib/crowd.ts";
import { type Server, startPrism } from "./lib/processes.ts";
import { median, numbersFrom, type Row, report, round } from "./lib/report.ts";
import { startSwarm } from "./lib/start-swarm.ts";

const SOCKETS = numbersFrom("BENCH_SOCKETS", [0, 2000, 10_000]);
const [LOGOUTS = 15] = numbersFrom("BENCH_LOGOUTS", [15]);
/** The first logouts compile their code. */
const WARM_UPS = 5;
const WINDOW_MS = 1000;

const rows: Row[] = [];
for (const sockets of SOCKETS) rows.push(await measure(sockets));
report("logout-beside-sockets", `one logout beside native sockets of other users, median of ${LOGOUTS}`, rows);

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
  await pause(3000);
  const idle: number[] = [];
  const busy: number[] = [];
  for (const token of tokens) {
    idle.push(await held(server, async () => undefined));
    busy.push(await held(server, () => logOut(server, token)));
  }
  await swarm?.stop();
  await server.stop();
  return {
    sockets,
    "ms a logout": round(median(busy.map((ms, i) => ms - (idle[i] ?? 0))), 2),
    "idle ms a second": round(median(idle), 2),
  };
}

/** Processor time of a window that starts with `act`. */
async function held({ pid }: Server, act: () => Promise<void>): Promise<number> {
  const before = mainThreadMs(pid);
  await act();
  await pause(WINDOW_MS);
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
