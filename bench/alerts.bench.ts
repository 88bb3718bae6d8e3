/**
 * 100 000 firing alerts of 10 labels and 10 000 silences: the start, the memory, repetitions at
 * 5 000 alerts a second, and the ingest of events beside them, compared with an empty server.
 */

import "../scripts/node-version.mjs";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { uuidv7 } from "../src/core/ids.ts";
import { fingerprintOf, labelRecord, labelsOf, labelValue } from "../src/features/alerts/model/labels.ts";
import { openForWriting } from "../src/store/sqlite/connection.ts";
import { addRules, eventBodies, type Setup, setUp } from "./lib/prism-setup.ts";
import { memoryMiB, processorTime } from "./lib/process-figures.ts";
import { type Server, startPrism } from "./lib/processes.ts";
import { median, ROUNDS, type Row, report, round, SECONDS } from "./lib/report.ts";
import { runPaced } from "./lib/run-paced.ts";
import { runWrk } from "./lib/wrk.ts";

/** One project sends everything, and may: repetitions take more of the main thread than its share. */
const WORK = {
  PRISM_WORK_PROJECT_MS_PER_SECOND: "10000",
  PRISM_WORK_CREATOR_MS_PER_SECOND: "10000",
  PRISM_WORK_ALL_MS_PER_SECOND: "10000",
};

const ALERTS = Number(process.env["BENCH_ALERTS"] ?? 100_000);
const SILENCES = Number(process.env["BENCH_SILENCES"] ?? 10_000);
const PER_SECOND = 5000;
const REPEATED = Math.min(ALERTS, PER_SECOND * 20);
/** Alerts of one request of Prometheus, at most. */
const BATCH = 64;
const NEW_SILENCES = 20;
const SETTLE_MS = 5000;
/** As Prometheus sends them. */
const PATH = "/alertmanager/bench/api/v2/alerts";
/** Labels other than `instance` and `pod` repeat after this many alerts. */
const KINDS = 120;

const dir = mkdtempSync(join(tmpdir(), "prism-bench-"));
const setup = await prepare();
const rows: Row[] = [];
const empty = await measureStart();
fill(join(dir, "prism.db"), setup.projectId);
const full = await measureStart();
rows.push({ figure: "start, empty, ms", value: round(empty.startMs) });
rows.push({ figure: "start, alerts and silences, ms", value: round(full.startMs) });
rows.push({ figure: "start, empty, processor ms", value: round(empty.cpuMs) });
rows.push({ figure: "start, alerts and silences, processor ms", value: round(full.cpuMs) });
rows.push({ figure: "memory of both, MiB", value: round(full.memoryMiB - empty.memoryMiB, 1) });
await measureRepeats();
report("alerts", `${ALERTS} alerts of 10 labels, ${SILENCES} silences, ${ROUNDS} rounds of ${SECONDS} s`, rows);
rmSync(dir, { recursive: true, force: true });

async function prepare(): Promise<Setup> {
  const server = await startPrism({ dir, env: WORK });
  const made = await setUp(server);
  await addRules(server, made, 10);
  await server.stop();
  return made;
}

async function measureStart(): Promise<{ startMs: number; cpuMs: number; memoryMiB: number }> {
  const times: number[] = [];
  const cpuTimes: number[] = [];
  let loadedMiB = 0;
  for (let i = 0; i < ROUNDS; i++) {
    const startedAt = performance.now();
    const server = await startPrism({ dir, env: WORK });
    times.push(performance.now() - startedAt);
    cpuTimes.push(processorTime(server.pid).total * 1000);
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    loadedMiB = memoryMiB(server.pid).resident;
    await server.stop();
  }
  return { startMs: median(times), cpuMs: median(cpuTimes), memoryMiB: loadedMiB };
}

