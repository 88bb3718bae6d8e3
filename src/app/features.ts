import { serverWarnings } from "../config/checks.ts";
import type { Config } from "../config/load.ts";
import { ownOrigins } from "../config/public-url.ts";
import { PrismError } from "../core/errors.ts";
import { operatorFeature } from "../features/access/operator/routes.ts";
import { projectsFeature } from "../features/access/projects/routes.ts";
import { rolesFeature } from "../features/access/roles/routes.ts";
import { authFeature } from "../features/access/sessions/routes.ts";
import { usersFeature } from "../features/access/users/routes.ts";
import { alertmanagerFeature } from "../features/alertmanager/routes.ts";
import { alertsFeature } from "../features/alerts/book/routes.ts";
import { errorAlertFeature } from "../features/alerts/errors/routes.ts";
import { incidentsFeature } from "../features/alerts/incidents/routes.ts";
import { policiesWithChannel, policiesWithSchedule } from "../features/alerts/index.ts";
import { policiesFeature } from "../features/alerts/policies/routes.ts";
import { silencesFeature } from "../features/alerts/silences/routes.ts";
import { auditFeature } from "../features/audit/routes.ts";
import { backupsFeature } from "../features/backup/routes.ts";
import { transferBucketsFeature } from "../features/buckets/routes.ts";
import { channelsOfImport, type ManageContext } from "../features/channels/index.ts";
import { channelsFeature } from "../features/channels/routes.ts";
import { consoleFeature } from "../features/console/routes.ts";
import { safeFetchOf } from "../features/delivery/index.ts";
import { deliveriesFeature } from "../features/delivery/operate/routes.ts";
import { preferencesFeature } from "../features/delivery/routes.ts";
import { webhooksFeature } from "../features/delivery/webhooks/routes.ts";
import { digestFeature } from "../features/digest/routes.ts";
import { drillFeature } from "../features/drill/routes.ts";
import { trialEvent } from "../features/events/index.ts";
import { eventsFeature } from "../features/events/routes.ts";
import { explainFeature } from "../features/explain/routes.ts";
import { integrationsFeature } from "../features/integrations/routes.ts";
import { PermanentError } from "../features/jobs/index.ts";
import { jobsFeature } from "../features/jobs/routes.ts";
import { workersFeature } from "../features/jobs/workers/routes.ts";
import { messagesFeature } from "../features/messages/routes.ts";
import { notificationsFeature } from "../features/notifications/routes.ts";
import { ntfyFeature } from "../features/ntfy/routes.ts";
import { MAX_CALENDAR_BYTES } from "../features/oncall/index.ts";
import { onCallFeature } from "../features/oncall/routes.ts";
import { overviewFeature } from "../features/overview/routes.ts";
import { modulesFeature } from "../features/plugins/routes.ts";
import type { PusherOwn } from "../features/pusher/index.ts";
import { pusherFeature } from "../features/pusher/routes.ts";
import { receiversFeature } from "../features/receivers/routes.ts";
import { rulesFeature } from "../features/rules/routes.ts";
import { schedulesFeature } from "../features/schedules/routes.ts";
import { settingsFeature } from "../features/settings/routes.ts";
import { soundsFeature } from "../features/sounds/routes.ts";
import { operationsFeature } from "../features/status/routes.ts";
import { statusPageFeature } from "../features/statuspage/routes.ts";
import { realtimeFeature } from "../features/streams/routes.ts";
import { tasksFeature } from "../features/tasks/routes.ts";
import { scheduledRoutes } from "../features/timers/index.ts";
import { timeFeature } from "../features/timers/routes.ts";
import type { Feature } from "../module/feature.ts";
import { gotify, ntfyOwn } from "./face-features.ts";
import { reloadSources } from "./listen.ts";
import { withheldNow } from "./open-alerts.ts";
import { maintenanceFeature } from "./operator-routes.ts";
import type { Parts } from "./parts.ts";
import { receiversOwn } from "./receivers.ts";
import { statusPageOwn } from "./status-page.ts";

