import { availableParallelism } from "node:os";
import { dirname } from "node:path";
import type { Database as Sqlite } from "better-sqlite3";
import type { ClusterLead } from "../cluster/lead/lead.ts";
import { type Config, type LoadedConfig, sealedBoxOf } from "../config/load.ts";
import type { ReloadableLogger } from "../config/logger.ts";
import { publicUrlOf } from "../config/public-url.ts";
import type { SealedBox } from "../core/crypto/sealed-box.ts";
import type { Logger } from "../core/log.ts";
import { Metrics } from "../core/metrics.ts";
import { type Clock, systemClock } from "../core/time/clock.ts";
import { EventService } from "../features/events/index.ts";
import { Emergency } from "../features/health/emergency/index.ts";
import { AuditLog } from "../features/records/audit/index.ts";
import { ClockTrust } from "../features/records/retention/index.ts";
import { LiveSettings } from "../http/server/live-settings.ts";
import type { Committer } from "../store/commit/committer.ts";
import type { Database } from "../store/database.ts";
import { openStore, type Store } from "../store/store.ts";
import { beatFileOf, StorageGuard } from "../store/write-health.ts";

export interface BaseOptions {
  readonly loaded: LoadedConfig;
  readonly log: Logger & Partial<Pick<ReloadableLogger, "reload">>;
  readonly clock?: Clock;
  readonly warnings?: readonly string[];
  /** Why nothing may be stored: a core without the encryption key only reads. */
  readonly readsOnly?: Error | null;
  readonly scansIn?: "thread" | "main";
  /** How the leader of a cluster replicates its commits. */
  readonly replication?: object | undefined;
  /** What the leader of a cluster knows of it. */
  readonly cluster?: ClusterLead | undefined;
  /** Called when the store has failed and the process should exit. */
  readonly onFatal: (error: Error) => void;
}

/** The base of everything else: configuration, clock, log and open store. */
export interface Base {
  /** The configuration of the start. */
  readonly config: Config;
  readonly settings: LiveSettings;
  /** The sources of the configuration, as of the last reload. */
  readonly configuration: { loaded: LoadedConfig };
  readonly clock: Clock;
  readonly clockTrust: ClockTrust;
  readonly startedAt: number;
  readonly log: BaseOptions["log"];
  readonly metrics: Metrics;
  /** Encrypts at rest. */
  readonly box: SealedBox;
  readonly readsOnly: Error | null;
  /** Commits go to the log of a cluster. */
  readonly isReplicated: boolean;
  readonly store: Store;
  readonly database: Database;
  readonly committer: Committer;
  readonly reader: Sqlite;
  readonly storage: StorageGuard;
  /** Null: this server is no node of a cluster. */
  readonly cluster: ClusterLead | null;
  /** The last resort when Prism itself cannot reach anyone. */
  readonly emergency: Emergency;
  readonly audit: AuditLog;
  readonly bus: EventService;
  /** Problems of the configuration, for operators. */
  readonly warnings: readonly string[];
  /** The configured port; once the server listens, the actual one. */
  readonly listening: { port: number };
  /** The server's address for clients. */
  publicUrl(): string;
}

export function openBase(options: BaseOptions): Base {
  const { loaded, log, clock = systemClock, warnings = [] } = options;
  const { config } = loaded;
  const metrics = new Metrics();
  const startedAt = clock.now();
  const box = sealedBoxOf(config);
  const store = openServerStore(options, box, metrics);
  const { database, committer, reader } = store;
  const listening = { port: config.port };
  const settings = new LiveSettings(config);
  const directories = [dirname(config.databaseFile), config.dataDir];
  const serverUrl = (): string => publicUrlOf(settings.current, listening.port);
  return {
    config,
    settings,
    configuration: { loaded },
    clock,
    clockTrust: new ClockTrust({ db: database, reader, clock, log, isTrusted: () => settings.retention.trustClock }),
    startedAt,
    log,
    metrics,
    box,
    readsOnly: options.readsOnly ?? null,
    cluster: options.cluster ?? null,
    isReplicated: options.replication !== undefined,
    store,
    database,
    committer,
    reader,
    storage: new StorageGuard(
      directories,
      config.minFreeBytes,
      log.namespace("store"),
      limitOf(config, store),
      () => store.health.known() === "gone",
    ),
    audit: new AuditLog(database, clock),
    bus: new EventService(log.namespace("bus")),
    warnings,
    listening,
    publicUrl: serverUrl,
    emergency: new Emergency({
      ...{ dataDir: config.dataDir, clock, log: log.namespace("emergency"), serverUrl },
      options: () => ({ ...settings.current.emergency, proxy: settings.current.proxy }),
    }),
  };
}

function limitOf({ maxDbBytes }: Config, store: Store) {
  if (maxDbBytes === undefined) return null;
  const { record } = store.committer;
  return { maxBytes: maxDbBytes, usedBytes: () => store.usedBytes(), refusals: () => record.limited };
}

/**
 * Opens the store for the holder of the data directory's lock. @throws DataDirRefused, UnsealError
 * when the encryption key is another one
 */
function openServerStore(
  { loaded: { config }, log, onFatal, replication, readsOnly = null, scansIn = "thread" }: BaseOptions,
  box: SealedBox,
  metrics: Metrics,
): Store {
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
    replication,
    readsOnly,
    scansIn,
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