async function measureRepeats(): Promise<void> {
  const server = await startPrism({ dir, env: WORK });
  const events = countAlertEvents();
  const cpuBefore = processorTime(server.pid).ever;
  const load = { port: server.port, path: PATH, headers: headers() };
  const single = await runPaced({
    ...load,
    bodies: singleBodies(),
    perSecond: PER_SECOND,
    count: REPEATED,
  });
  const cpuMs = (processorTime(server.pid).ever - cpuBefore) * 1000;
  rows.push({ figure: "repetitions, 1 a request: processor µs each", value: round((cpuMs * 1000) / REPEATED) });
  rows.push({ figure: "repetitions, 1 a request: alerts/s", value: round(single.perSecond) });
  rows.push({ figure: "repetitions, 1 a request: p50 ms", value: round(single.answers.p50Ms, 1) });
  rows.push({ figure: "repetitions, 1 a request: p99 ms", value: round(single.answers.p99Ms, 1) });
  const cpuBetween = processorTime(server.pid).ever;
  const batches = await runPaced({
    ...load,
    bodies: [JSON.stringify(Array.from({ length: BATCH }, (_, i) => postedAlert(i + 1)))],
    perSecond: PER_SECOND / BATCH,
    count: Math.round((PER_SECOND / BATCH) * 20),
  });
  const batchCpuMs = (processorTime(server.pid).ever - cpuBetween) * 1000;
  const sent = Math.round((PER_SECOND / BATCH) * 20) * BATCH;
  rows.push({ figure: `repetitions, ${BATCH} a request: processor µs each`, value: round((batchCpuMs * 1000) / sent) });
  rows.push({ figure: `repetitions, ${BATCH} a request: p99 ms`, value: round(batches.answers.p99Ms, 1) });
  const reference = await runPaced({
    port: server.port,
    headers: headers(),
    bodies: eventBodies(),
    perSecond: PER_SECOND / BATCH,
    count: Math.round((PER_SECOND / BATCH) * 10),
  });
  rows.push({ figure: "one event a request at the same pace: p99 ms", value: round(reference.answers.p99Ms, 1) });
  rows.push({ figure: "events written by repetitions", value: countAlertEvents() - events });
  const silenced = await measureSilences(server);
  rows.push({ figure: "a new silence counts, median ms", value: round(median(silenced)) });
  rows.push({ figure: "a new silence counts, longest ms", value: round(Math.max(...silenced)) });
  rows.push({ figure: "events/s beside the alerts", value: round(median(await ingest(server))) });
  rows.push({ figure: "events/s while all are repeated", value: round(median(await ingestBesideRepeats(server))) });
  rows.push({ figure: "memory after that, MiB", value: round(memoryMiB(server.pid).resident) });
  await server.stop();
}

/** Milliseconds from the request of a new silence until a list of alerts shows one as suppressed. */
async function measureSilences(server: Server): Promise<number[]> {
  const base = `${server.url}/alertmanager/bench/api/v2`;
  const times: number[] = [];
  for (let i = 0; i < NEW_SILENCES; i++) {
    const pod = `mark-${i * 7 + 1};`;
    const startedAt = performance.now();
    const body = JSON.stringify({
      matchers: [{ name: "pod", value: pod, isRegex: false, isEqual: true }],
      startsAt: new Date().toISOString(),
      endsAt: new Date(Date.now() + 3_600_000).toISOString(),
      createdBy: "bench",
      comment: "bench",
    });
    const made = await fetch(`${base}/silences`, { method: "POST", headers: headers(), body });
    if (!made.ok) throw new Error(await made.text());
    const query = new URLSearchParams({ filter: `pod="${pod}"`, active: "false" });
    for (;;) {
      const reply = await fetch(`${base}/alerts?${query}`, { headers: headers() });
      if (((await reply.json()) as unknown[]).length > 0) break;
    }
    times.push(performance.now() - startedAt);
  }
  return times;
}

