import { dirname } from "node:path";
import type { Database as Sqlite } from "better-sqlite3";
import { type Clock, systemClock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import { Metrics } from "../base/metrics.ts";
import type { SealedBox } from "../base/sealed-box.ts";
import type { Config } from "../config/load.ts";
import { publicUrlOf } from "../config/public-url.ts";
import { sealedBoxOf } from "../config/sealed-box.ts";
import { AuditService } from "../services/audit/audit.ts";
import { EventBus } from "../services/events/event-bus.ts";
import { LiveSettings } from "../services/live-settings.ts";
import { ClockTrust } from "../services/retention/clock-trust.ts";
import { openServerStore } from "../services/server-store.ts";
import { StorageGuard } from "../services/storage-guard.ts";
import type { Committer } from "../store/committer.ts";
import type { Database } from "../store/database.ts";
import type { Store } from "../store/store.ts";

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
