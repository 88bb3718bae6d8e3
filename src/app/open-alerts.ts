import { SteadyClock } from "../core/due-times.ts";
import { PrismError } from "../core/errors.ts";
import {
  type AlertRow,
  Alerts,
  type AlertView,
  Incidents,
  PagingWarningNotices,
  Policies,
  type PolicyStep,
  peopleOf,
  Silences,
  type WarningParts,
  type Withheld,
  Withholding,
} from "../features/alerts/index.ts";
import type { IncidentChannels } from "../features/channels/index.ts";
import {
  type PagePeople,
  type PageSender,
  type ReachablePeople,
  type ReadEventAlerts,
  type SafeFetch,
  safeFetchOf,
} from "../features/delivery/index.ts";
import { Integrations } from "../features/integrations/index.ts";
import { PermanentError } from "../features/jobs/index.ts";
import type { Notifier } from "../features/notifications/index.ts";
import { gapsBetween, namedOnCall, onCall } from "../features/oncall/index.ts";
import { Presets, Receivers } from "../features/receivers/index.ts";
import { alertKey } from "../features/rules/index.ts";
import { StatusPages } from "../features/statuspage/index.ts";
import type { Turns } from "../http/work-budget.ts";
import type { EffectOf } from "../store/effect.ts";
import type { Base } from "./open-store.ts";
import type { Core } from "./start-core.ts";

/** Alerts and what is made of them. */
export interface AlertServices {
  /** The clock of alerts, incidents and silences. */
  readonly clock: SteadyClock;
  readonly alerts: Alerts;
  readonly incidents: Incidents;
  readonly policies: Policies;
  readonly silences: Silences;
  readonly integrations: Integrations;
  readonly receivers: Receivers;
  readonly receiverPresets: Presets;
  readonly statusPages: StatusPages;
  /** Why an alert is not sent now: silences, inhibition, time intervals. */
  readonly withholding: Withholding;
  /** What would keep pages from arriving. */
  readonly warnings: WarningParts;
  readonly warningNotices: PagingWarningNotices;
  /** Checks whether requests to a URL are permitted. @throws URL_REFUSED */
  requireUrl(url: string): Promise<void>;
}

/** How incidents reach people, rooms and webhooks. */
export interface Paging {
  readonly channels: IncidentChannels;
  readonly pages: PageSender;
  readonly pagePeople: PagePeople;
  readonly reachable: ReachablePeople;
  connectAlerts(read: ReadEventAlerts): void;
}

export function openAlerts(
  base: Base,
  core: Core,
  notify: Notifier,
  paging: Paging,
  turns: Pick<Turns, "run">,
): AlertServices {
  const { database: db, reader, clock: wall, metrics } = base;
  const log = base.log.namespace("alerts");
  const clock = new SteadyClock(wall);
  const policies = new Policies(reader);
  const outside = safeFetchOf(base.config);
  const incidents = openIncidents(base, core, notify, { clock, policies, outside, paging, services: () => services });
  const alerts = new Alerts({
    db,
    reader,
    wall,
    clock,
    log,
    metrics,
    turns,
    joinIncidents: incidents.join,
    maxAlerts: () => base.settings.limits.alertsPerProject,
    storage: core.access.projects.storage,
    projectExists: (id) => core.access.projects.exists(id),
    ruleOpensAlerts: (ruleId, projectId) => core.pipeline.rules.opensAlerts(ruleId, projectId),
  });
  core.pipeline.alertLink.connect({
    isLive: (projectId, key) => alerts.byKey(projectId, key) !== null,
    submit: (inputs, options) => alerts.submit(inputs, options),
    signalled: () => alerts.signalled(),
  });
  const requireUrl = (url: string): Promise<void> => outside.check(url);
  const withholding = openWithholding(base, core, notify, { clock, alerts, incidents, policies });
  const integrations = new Integrations({ db, reader, clock: wall, log, metrics, projects: core.access.projects });
  const receiverPresets = new Presets({ dataDir: base.config.dataDir, log: base.log.namespace("receivers") });
  const receivers = new Receivers({
    ...{ reader, clock: wall, metrics, box: base.box },
    ...{ presets: receiverPresets, projects: core.access.projects, limits: () => base.settings.receivers },
  });
  const statusPages = new StatusPages({
    ...{ db, reader, clock, log, metrics, jobs: core.jobs.jobs },
    alertsOf: (projectId) => alerts.list(projectId),
    findAlert: (id) => alerts.find(id),
    isInMaintenance: (alert, now) => isInMaintenance(withholding.silences, alert, now),
  });
  const sources = { clock, alerts, incidents, policies, integrations, receivers, receiverPresets };
  const warnings: WarningParts = {
    ...{ policies, users: core.access.users, projects: core.access.projects, clock: wall },
    ...{ pages: paging.pages, reachable: paging.reachable },
    onCall: (...parameters) => onCall(core.access.users, ...parameters),
    gapsOf: (...parameters) => gapsBetween(core.access.users, ...parameters),
    namedOnCall,
  };
  const forecast = {
    ...{ db: db.scan, clock, alerts, policies, pages: incidents, onCall: warnings.onCall },
    ...{ users: core.access.users, projects: core.access.projects },
    withheldBy: (...parameters: Parameters<Withholding["withheldBy"]>) =>
      withholding.withholding.withheldBy(...parameters),
  };
  paging.connectAlerts(async (event) => {
    const found = await alertsOfEvent(core, alerts, event);
    return found.length === 0 ? null : peopleOf(forecast, found);
  });
  const warningNotices = new PagingWarningNotices({ db, wall, log, notify, warnings });
  const services: AlertServices = {
    ...{ ...sources, statusPages, requireUrl, warnings, warningNotices },
    ...withholding,
  };
  return services;
}

