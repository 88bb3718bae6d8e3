/**
 * Reports over many ended incidents, read in the scan thread: 100 000 in the range, by their facts, and a
 * million, by the table of days. The goal is 500 ms each.
 */
import "../scripts/node-version.mjs";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import SqliteDatabase from "better-sqlite3";
import { OPERATOR } from "../src/core/caller.ts";
import { SealedBox } from "../src/core/crypto/sealed-box.ts";
import { systemClock } from "../src/core/time/clock.ts";
import { bucketOf } from "../src/features/reports/facts.ts";
import { incidentsReport } from "../src/features/reports/incidents-report.ts";
import { noiseReport } from "../src/features/reports/noise.ts";
import type { ReportsContext } from "../src/features/reports/range.ts";
import { migrateFile } from "../src/store/sqlite/migrate.ts";
import { openStore } from "../src/store/store.ts";
import { LogLines } from "../test/helpers/log-lines.ts";

const DAY = 86_400_000;
const KEYS = 50;
const ROUNDS = 5;
const RESULTS = new URL("./results/reports.json", import.meta.url);

const FACT = `insert into incident_facts values (@id, 'p', @n, @policy, @severity, @key, @labels, @openedAt, @pagedAt, null,
  @ackAt, null, @resolvedAt, 'alerts', 1, 2, 1, 1, 0, 0, 0)`;
const DAYS = `insert into incident_days select projectId, openedAt / ${DAY}, policy, severity, key, count(*), count(*), count(firstAckAt),
  0, 0, sum(pages), sum(coalesce(firstAckAt, pagedAt) - pagedAt), sum(resolvedAt - openedAt), '{}', '{}'
  from incident_facts group by 1, 2, 3, 4, 5`;
const HISTOGRAMS = `update incident_days set acks = @acks, resolves = @resolves`;

/** Facts of `count` incidents over 390 days, the last `recent` of them in the last 30. */
function fill(file: string, count: number, recent: number): void {
  const db = new SqliteDatabase(file);
  const insert = db.prepare(FACT);
  const now = Date.now();
  db.transaction(() => {
    for (let n = 0; n < count; n += 1) {
      const key = (n * 7) % KEYS;
      const age = n < recent ? ((n * 7919) % 1000) * 0.029 : 31 + ((n * 7919) % 3590) / 10;
      const openedAt = Math.floor(now - age * DAY - (n % 1000));
      const ackAt = n % 4 === 0 ? null : openedAt + 60_000 + ((n * 104_729) % 3_600_000);
      const labels = JSON.stringify({ alertname: `Alert${key}`, cluster: `c${key % 8}` });
      const name = { policy: `policy ${key % 10}`, severity: key % 3 ? "critical" : "warning" };
      const times = {
        openedAt,
        pagedAt: openedAt + 60_000,
        ackAt,
        resolvedAt: openedAt + 90_000 + ((n * 15_485_863) % 9_000_000),
      };
      insert.run({ id: `i${n}`, n, key: `Alert${key} cluster=c${key % 8}`, labels, ...name, ...times });
    }
    db.exec(DAYS);
    const ten = Object.fromEntries(Array.from({ length: 8 }, (_, n) => [String(bucketOf(60_000) + n), 6]));
    db.prepare(HISTOGRAMS).run({ acks: JSON.stringify(ten), resolves: JSON.stringify(ten) });
  })();
  db.close();
}

async function medianMs(work: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const startedAt = performance.now();
    await work();
    times.push(performance.now() - startedAt);
  }
  return Math.round(times.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)] ?? 0);
}

async function main(): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "prism-bench-"));
  const file = join(dir, "prism.db");
  migrateFile(file);
  fill(file, 1_000_000, 100_000);
  const log = new LogLines();
  const store = openStore({
    ...{ file, box: new SealedBox([new Uint8Array(32).fill(7)]), writer: "main", isOwner: true, log },
    ...{ onCommit: () => undefined, onWriterDeath: () => undefined },
  });
  const context = {
    ...{ db: store.database, clock: systemClock },
    projects: { readable: () => ["p"] },
  } as unknown as ReportsContext;
  const from = (days: number): number => Date.now() - days * DAY;
  const results: Record<string, number> = {};
  for (const by of ["key", "week", "project"]) {
    results[`100000 facts by ${by}`] = await medianMs(() => incidentsReport(context, OPERATOR, { by, from: from(30) }));
    results[`1000000 by days, by ${by}`] = await medianMs(() =>
      incidentsReport(context, OPERATOR, { by, from: from(395) }),
    );
  }
  results["noise of 100000"] = await medianMs(() => noiseReport(context, OPERATOR, { from: from(30) }));
  for (const [name, ms] of Object.entries(results)) console.log(`${name.padEnd(28)} ${String(ms).padStart(6)} ms`);
  mkdirSync(new URL("./results/", import.meta.url), { recursive: true });
  writeFileSync(RESULTS, `${JSON.stringify(results, null, 2)}\n`);
  await store.close();
  rmSync(dir, { recursive: true, force: true });
}

await main();
