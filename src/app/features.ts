import { ownOrigins } from "../config/public-url.ts";
import { VERSION } from "../core/version.ts";
import { projectsFeature } from "../features/access/projects/routes.ts";
import { rolesFeature } from "../features/access/roles/routes.ts";
import { authFeature } from "../features/access/sessions/routes.ts";
import { usersFeature } from "../features/access/users/routes.ts";
import { alertsFeature } from "../features/alerts/routes.ts";
import { auditFeature } from "../features/audit/routes.ts";
import { transferBucketsFeature } from "../features/buckets/routes.ts";
import { webhooksFeature } from "../features/delivery/webhooks/routes.ts";
import { digestFeature } from "../features/digest/routes.ts";
import { eventsFeature } from "../features/events/routes.ts";
import { explainFeature } from "../features/explain/routes.ts";
import { jobsFeature } from "../features/jobs/routes.ts";
import { workersFeature } from "../features/jobs/workers/routes.ts";
import { messagesFeature } from "../features/messages/routes.ts";
import { notificationsFeature } from "../features/notifications/routes.ts";
import { modulesFeature } from "../features/plugins/routes.ts";
import { pusherFeature } from "../features/pusher/routes.ts";
import { rulesFeature } from "../features/rules/routes.ts";
import { schedulesFeature } from "../features/schedules/routes.ts";
import { soundsFeature } from "../features/sounds/routes.ts";
import { operationsFeature } from "../features/status/routes.ts";
import { realtimeFeature } from "../features/streams/routes.ts";
import { tasksFeature } from "../features/tasks/routes.ts";
import { timeFeature } from "../features/timers/routes.ts";
import { RateLimiter } from "../http/rate-limiter.ts";
import type { Feature } from "../module/feature.ts";
import type { Parts } from "./parts.ts";

/** The features of Prism, in the order in which they are registered: their routes keep it, in the router and in the API's description. */
export function builtInFeatures(parts: Parts): Feature[] {
  const {
    database: db,
    reader,
    clock,
    config,
    settings,
    box,
    storage,
    committer,
    metrics,
    store,
    clockTrust,
    startedAt,
    warnings,
  } = parts.base;
  const { runner, jobs, jobControl, queueControl, workerLeases } = parts.core.jobs;
  const {
    announcer,
    events: pipeline,
    metrics: pipelineMetrics,
    senders,
    backlog,
    rules,
    ingest,
  } = parts.core.pipeline;
  const { projects, users, accessTokens, devUserId, principals, tickets, reads } = parts.core.access;
  const {
    accounts,
    sessions,
    accountLinks,
    accountMail,
    projectInvitations,
    userAdmin,
    oneTimeTokens,
    passwords,
    userLifecycle,
  } = parts.core.access.accounts;
  const { notify, schedules, idempotency, realtime, pendingTimers, circuits, timer } = parts.services;
  const { auditHead } = parts.upkeep;
  const { kernel, bodies, router } = parts.http;
  const { pusherRegistry, sounds, connections, pusher, hub, realtimeAccess, channelAuthorizers } = parts.core.live;
  const { loaded, consumers } = parts.services.modules;
  return [
    alertsFeature({ db, reader, clock, runner, jobs, announcer, projects, users, settings, notify }),
    auditFeature({ db, config, auditKey: parts.base.store.auditKey, auditHead }),
    authFeature({
      db,
      clock,
      config,
      kernel,
      allowsOrigin: (origin) => allowsOrigin(parts, origin),
      users,
      accessTokens,
      settings,
      devUserId,
      pusherRegistry,
      accounts,
      sessions,
      accountLinks,
    }),
    digestFeature({ db, clock, config, runner, jobs, schedules, projects, users, notify }),
    eventsFeature({
      db,
      clock,
      config,
      kernel,
      bodies,
      eventLimiter: new RateLimiter(clock),
      pipeline,
      pipelineMetrics,
      jobs,
      projects,
      settings,
      idempotency,
    }),
    explainFeature({ db, projects, users, settings }),
    jobsFeature({ db, clock, runner, jobControl, queueControl, senders, settings }),
    messagesFeature({ db, clock, box, runner, jobControl, jobs, users, storage, settings, idempotency, realtime }),
    modulesFeature({ loaded }),
    notificationsFeature({
      db,
      clock,
      config,
      committer,
      pendingTimers,
      senders,
      users,
      storage,
      idempotency,
      sounds,
      realtime,
      notify,
    }),
    operationsFeature({
      db,
      clock,
      config,
      metrics,
      store,
      committer,
      kernel,
      router,
      pipeline,
      backlog,
      rules,
      runner,
      senders,
      circuits,
      connections,
      storage,
      clockTrust,
      auditHead,
      settings,
      version: VERSION,
      startedAt,
      warnings,
      loaded,
      consumers,
      pusher,
      realtime,
    }),
    projectsFeature({
      db,
      clock,
      config,
      runner,
      jobs,
      principals,
      projects,
      users,
      settings,
      accountMail,
      projectInvitations,
    }),
    pusherFeature({ db, clock, config, hub, connections, storage, pusher, pusherRegistry, realtime }),
    realtimeFeature({
      db,
      clock,
      config,
      hub,
      connections,
      realtimeAccess,
      allowsOrigin: (origin) => allowsOrigin(parts, origin),
      projects,
      tickets,
      storage,
      idempotency,
      realtime,
    }),
    rolesFeature({ db, clock }),
    rulesFeature({ db, clock, config, rules, senders, projects, users, settings, sounds }),
    schedulesFeature({ db, config, schedules, storage, timer }),
    soundsFeature({ db, clock, config, bodies, runner, jobs, storage, settings, sounds }),
    tasksFeature({ db, clock, users, reads, storage, idempotency, realtime }),
    timeFeature({ db, pendingTimers, users, storage, idempotency, timer }),
    transferBucketsFeature({ db, clock, config, runner, jobs, schedules, projects, storage, idempotency, ingest }),
    usersFeature({
      db,
      clock,
      config,
      box,
      principals,
      projects,
      reads,
      pusher,
      pusherRegistry,
      channelAuthorizers,
      accounts,
      userAdmin,
      oneTimeTokens,
      accountMail,
      passwords,
      userLifecycle,
    }),
    webhooksFeature({ db, clock, config, box, projects, storage, settings }),
    workersFeature({ workerLeases, senders, principals }),
  ];
}

/** Whether a browser page of this origin may open live connections. */
export function allowsOrigin({ base: { config, settings, listening } }: Parts, origin: string): boolean {
  return settings.cors.allows(origin) || ownOrigins(config, listening.port).includes(origin);
}
