import { readdirSync, readFileSync, statSync } from "node:fs";
import { monitorEventLoopDelay, PerformanceObserver } from "node:perf_hooks";
import { type MetricLabels, type Metrics, topProjects } from "../../../core/metrics.ts";
import { VERSION } from "../../../core/runtime.ts";
import type { Context } from "../../../module/feature.ts";

/** As in prom-client. */
const GC_BUCKETS = [0.001, 0.01, 0.1, 1, 2, 5];

/** Metrics that dashboards for Node processes expect, with the names of prom-client. */
function registerProcessMetrics(metrics: Metrics): void {
  metrics.gauge("prism_build_info", "Version of the server; always 1", () => [[{ version: VERSION }, 1]]);
  const maxDescriptors = readLimit();
  metrics.gauge("process_open_fds", "Open file descriptors", openDescriptors);
  metrics.gauge("process_max_fds", "Limit of open file descriptors", () => maxDescriptors);
  metrics.gauge("nodejs_heap_size_total_bytes", "Heap that is reserved", () => process.memoryUsage().heapTotal);
  metrics.gauge("nodejs_heap_size_used_bytes", "Heap that is used", () => process.memoryUsage().heapUsed);
  metrics.gauge("nodejs_external_memory_bytes", "Memory outside of the heap", () => process.memoryUsage().external);
  const gc = metrics.histogram("nodejs_gc_duration_seconds", "Time spent collecting garbage", GC_BUCKETS)();
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) gc.observe(duration / 1000);
  }).observe({ entryTypes: ["gc"] });
}

const DESCRIPTORS = "/proc/self/fd";

/**
 * The directory's size is the number since Linux 6.2; before, its entries are counted. 0 if the
 * system does not provide it.
 */
function openDescriptors(): number {
  try {
    return statSync(DESCRIPTORS).size || readdirSync(DESCRIPTORS).length;
  } catch {
    return 0;
  }
}

/** The soft limit; 0 if the system does not provide it. */
function readLimit(): number {
  try {
    return Number(/^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** Gauges and counters kept by other parts, read at each scrape. */
export function registerSystemMetrics(
  context: Context<"principals" | "reads" | "backlog" | "pipeline" | "consumers" | "projects">,
): void {
  const { metrics, startedAt, store, connections, principals, reads, backlog, pipeline, consumers } = context;
  const lag = monitorEventLoopDelay({ resolution: 20 });
  lag.enable();
  metrics.gauge("prism_eventloop_lag_seconds", "Longest delay of the event loop since the last reading", () => {
    const seconds = lag.max / 1e9;
    lag.reset();
    return seconds;
  });
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
  metrics.gauge("process_resident_memory_bytes", "Resident memory", () => process.memoryUsage.rss());
  metrics.gauge("process_start_time_seconds", "Start of the process since 1970", () => startedAt / 1000);
  metrics.counterOf("process_cpu_seconds_total", "Processor time of user and system", () => {
    const { user, system: kernel } = process.cpuUsage();
    return (user + kernel) / 1e6;
  });
  registerProcessMetrics(metrics);
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
  const { maxDbBytes } = config;
  metrics.gauge("prism_disk_free_bytes", "Free space of the disk that has the least", () =>
    known(Number.isFinite(storage.freeBytes) ? storage.freeBytes : null),
  );
  metrics.gauge("prism_db_used_bytes", "Pages of the database that are in use", () => store.usedBytes());
  metrics.gauge("prism_db_limit_bytes", "The setting maxDbBytes", () => known(maxDbBytes ?? null));
  metrics.gauge("prism_project_stored_bytes", "What projects store, by project", () => topProjects(stored.all()));
  metrics.gauge("prism_projects_full", "Projects that store as much as they may", () => stored.full().length);
  metrics.gauge("prism_last_backup_timestamp_seconds", "When the newest backup was made, since 1970", () =>
    known(inSeconds(store.lastBackupAt())),
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
