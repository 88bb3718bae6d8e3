/**
 * What one request of each entry costs, beside an event: 64 connections that send the same requests
 * without a pause, each answered after its commit. `BENCH_ENTRY` selects by a part of the name.
 */
import { startAlertmanager, startNtfy } from "./lib/neighbours.ts";
import { addRules, call, eventBodies, type Setup, setUp } from "./lib/prism-setup.ts";
import { memoryMiB, processorTime } from "./lib/process-figures.ts";
import { type Server, startPrism } from "./lib/processes.ts";
import { median, ROUNDS, type Row, report, round, SECONDS } from "./lib/report.ts";
import { type LoadResult, runWrk } from "./lib/wrk.ts";

const CONNECTIONS = 64;
const WARM_UP_SECONDS = 1;
const MESSAGE = "42 GB in 12 minutes";
const NO_LIMITS = {
  PRISM_RATE_LIMIT_ENABLED: "false",
  PRISM_WORK_PROJECT_MS_PER_SECOND: "10000",
  PRISM_WORK_CREATOR_MS_PER_SECOND: "10000",
  PRISM_WORK_ALL_MS_PER_SECOND: "10000",
};

interface Request {
  readonly path: string;
  readonly method?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly bodies: readonly string[];
}

interface Sample extends LoadResult {
  readonly totalUs: number;
  readonly mainUs: number;
  readonly residentMiB: number;
}

interface Neighbour {
  readonly program: string;
  readonly start: () => Promise<Server>;
  readonly request: Request;
}

/** What is sent to a fresh server. */
type Entry = (server: Server, setup: Setup) => Promise<Request> | Request;

const ENTRIES: Readonly<Record<string, Entry>> = {
  "an event": (_, { apiKey }) => json("/events", { "X-API-Key": apiKey }, eventBodies()),
  "an event that notifies": (_, { apiKey }) => json("/events", { "X-API-Key": apiKey }, [matchingBody()]),
  "ntfy: publish": (_, { token }) => text("/ntfy/bench", token),
  "gotify: message": async (server, { token }) => {
    const { token: key } = (await call(server, "POST", "/gotify/application", token, { name: "bench" })) as {
      token: string;
    };
    return json("/gotify/message", { "X-Gotify-Key": key }, [JSON.stringify({ title: "Backup", message: "done" })]);
  },
  "heartbeat: ping": async (server, { token }) => {
    const made = { name: "bench", timeoutMs: 3_600_000, graceMs: 3_600_000 };
    const { pingUrl } = (await call(server, "POST", "/api/v1/heartbeats", token, made)) as { pingUrl: string };
    return { path: new URL(pingUrl).pathname, headers: {}, bodies: [""] };
  },
  "receiver: request": async (server, { token }) => {
    const made = { name: "bench", preset: "generic" };
    const { url } = (await call(server, "POST", "/api/v1/receivers", token, made)) as { url: string };
    const body = JSON.stringify({ title: "Disk almost full", level: "warning", key: "disk/var", status: "firing" });
    return json(new URL(url).pathname, {}, [body]);
  },
  "alert, repeated": (_, { apiKey }) => json("/alertmanager/bench/api/v2/alerts", bearer(apiKey), repeatedAlerts()),
  "PagerDuty event, repeated": async (server, { token }) => {
    const made = { kind: "pagerduty", name: "bench" };
    const { key } = (await call(server, "POST", "/api/v1/integrations", token, made)) as { key: string };
    const payload = { summary: "Disk full", source: "db-2", severity: "critical" };
    const body = { routing_key: key, event_action: "trigger", dedup_key: "disk", payload };
    return json("/v2/enqueue", {}, [JSON.stringify(body)]);
  },
  task: (_, { token }) => json("/api/v1/tasks", bearer(token), [JSON.stringify({ title: "Replace the disk" })]),
  message: (_, { token, userId }) =>
    json("/api/v1/messages", bearer(token), [JSON.stringify({ recipientId: userId, content: "Ready", delayMs: 0 })]),
  "notification sent": (_, { token, userId }) =>
    json("/api/v1/notifications", bearer(token), [JSON.stringify({ userId, title: "Backup", message: "done" })]),
  "notification acknowledged": async (server, { token, userId }) => {
    const made = { userId, title: "Backup", message: "done" };
    const { id } = (await call(server, "POST", "/api/v1/notifications", token, made)) as { id: string };
    return { ...json(`/api/v1/notifications/${id}/acknowledge`, bearer(token), ["{}"]), method: "PUT" };
  },
  "rule changed": async (server, { token, userId }) => {
    const made = { name: "changed", condition: "event.type == 'kind.x'", targetUsers: [userId] };
    const { id } = (await call(server, "POST", "/api/v1/rules", token, made)) as { id: string };
    const bodies = [1, 2].map((n) =>
      JSON.stringify({ condition: `event.type == 'kind.x' and event.payload.amount > ${n}` }),
    );
    return { ...json(`/api/v1/rules/${id}`, bearer(token), bodies), method: "PATCH" };
  },
};

