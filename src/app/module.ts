import type { Config } from "../config/load.ts";
import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/log.ts";
import type { Metrics } from "../core/metrics.ts";
import type { SealedBox } from "../core/sealed-box.ts";
import type {
  AccessTokens,
  AccountServices,
  Principals,
  Projects,
  ReadCaches,
  UserDirectory,
} from "../features/access/index.ts";
import type { AuditHeadKeeper, AuditService } from "../features/audit/index.ts";
import type { Circuits, Senders } from "../features/delivery/index.ts";
import type { Backlog, EventBus, EventConsumers, EventPipeline, IngestService } from "../features/events/index.ts";
import type { JobControl, JobRunner, JobService, QueueControl, WorkerLeases } from "../features/jobs/index.ts";
import type { Announcer, Notifier } from "../features/notifications/index.ts";
import type { LoadedModules } from "../features/plugins/index.ts";
import type { ChannelAuthorizers, PusherApp } from "../features/pusher/index.ts";
import type { ClockTrust, RetentionJob } from "../features/retention/index.ts";
import type { PipelineMetrics, RuleBook } from "../features/rules/index.ts";
import type { Schedules } from "../features/schedules/index.ts";
import type { SoundServices } from "../features/sounds/index.ts";
import type { RealtimeService, RealtimeTickets } from "../features/streams/index.ts";
import type { PendingTimers, TimerService, TimeService } from "../features/timers/index.ts";
import type { BodyReader } from "../http/body.ts";
import type { Idempotency } from "../http/idempotency.ts";
import type { HttpKernel } from "../http/kernel.ts";
import type { LiveSettings } from "../http/live-settings.ts";
import type { RateLimiter } from "../http/rate-limiter.ts";
import type { Route } from "../http/route.ts";
import type { Router } from "../http/router.ts";
import type { Connections, RealtimeAccess } from "../live/connections.ts";
import type { Hub } from "../live/hub.ts";
import type { PusherRegistry } from "../live/protocols/pusher/pusher-registry.ts";
import type * as api from "../module/module-api.ts";
import type { Database } from "../store/database.ts";
import type { StorageGuard } from "../store/storage-guard.ts";
import type { Store } from "../store/store.ts";

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
