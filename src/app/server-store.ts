import { availableParallelism } from "node:os";
import type { Config } from "../config/load.ts";
import type { Logger } from "../core/log.ts";
import type { Metrics } from "../core/metrics.ts";
import type { SealedBox } from "../core/sealed-box.ts";
import { openStore, type Store } from "../store/store.ts";
import { beatFileOf } from "../store/write-health.ts";

export interface ServerStoreParts {
  readonly config: Config;
  readonly log: Logger;
  readonly box: SealedBox;
  readonly metrics: Metrics;
  /** Something without which nothing can be stored has died; the process should end. */
  readonly onFatal: (error: Error) => void;
}

/** Opens the store for the server that holds the data directory. @throws DataDirRefused, UnsealError when the encryption key is another one */
export function openServerStore({ config, log, box, metrics, onFatal }: ServerStoreParts): Store {
  const commits = metrics.histogram(
    "prism_commit_duration_seconds",
    "From handing a write set over to knowing it on disk",
    [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1],
  )();
  const batches = metrics.histogram(
    "prism_commit_batch_size",
    "Events of a write set",
    [0, 1, 4, 16, 64, 128, 256, 512, 1000],
  )();
  return openStore({
    file: config.databaseFile,
    box,
    writer: config.store.writer === "auto" ? (availableParallelism() > 1 ? "adaptive" : "main") : config.store.writer,
    isOwner: true,
    beatFile: beatFileOf(config.dataDir),
    maxBytes: config.maxDbBytes,
    log: log.namespace("store"),
    onCommit(durationMs, events) {
      commits.observe(durationMs / 1000);
      batches.observe(events);
    },
    onWriterDeath: onFatal,
  });
}
