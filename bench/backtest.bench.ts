/**
 * A backtest over a million stored events, alone and during ingest, and the same ingest without a
 * backtest.
 */
import "../scripts/node-version.mjs";
import { call, eventBodies, setUp } from "./lib/prism-setup.ts";
import { startPrism } from "./lib/processes.ts";
import { report, round, SECONDS } from "./lib/report.ts";
import { runWrk } from "./lib/wrk.ts";

const STORED = Number(process.env["BENCH_STORED"] ?? 1_000_000);
const CONNECTIONS = 16;
const EVENTS_PER_REQUEST = 5000;

const server = await startPrism();
const setup = await setUp(server);
await fill();
const backtest = async (): Promise<{ scanned: number; matched: number; ms: number }> => {
  const startedAt = performance.now();
  const answer = (await call(server, "POST", "/api/v1/rules/backtest", setup.token, {
    condition: "event.type == 'old.kind7' and event.payload.amount > 500",
    projectId: setup.projectId,
    suppression: { count: 20, windowMs: 60_000 },
  })) as { scanned: number; matched: number };
  return { ...answer, ms: performance.now() - startedAt };
};
const ingest = () =>
  runWrk({
    url: `${server.url}/events`,
    connections: CONNECTIONS,
    seconds: SECONDS,
    headers: { "Content-Type": "application/json", "X-API-Key": setup.apiKey },
    bodies: eventBodies(),
  });
await ingest();
const quiet = await ingest();
const alone = await backtest();
const running = backtest();
const beside = await ingest();
const { ms: besideMs } = await running;
await server.stop();
report("backtest", `${STORED} stored events; ${CONNECTIONS} connections of single events`, [
  { run: "backtest alone", "events/s": round((alone.scanned / alone.ms) * 1000), ms: round(alone.ms), "p99 ms": 0 },
  {
    run: "backtest beside ingest",
    "events/s": round((alone.scanned / besideMs) * 1000),
    ms: round(besideMs),
    "p99 ms": 0,
  },
  { run: "ingest alone", "events/s": round(quiet.requestsPerSecond), ms: 0, "p99 ms": round(quiet.p99Ms, 2) },
  {
    run: "ingest beside a backtest",
    "events/s": round(beside.requestsPerSecond),
    ms: 0,
    "p99 ms": round(beside.p99Ms, 2),
  },
]);

/** Over the API, like a producer. */
async function fill(): Promise<void> {
  for (let from = 0; from < STORED; from += EVENTS_PER_REQUEST) {
    const lines = Array.from({ length: EVENTS_PER_REQUEST }, (_, i) => {
      const n = from + i;
      return JSON.stringify({
        type: `old.kind${n % 50}`,
        payload: { amount: n % 1000, region: "eu", pad: "x".repeat(150) },
      });
    });
    const response = await fetch(`${server.url}/events`, {
      method: "POST",
      headers: { "Content-Type": "application/x-ndjson", "X-API-Key": setup.apiKey },
      body: lines.join("\n"),
    });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    await response.arrayBuffer();
  }
}
