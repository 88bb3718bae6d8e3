import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { Metrics } from "../base/metrics.ts";
import type { SealedBox } from "../base/sealed-box.ts";
import type { Config } from "../config/load.ts";
import type { BodyReader } from "../http/body.ts";
import type { HttpKernel } from "../http/kernel.ts";
import type { RateLimiter } from "../http/rate-limiter.ts";
import type { Route } from "../http/route.ts";
import type { Router } from "../http/router.ts";
import type { JobRunner } from "../jobs/runner.ts";
import type { Announcer } from "../pipeline/announcer.ts";
import type { Backlog } from "../pipeline/backlog.ts";
import type { IngestService } from "../pipeline/ingest-service.ts";
import type { EventPipeline } from "../pipeline/pipeline.ts";
import type { PipelineMetrics } from "../pipeline/pipeline-metrics.ts";
import type { RuleBook } from "../pipeline/rule-book.ts";
import type { Connections, RealtimeAccess } from "../realtime/connections.ts";
import type { Hub } from "../realtime/hub.ts";
import type { PusherRegistry } from "../realtime/pusher/pusher-registry.ts";
import type { Database } from "../store/database.ts";
import type { Store } from "../store/store.ts";
import type { AccessTokens } from "./access/access-tokens.ts";
import type { Principals } from "./access/principals.ts";
import type { Projects } from "./access/projects.ts";
import type { UserDirectory } from "./access/user-directory.ts";
import type { AccountServices } from "./accounts/open-accounts.ts";
import type { AuditService } from "./audit/audit.ts";
import type { AuditHeadKeeper } from "./audit/audit-head-keeper.ts";
import type { Circuits } from "./delivery/circuits.ts";
import type { Senders } from "./delivery/senders.ts";
import type { EventBus } from "./events/event-bus.ts";
import type { EventConsumers } from "./events/event-consumers.ts";
import type { Idempotency } from "./idempotency.ts";
import type { JobControl } from "./jobs/job-control.ts";
import type { JobService } from "./jobs/job-service.ts";
import type { QueueControl } from "./jobs/queue-control.ts";
import type { WorkerLeases } from "./jobs/worker-leases.ts";
import type { LiveSettings } from "./live-settings.ts";
import type * as api from "./module-api.ts";
import type { LoadedModules } from "./modules/loaded-modules.ts";
import type { Notifier } from "./notifications/notifier.ts";
import type { ChannelAuthorizers } from "./pusher/channel-authorizers.ts";
import type { PusherApp } from "./pusher/pusher-app.ts";
import type { ReadCaches } from "./reads/read-caches.ts";
import type { RealtimeService } from "./realtime/realtime.ts";
import type { RealtimeTickets } from "./realtime/realtime-tickets.ts";
import type { ClockTrust } from "./retention/clock-trust.ts";
import type { RetentionJob } from "./retention/retention-job.ts";
import type { Schedules } from "./schedules/schedules.ts";
import type { SoundServices } from "./sounds/open-sounds.ts";
import type { StorageGuard } from "./storage-guard.ts";
import type { PendingTimers } from "./timers/pending-timers.ts";
import type { TimeService } from "./timers/time.ts";
import type { TimerService } from "./timers/timers.ts";

/** A feature of the program. It is the same as anybody's module (module-api.ts), but for what it is given besides. */
export interface AppModule extends Pick<api.AppModule, "name" | "version"> {
  /** Adds the feature's routes and handlers. Nothing of the server answers yet. */
  register(server: ModuleServer, services: CoreServices): Promise<void> | void;
}

/** Where a feature puts its routes: as any module does, or as a definition of its own. */
export interface ModuleServer extends api.ModuleServer {
  /** @throws TypeError when the path and method are taken. */
  route(definition: Route): void;
}

/**
 * What a feature of the program is given: the services of every module, here as the program's own classes, which can do more; and what it needs in
 * addition. State lives in the store, signals go over the bus.
 */
export interface CoreServices extends api.CoreServices {
  readonly time: TimeService;
  readonly notify: Notifier;
  readonly timer: TimerService;
  readonly events: EventBus;
  readonly db: Database;
  readonly audit: AuditService;
  readonly realtime: RealtimeService;
  readonly log: Logger;
  readonly config: Config & api.CoreServices["config"];
  readonly ingest: IngestService;
  readonly jobs: JobService;
  readonly projects: Projects;
  readonly users: UserDirectory;
  readonly idempotency: Idempotency;
  readonly clock: Clock;
  /** For features that administrate Prism itself. */
  readonly system: SystemServices;
}

/** The parts of the running program: what administration looks at and turns. */
export interface SystemServices extends AccountServices {
  readonly sounds: SoundServices;
  readonly pusher: PusherApp;
  readonly pusherRegistry: PusherRegistry;
  readonly channelAuthorizers: ChannelAuthorizers;
  /** Encrypts at rest. */
  readonly box: SealedBox;
  readonly store: Store;
  readonly kernel: HttpKernel;
  /** Counts the bytes of all bodies at hand. */
  readonly bodies: BodyReader;
  readonly router: Router;
  /** Events a minute; requests are the kernel's own. */
  readonly eventLimiter: RateLimiter;
  readonly pipeline: EventPipeline;
  readonly pipelineMetrics: PipelineMetrics;
  readonly backlog: Backlog;
  readonly rules: RuleBook;
  readonly runner: JobRunner;
  readonly jobControl: JobControl;
  readonly pendingTimers: PendingTimers;
  readonly schedules: Schedules;
  readonly retention: RetentionJob;
  /** The channels that lead out of the program. */
  readonly senders: Senders;
  readonly circuits: Circuits;
  readonly queueControl: QueueControl;
  readonly workerLeases: WorkerLeases;
  /** Tells what has been committed. */
  readonly announcer: Announcer;
  readonly hub: Hub;
  readonly connections: Connections;
  readonly realtimeAccess: RealtimeAccess;
  /** Whether a browser page of this origin may open live connections. */
  allowsOrigin(origin: string): boolean;
  readonly principals: Principals;
  readonly reads: ReadCaches;
  readonly tickets: RealtimeTickets;
  readonly accessTokens: AccessTokens;
  readonly storage: StorageGuard;
  readonly clockTrust: ClockTrust;
  readonly auditHead: AuditHeadKeeper;
  readonly settings: LiveSettings;
  readonly metrics: Metrics;
  readonly version: string;
  /** Modules of the modules directory, and the program's own features beside them. */
  readonly loaded: LoadedModules;
  /** Readers of the event log with a place of their own. */
  readonly consumers: EventConsumers;
  readonly startedAt: number;
  /** The development administrator; null outside development. */
  readonly devUserId: string | null;
  readonly warnings: readonly string[];
  /** Users, roles, members, keys or tokens have changed: the next request sees it, live connections within a second. */
  rightsChanged(): void;
}
