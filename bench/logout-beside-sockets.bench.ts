/**
 * What one logout costs the main loop of the server beside connected native sockets of other users: processor time of the main thread in the
 * second after it, less that of a second without a logout, and the longest delay of the loop in either.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeCrowd } from "./lib/crowd.ts";
import { type Server, startPrism } from "./lib/processes.ts";
import { median, numbersFrom, type Row, report, round } from "./lib/report.ts";
import { startSwarm } from "./lib/start-swarm.ts";

const SOCKETS = numbersFrom("BENCH_SOCKETS", [0, 2000, 10_000]);
const [LOGOUTS = 15] = numbersFrom("BENCH_LOGOUTS", [15]);
/** Before it the first logouts compile what they run. */
const WARM_UPS = 5;
const WINDOW_MS = 1000;

interface Held {
  readonly mainMs: number;
  readonly longestMs: number;
}

const rows: Row[] = [];
for (const sockets of SOCKETS) rows.push(await measure(sockets));
report("logout-beside-sockets", `one logout beside native sockets of other users, median of ${LOGOUTS}`, rows);

async function measure(sockets: number): Promise<Row> {
  const { dir, peopleFile } = await makeCrowd(sockets + WARM_UPS + LOGOUTS);
  const people = readFileSync(peopleFile, "utf8").trim().split("\n");
  writeFileSync(peopleFile, `${people.slice(0, sockets).join("\n")}\n`);
  const tokens = people.slice(sockets).map((line) => line.split(" ")[1] ?? "");
  const probeFile = join(dir, "loop.txt");
  const env = {
    NODE_OPTIONS: `--import ${join(import.meta.dirname, "lib/loop-probe.mjs")}`,
    LOOP_PROBE_FILE: probeFile,
  };
  const server = await startPrism({ dir, env });
  const swarm =
    sockets === 0
      ? null
      : await startSwarm({ port: server.port, protocol: "native", follows: "user", peopleFile, sockets });
  for (const token of tokens.splice(0, WARM_UPS)) await logOut(server, token);
  await pause(3000);
  const idle: Held[] = [];
  const busy: Held[] = [];
  for (const token of tokens) {
    idle.push(await held(server, probeFile, async () => undefined));
    busy.push(await held(server, probeFile, () => logOut(server, token)));
  }
  await swarm?.stop();
  await server.stop();
  return {
    sockets,
    "main thread ms": round(median(busy.map(({ mainMs }, i) => mainMs - (idle[i]?.mainMs ?? 0))), 2),
    "longest delay ms": round(median(busy.map(({ longestMs }) => longestMs)), 2),
    "idle: main thread ms": round(median(idle.map(({ mainMs }) => mainMs)), 2),
    "idle: longest delay ms": round(median(idle.map(({ longestMs }) => longestMs)), 2),
  };
}

/** What a window costs that begins with `act`. */
async function held({ pid }: Server, probeFile: string, act: () => Promise<void>): Promise<Held> {
  await longestMs(pid, probeFile);
  const before = mainThreadMs(pid);
  await act();
  await pause(WINDOW_MS);
  const mainMs = mainThreadMs(pid) - before;
  return { mainMs, longestMs: await longestMs(pid, probeFile) };
}

async function logOut(server: Server, token: string): Promise<void> {
  const { status } = await fetch(`${server.url}/api/v1/auth/logout`, {
    method: "POST",
    headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
    body: "{}",
  });
  if (status !== 204) throw new Error(`a logout was answered ${status}`);
}

/** Processor time of the thread that runs the loop, in ms (proc_pid_schedstat: the first field, in ns). */
function mainThreadMs(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "latin1").split(" ")[0]) / 1e6;
}

/** Since it was asked last. */
async function longestMs(pid: number, file: string): Promise<number> {
  rmSync(file, { force: true });
  process.kill(pid, "SIGUSR2");
  while (!existsSync(file) || readFileSync(file, "utf8") === "") await pause(5);
  return Number(readFileSync(file, "utf8"));
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
