/** What is measured of an executable beside that of another commit. */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import type { Build } from "./build-of.ts";
import { drained, ENTRIES, type Entry, NO_LIMITS, ofPrism } from "./entries.ts";
import type { Figures } from "./pairs.ts";
import { addRules, call, eventBodies, setUp } from "./prism-setup.ts";
import { memoryMiB, processorTime } from "./process-figures.ts";
import { type Server, startPrism } from "./processes.ts";
import { SECONDS } from "./report.ts";
import { runPaced } from "./run-paced.ts";
import { runWrk } from "./wrk.ts";

const LINES = 1000;
const STARTS = 5;
const VERSIONS = 10;
const IDLE_MS = 5000;
const PACE = 2000;

export type Measure = (executable: string) => Promise<Figures>;

export interface Pair {
  readonly before: Figures;
  readonly after: Figures;
}

export const PARTS: Readonly<Record<string, Measure>> = {
  version,
  start,
  "http-1": (executable) => ingest(executable, singleEvents(1)),
  "http-8": (executable) => ingest(executable, singleEvents(8)),
  "http-64": (executable) => ingest(executable, singleEvents(64)),
  "http-256": (executable) => ingest(executable, singleEvents(256)),
  ndjson: (executable) => ingest(executable, ndjsonLoad()),
  socket,
};

/** Parts that run only if they are named: a request of each entry with the jobs that follow it, and ends of incidents. */
export const ENTRY_PARTS: Readonly<Record<string, Measure>> = {
  ...Object.fromEntries(
    Object.entries(ENTRIES).map(([name, entry]) => [name, (executable: string) => ofEntry(entry, executable)]),
  ),
  "incident-end": incidentEnd,
};

/** Copies of both executables, like downloads: how a file was written changes how it is mapped. */
export function copiesOf(before: Build, after: Build): { readonly before: string; readonly after: string } {
  const dir = mkdtempSync(join(tmpdir(), "prism-bench-"));
  process.once("exit", () => rmSync(dir, { recursive: true, force: true }));
  const copyOf = ({ executable }: Build, name: string): string => {
    const copy = join(dir, name);
    copyFileSync(executable, copy);
    return copy;
  };
  return { before: copyOf(before, "before"), after: copyOf(after, "after") };
}

/** One pair; the order within it alternates. */
export async function pairOf(
  measure: Measure,
  copies: { readonly before: string; readonly after: string },
  index: number,
): Promise<Pair> {
  const first = index % 2 === 0 ? await measure(copies.before) : null;
  const after = await measure(copies.after);
  return { before: first ?? (await measure(copies.before)), after };
}

async function version(executable: string): Promise<Figures> {
  const script = `for i in $(seq ${VERSIONS}); do "$0" --version >/dev/null; done; times`;
  const text = execFileSync("bash", ["-c", script, executable], {
    encoding: "utf8",
    env: { ...process.env, NODE_EXTRA_CA_CERTS: undefined, LC_ALL: "C" },
  });
  // The second line is of the children: user and system time.
  const times = [...(text.split("\n")[1] ?? "").matchAll(/(\d+)m([\d.]+)s/g)];
  const seconds = times.reduce((sum, [, minutes, rest]) => sum + Number(minutes) * 60 + Number(rest), 0);
  return { "processor ms": (seconds * 1000) / VERSIONS };
}

async function start(executable: string): Promise<Figures> {
  const data = mkdtempSync(join(tmpdir(), "prism-bench-"));
  const [readyMs, processorMs]: [number[], number[]] = [[], []];
  let memory = { anonymous: 0, resident: 0 };
  // The first start makes the database.
  for (let i = 0; i <= STARTS; i++) {
    const startedAt = performance.now();
    const server = await startPrism({ dir: data, executable });
    const ms = performance.now() - startedAt;
    const used = processorTime(server.pid).total * 1000;
    if (i > 0) {
      readyMs.push(ms);
      processorMs.push(used);
    }
    if (i === STARTS) {
      await setTimeout(IDLE_MS);
      memory = memoryMiB(server.pid);
    }
    await server.stop();
  }
  rmSync(data, { recursive: true, force: true });
  return {
    "processor ms until ready": Math.min(...processorMs),
    "ms until ready": Math.min(...readyMs),
    "anonymous MiB idle": memory.anonymous,
    "resident MiB idle": memory.resident,
  };
}

interface IngestLoad {
  readonly path: string;
  readonly connections: number;
  readonly bodies: readonly string[];
  /** Events of a body. */
  readonly lines: number;
}

function singleEvents(connections: number): IngestLoad {
  return { path: "/events", connections, bodies: eventBodies(), lines: 1 };
}

function ndjsonLoad(): IngestLoad {
  const lines = Array.from({ length: LINES / 100 }, eventBodies).flat();
  return { path: "/ingest?results=errors", connections: 4, bodies: [lines.join("\n")], lines: LINES };
}