/**
 * The built-in features with their dependencies. They are registered in the order of their names,
 * which is also the order of their routes in the router and the API description.
 */
export function builtInFeatures(parts: Parts): Feature[] {
  const features = [
    ...accessFeatures(parts),
    ...eventFeatures(parts),
    ...alertFeatures(parts),
    onCall(parts),
    drill(parts),
    statusPageFeature(statusPageOwn(parts)),
    ...notificationFeatures(parts),
    ...liveFeatures(parts),
    ntfyFeature(ntfyOwn(parts)),
    gotify(parts, (origin) => allowsOrigin(parts, origin)),
    ...jobFeatures(parts),
    ...operatorFeatures(parts),
    consoleFeature(parts.base.config),
    ...parts.features.withRoutes,
  ];
  return features.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Accounts, roles, projects and sessions. */
function accessFeatures(parts: Parts): Feature[] {
  const { base, core, http } = parts;
  const { database: db, clock, config, settings } = base;
  const { accounts, projects, users, devUserId, principals, reads } = core.access;
  const { pusherRegistry } = core.live;
  const { runner, jobs } = core.jobs;
  return [
    authFeature({
      db,
      clock,
      config,
      kernel: http.kernel,
      allowsOrigin: (origin) => allowsOrigin(parts, origin),
      settings,
      pusherRegistry,
      accounts,
      users,
      devUserId,
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
      work: http.work,
      accounts,
    }),
    operatorFeature({ db, accounts }),
    rolesFeature({ db, clock, accounts }),
    usersFeature({ db, clock, config, principals, reads, pusherRegistry, accounts }),
  ];
}

/** Events, rules, and explanations of decisions. */
function eventFeatures({ base, core, http, services }: Parts): Feature[] {
  const { database: db, reader, clock, config, settings } = base;
  const { principals, projects, users } = core.access;
  const { runner, jobs } = core.jobs;
  const { events: pipeline, metrics: pipelineMetrics, rules, channels, announcer } = core.pipeline;
  const { sounds } = core.live;
  const { alerting, idempotency, notify, schedules } = services;
  const { kernel, bodies, work } = http;
  return [
    errorAlertFeature({
      ...{ db, reader, clock, runner, jobs, announcer, projects, users, settings, notify },
      silences: alerting.silences,
    }),
    digestFeature({ db, clock, settings, runner, jobs, schedules, projects, users, notify }),
    eventsFeature({
      db,
      clock,
      config,
      kernel,
      bodies,
      pipeline,
      pipelineMetrics,
      jobs,
      runner,
      principals,
      projects,
      settings,
      idempotency,
      work,
    }),
    explainFeature({ db, projects, users, settings, alerting }),
    rulesFeature({ db, clock, config, rules, channels, projects, users, settings, sounds, trialEvent, work }),
  ];
}

/** Alerts, incidents and silences. */
function alertFeatures(parts: Parts): Feature[] {
  const { base, core, http, services } = parts;
  const { database: db, clock, config, settings, startedAt } = base;
  const { projects, users } = core.access;
  const { idempotency, alerting } = services;
  const { alerts, incidents, policies, silences, integrations, withholding, requireUrl, warnings } = alerting;
  const { clock: steadyClock } = alerting;
  const { kernel } = http;
  const channels = channelsOfImport(channelManagement(parts));
  const warnHits = (): number => settings.silences.warnHits;
  const withheldBy: Parameters<typeof alertsFeature>[0]["withheldBy"] = (alert) => withheldNow(alerting, alert);
  return [
    alertsFeature({ db, clock, projects, alerts, withheldBy }),
    incidentsFeature({ db, clock, projects, users, policies, incidents, alerts, idempotency, withheldBy }),
    policiesFeature({
      ...{ db, clock, projects, users, policies, idempotency, requireUrl, warnings, channels },
      originOf: channels.originOf,
    }),
    silencesFeature({ db, clock, projects, silences, warnHits, idempotency }),
    alertmanagerFeature({
      ...{ config, clock, steadyClock, startedAt, kernel: http.kernel },
      ...{ projects, alerts, silences, policies, withholding },
    }),
    integrationsFeature({ db, clock, kernel, projects, alerts, integrations, incidents }),
    receiversFeature(receiversOwn(parts)),
  ];
}

function onCall({ base, core, services }: Parts): Feature {
  const { database: db, clock, config, storage, publicUrl } = base;
  const { principals, projects, users } = core.access;
  const fetch = safeFetchOf(config, { maxBodyBytes: MAX_CALENDAR_BYTES });
  const { notify, idempotency } = services;
  return onCallFeature({
    ...{ db, clock, config, projects, principals, users, storage, notify, idempotency, fetch, publicUrl },
    policiesWith: policiesWithSchedule,
    proofOf: (db, userId) => services.drills.proofOf(db, userId),
  });
}

function drill({ core, services }: Parts): Feature {
  const { projects } = core.access;
  return drillFeature({ ...services.drills.parts, projects, drills: services.drills });
}

/** Notifications, sounds, messages, tasks and the like. */
function notificationFeatures(parts: Parts): Feature[] {
  const { base, core, http, services } = parts;
  const { database: db, clock, config, settings, box, storage, committer } = base;
  const { projects, users, reads } = core.access;
  const { runner, jobs, jobControl } = core.jobs;
  const { channels, rules } = core.pipeline;
  const { sounds } = core.live;
  const { idempotency, notify, pendingTimers, realtime, circuits } = services;
  return [
    messagesFeature({ db, clock, box, runner, jobControl, jobs, users, storage, settings, idempotency, realtime }),
    notificationsFeature({
      db,
      clock,
      config,
      committer,
      scheduledRoutes: scheduledRoutes(pendingTimers),
      channels,
      users,
      storage,
      idempotency,
      sounds,
      realtime,
      notify,
    }),
    soundsFeature({ db, clock, config, bodies: http.bodies, runner, jobs, storage, settings, sounds }),
    tasksFeature({ db, clock, users, reads, storage, idempotency }),
    deliveriesFeature({ db, clock, channels, circuits, jobs, jobControl, rules }),
    preferencesFeature({
      ...{ db, clock, config, box, channels, notify, webPush: core.webPush },
      confirmDrill: (deliveryId) => services.drills.confirm(deliveryId),
      acknowledgeIncident: (id, channelId) => acknowledgeIn(services, id, channelId, "channel"),
    }),
    webhooksFeature({ db, clock, config, box, projects, storage, settings }),
    channelsFeature({
      ...channelManagement(parts),
      acknowledgeIncident: (id, channelId, via) => acknowledgeIn(services, id, channelId, via),
    }),
  ];
}

function channelManagement({ base, core, services }: Parts): ManageContext {
  const { projects, users } = core.access;
  return {
    ...{ ...services.serviceChannels.context, projects, users, storage: base.storage, live: base.settings },
    policiesWith: async (trx, id) => (await policiesWithChannel(trx, id)).map(({ name }) => name),
  };
}

/** Acknowledges an incident as a reader of a channel. */
function acknowledgeIn({ alerting }: Parts["services"], id: string, channelId: string, via: string): Promise<unknown> {
  return alerting.incidents.acknowledge(id, { id: `channel:${channelId}`, via });
}

/** Streams over Prism's and Pusher's protocols. */
function liveFeatures(parts: Parts): Feature[] {
  const { database: db, clock, config, storage } = parts.base;
  const { projects, tickets } = parts.core.access;
  const { hub, connections, realtimeAccess, pusher, pusherRegistry, channelAuthorizers } = parts.core.live;
  const { idempotency, realtime } = parts.services;
  return [
    pusherFeature({
      db,
      clock,
      config,
      hub,
      connections,
      storage,
      pusher,
      pusherRegistry,
      projects,
      channelAuthorizers,
      realtime,
      callWebhook: pusherWebhookCaller(config),
    }),
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
    }),
  ];
}

