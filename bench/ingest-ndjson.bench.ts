/**
 * NDJSON ingest through the whole pipeline, compared in turns with raw better-sqlite3 batch inserts
 * of the same rows into the same tables.
 */
import "../scripts/node-version.mjs";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { uuidv7 } from "../src/core/ids.ts";
import { openForWriting } from "../src/store/sqlite/connection.ts";
import { migrateUp } from "../src/store/sqlite/migrate.ts";
import { addRules, eventBodies, setUp } from "./lib/prism-setup.ts";
import { startPrism } from "./lib/processes.ts";
import { median, ROUNDS, report, round, SECONDS } from "./lib/report.ts";
import { runWrk } from "./lib/wrk.ts";

const LINES = 1000;
const CONNECTIONS = 4;
const FIRES_EVERY = 100;

const lines = Array.from({ length: LINES / 100 }, eventBodies).flat();
const prism: number[] = [];
const raw: number[] = [];
for (let i = 0; i < ROUNDS; i++) {
  raw.push(rawInserts());
  prism.push(await ndjson());
}
report(
  "ingest-ndjson",
  `bodies of ${LINES} events of 281 bytes, ${CONNECTIONS} connections, 10 rules, 1 % fire, ${ROUNDS} rounds of ${SECONDS} s, medians`,
  [
    {
      "events/s": round(median(prism)),
      "raw batch inserts/s": round(median(raw)),
      ratio: round(median(prism.map((rate, i) => rate / (raw[i] as number))), 3),
    },
  ],
);

async function ndjson(): Promise<number> {
  const server = await startPrism();
  const setup = await setUp(server);
  await addRules(server, setup, 10);
  const { requestsPerSecond, errors } = await runWrk({
    url: `${server.url}/ingest?results=errors`,
    connections: CONNECTIONS,
    seconds: SECONDS,
    headers: { "Content-Type": "application/x-ndjson", "X-API-Key": setup.apiKey },
    bodies: [lines.join("\n")],
  });
  await server.stop();
  if (errors > 0) throw new Error(`${errors} requests were refused`);
  return requestsPerSecond * LINES;
}

/**
 * One synchronous loop with one durable commit per thousand events, including the notifications of
 * one event in a hundred. @returns events per second
 */
function rawInserts(): number {
  const dir = mkdtempSync(join(tmpdir(), "prism-bench-"));
  const db = openForWriting({ file: join(dir, "raw.db"), busyTimeoutMs: 0 });
  migrateUp(db);
  const event = db.prepare(
    "insert into events (seq, id, projectId, type, level, source, payload, occurredAt, receivedAt, processedAt) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
  );
  const decision = db.prepare(
    "insert into decisions (eventSeq, ruleId, ruleVersion, outcome, notificationId, at) values (?, ?, ?, ?, ?, ?)",
  );
  const notification = db.prepare(
    "insert into notifications (id, ruleId, eventId, projectId, kind, title, message, correlationId, createdAt) values (?, ?, ?, ?, ?, ?, ?, ?, ?)",
  );
  const recipient = db.prepare("insert into notification_recipients (notificationId, userId, seq) values (?, ?, ?)");
  const [projectId, ruleId, userId] = [uuidv7(), uuidv7(), uuidv7()];
  const payloads = lines.map((line) => JSON.stringify((JSON.parse(line) as { payload: unknown }).payload));
  let seq = 0;
  const batch = db.transaction(() => {
    const now = Date.now();
    for (let i = 0; i < LINES; i++) {
      const id = uuidv7();
      event.run(++seq, id, projectId, "payment.settle", "info", "shop-frontend", payloads[i], now, now, now);
      if (i % FIRES_EVERY !== 0) continue;
      const notificationId = uuidv7();
      decision.run(seq, ruleId, 1, "fired", notificationId, now);
      notification.run(notificationId, ruleId, id, projectId, "rule", "fires", "payment.failed", id, now);
      recipient.run(notificationId, userId, seq);
    }
  });
  const startedAt = performance.now();
  while (performance.now() - startedAt < SECONDS * 1000) batch.immediate();
  const seconds = (performance.now() - startedAt) / 1000;
  db.close();
  rmSync(dir, { recursive: true });
  return seq / seconds;
}