async function ingest(executable: string, { path, connections, bodies, lines }: IngestLoad): Promise<Figures> {
  const server = await startPrism({ executable });
  const setup = await setUp(server);
  await addRules(server, setup, 10);
  const type = lines > 1 ? "application/x-ndjson" : "application/json";
  const headers = { "Content-Type": type, "X-API-Key": setup.apiKey };
  const load = { url: `${server.url}${path}`, connections, headers, bodies };
  await runWrk({ ...load, seconds: 1 });
  const { result, figures } = await measured(
    server,
    () => runWrk({ ...load, seconds: SECONDS }),
    ({ requestsPerSecond }) => requestsPerSecond * SECONDS * lines,
  );
  const memory = memoryMiB(server.pid);
  await server.stop();
  if (result.errors > 0) throw new Error(`${result.errors} requests were refused`);
  return {
    ...figures,
    "events/s": result.requestsPerSecond * lines,
    "p99 ms": result.p99Ms,
    "anonymous MiB after": memory.anonymous,
  };
}

async function ofEntry(entry: Entry, executable: string): Promise<Figures> {
  const { totalUs, mainUs, requestsPerSecond, errors } = await ofPrism(entry, () => null, executable);
  if (errors > 0) throw new Error(`${errors} requests were refused`);
  return { "µs each": totalUs, "µs main thread": mainUs, "requests/s": requestsPerSecond };
}

const INCIDENTS = 2000;
const AT_ONCE = 100;
/** Reports count an incident one and a half minutes after its end, at the latest. */
const COUNTED_MS = 100_000;

/** Ends of incidents by a person, with what follows: notifications, and the rows of reports. */
async function incidentEnd(executable: string): Promise<Figures> {
  const server = await startPrism({ executable, env: NO_LIMITS });
  const { token } = await setUp(server);
  for (let from = 0; from < INCIDENTS; from += AT_ONCE) {
    const alerts = Array.from({ length: AT_ONCE }, (_, n) => ({ labels: { alertname: `Alert${from + n}` } }));
    await call(server, "POST", "/api/v1/alerts", token, { alerts });
  }
  await drained(server);
  const ids: string[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const path = `/api/v1/incidents?state=unresolved&limit=${AT_ONCE}${cursor === "" ? "" : `&cursor=${cursor}`}`;
    const page = (await call(server, "GET", path, token)) as IncidentsPage;
    ids.push(...page.data.map(({ id }) => id));
    cursor = page.nextCursor;
  }
  if (ids.length !== INCIDENTS) throw new Error(`${ids.length} incidents instead of ${INCIDENTS}`);
  const { result, figures } = await measured(
    server,
    async () => {
      const from = processorTime(server.pid).total;
      for (let at = 0; at < INCIDENTS; at += AT_ONCE)
        await call(server, "POST", "/api/v1/incidents/resolve", token, { ids: ids.slice(at, at + AT_ONCE) });
      await drained(server);
      const used = processorTime(server.pid).total - from;
      await setTimeout(COUNTED_MS);
      return used;
    },
    () => INCIDENTS,
  );
  await server.stop();
  return { ...figures, "µs without reports": (result * 1e6) / INCIDENTS };
}

interface IncidentsPage {
  readonly data: readonly { readonly id: string }[];
  readonly nextCursor: string | null;
}

/** A notification's way to a socket at a fixed pace, half of what ingest takes or less. */
async function socket(executable: string): Promise<Figures> {
  const server = await startPrism({ executable });
  const setup = await setUp(server);
  await addRules(server, setup, 100);
  const { token, userId, projectId, apiKey } = setup;
  const listener = { protocol: "native", follows: "project", token, userId, projectId } as const;
  const load = { port: server.port, headers: { "X-API-Key": apiKey }, bodies: markedBodies(), perSecond: PACE };
  await runPaced({ ...load, count: PACE });
  const count = PACE * SECONDS;
  const { result, figures } = await measured(
    server,
    () => runPaced({ ...load, count, listeners: [listener] }),
    () => count,
  );
  await server.stop();
  return {
    ...figures,
    "message p50 ms": result.messages[0]?.p50Ms ?? Number.NaN,
    "message p99 ms": result.messages[0]?.p99Ms ?? Number.NaN,
  };
}

function markedBodies(): string[] {
  return eventBodies().map((body) => body.replace('"note":"paid by card, second attempt"', '"note":"mark-0;"'));
}

/** Microseconds of processor time per unit of what runs. */
async function measured<T>(
  { pid }: Server,
  run: () => Promise<T>,
  unitsOf: (result: T) => number,
): Promise<{ readonly result: T; readonly figures: Figures }> {
  const from = processorTime(pid);
  const result = await run();
  const to = processorTime(pid);
  const perUnit = (used: number): number => (used * 1e6) / unitsOf(result);
  const main = perUnit(to.main - from.main);
  return { result, figures: { "µs each": perUnit(to.ever - from.ever), "µs main thread": main } };
}