/** Jobs, schedules, timers, and features based on them. */
function jobFeatures({ base, core, services }: Parts): Feature[] {
  const { database: db, clock, config, settings, storage } = base;
  const { principals, projects, users } = core.access;
  const { runner, jobs, jobControl, queueControl, bulk, workerLeases } = core.jobs;
  const { channels, ingest } = core.pipeline;
  const { schedules, timer, pendingTimers, idempotency } = services;
  return [
    jobsFeature({ db, clock, runner, jobControl, queueControl, bulk, channels, settings }),
    schedulesFeature({ db, config, schedules, storage }),
    timeFeature({ db, pendingTimers, users, storage, idempotency, timer }),
    transferBucketsFeature({ db, clock, config, runner, jobs, schedules, projects, storage, idempotency, ingest }),
    workersFeature({ workerLeases, channels, principals }),
  ];
}

function operatorFeatures(parts: Parts): Feature[] {
  const { base, core, http, services, upkeep } = parts;
  const { database: db, clock, clockTrust, config, metrics, settings, startedAt, storage, store } = base;
  const { runner } = core.jobs;
  const { backlog, events: pipeline, rules, channels } = core.pipeline;
  const { connections, pusher } = core.live;
  const { circuits, pages, realtime } = services;
  const { loaded, consumers } = services.modules;
  const { auditHead } = upkeep;
  const { forwards, kernel, router } = http;
  const ownWarnings = () =>
    [
      ...base.warnings,
      ...serverWarnings(settings.current),
      ...store.warnings,
      clockTrust.warning,
      forwards.warning,
    ].filter((text) => text !== null);
  const warnings = () => [...ownWarnings(), ...(auditHead.warning === null ? [] : [auditHead.warning])];
  return [
    auditFeature({
      ...{ db, dataDir: config.dataDir, auditKey: store.auditKey, auditHead },
      readableProjects: (principal, permission) => core.access.projects.readable(principal, permission),
    }),
    backupsFeature({ config, clock, runner, jobs: core.jobs.jobs }),
    maintenanceFeature(parts),
    modulesFeature({ loaded }),
    settingsFeature({
      started: config,
      configuration: base.configuration,
      apply: (next) => reloadSources(parts, next),
    }),
    operationsFeature({
      health: { clock, startedAt, kernel, storage, store, backlog },
      status: {
        config,
        projects: core.access.projects,
        queues: { db, clock, runner, channels, settings },
        channels,
        circuits,
        pages,
        pusher,
        loaded,
        connections,
        consumers,
        rules,
        pipeline,
        watch: upkeep.watch,
        warnings,
      },
      metrics: { settings, db, clock, metrics, runner },
      docs: { config, router, settings },
      notices: {
        runner,
        circuits,
        storage,
        loaded,
        realtime,
        isFollowed: () => core.live.hub.hasListeners({ kind: "system" }) || core.live.hub.isFollowed("system"),
      },
    }),
    overviewFeature({
      db,
      clock,
      projects: core.access.projects,
      runner,
      circuits,
      pages,
      alerts: services.alerting.alerts,
      withheldBy: (alert) => withheldNow(services.alerting, alert),
      loaded,
      storage,
      backlog,
      watch: upkeep.watch,
      warnings: ownWarnings,
      auditWarning: () => auditHead.warning,
    }),
  ];
}

/** A refused URL is a permanent error. */
function pusherWebhookCaller(config: Config): PusherOwn["callWebhook"] {
  const outside = safeFetchOf(config, { limits: { answerMs: PUSHER_WEBHOOK_TIMEOUT_MS } });
  return (url, request) =>
    outside.request(url, request).catch((error: unknown) => {
      throw error instanceof PrismError ? new PermanentError(error.message, { cause: error }) : error;
    });
}

/** As at Pusher. */
const PUSHER_WEBHOOK_TIMEOUT_MS = 4000;

/** Whether a web page of this origin may open live connections. */
export function allowsOrigin({ base: { settings, listening } }: Parts, origin: string): boolean {
  return settings.cors.allows(origin) || ownOrigins(settings.current, listening.port).includes(origin);
}
