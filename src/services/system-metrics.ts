import { monitorEventLoopDelay } from "node:perf_hooks";
import type { CoreServices } from "./module.ts";

/** Gauges and counts that the parts of the program keep anyway, read when somebody asks for /metrics (contract 13). */
export function registerSystemMetrics({ system, db }: CoreServices): void {
  const { metrics, store, connections, principals, reads, backlog, pipeline, consumers } = system;
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
  metrics.gauge("process_start_time_seconds", "Start of the process since 1970", () => system.startedAt / 1000);
  metrics.counterOf("process_cpu_seconds_total", "Processor time of user and system", () => {
    const { user, system: kernel } = process.cpuUsage();
    return (user + kernel) / 1e6;
  });
  void db;
}
