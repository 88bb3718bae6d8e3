import type { Config } from "../../config/load.ts";
import type { Clock } from "../../core/clock.ts";
import type { Metrics } from "../../core/metrics.ts";
import type { HttpKernel } from "../../http/kernel.ts";
import type { LiveSettings } from "../../http/live-settings.ts";
import type { Router } from "../../http/router.ts";
import type { Connections } from "../../live/connections.ts";
import type { CoreServices } from "../../module/module-api.ts";
import type { Committer } from "../../store/commit/committer.ts";
import type { Database } from "../../store/database.ts";
import type { Store } from "../../store/store.ts";
import type { StorageGuard } from "../../store/write-health.ts";
import type { AuditHeadKeeper } from "../audit/index.ts";
import type { Channels, Circuits } from "../delivery/index.ts";
import type { Backlog, EventConsumers, EventPipeline } from "../events/index.ts";
import type { JobRunner } from "../jobs/index.ts";
import type { LoadedModules } from "../plugins/index.ts";
import type { PusherApp } from "../pusher/index.ts";
import type { ClockTrust } from "../retention/index.ts";
import type { RuleBook } from "../rules/index.ts";
import type { RealtimeService } from "../streams/index.ts";

/** What the feature needs besides the services of every module. */
export interface OperationsOwn {
  readonly db: Database;
  readonly clock: Clock;
  readonly config: Config;
  readonly metrics: Metrics;
  readonly store: Store;
  readonly committer: Committer;
  readonly kernel: HttpKernel;
  readonly router: Router;
  readonly pipeline: EventPipeline;
  readonly backlog: Backlog;
  readonly rules: RuleBook;
  readonly runner: JobRunner;
  readonly senders: Channels;
  readonly circuits: Circuits;
  readonly connections: Connections;
  readonly storage: StorageGuard;
  readonly clockTrust: ClockTrust;
  readonly auditHead: AuditHeadKeeper;
  readonly settings: LiveSettings;
  readonly version: string;
  readonly startedAt: number;
  readonly warnings: readonly string[];
  readonly loaded: LoadedModules;
  readonly consumers: EventConsumers;
  readonly pusher: PusherApp;
  readonly realtime: RealtimeService;
}

export type OperationsContext = OperationsOwn & Pick<CoreServices, "events" | "log">;
