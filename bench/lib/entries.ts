/** One request of each kind, and what it costs a fresh server. */
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import SqliteDatabase from "better-sqlite3";
import { addRules, call, eventBodies, type Setup, setUp } from "./prism-setup.ts";
import { processorTime } from "./process-figures.ts";
import { type Server, startPrism } from "./processes.ts";
import { SECONDS } from "./report.ts";
import { type LoadResult, runWrk } from "./wrk.ts";

export const CONNECTIONS = 64;
export const MESSAGE = "42 GB in 12 minutes";
const WARM_UP_SECONDS = 1;
const POLL_MS = 20;
export const NO_LIMITS = {
  PRISM_RATE_LIMIT_ENABLED: "false",
  PRISM_WORK_PROJECT_MS_PER_SECOND: "10000",
  PRISM_WORK_CREATOR_MS_PER_SECOND: "10000",
  PRISM_WORK_ALL_MS_PER_SECOND: "10000",
};

export interface Request {
  readonly path: string;
  readonly method?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly bodies: readonly string[];
}

export interface Sample extends LoadResult {
  /** Microseconds of processor time for each request, and for what followed it. */
  readonly totalUs: number;
  readonly mainUs: number;
}

/** What is sent to a fresh server. */
export type Entry = (server: Server, setup: Setup) => Promise<Request> | Request;

export const ENTRIES: Readonly<Record<string, Entry>> = {
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
  page: (_, { token, userId }) =>
    json("/api/v1/incidents", bearer(token), [JSON.stringify({ title: "Look at db-2", users: [userId] })]),
  storm: async (server, { token, userId, apiKey }) => {
    const suppression = { count: 3, windowMs: 60_000 };
    const made = { name: "storm", condition: "event.type == 'storm'", targetUsers: [userId], suppression };
    await call(server, "POST", "/api/v1/rules", token, made);
    return json("/events", { "X-API-Key": apiKey }, [JSON.stringify({ type: "storm", payload: { n: 1 } })]);
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

/** Sends the entry's requests to a fresh server. @param look called before it stops */
export async function ofPrism<T>(
  entry: Entry,
  look: (server: Server) => T,
  executable?: string,
): Promise<Sample & { readonly seen: T }> {
  const server = await startPrism({ env: NO_LIMITS, ...(executable === undefined ? {} : { executable }) });
  try {
    const setup = await setUp(server);
    await addRules(server, setup, 10);
    return { ...(await sampleOf(server, await entry(server, setup), drained)), seen: look(server) };
  } finally {
    await server.stop();
  }
}

/** @param afterwards resolves when the server has done what follows its answers */
export async function sampleOf(
  server: Server,
  { path, ...request }: Request,
  afterwards: (server: Server) => Promise<void> = async () => undefined,
): Promise<Sample> {
  const load = { url: server.url + path, connections: CONNECTIONS, seconds: SECONDS, ...request };
  await runWrk({ ...load, seconds: WARM_UP_SECONDS });
  await afterwards(server);
  const before = processorTime(server.pid);
  const result = await runWrk(load);
  await afterwards(server);
  const after = processorTime(server.pid);
  const requests = result.requestsPerSecond * SECONDS;
  return {
    ...result,
    totalUs: ((after.ever - before.ever) / requests) * 1e6,
    mainUs: ((after.main - before.main) / requests) * 1e6,
  };
}

/** Waits for the jobs that the answered requests have left. */
export async function drained({ dir }: Server): Promise<void> {
  const database = new SqliteDatabase(join(dir, "prism.db"), { readonly: true });
  try {
    const left = database.prepare("select 1 from jobs where state in ('ready', 'running') limit 1");
    while (left.get() !== undefined) await setTimeout(POLL_MS);
  } finally {
    database.close();
  }
}

export function json(path: string, headers: Readonly<Record<string, string>>, bodies: readonly string[]): Request {
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
export function repeatedAlerts(): string[] {
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
