/**
 * Configuration files: how long a plan and an apply of 300 changes among 2 000 objects of one project take, how long
 * they hold the writer, and the latency of events beside them.
 */

import "../scripts/node-version.mjs";
import { startEmbedded } from "./lib/embedded.ts";
import { percentile } from "./lib/percentile.ts";
import { call, setUp } from "./lib/prism-setup.ts";
import { median, ROUNDS, type Row, report, round } from "./lib/report.ts";

const OBJECTS = 2000;
const CHANGES = 300;
/** One apply has at most 500 changes. */
const AT_ONCE = 400;
const PACE_MS = 5;
const HOST = "https://127.0.0.1:8443";
const SHIFT = { start: "2026-11-23T09:00:00", recurrence: { frequency: "weekly" }, turns: [["dev"]] } as const;

interface FileObject {
  readonly kind: string;
  readonly project: string;
  readonly at: string;
  readonly spec: Readonly<Record<string, unknown>>;
}

const server = await startEmbedded({
  "webhooks.allowPrivateCidrs": "127.0.0.0/8",
  "rateLimit.enabled": "false",
  ...{ "limits.channelsPerOwner": "1000", "limits.onCallSchedulesPerProject": "1000" },
  ...{ "work.projectMsPerSecond": "10000", "work.creatorMsPerSecond": "10000", "work.allMsPerSecond": "10000" },
});
const setup = await setUp(server);
const holds = measureHolds();
const objects = Array.from({ length: OBJECTS }, (_, n) => objectOf(n, 0));
for (let count = AT_ONCE; count <= OBJECTS; count += AT_ONCE) await send("apply", objects.slice(0, count));

const rows: Row[] = [];
const times: Record<"plan" | "apply", { total: number; hold: number; cpu: number }[]> = { plan: [], apply: [] };
const alone = await latencies(async () => new Promise((resolve) => setTimeout(resolve, 2000)));
const beside: number[] = [];
for (let n = 1; n <= ROUNDS; n++) {
  // Two of 13: of all kinds.
  const changed = objects.map((each, at) => (at % 13 < 2 && at < (CHANGES / 2) * 13 ? objectOf(at, n) : each));
  for (const mode of ["plan", "apply"] as const) {
    holds.length = 0;
    const startedAt = performance.now();
    beside.push(...(await latencies(() => send(mode, changed))));
    times[mode].push({ total: performance.now() - startedAt, ...longestOf(holds) });
  }
}
await server.stop();
for (const mode of ["plan", "apply"] as const) {
  rows.push({ figure: `${mode}, ms`, value: round(median(times[mode].map(({ total }) => total))) });
  rows.push({ figure: `${mode}, writer held, ms`, value: round(median(times[mode].map(({ hold }) => hold))) });
  rows.push({ figure: `${mode}, writer held, processor ms`, value: round(median(times[mode].map(({ cpu }) => cpu))) });
}
for (const [name, all] of [
  ["alone", alone.sort((a, b) => a - b)],
  ["beside", beside.sort((a, b) => a - b)],
] as const) {
  rows.push({ figure: `event ${name}, p50 ms`, value: round(percentile(all, 0.5), 1) });
  rows.push({ figure: `event ${name}, p99 ms`, value: round(percentile(all, 0.99), 1) });
  rows.push({ figure: `event ${name}, longest ms`, value: round(Math.max(...all)) });
}
report("configuration", `${CHANGES} changes among ${OBJECTS} objects of one project, ${ROUNDS} rounds`, rows);

/** Heartbeats, channels, policies, rules, schedules, receivers and integrations. @param form another gives another object */
function objectOf(n: number, form: number): FileObject {
  const kinds = ["heartbeats", "heartbeats", "heartbeats", "channels", "policies", "rules", "oncall", "receivers"];
  const kind = kinds[n % kinds.length] as string;
  const name = `${kind} ${n}`;
  const description = `form ${form}`;
  const specs: Readonly<Record<string, () => object>> = {
    heartbeats: () => ({ timeout: `${60 + form}m`, tags: ["db"], description }),
    channels: () => ({ preset: "ntfy", fields: { url: `${HOST}/${form}`, topic: { env: "PRISM_SECRET_TOPIC" } } }),
    policies: () => ({
      description,
      steps: [
        { type: "notify", users: ["dev"] },
        { type: "wait", for: "5m" },
      ],
    }),
    rules: () => ({
      description,
      condition: `event.type == 'kind.${n}' and event.payload.n > ${form}`,
      targetUsers: ["dev"],
    }),
    oncall: () => ({ description, shifts: [{ name: "Weeks", ...SHIFT, duration: `${24 + form}h` }] }),
    receivers: () => ({ preset: "generic", labels: { form: String(form) } }),
  };
  return { kind, project: "bench", at: `bench.yaml:${n + 1}:1`, spec: { name, ...specs[kind]?.() } };
}

async function send(mode: "plan" | "apply", given: readonly FileObject[]): Promise<void> {
  const secrets = { "env:PRISM_SECRET_TOPIC": "duty-topic" };
  const body = { mode, objects: given, secrets, issued: true };
  await call(server, "POST", "/api/v1/configuration", setup.token, body);
}

/** Of one transaction, in ms. The processor time is that of both threads, and of what they do beside it. */
interface Hold {
  readonly hold: number;
  readonly cpu: number;
}

function longestOf(holds: readonly Hold[]): Hold {
  return holds.reduce((longest, each) => (each.hold > longest.hold ? each : longest), { hold: 0, cpu: 0 });
}

/** How long each transaction of the server has the writer. */
function measureHolds(): Hold[] {
  const found: Hold[] = [];
  const { db } = server.parts.features.context;
  const write = db.write.bind(db);
  db.write = (fn, options) =>
    write(async (trx) => {
      const [startedAt, used] = [performance.now(), process.cpuUsage()];
      try {
        return await fn(trx);
      } finally {
        const { user, system } = process.cpuUsage(used);
        found.push({ hold: performance.now() - startedAt, cpu: (user + system) / 1000 });
      }
    }, options);
  return found;
}

/** Of events at a steady pace while the work runs: each is timed from when it was due. */
async function latencies(work: () => Promise<unknown>): Promise<number[]> {
  const found: number[] = [];
  let isOver = false;
  const events = (async () => {
    const sent: Promise<void>[] = [];
    for (let due = performance.now(); !isOver; due += PACE_MS) {
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())));
      sent.push(event(due, found));
    }
    await Promise.all(sent);
  })();
  await work();
  isOver = true;
  await events;
  return found;
}

async function event(due: number, found: number[]): Promise<void> {
  const response = await fetch(`${server.url}/events`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-API-Key": setup.apiKey },
    body: JSON.stringify({ type: "payment.settle", payload: { amount: 1 } }),
  });
  await response.arrayBuffer();
  if (!response.ok) throw new Error(String(response.status));
  found.push(performance.now() - due);
}
