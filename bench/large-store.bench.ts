/**
 * Ingest into a store with two million events, compared in turns with the same load on an empty
 * store.
 */
import "../scripts/node-version.mjs";
import { join } from "node:path";
import { uuidv7 } from "../src/core/ids.ts";
import { openForWriting } from "../src/store/sqlite/connection.ts";
import { addRules, eventBodies, setUp } from "./lib/prism-setup.ts";
import { startPrism } from "./lib/processes.ts";
import { median, ROUNDS, report, round, SECONDS } from "./lib/report.ts";
import { runWrk } from "./lib/wrk.ts";

const STORED = Number(process.env["BENCH_STORED"] ?? 2_000_000);
const CONNECTIONS = 64;
const TYPES = 50;

const empty: number[] = [];
const large: number[] = [];
for (let i = 0; i < ROUNDS; i++) {
  empty.push(await ingest(0));
  large.push(await ingest(STORED));
}
report(
  "large-store",
  `${CONNECTIONS} connections, 281-byte events, 10 rules, ${STORED} stored events of ${TYPES} types, ${ROUNDS} rounds of ${SECONDS} s, medians`,
  [
    {
      "events/s, large": round(median(large)),
      "events/s, empty": round(median(empty)),
      ratio: round(median(large.map((rate, i) => rate / (empty[i] as number))), 3),
    },
  ],
);

async function ingest(stored: number): Promise<number> {
  const server = await startPrism();
  const setup = await setUp(server);
  await addRules(server, setup, 10);
  if (stored > 0) fill(join(server.dir, "prism.db"), setup.projectId, stored);
  const { requestsPerSecond, errors } = await runWrk({
    url: `${server.url}/events`,
    connections: CONNECTIONS,
    seconds: SECONDS,
    headers: { "Content-Type": "application/json", "X-API-Key": setup.apiKey },
    bodies: eventBodies(),
  });
  await server.stop();
  if (errors > 0) throw new Error(`${errors} requests were refused`);
  return requestsPerSecond;
}

/**
 * Inserts old events directly into the database of the running server, with lower numbers than it
 * will assign; only a benchmark may do that. They have many types, so that the index by type is as
 * wide as in a store that has grown for weeks.
 */
function fill(file: string, projectId: string, count: number): void {
  const db = openForWriting({ file, busyTimeoutMs: 5000 });
  db.pragma("synchronous = OFF");
  const insert = db.prepare(
    "insert into events (seq, id, projectId, type, level, source, payload, occurredAt, receivedAt, processedAt) values (?, ?, ?, ?, 'info', 'old', ?, ?, ?, ?)",
  );
  const payload = JSON.stringify({ amount: 1, region: "eu", pad: "x".repeat(150) });
  const now = Date.now() - 86_400_000;
  for (let from = 0; from < count; from += 20_000) {
    db.transaction(() => {
      for (let i = from; i < Math.min(from + 20_000, count); i++) {
        insert.run(-count + i, uuidv7(now), projectId, `old.kind${i % TYPES}`, payload, now, now, now);
      }
    }).immediate();
  }
  db.close();
}