/** The alerts that rules opened for an event, and the one that it was stored with. */
async function alertsOfEvent(
  { pipeline }: Core,
  alerts: Alerts,
  { projectId, correlationId, rules }: Parameters<ReadEventAlerts>[0],
): Promise<AlertView[]> {
  const opening = rules.filter(({ ruleId }) => pipeline.rules.opensAlerts(ruleId, projectId));
  const keys = opening.map(({ ruleId, key }) => alertKey(ruleId, key));
  if (keys.some((key) => !alerts.byKey(projectId, key))) await alerts.signalled();
  // Producers may choose correlation ids: those of other projects' alerts say nothing here.
  const own = (await alerts.read([correlationId])).filter((alert) => alert.projectId === projectId);
  return [...own, ...keys.flatMap((key) => alerts.byKey(projectId, key) ?? [])];
}

/** Whether a maintenance window withholds the alert now. */
function isInMaintenance(silences: Silences, alert: AlertView, now: number): boolean {
  const silencing = silences.silencing(alert.projectId, alert, now);
  if (silencing.length === 0) return false;
  return silences.live(alert.projectId).some(({ id, row }) => row.kind === "maintenance" && silencing.includes(id));
}

interface IncidentDependencies {
  readonly clock: SteadyClock;
  readonly policies: Policies;
  readonly outside: SafeFetch;
  readonly paging: Paging;
  /** Complete when the first transaction starts. */
  readonly services: () => AlertServices;
}

function openIncidents(
  { database: db, log, metrics, settings, audit }: Base,
  { access, jobs: queues }: Core,
  notify: Notifier,
  { clock, policies, outside, paging, services }: IncidentDependencies,
): Incidents {
  const incidents = new Incidents({
    db,
    clock,
    log: log.namespace("alerts"),
    metrics,
    policies,
    projects: access.projects,
    users: access.users,
    notify,
    audit,
    jobs: queues.jobs,
    runner: queues.runner,
    publicUrl: () => settings.current.publicUrl,
    alerts: () => services().alerts,
    withheldBy: (...parameters) => services().withholding.withheldBy(...parameters),
    recordHits: (...parameters) => services().silences.recordHits(...parameters),
    onCall: (...parameters) => onCall(access.users, ...parameters),
    channels: () => paging.channels,
    pages: paging.pages,
    pagePeople: paging.pagePeople,
    reachable: paging.reachable,
    shortened: new Map(),
    toAdministrators: () => settings.current.escalation.toAdministrators,
    callWebhook: (url, request) =>
      outside.request(url, { method: "POST", keepsAlive: true, ...request }).then(
        ({ status, headers }) => ({ status, retryAfter: headers["retry-after"] }),
        (error: unknown) => {
          throw error instanceof PrismError ? new PermanentError(error.message, { cause: error }) : error;
        },
      ),
  });
  notify.provideIncidents({
    acknowledged: (...given) => incidents.acknowledgeByNotification(...given),
    opened: (...given) => incidents.openedByNotification(...given),
  });
  return incidents;
}

function openWithholding(
  { database: db, reader, clock: wall, log, metrics, audit, settings }: Base,
  { access }: Core,
  notify: Notifier,
  { clock, alerts, incidents, policies }: Pick<AlertServices, "clock" | "alerts" | "incidents" | "policies">,
): Pick<AlertServices, "silences" | "withholding"> {
  const alertsOf = (projectId: string): readonly AlertView[] => alerts.list(projectId);
  const reconsider = (projectId: string, alertIds: readonly string[]): void =>
    incidents.reconsider(projectId, alertIds);
  const silences = new Silences({
    db,
    reader,
    wall,
    clock,
    log: log.namespace("alerts"),
    metrics,
    audit,
    notify,
    directory: access.users,
    projectExists: (id) => access.projects.exists(id),
    limits: () => ({ perProject: settings.limits.silencesPerProject, warnHits: settings.silences.warnHits }),
    alertsOf,
    reconsider,
  });
  const withholding = new Withholding({
    clock,
    routingOf: (projectId) => policies.routingOf(projectId),
    silencing: (projectId, alert, now) => silences.silencing(projectId, alert, now),
    alertsOf,
    reconsider,
  });
  return { silences, withholding };
}

