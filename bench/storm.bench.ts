/**
 * Ingest while every event matches a rule that suppresses all but three of them, compared with
 * events without a match on the same server. First at a fixed pace, which shows the cost of one
 * event: ten thousand events within four seconds. Then at the maximum rate.
 */
import "../scripts/node-version.mjs";
import { call, type Setup, setUp } from "./lib/prism-setup.ts";
import { type Server, startPrism } from "./lib/processes.ts";
import { median, numbersFrom, ROUNDS, type Row, report, round, SECONDS } from "./lib/report.ts";
import { type PacedResult, runPaced } from "./lib/run-paced.ts";
import { type LoadResult, runWrk } from "./lib/wrk.ts";

const CONNECTIONS = 16;
const [EVENTS = 10_000] = numbersFrom("BENCH_EVENTS", [10_000]);
const PER_SECOND = 2500;

interface Pair<T> {
  readonly quiet: T[];
  readonly storm: T[];
  /** Notifications of each round. */
  readonly notified: number[];
}

const paced = await rounds<PacedResult>((server, { apiKey }, type, isWarmUp) =>
  runPaced({
    port: server.port,
    headers: { "X-API-Key": apiKey },
    bodies: bodiesOf(type),
    perSecond: PER_SECOND,
    count: isWarmUp ? Math.min(EVENTS, PER_SECOND) : EVENTS,
  }),
);
const saturated = await rounds<LoadResult>((server, { apiKey }, type) =>
  runWrk({
    url: `${server.url}/events`,
    connections: CONNECTIONS,
    seconds: SECONDS,
    headers: { "Content-Type": "application/json", "X-API-Key": apiKey },
    bodies: bodiesOf(type),
  }),
);
const pace = `${PER_SECOND}/s, open loop`;
const closed = `${CONNECTIONS} connections, closed loop`;
const ratios = paced.storm.map(({ answers }, i) => answers.p99Ms / (paced.quiet[i]?.answers.p99Ms ?? Number.NaN));
report(
  "storm",
  `single events; ${EVENTS} at ${PER_SECOND} a second, then ${SECONDS} s as fast as ${CONNECTIONS} connections can; ${ROUNDS} rounds, medians`,
  [
    row(`${pace}: nothing matches`, paced.quiet.map(figuresOf), 0),
    {
      ...row(`${pace}: everything matches, all but 3 suppressed`, paced.storm.map(figuresOf), median(paced.notified)),
      "p99 / quiet": round(median(ratios), 2),
      "of each round": ratios.map((ratio) => ratio.toFixed(2)).join(" "),
    },
    row(`${closed}: nothing matches`, saturated.quiet, 0),
    row(`${closed}: everything matches, all but 3 suppressed`, saturated.storm, median(saturated.notified)),
  ],
);

/**
 * Each round has a new server and alternates quiet and storm first, because the second one runs on
 * a larger log.
 */
async function rounds<T>(
  load: (server: Server, setup: Setup, type: string, isWarmUp: boolean) => Promise<T>,
): Promise<Pair<T>> {
  const pair: Pair<T> = { quiet: [], storm: [], notified: [] };
  for (let i = 0; i < ROUNDS; i++) {
    const server = await startPrism();
    const setup = await setUp(server);
    await call(server, "POST", "/api/v1/rules", setup.token, {
      name: "storm",
      condition: "event.type == 'storm'",
      targetUsers: [setup.userId],
      suppression: { count: 3, windowMs: 60_000 },
    });
    // Warm-up of the engine; the writer moves to its thread.
    await load(server, setup, "warm", true);
    const order = i % 2 === 0 ? (["quiet", "storm"] as const) : (["storm", "quiet"] as const);
    for (const type of order) pair[type].push(await load(server, setup, type, false));
    const unread = (await call(server, "GET", "/api/v1/notifications/unread-count", setup.token)) as { count: number };
    pair.notified.push(unread.count);
    await server.stop();
  }
  return pair;
}

function bodiesOf(type: string): string[] {
  return Array.from({ length: 100 }, (_, n) => JSON.stringify({ type, payload: { n, pad: "x".repeat(220) } }));
}

type Figures = Pick<LoadResult, "requestsPerSecond" | "p50Ms" | "p99Ms">;

function figuresOf({ perSecond, answers }: PacedResult): Figures {
  return { requestsPerSecond: perSecond, ...answers };
}

function row(workload: string, results: readonly Figures[], notices: number): Row {
  return {
    workload,
    "events/s": round(median(results.map((result) => result.requestsPerSecond))),
    "p50 ms": round(median(results.map((result) => result.p50Ms)), 2),
    "p99 ms": round(median(results.map((result) => result.p99Ms)), 2),
    notices,
  };
}