/** The same requests to the program that defines the protocol. */
const NEIGHBOURS: Readonly<Record<string, Neighbour>> = {
  "ntfy: publish": {
    program: "ntfy",
    start: startNtfy,
    request: { path: "/bench", headers: {}, bodies: [MESSAGE] },
  },
  "alert, repeated": {
    program: "Alertmanager",
    start: startAlertmanager,
    request: json("/api/v2/alerts", {}, repeatedAlerts()),
  },
};

const chosen = Object.entries(ENTRIES).filter(([name]) => name.includes(process.env["BENCH_ENTRY"] ?? ""));
const rows: Row[] = [];
let eventUs = Number.NaN;
for (const [name, entry] of chosen) {
  const own: Sample[] = [];
  const other: Sample[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    own.push(await ofPrism(entry));
    other.push(...(await ofNeighbour(name)));
  }
  const row = rowOf(name, own);
  if (Number.isNaN(eventUs)) eventUs = row["us of processor time"];
  rows.push({ ...row, "events' cost": round(row["us of processor time"] / eventUs, 2) });
  const neighbour = NEIGHBOURS[name];
  if (neighbour && other.length > 0)
    rows.push({ ...rowOf(`the same at ${neighbour.program}`, other), "events' cost": "" });
}
report("entries", `${CONNECTIONS} connections, ${ROUNDS} rounds of ${SECONDS} s, medians`, rows);

function rowOf(entry: string, samples: readonly Sample[]) {
  return {
    entry,
    "requests/s": round(median(samples.map((each) => each.requestsPerSecond))),
    "us of processor time": round(median(samples.map((each) => each.totalUs)), 1),
    "of the main thread": round(median(samples.map((each) => each.mainUs)), 1),
    "p99 ms": round(median(samples.map((each) => each.p99Ms)), 2),
    "resident MiB": round(median(samples.map((each) => each.residentMiB))),
    refused: samples.reduce((sum, each) => sum + each.errors, 0),
  };
}

async function ofPrism(entry: Entry): Promise<Sample> {
  const server = await startPrism({ env: NO_LIMITS });
  try {
    const setup = await setUp(server);
    await addRules(server, setup, 10);
    return await sample(server, await entry(server, setup));
  } finally {
    await server.stop();
  }
}

/** @returns nothing when the program is not installed */
async function ofNeighbour(name: string): Promise<Sample[]> {
  const neighbour = NEIGHBOURS[name];
  const server = await neighbour?.start().catch((error: unknown) => console.error(String(error)));
  if (!neighbour || !server) return [];
  try {
    return [await sample(server, neighbour.request)];
  } finally {
    await server.stop();
  }
}

async function sample(server: Server, { path, ...request }: Request): Promise<Sample> {
  const load = { url: server.url + path, connections: CONNECTIONS, seconds: SECONDS, ...request };
  await runWrk({ ...load, seconds: WARM_UP_SECONDS });
  const before = processorTime(server.pid);
  const result = await runWrk(load);
  const after = processorTime(server.pid);
  const requests = result.requestsPerSecond * SECONDS;
  return {
    ...result,
    totalUs: ((after.total - before.total) / requests) * 1e6,
    mainUs: ((after.main - before.main) / requests) * 1e6,
    residentMiB: memoryMiB(server.pid).resident,
  };
}

function json(path: string, headers: Readonly<Record<string, string>>, bodies: readonly string[]): Request {
  return { path, headers: { "Content-Type": "application/json", ...headers }, bodies };
}

function text(path: string, token: string): Request {
  return { path, headers: { "Content-Type": "text/plain", ...bearer(token) }, bodies: [MESSAGE] };
}

function bearer(token: string): Record<string, string> {
  return { Authorization: `Bearer ${token}` };
}

function matchingBody(): string {
  return JSON.stringify({ type: "payment.failed", source: "shop", payload: { amount: 1500, region: "eu" } });
}

/** A hundred alerts, one a request, as Prometheus repeats them. */
function repeatedAlerts(): string[] {
  return Array.from({ length: 100 }, (_, i) =>
    JSON.stringify([
      {
        labels: { alertname: "DiskFull", instance: `db-${i}`, severity: "warning", job: "node" },
        annotations: { summary: "The disk is almost full" },
        generatorURL: "http://prometheus.example/graph",
      },
    ]),
  );
}
