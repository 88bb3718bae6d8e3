/** Ingest while every event matches a rule that holds all but three of them back, beside events that match nothing, on the same server. */
import { call, setUp } from "./lib/prism-setup.ts";
import { startPrism } from "./lib/processes.ts";
import { median, ROUNDS, type Row, report, round, SECONDS } from "./lib/report.ts";
import { type LoadResult, runWrk } from "./lib/wrk.ts";

const CONNECTIONS = 16;

const quiet: LoadResult[] = [];
const storm: LoadResult[] = [];
const told: number[] = [];
for (let i = 0; i < ROUNDS; i++) {
  const server = await startPrism();
  const setup = await setUp(server);
  await call(server, "POST", "/api/v1/rules", setup.token, {
    name: "storm",
    condition: "event.type == 'storm'",
    targetUsers: [setup.userId],
    suppression: { count: 3, windowMs: 60_000 },
  });
  const load = (type: string) =>
    runWrk({
      url: `${server.url}/events`,
      connections: CONNECTIONS,
      seconds: SECONDS,
      headers: { "Content-Type": "application/json", "X-API-Key": setup.apiKey },
      bodies: Array.from({ length: 100 }, (_, n) => JSON.stringify({ type, payload: { n, pad: "x".repeat(220) } })),
    });
  // The first one only warms up: the engine, and the writer's move to its thread.
  await load("warm");
  quiet.push(await load("quiet"));
  storm.push(await load("storm"));
  const { count } = (await call(server, "GET", "/api/v1/notifications/unread-count", setup.token)) as { count: number };
  told.push(count);
  await server.stop();
}

const row = (workload: string, results: readonly LoadResult[], notices: number): Row => ({
  workload,
  "events/s": round(median(results.map((result) => result.requestsPerSecond))),
  "p50 ms": round(median(results.map((result) => result.p50Ms)), 2),
  "p99 ms": round(median(results.map((result) => result.p99Ms)), 2),
  notices,
});
report("storm", `${CONNECTIONS} connections, single events, ${ROUNDS} rounds of ${SECONDS} s, medians`, [
  row("nothing matches", quiet, 0),
  row("everything matches, all but 3 held back", storm, median(told)),
]);
