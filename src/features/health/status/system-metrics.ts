import { newestBackupAt } from "../../../core/data-dir.ts";
import { type MetricLabels, registerProcessMetrics, topProjects } from "../../../core/metrics.ts";
import type { Context } from "../../../module/feature.ts";

/** Gauges and counters kept by other parts, read at each scrape. */
export function registerSystemMetrics(
  context: Context<"principals" | "reads" | "backlog" | "pipeline" | "consumers" | "projects" | "findings">,
): void {
  const { metrics, startedAt, store, connections, principals, reads, backlog, pipeline, consumers } = context;
  metrics.gauge("prism_db_size_bytes", "Size of the database file", () => store.sizes().databaseBytes);
  metrics.gauge("prism_wal_bytes", "Size of the write-ahead log", () => store.sizes().walBytes);
  metrics.gauge("prism_pending_bytes", "Bytes of events that wait for the writer", () => pipeline.pendingBytes);
  metrics.gauge("prism_consumer_lag", "Stored events that a consumer has not handled", () => [
    [{ consumer: "rule-engine" }, backlog.lag()],
    ...consumers.lags().map(({ name, lag }) => [{ consumer: name }, lag] as const),
  ]);
  metrics.gauge("prism_ws_connections", "Live connections by transport", () =>
    Object.entries(connections.counts).map(([transport, count]) => [{ transport }, count] as const),
  );
  metrics.counterOf(
    "prism_ws_slow_closed_total",
    "Live connections ended because their client did not read",
    () => connections.slowClosed,
  );
  const caches = { principals, tasks: reads.tasks, profiles: reads.profiles };
  metrics.counterOf("prism_cache_hits_total", "Look-ups in the caches by result", () =>
    Object.entries(caches).flatMap(([cache, { cacheStats }]) => [
      [{ cache, result: "hit" }, cacheStats.hits] as const,
      [{ cache, result: "miss" }, cacheStats.misses] as const,
    ]),
  );
  metrics.gauge("prism_findings", "Problems that are known without reading the database, by severity", () => {
    const counts = { critical: 0, warning: 0, info: 0, ok: 0 };
    for (const { severity } of context.findings.known()) counts[severity]++;
    return (["critical", "warning", "info"] as const).map((severity) => [{ severity }, counts[severity]] as const);
  });
  registerProcessMetrics(metrics, startedAt);
  registerUpkeepMetrics(context);
}

/** Metrics for alerts on disks, backups and certificates. A missing value has no sample. */
function registerUpkeepMetrics({
  metrics,
  config,
  storage,
  store,
  listener,
  forwards,
  projects,
}: Context<"projects">): void {
  const { storage: stored } = projects;
  const { maxDbBytes, dataDir } = config;
  metrics.gauge("prism_disk_free_bytes", "Free space of the disk that has the least", () =>
    known(Number.isFinite(storage.freeBytes) ? storage.freeBytes : null),
  );
  metrics.gauge("prism_db_used_bytes", "Pages of the database that are in use", () => store.usedBytes());
  metrics.gauge("prism_db_limit_bytes", "The setting maxDbBytes", () => known(maxDbBytes ?? null));
  metrics.gauge("prism_project_stored_bytes", "What projects store, by project", () => topProjects(stored.all()));
  metrics.gauge("prism_projects_full", "Projects that store as much as they may", () => stored.full().length);
  metrics.gauge("prism_last_backup_timestamp_seconds", "When the newest backup was made, since 1970", () =>
    known(inSeconds(newestBackupAt(dataDir, store.lastBackupAt()))),
  );
  metrics.gauge("prism_certificate_expiry_timestamp_seconds", "When the TLS certificate expires, since 1970", () =>
    known(listener.certificate && inSeconds(Date.parse(listener.certificate.leaf.validTo))),
  );
  metrics.counterOf(
    "prism_untrusted_forwarded_total",
    "Requests with X-Forwarded-For from a peer that is not in trustedProxies",
    () => forwards.count,
  );
}

function known(value: number | null): number | readonly (readonly [MetricLabels, number])[] {
  return value ?? [];
}

function inSeconds(ms: number | null): number | null {
  return ms === null ? null : ms / 1000;
}
