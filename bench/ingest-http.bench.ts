/**
 * Durable ingest over HTTP through the whole pipeline, each response after its commit is on disk.
 * Compared in turns with a bare durable server, which stores the same rows and does nothing else, and
 * with a bare uWebSockets.js echo that parses the same bodies: the limit of HTTP. Prism and the durable
 * server may use all cores; the echo has one thread. The load generator is pinned to the last core.
 */
import "../scripts/node-version.mjs";
import { addRules, eventBodies, setUp } from "./lib/prism-setup.ts";
import { type StartOptions, startPrism, startProgram } from "./lib/processes.ts";
import { median, ROUNDS, type Row, report, round, SECONDS } from "./lib/report.ts";
import { type LoadResult, runWrk } from "./lib/wrk.ts";

const CONNECTIONS = [1, 64, 256, 1024];
const RULES = [10, 1000, 10_000];
/** Lets the engine compile hot code and the writer move to its thread; all servers get it. */
const WARM_UP_SECONDS = 1;

interface Samples {
  readonly prism: LoadResult[];
  readonly durable: LoadResult[];
  readonly echo: LoadResult[];
}

const rows: Row[] = [];
for (const connections of CONNECTIONS)
  rows.push(summary(`${connections} connections, 10 rules`, await measure(connections, 10)));
for (const rules of RULES) rows.push(summary(`256 connections, ${rules} rules`, await measure(256, rules)));
report(
  "ingest-http",
  `281-byte events, 1 % fire one rule with one recipient, ${ROUNDS} rounds of ${SECONDS} s, medians`,
  rows,
);

async function measure(connections: number, rules: number): Promise<Samples> {
  const samples: Samples = { prism: [], durable: [], echo: [] };
  for (let i = 0; i < ROUNDS; i++) {
    samples.echo.push(await loadBare("lib/bare-echo.ts", connections, { cpus: "0" }));
    samples.durable.push(await loadBare("lib/bare-durable.ts", connections));
    samples.prism.push(await loadPrism(connections, rules));
  }
  return samples;
}

async function loadBare(program: string, connections: number, options: StartOptions = {}): Promise<LoadResult> {
  const server = await startProgram(program, [], options);
  const load = {
    url: `${server.url}/events`,
    connections,
    seconds: SECONDS,
    headers: headers(`prk_${"x".repeat(51)}`),
    bodies: eventBodies(),
  };
  await runWrk({ ...load, seconds: WARM_UP_SECONDS });
  const result = await runWrk(load);
  await server.stop();
  if (result.errors > 0) throw new Error(`${result.errors} requests of ${program} were refused`);
  return result;
}

async function loadPrism(connections: number, rules: number): Promise<LoadResult> {
  const server = await startPrism();
  const setup = await setUp(server);
  await addRules(server, setup, rules);
  const load = {
    url: `${server.url}/events`,
    connections,
    seconds: SECONDS,
    headers: headers(setup.apiKey),
    bodies: eventBodies(),
  };
  await runWrk({ ...load, seconds: WARM_UP_SECONDS });
  const result = await runWrk(load);
  await server.stop();
  if (result.errors > 0) throw new Error(`${result.errors} requests were refused`);
  return result;
}

function headers(apiKey: string): Record<string, string> {
  return { "Content-Type": "application/json", "X-API-Key": apiKey };
}

function summary(workload: string, { prism, durable, echo }: Samples): Row {
  const ratiosTo = (others: readonly LoadResult[]): number[] =>
    prism.map((result, i) => result.requestsPerSecond / (others[i] as LoadResult).requestsPerSecond);
  const ratios = ratiosTo(durable);
  return {
    workload,
    "events/s": round(median(prism.map((result) => result.requestsPerSecond))),
    "p50 ms": round(median(prism.map((result) => result.p50Ms)), 2),
    "p99 ms": round(median(prism.map((result) => result.p99Ms)), 2),
    "bare durable/s": round(median(durable.map((result) => result.requestsPerSecond))),
    ratio: round(median(ratios), 3),
    "bare echo/s": round(median(echo.map((result) => result.requestsPerSecond))),
    "of echo": round(median(ratiosTo(echo)), 3),
    ratios: ratios.map((ratio) => ratio.toFixed(3)).join(" "),
  };
}
