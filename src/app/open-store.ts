import { dirname } from "node:path";
import type { Database as Sqlite } from "better-sqlite3";
import type { Config } from "../config/load.ts";
import { sealedBoxOf } from "../config/load.ts";
import { publicUrlOf } from "../config/public-url.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";
import { Metrics } from "../core/metrics.ts";
import type { SealedBox } from "../core/sealed-box.ts";
import { AuditService } from "../features/audit/index.ts";
import { EventBus } from "../features/events/index.ts";
import { ClockTrust } from "../features/retention/index.ts";
import { LiveSettings } from "../http/live-settings.ts";
import type { Committer } from "../store/commit/committer.ts";
import type { Database } from "../store/database.ts";
import type { Store } from "../store/store.ts";
import { StorageGuard } from "../store/write-health.ts";
import { openServerStore } from "./server-store.ts";

export interface BaseOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly clock?: Clock;
  readonly warnings?: readonly string[];
  /** Something without which nothing can be stored has died; the process should end. */
  readonly onFatal: (error: Error) => void;
}

/** What everything else is built on: the configuration, the clock, the log and the open store. */
export interface Base {
  readonly config: Config;
  /** The settings that a reload changes. */
  readonly settings: LiveSettings;
  readonly clock: Clock;
  /** Whether the clock may be believed. */
  readonly clockTrust: ClockTrust;
  readonly startedAt: number;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Encrypts at rest. */
  readonly box: SealedBox;
  readonly store: Store;
  readonly database: Database;
  readonly committer: Committer;
  readonly reader: Sqlite;
  readonly storage: StorageGuard;
  readonly audit: AuditService;
  readonly bus: EventBus;
  /** Problems of the configuration, for operators. */
  readonly warnings: readonly string[];
  /** The port of the configuration; once the server listens, the one it has got. */
  readonly listening: { port: number };
  /** What clients call this server. */
  publicUrl(): string;
}

export function openBase({ config, log, clock = systemClock, warnings = [], onFatal }: BaseOptions): Base {
  const metrics = new Metrics();
  const startedAt = clock.now();
  const box = sealedBoxOf(config);
  const store = openServerStore({ config, log, box, metrics, onFatal });
  const { database, committer, reader } = store;
  const listening = { port: config.port };
  const settings = new LiveSettings(config);
  const directories = [dirname(config.databaseFile), config.dataDir];
  return {
    config,
    settings,
    clock,
    clockTrust: new ClockTrust({ database, reader, clock, log, isTrusted: () => settings.retention.trustClock }),
    startedAt,
    log,
    metrics,
    box,
    store,
    database,
    committer,
    reader,
    storage: new StorageGuard(directories, config.minFreeBytes, log.namespace("store")),
    audit: new AuditService(database, clock),
    bus: new EventBus(log.namespace("bus")),
    warnings,
    listening,
    publicUrl: () => publicUrlOf(config, listening.port),
  };
}