async function ingestBesideRepeats(server: Server): Promise<number[]> {
  const repeats = runPaced({
    port: server.port,
    path: PATH,
    headers: headers(),
    bodies: singleBodies(),
    perSecond: ALERTS / 60,
    count: Math.round((ALERTS / 60) * SECONDS * (ROUNDS + 1)),
  });
  const rates = await ingest(server);
  await repeats;
  return rates;
}

async function ingest(server: Server): Promise<number[]> {
  const rates: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const { requestsPerSecond } = await runWrk({
      url: `${server.url}/events`,
      connections: 64,
      seconds: SECONDS,
      headers: headers(),
      bodies: eventBodies(),
    });
    rates.push(requestsPerSecond);
  }
  return rates;
}

function headers(): Record<string, string> {
  return { "Content-Type": "application/json", Authorization: `Bearer ${setup.apiKey}` };
}

/** `mark-0;` becomes the number of the request: each repeats another alert. */
function singleBodies(): string[] {
  const body = (kind: number): string => JSON.stringify([postedAlert(kind)]);
  return Array.from({ length: KINDS }, (_, kind) => body(kind).replaceAll(`mark-${kind};`, "mark-0;"));
}

function postedAlert(n: number): object {
  const endsAt = new Date(Date.now() + 3_600_000).toISOString();
  const annotations = { summary: "The target does not answer", runbook: "https://wiki.example.test/target-down" };
  return { labels: labelsOfAlert(n), annotations, endsAt };
}

function labelsOfAlert(n: number): Record<string, string> {
  return {
    alertname: `TargetDown${n % KINDS}`,
    severity: ["critical", "warning", "info"][n % 3] ?? "info",
    team: `team-${n % 40}`,
    cluster: `cluster-${n % 12}`,
    namespace: `namespace-${n % KINDS}`,
    job: `job-${n % 60}`,
    instance: `mark-${n};.example.test:9100`,
    pod: `mark-${n};`,
    region: `region-${n % 6}`,
    env: ["prod", "test"][n % 2] ?? "prod",
  };
}

function countAlertEvents(): number {
  const db = openForWriting({ file: join(dir, "prism.db"), busyTimeoutMs: 5000 });
  const { count } = db
    .prepare<[], { count: number }>("select count(*) as count from events where type like 'alert.%'")
    .get() ?? { count: 0 };
  db.close();
  return count;
}

/** Fills the tables of a server that does not run; only a benchmark may do that. */
function fill(file: string, projectId: string): void {
  const db = openForWriting({ file, busyTimeoutMs: 5000 });
  const now = Date.now();
  const annotations = JSON.stringify({
    summary: "The target does not answer",
    runbook: "https://wiki.example.test/target-down",
  });
  const alert = db.prepare(
    `insert into alerts (id, projectId, key, fingerprint, labels, annotations, severity, source, state, startsAt,
     endsAt, lastAt) values (?, ?, ?, ?, ?, ?, ?, 'alertmanager', 'firing', ?, ?, ?)`,
  );
  const silence = db.prepare(
    `insert into silences (id, projectId, kind, matchers, startsAt, endsAt, createdBy, comment, createdAt, updatedAt, reportedUntil)
     values (?, ?, 'silence', ?, ?, ?, 'bench', '', ?, ?, ?)`,
  );
  db.transaction(() => {
    for (let i = 0; i < ALERTS; i++) {
      const labels = labelsOf(labelsOfAlert(i));
      const fingerprint = fingerprintOf(labels);
      const [id, json] = [uuidv7(now), JSON.stringify(labelRecord(labels))];
      alert.run(
        id,
        projectId,
        `fp:${fingerprint}`,
        fingerprint,
        json,
        annotations,
        labelValue(labels, "severity"),
        now,
        now + 86_400_000,
        now,
      );
    }
    for (let i = NEW_SILENCES; i < SILENCES; i++) {
      const matchers = JSON.stringify([{ name: "pod", operator: "=", value: `mark-${i * 7};` }]);
      silence.run(uuidv7(now), projectId, matchers, now, now + 86_400_000, now, now, now);
    }
  }).immediate();
  db.close();
}
