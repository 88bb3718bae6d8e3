import { dirname } from "node:path";
import { type Clock, systemClock } from "./base/clock.ts";
import type { Logger } from "./base/log.ts";
import { Metrics } from "./base/metrics.ts";
import { VERSION } from "./base/version.ts";
import type { Config } from "./config/load.ts";
import { ownOrigins, publicUrlOf, tlsFilesOf } from "./config/public-url.ts";
import { sealedBoxOf } from "./config/sealed-box.ts";
import { BodyReader } from "./http/body.ts";
import { DescriptorWatch } from "./http/descriptor-watch.ts";
import { HttpListener } from "./http/listener.ts";
import { RateLimiter } from "./http/rate-limiter.ts";
import { Router } from "./http/router.ts";
import { noteCertificate } from "./http/tls.ts";
import type { JobRunner } from "./jobs/runner.ts";
import { BUILT_IN_MODULES } from "./modules/collected.gen.ts";
import { Announcer } from "./pipeline/announcer.ts";
import { Backlog } from "./pipeline/backlog.ts";
import { Decider } from "./pipeline/decide.ts";
import { IngestService } from "./pipeline/ingest-service.ts";
import { EventPipeline } from "./pipeline/pipeline.ts";
import { PipelineMetrics } from "./pipeline/pipeline-metrics.ts";
import { RuleBook } from "./pipeline/rule-book.ts";
import { FiringGate } from "./pipeline/suppression/gate.ts";
import { Connections } from "./realtime/connections.ts";
import { Hub } from "./realtime/hub.ts";
import { Presence } from "./realtime/presence.ts";
import { patternPool } from "./rules/index.ts";
import { AccessTokens } from "./services/access/access-tokens.ts";
import { Principals } from "./services/access/principals.ts";
import { Projects } from "./services/access/projects.ts";
import { openTrustedIssuer } from "./services/access/trusted-issuer.ts";
import { UsageMarks } from "./services/access/usage-marks.ts";
import { UserDirectory } from "./services/access/user-directory.ts";
import { awaitFirstAdmin, type FirstAdmin, makeConfiguredAdmin } from "./services/accounts/first-admin.ts";
import { openAccounts } from "./services/accounts/open-accounts.ts";
import { UnlockWatch } from "./services/accounts/unlock.ts";
import { AuditService } from "./services/audit/audit.ts";
import { AuditHeadKeeper } from "./services/audit/audit-head-keeper.ts";
import { AuditRetention } from "./services/audit/audit-retention.ts";
import { bootstrap } from "./services/bootstrap.ts";
import { openDelivery } from "./services/delivery/open-delivery.ts";
import { Senders } from "./services/delivery/senders.ts";
import { EventBus } from "./services/events/event-bus.ts";
import { ForeignWrites } from "./services/foreign-writes.ts";
import { Idempotency } from "./services/idempotency.ts";
import { openJobs } from "./services/jobs/open-jobs.ts";
import { handlePipelineJobs } from "./services/jobs/pipeline-jobs.ts";
import { LiveSettings } from "./services/live-settings.ts";
import type { CoreServices, SystemServices } from "./services/module.ts";
import { openModules } from "./services/modules/open-modules.ts";
import { registerFeatures } from "./services/modules/register-features.ts";
import { DeliveryMarks } from "./services/notifications/delivery-marks.ts";
import { openKernel } from "./services/open-kernel.ts";
import { openProviders } from "./services/open-providers.ts";
import { ReadCaches } from "./services/reads/read-caches.ts";
import { liveSockets } from "./services/realtime/live-sockets.ts";
import { realtimeAccess } from "./services/realtime/realtime-access.ts";
import { RealtimeTickets } from "./services/realtime/realtime-tickets.ts";
import { TableHistory } from "./services/realtime/stream-history.ts";
import { recordCostlyRules } from "./services/record-costly-rules.ts";
import { ClockTrust } from "./services/retention/clock-trust.ts";
import { openRetention } from "./services/retention/open-retention.ts";
import { openSchedules } from "./services/schedules/open-schedules.ts";
import { openServerStore } from "./services/server-store.ts";
import { stopServer } from "./services/stop-server.ts";
import { StorageGuard } from "./services/storage-guard.ts";
import { registerSystemMetrics } from "./services/system-metrics.ts";
import { openTimers } from "./services/timers/open-timers.ts";
import type { Store } from "./store/store.ts";

export interface AppOptions {
  readonly config: Config;
  readonly log: Logger;
  readonly clock?: Clock;
  readonly warnings?: readonly string[];
  /** Takes the audit trail as it is where `audit.head` says otherwise. */
  readonly acceptAudit?: boolean;
  /** Something without which nothing can be stored has died; the process should end. */
  readonly onFatal: (error: Error) => void;
}

/** A running Prism. */
export interface App {
  readonly port: number;
  readonly services: CoreServices;
  /** How the first administrator comes to be; a setup token in it is to be shown now. */
  readonly firstAdmin: FirstAdmin;
  /** Takes over the settings that may change while it runs. */
  reload(config: Config): void;
  /** Stops in order: no new requests, those under way are answered, sockets told to come back, jobs ended, the database closed. */
  stop(): Promise<void>;
}

