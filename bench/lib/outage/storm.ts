import { setTimeout as sleep } from "node:timers/promises";
import { httpReceiver, type Ledger } from "../../../test/e2e/outage/receiver.ts";
import { type Caller, callerOf } from "../../../test/e2e/outage/site.ts";
import { PrismBinary } from "../../../test/e2e/prism-binary.ts";
import { startAlertmanager } from "../../../test/features/protocols/alertmanager/support/programs.ts";
import type { Scope } from "../../../test/helpers/scope.ts";
import { eventBodies } from "../prism-setup.ts";
import { processorTime } from "../process-figures.ts";

import type { Row } from "../report.ts";
import { runWrk } from "../wrk.ts";

/* Many incidents at once with one local receiver, in Prism and in Debian's Alertmanager. */

const INCIDENTS = 5000;
const CONNECTIONS = 64;
/** Promised: at most this many times Alertmanager's time, and at least this part of the idle rate. */
const MOST_TIMES = 2;
const LEAST_RATE = 0.5;
const LIMIT_MS = 120_000;
const IDLE_SECONDS = 5;
const BESIDE_SECONDS = 20;

export async function measureStorm(scope: Scope): Promise<Row[]> {
  const reference = await ofAlertmanager(scope);
  const alone = await ofPrism(scope);
  const beside = await ofPrism(scope, true);
  const times = alone.ms / reference.ms;
  const rate = beside.perSecond / beside.idlePerSecond;
  return [
    { server: "Alertmanager", "first posts": reference.posts, ms: reference.ms },
    {
      server: "Prism",
      "first posts": alone.posts,
      ms: alone.ms,
      "processor ms": alone.cpuMs,
      ratio: round(times),
      kept: kept(times <= MOST_TIMES),
    },
    {
      server: `Prism beside ${CONNECTIONS} connections of single events`,
      "first posts": beside.posts,
      ms: beside.ms,
      "events/s, idle": beside.idlePerSecond,
      "events/s": beside.perSecond,
      ratio: round(rate),
      kept: kept(rate >= LEAST_RATE),
    },
  ];
}

interface Storm {
  /** Incidents with a first post. */
  readonly posts: number;
  /** From the request to the last first post. */
  readonly ms: number;
}

async function ofAlertmanager(scope: Scope): Promise<Storm> {
  const { ledger, url } = await stormReceiver(scope);
  const server = await startAlertmanager(
    scope,
    `route: { receiver: r, group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 4h }
receivers: [ { name: r, webhook_configs: [ { url: "${url}/" } ] } ]
`,
  );
  return storm(`${server}/api/v2/alerts`, {}, ledger);
}

async function ofPrism(scope: Scope): Promise<Storm & { readonly cpuMs: number }>;
async function ofPrism(
  scope: Scope,
  withEvents: true,
): Promise<Storm & { readonly cpuMs: number; readonly idlePerSecond: number; readonly perSecond: number }>;
async function ofPrism(scope: Scope, withEvents = false): Promise<Storm & { readonly cpuMs: number }> {
  const { ledger, url } = await stormReceiver(scope);
  const env = { PRISM_WEBHOOKS_ALLOW_PRIVATE_CIDRS: "127.0.0.0/8", PRISM_RATE_LIMIT_ENABLED: "false" };
  const prism = new PrismBinary(scope, { env });
  await prism.start();
  const server = callerOf(() => prism);
  const steps = [{ type: "webhook", url, format: "alertmanager" }];
  await server.call("POST", "/policies", { name: "storm", steps });
  const times = { groupBy: ["..."], groupWaitMs: 0, groupIntervalMs: 1000, repeatMs: 14_400_000 };
  await server.call("PUT", "/routes", { route: { policy: "storm", ...times } });
  const { key } = await server.call<{ key: string }>("POST", "/projects/default/keys", { name: "storm" });
  const send = (): Promise<Storm> =>
    storm(`${prism.url}/alertmanager/default/api/v2/alerts`, { Authorization: `Bearer ${key}` }, ledger);
  const usedBefore = processorTime(prism.pid).ever;
  const result = withEvents ? await besideEvents(prism, server, send) : await send();
  const cpuMs = Math.round((processorTime(prism.pid).ever - usedBefore) * 1000);
  await prism.kill();
  return { ...result, cpuMs };
}

/** The rate is that from the request of the storm on, until its last first post or the end of the load. */
async function besideEvents(prism: PrismBinary, server: Caller, send: () => Promise<Storm>) {
  const { apiKey } = await server.call<{ apiKey: string }>("POST", "/projects", { name: "bench" });
  const load = {
    url: `${prism.url}/events`,
    connections: CONNECTIONS,
    headers: { "Content-Type": "application/json", "X-API-Key": apiKey },
    bodies: eventBodies(),
  };
  await runWrk({ ...load, seconds: 2 });
  const { requestsPerSecond: idlePerSecond } = await runWrk({ ...load, seconds: IDLE_SECONDS });
  const running = runWrk({ ...load, seconds: BESIDE_SECONDS });
  await sleep(2000);
  const before = await acceptedEvents(prism);
  const sent = send();
  await Promise.race([sent, sleep((BESIDE_SECONDS - 3) * 1000)]);
  const after = await acceptedEvents(prism);
  const [result] = await Promise.all([sent, running]);
  const perSecond = (after.events - before.events) / ((after.at - before.at) / 1000);
  return { ...result, idlePerSecond: Math.round(idlePerSecond), perSecond: Math.round(perSecond) };
}

async function acceptedEvents(prism: PrismBinary): Promise<{ readonly events: number; readonly at: number }> {
  const response = await fetch(`${prism.url}/metrics`, { headers: { Authorization: `Bearer ${prism.token}` } });
  const text = await response.text();
  const events = Number(/^prism_ingest_events_total\{[^}]*result="accepted"[^}]*\} (\d+)/m.exec(text)?.[1]);
  return { events, at: performance.now() };
}

/** Its messages have the names of the alerts in them; it counts each once. */
async function stormReceiver(scope: Scope): Promise<{ ledger: Ledger; url: string }> {
  const { ledger, port } = await httpReceiver(scope, Date.now, ({ body }) => [
    { id: /"alertname":"([^"]+)"/.exec(body)?.[1] ?? "", text: "" },
  ]);
  return { ledger, url: `http://127.0.0.1:${port}` };
}

async function storm(url: string, headers: Readonly<Record<string, string>>, ledger: Ledger): Promise<Storm> {
  const alerts = Array.from({ length: INCIDENTS }, (_, n) => ({
    labels: { alertname: `Storm${n}`, severity: "warning", instance: `host-${n}.example.test:9100` },
    annotations: { summary: "The target does not answer" },
  }));
  const startedAt = Date.now();
  const body = JSON.stringify(alerts);
  const reply = await fetch(url, { method: "POST", headers: { "Content-Type": "application/json", ...headers }, body });
  if (!reply.ok) throw new Error(`${reply.status} ${await reply.text()}`);
  const first = new Map<string, number>();
  for (let read = 0; first.size < INCIDENTS && Date.now() < startedAt + LIMIT_MS; ) {
    await sleep(10);
    for (; read < ledger.accepted.length; read++) {
      const { id, at } = ledger.accepted[read] ?? { id: "", at: 0 };
      if (!first.has(id)) first.set(id, at);
    }
  }
  return { posts: first.size, ms: Math.max(...first.values()) - startedAt };
}

function round(value: number): number {
  return Number(value.toFixed(2));
}

function kept(isKept: boolean): string {
  return isKept ? "yes" : "no";
}
