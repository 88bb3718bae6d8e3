import { statSync } from "node:fs";
import { toRfc3339 } from "../../base/clock.ts";
import { QUEUES } from "../../jobs/job.ts";
import type { CoreServices } from "../../services/module.ts";
import { countJobs } from "./job-counts.ts";

/** What this version delivers nothing by. */
const OFF = { mode: "off", connected: false } as const;

/** What an operator looks at first (contract 4.12). */
export async function systemStatus({ system, db, clock, config }: CoreServices) {
  const { databaseBytes, walBytes } = system.store.sizes();
  return {
    version: system.version,
    uptimeMs: Math.max(0, clock.now() - system.startedAt),
    database: {
      engine: "sqlite",
      sizeBytes: databaseBytes,
      walBytes,
      lastCheckpointAt: lastCheckpoint(config.databaseFile),
      freeDiskBytes: finiteOrNull(system.storage.freeBytes),
    },
    mysql: { mode: "embedded" },
    redis: { mode: "embedded" },
    pusher: OFF,
    smtp: OFF,
    fcm: OFF,
    apns: OFF,
    modules: system.modules.map(({ name, version }) => ({ name, version, state: "active" })),
    queues: await queueCounts(db.scan, clock.now()),
    realtime: { connections: system.connections.counts },
    consumers: [{ name: "rule-engine", lag: system.backlog.lag() }],
    rules: { active: system.rules.size },
    ingest: { pendingBytes: system.pipeline.pendingBytes },
    warnings: system.warnings,
  };
}

async function queueCounts(scan: CoreServices["db"]["scan"], now: number) {
  const rows = await countJobs(scan);
  return QUEUES.map((name) => {
    const of = (state: string): number => rows.find((row) => row.queue === name && row.state === state)?.n ?? 0;
    const ready = rows.find((row) => row.queue === name && row.state === "ready");
    return {
      name,
      ready: of("ready"),
      scheduled: of("scheduled"),
      running: of("running"),
      retrying: of("retrying"),
      dead: of("dead"),
      paused: false,
      oldestReadyAgeMs: ready ? Math.max(0, now - ready.oldest) : null,
    };
  });
}

/** In WAL mode nothing but a checkpoint writes the database file itself (sqlite.org/wal.html), so its last change was one. */
function lastCheckpoint(databaseFile: string): string | null {
  const stat = statSync(databaseFile, { throwIfNoEntry: false });
  return stat ? toRfc3339(Math.floor(stat.mtimeMs)) : null;
}

function finiteOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