/**
 * The composition root: configuration → store → services → modules → server. The schema is current and the caller holds the lock on the data
 * directory. @throws ListenRefused
 */
export async function startApp(options: AppOptions): Promise<App> {
  const { config, log } = options;
  const clock = options.clock ?? systemClock;
  const metrics = new Metrics();
  const startedAt = clock.now();
  let port = config.port;
  const listener = new HttpListener(tlsFilesOf(config));
  const box = sealedBoxOf(config);
  const store = openServerStore({ config, log, box, metrics, onFatal: options.onFatal });
  const { database, committer, reader } = store;
  const audit = new AuditService(database, clock);
  const basis = { config, database, reader, box, clock, log, metrics, audit };
  const settings = new LiveSettings(config);
  const auditKeeping = { ...basis, dataDir: config.dataDir, log: log.namespace("audit") };
  const auditHead = new AuditHeadKeeper({ ...auditKeeping, auditKey: store.auditKey });
  const clockTrust = new ClockTrust({ ...basis, isTrusted: () => settings.retention.trustClock });
  const { defaultProjectId, devUserId } = await bootstrap(database, reader, audit, clock, config.env === "development");
  const publicUrl = (): string => publicUrlOf(config, port);
  const providers = await openProviders({ ...basis, publicUrl });

  const accessTokens = new AccessTokens({
    secret: config.secrets.access,
    previousSecrets: config.auth.previousAccessSecrets,
    audience: config.auth.audience,
    expiresMs: config.auth.accessExpires,
    clock,
  });
  const tickets = new RealtimeTickets(clock);
  const issuer = openTrustedIssuer({ ...basis, log: log.namespace("auth"), rightsChanged: () => rightsChanged() });
  const principals = new Principals({ reader, accessTokens, issuer, clock, tickets, cache: config.cache });
  const reads = new ReadCaches({ ...config.cache, clock });
  const projects = new Projects(reader, defaultProjectId);
  const presence = new Presence();
  const access = realtimeAccess(principals, { projects, authorizers: providers.channelAuthorizers });
  const realtimeLog = log.namespace("realtime");
  const connections = new Connections({ limits: config.realtime, presence, access, clock, log: realtimeLog });
  const hub = new Hub(new TableHistory(reader, box, providers.sounds.urlOf), {
    events: committer.sequences.events.last,
    log: committer.sequences.streams.last,
  });
  const pipelineMetrics = new PipelineMetrics(metrics);
  const announcer = new Announcer(hub, pipelineMetrics, providers.sounds.urlOf);
  patternPool.limitBytes = config.limits.patternMemoryBytes;
  const rules = new RuleBook({
    ...{ reader, defaultProjectId, limits: config.limits, clock, log: log.namespace("rules") },
    onTooCostly: recordCostlyRules(database, audit, log.namespace("rules")),
  });
  const rightsChanged = (): void => {
    principals.forget();
    reads.profiles.changedAll();
    projects.forget();
    rules.forgetRecipients();
    connections.noteRightsChanged();
  };
  const bus = new EventBus(log.namespace("bus"));
  const accounts = openAccounts({
    ...basis,
    accessTokens,
    publicUrl,
    rightsChanged,
    approved: (user) => bus.emit("user:approved", user),
  });
  const firstAdminParts = { ...accounts, config, database, clock, log: log.namespace("auth") };
  await makeConfiguredAdmin(firstAdminParts).catch(async (error: unknown) => {
    await Promise.all([accounts.passwords.close(), store.close()]);
    throw error;
  });
  const storage = new StorageGuard(
    [dirname(config.databaseFile), config.dataDir],
    config.minFreeBytes,
    log.namespace("store"),
  );
  await storage.start();

  const { runner, jobs, jobControl, queueControl, workerLeases } = openJobs({
    ...basis,
    committer,
    log: log.namespace("jobs"),
    settings,
    dataDir: config.dataDir,
    onDead: (job) => bus.emit("job:dead", job),
  });
  const settingsOf = settings.queue.bind(settings);
  const onJobs: JobRunner["enqueued"] = (rows) => runner.enqueued(rows);
  const gate = FiringGate.overTables(reader, () => settings.defaultSuppression);
  const senders = new Senders(config.delivery.workers);
  const decider = new Decider({ book: rules, gate, offsets: committer.sequences.streams, settingsOf, senders });
  const deciding = { committer, reader, decider, announcer, clock, metrics: pipelineMetrics, onJobs };
  const backlog = new Backlog({ ...deciding, log: log.namespace("rules") });
  committer.whenEpochFails(() => {
    gate.reset();
    backlog.reset();
  });
  const pipeline = new EventPipeline({
    ...deciding,
    backlog,
    highWaterBytes: config.ingest.highWaterBytes,
    log: log.namespace("pipeline"),
    rulesLog: log.namespace("rules"),
    requireSpace: () => storage.requireSpace(),
  });
  const ingest = new IngestService(pipeline, config.ingest, clock);
  const users = new UserDirectory({
    database,
    reader,
    audit,
    clock,
    unknownRecipient: config.unknownRecipient,
    timezone: config.timezone,
    defaultProjectId,
    onChange: rightsChanged,
  });
  const schedules = openSchedules({
    ...basis,
    log: log.namespace("schedules"),
    runner,
    ingest,
    settings,
    defaultProjectId,
    timezone: config.timezone,
  });
  const common = { database, reader, clock, audit, runner, jobs, jobControl, schedules, announcer, ingest, bus, hub };
  const shared = { ...common, presence, senders, reads, ...providers };
  const timers = openTimers({
    ...shared,
    principals,
    directory: users,
    defaultProjectId,
    timezone: config.timezone,
    limits: () => settings.limits,
  });
  const { time, notify, timer, realtime, pendingTimers } = timers;
  const delivery = openDelivery({
    ...shared,
    ...timers,
    ...accounts,
    ...basis,
    workerLeases,
    rules,
    gate,
    settings,
  });
  const marks = new DeliveryMarks(database, committer, clock);

  const router = new Router();
  const bodies = new BodyReader(config.ingest.highWaterBytes);
  const { moduleWatch, own, ...modules } = openModules({
    ...shared,
    ...timers,
    config,
    log,
    projects,
    directory: users,
    router,
    bodies,
    builtIn: BUILT_IN_MODULES,
  });
  const kernel = openKernel({ ...basis, router, bodies, settings, principals, isTls: listener.isTls });

  const system: SystemServices = {
    ...accounts,
    retention: openRetention({ ...basis, settings, runner, schedules, clockTrust }),
    box,
    store,
    kernel,
    bodies,
    router,
    eventLimiter: new RateLimiter(clock),
    pipeline,
    pipelineMetrics,
    backlog,
    rules,
    runner,
    jobControl,
    queueControl,
    workerLeases,
    pendingTimers,
    schedules,
    ...delivery,
    ...providers,
    announcer,
    hub,
    connections,
    realtimeAccess: access,
    allowsOrigin: (origin) => settings.cors.allows(origin) || ownOrigins(config, port).includes(origin),
    principals,
    reads,
    tickets,
    accessTokens,
    storage,
    settings,
    metrics,
    version: VERSION,
    ...modules,
    startedAt,
    devUserId,
    warnings: options.warnings ?? [],
    clockTrust,
    auditHead,
    rightsChanged,
  };
  const services: CoreServices = {
    time,
    notify,
    timer,
    events: bus,
    ingest,
    db: database,
    audit,
    realtime,
    jobs,
    projects,
    users,
    idempotency: new Idempotency(reader, clock, store.auditKey),
    log,
    clock,
    config: config as CoreServices["config"],
    system,
    ...own("prism"),
  };
  handlePipelineJobs(services);
  registerSystemMetrics(services);
  await registerFeatures(BUILT_IN_MODULES, services, own);

  listener.mount(liveSockets(services, marks));
  listener.serve((res, req) => kernel.handle(res, req));

  const unlocks = new UnlockWatch(reader, accounts.loginBackoff);
  const foreign = new ForeignWrites(store.port, () => {
    unlocks.check();
    reads.changedAll();
    rightsChanged();
    rules.reload();
  });
  const usage = new UsageMarks(database, principals);
  await auditHead.start(options.acceptAudit === true);
  const auditRetention = new AuditRetention({
    ...auditKeeping,
    days: () => settings.retention.auditDays,
    isClockTrusted: () => clockTrust.check(),
  });
  issuer?.start();
  const reclaimed = await jobs.reclaim();
  if (reclaimed > 0) log.info({ jobs: reclaimed }, "jobs of a process that is gone will run again");
  await modules.loaded.start();
  port = listenOrClose(listener, config, store);
  noteCertificate(listener.certificate, log);
  const descriptors = new DescriptorWatch(listener, log.namespace("http"));
  descriptors.start();
  const firstAdmin = await awaitFirstAdmin(firstAdminParts);
  foreign.start();
  auditRetention.start();
  usage.start();
  system.retention.start();
  backlog.start();
  runner.start();
  await schedules.start();
  moduleWatch.start();
  bus.emit("system:ready");

  return {
    port,
    services,
    firstAdmin,
    reload(next) {
      const tls = tlsFilesOf(next);
      if (tls && listener.isTls && listener.renewCertificate(tls)) noteCertificate(listener.certificate, log);
      settings.reload(next);
      runner.reload();
    },
    stop: () =>
      stopServer({
        ...shared,
        ...{ shutdownMs: config.shutdownMs, listener, kernel, connections, storage, store, accounts, issuer },
        ...{ retention: system.retention, modules: { ...modules, moduleWatch } },
        ...{ foreign, descriptors, usage, auditRetention, auditHead },
      }),
  };
}

function listenOrClose(listener: HttpListener, config: Config, store: Store): number {
  try {
    return listener.listen(config.host, config.port, config.extraPorts);
  } catch (error) {
    listener.close();
    void store.close();
    throw error;
  }
}
