import { ownOrigins } from "../config/public-url.ts";
import { VERSION } from "../core/version.ts";
import { handlePipelineJobs } from "../features/jobs/index.ts";
import { DeliveryMarks } from "../features/notifications/index.ts";
import { registerFeatures as registerAll } from "../features/plugins/index.ts";
import { liveSockets } from "../features/streams/index.ts";
import { RateLimiter } from "../http/rate-limiter.ts";
import { BUILT_IN_MODULES } from "./collected.gen.ts";
import { forgetRights } from "./effects.ts";
import type { CoreServices, SystemServices } from "./module.ts";
import type { Parts } from "./parts.ts";
import { registerSystemMetrics } from "./system-metrics.ts";

/** Puts the features, their jobs, metrics and sockets on the server, which does not answer yet. */
export async function registerFeatures(parts: Parts): Promise<CoreServices> {
  const { base, http } = parts;
  const services = servicesOf(parts);
  handlePipelineJobs(services);
  registerSystemMetrics(services);
  await registerAll(BUILT_IN_MODULES, services, parts.services.modules.own);
  http.listener.mount(liveSockets(services, new DeliveryMarks(base.database, base.committer, base.clock)));
  http.listener.serve((res, req) => http.kernel.handle(res, req));
  return services;
}

function servicesOf({ base, core, http, services, upkeep }: Parts): CoreServices {
  const { access, live, jobs, pipeline } = core;
  const { config, settings } = base;
  const system: SystemServices = {
    ...access.accounts,
    ...live,
    ...jobs,
    ...services.modules,
    retention: upkeep.retention,
    box: base.box,
    store: base.store,
    kernel: http.kernel,
    bodies: http.bodies,
    router: http.router,
    eventLimiter: new RateLimiter(base.clock),
    pipeline: pipeline.events,
    pipelineMetrics: pipeline.metrics,
    backlog: pipeline.backlog,
    rules: pipeline.rules,
    pendingTimers: services.pendingTimers,
    schedules: services.schedules,
    senders: pipeline.senders,
    circuits: services.circuits,
    announcer: pipeline.announcer,
    allowsOrigin: (origin) => settings.cors.allows(origin) || ownOrigins(config, base.listening.port).includes(origin),
    principals: access.principals,
    reads: access.reads,
    tickets: access.tickets,
    accessTokens: access.accessTokens,
    storage: base.storage,
    settings,
    metrics: base.metrics,
    version: VERSION,
    startedAt: base.startedAt,
    devUserId: access.devUserId,
    warnings: base.warnings,
    clockTrust: base.clockTrust,
    auditHead: upkeep.auditHead,
    rightsChanged: () => forgetRights(core, null),
  };
  return {
    time: services.time,
    notify: services.notify,
    timer: services.timer,
    events: base.bus,
    ingest: pipeline.ingest,
    db: base.database,
    audit: base.audit,
    realtime: services.realtime,
    jobs: jobs.jobs,
    projects: access.projects,
    users: access.users,
    idempotency: services.idempotency,
    log: base.log,
    clock: base.clock,
    config: config as CoreServices["config"],
    system,
    ...services.modules.own("prism"),
  };
}