/** What withholds a firing alert now; time intervals only if they mute all its routes. */
export function withheldNow({ withholding, policies, clock }: AlertServices, alert: AlertView): Withheld {
  const { projectId } = alert;
  const now = clock.now();
  const routes = policies.routingOf(projectId).match(alert.labels);
  const all = routes.map(({ settings }) => withholding.withheldBy(alert, { projectId, ...settings }, now));
  const [first = { silencedBy: [], inhibitedBy: [], mutedBy: [] }] = all;
  const isMuted = all.every(({ mutedBy }) => mutedBy.length > 0);
  return { ...first, mutedBy: isMuted ? [...new Set(all.flatMap(({ mutedBy }) => mutedBy))] : [] };
}

/** Builds the memory from the tables, before the server answers. */
export function loadAlerts(
  { alerts, silences, incidents, integrations, receivers, receiverPresets, statusPages, warningNotices }: AlertServices,
  { reader }: Base,
): void {
  integrations.load();
  receivers.load();
  receiverPresets.reload();
  alerts.load();
  silences.load();
  incidents.load(reader);
  warningNotices.load(reader);
  statusPages.load();
}

/** Alerts that a commit has changed. */
export function alertsChanged({ alerts, withholding, statusPages }: AlertServices, rows: readonly AlertRow[]): void {
  alerts.changed(rows);
  for (const row of rows) {
    const alert = row.state === "firing" ? alerts.find(row.id) : null;
    if (alert) withholding.fired(alert);
    else if (row.state === "resolved") withholding.resolved(row);
  }
  statusPages.alertsChanged(rows);
}

/** Silences that a commit has changed. */
export function silencesChanged(
  { silences, statusPages }: AlertServices,
  rows: EffectOf<"silences-changed">["silences"],
): void {
  silences.changed(rows);
  statusPages.silencesChanged(new Set(rows.map(({ projectId }) => projectId)));
}

/** Projects with policies or routing that a commit has changed. */
export function policiesChanged(
  { policies, incidents, warningNotices }: AlertServices,
  pages: PageSender,
  projectIds: readonly string[],
): void {
  policies.changed(projectIds);
  warningNotices.policiesChanged(projectIds);
  for (const projectId of projectIds) {
    incidents.reconsider(projectId);
    pages.retryNow(({ owner }) => owner === `project ${projectId}`);
  }
  incidents.tryUnreached(({ projectId }) => projectIds.includes(projectId));
}

/**
 * What a commit has changed of ways of pages: what waits for them is tried, and incidents that
 * reached no one look again.
 */
export function waysChanged(
  { incidents }: AlertServices,
  pages: PageSender,
  { channelId, userId }: Omit<EffectOf<"ways-changed">, "type">,
): void {
  pages.retryNow(({ key }) => {
    const [kind, first, second] = key.split(" ");
    const isOwn = userId !== undefined && kind !== "channel" && first === userId;
    return isOwn || (channelId !== undefined && (kind === "service" ? second : first) === channelId);
  });
  if (userId !== undefined) incidents.tryUnreached(() => true, userId);
  else if (channelId !== undefined) incidents.tryUnreached((_row, { steps }) => steps.some(isTo(channelId)));
}

function isTo(channelId: string) {
  return (step: PolicyStep): boolean => step.type === "channel" && step.id === channelId;
}

/** A person may be active, or a member, again. */
export function personChanged({ incidents }: AlertServices, { access }: Core, userId: string): void {
  incidents.tryUnreached(({ projectId }) => access.users.reachable([userId], projectId).length > 0);
}

/** Others are on call on a schedule. */
export function onCallChanged({ incidents }: AlertServices, scheduleId: string): void {
  const isOf = (step: PolicyStep): boolean =>
    step.type === "notify" && step.schedules.some(({ id }) => id === scheduleId);
  incidents.tryUnreached((_row, { steps }) => steps.some(isOf));
}

/** Starts what happens by time. */
export function startAlerts(services: AlertServices): void {
  const { alerts, incidents, silences, integrations, statusPages, warningNotices } = services;
  warningNotices.start();
  statusPages.start();
  integrations.start();
  alerts.start();
  silences.start();
  incidents.start();
}

/** Stops it, and stores what only memory has. */
export async function stopAlerts(services: AlertServices): Promise<void> {
  const { alerts, incidents, silences, integrations, statusPages, warningNotices } = services;
  await warningNotices.stop();
  await integrations.stop();
  await incidents.stop();
  await silences.stop();
  await alerts.stop();
  await statusPages.stop();
}
