import { PrismError } from "../../core/errors.ts";
import { SteadyClock } from "../../core/time/due-times.ts";
import type { Context } from "../../module/feature.ts";
import type { EffectOf } from "../../store/effect.ts";
import type { ReadEventAlerts } from "../delivery/index.ts";
import { alertKey } from "../rules/index.ts";
import { PermanentError } from "../time/jobs/index.ts";
import { Alerts } from "./book/alerts.ts";
import { Incidents } from "./incidents/engine.ts";
import { peopleOf } from "./incidents/forecast.ts";
import { Policies, policiesWithChannel, policiesWithSchedule } from "./policies/policies.ts";
import type { PolicyStep } from "./policies/policy.ts";
import { Silences } from "./silences/silences.ts";
import { type Withheld, Withholding } from "./silences/withholding.ts";
import type { AlertRow, AlertView } from "./types.ts";
import { PagingWarningNotices } from "./ways/warning-notices.ts";
import type { WarningParts } from "./ways/warnings.ts";

/** Alerts and what is made of them. */
interface AlertOffers {
  /** The clock of alerts, incidents and silences. */
  readonly steadyClock: SteadyClock;
  readonly alerts: Alerts;
  readonly incidents: Incidents;
  readonly policies: Policies;
  readonly silences: Silences;
  /** Why an alert is not sent now: silences, inhibition, time intervals. */
  readonly withholding: Withholding;
  /** The silences, inhibiting alerts and time intervals that apply to a firing alert now; intervals only if they mute all its routes. */
  readonly withheldBy: (alert: AlertView) => Withheld;
  /** Problems that would keep pages from arriving. */
  readonly pagingWarnings: WarningParts;
  readonly warningNotices: PagingWarningNotices;
  /** Checks whether requests to a URL are permitted. @throws URL_REFUSED */
  readonly requireUrl: (url: string) => Promise<void>;
  readonly policiesWithSchedule: typeof policiesWithSchedule;
  readonly policiesWithChannel: typeof policiesWithChannel;
  /** Outcome of incidents for the alerts of an event. */
  readonly eventAlerts: ReadEventAlerts;
}
declare module "../../module/feature.ts" {
  interface Offers extends AlertOffers {}
}

type AlertsContext = Context<
  | "projects"
  | "users"
  | "jobs"
  | "runner"
  | "notify"
  | "rules"
  | "pages"
  | "pagePeople"
  | "reachable"
  | "serviceChannels"
  | "outside"
  | "onCall"
  | "gapsOf"
  | "namedOnCall"
>;

export function openAlerts(context: AlertsContext): AlertOffers {
  const { db, clock: wall, settings, work, projects, users, rules, onCall, gapsOf, namedOnCall, reachable } = context;
  const log = context.log.namespace("alerts");
  const steadyClock = new SteadyClock(wall);
  const policies = new Policies(context.reader);
  const outside = context.outside();
  // Shifts follow the wall clock.
  const onCallNow: typeof onCall = (from, id, at) => onCall(from, id, steadyClock.toWall(at));
  const own = { ...context, log, wall, clock: steadyClock, policies, onCall: onCallNow };
  const projectExists = (id: string): boolean => projects.exists(id);
  const incidents = new Incidents({
    ...own,
    publicUrl: () => settings.current.publicUrl,
    alerts: () => alerts,
    withheldBy: (...parameters) => withholding.withheldBy(...parameters),
    unmutedAt: (...parameters) => withholding.unmutedAt(...parameters),
    recordHits: (...parameters) => silences.recordHits(...parameters),
    channels: () => context.serviceChannels.incidents,
    toAdministrators: () => settings.current.escalation.toAdministrators,
    callWebhook: (url, request) =>
      outside.request(url, { method: "POST", keepsAlive: true, ...request }).then(
        ({ status, headers }) => ({ status, retryAfter: headers["retry-after"] }),
        (error: unknown) => {
          throw error instanceof PrismError ? new PermanentError(error.message, { cause: error }) : error;
        },
      ),
  });
  const alerts = new Alerts({
    ...own,
    turns: work.turns,
    joinIncidents: incidents.join,
    maxAlerts: () => settings.limits.alertsPerProject,
    storage: projects.storage,
    projectExists,
    ruleOpensAlerts: (ruleId, projectId) => rules.opensAlerts(ruleId, projectId),
  });
  const ofProject = {
    alertsOf: (projectId: string): readonly AlertView[] => alerts.list(projectId),
    reconsider: (projectId: string, alertIds: readonly string[]): void => incidents.reconsider(projectId, alertIds),
  };
  const silences = new Silences({
    ...{ ...own, ...ofProject, projectExists, directory: users },
    limits: () => ({ perProject: settings.limits.silencesPerProject, warnHits: settings.silences.warnHits }),
  });
  const withholding = new Withholding({
    ...{ clock: steadyClock, ...ofProject },
    routingOf: (projectId) => policies.routingOf(projectId),
    silencing: (projectId, alert, now) => silences.silencing(projectId, alert, now),
  });
  const pagingWarnings: WarningParts = { ...own, clock: wall, onCall, gapsOf, namedOnCall };
  const forecast = {
    ...{ db: db.scan, clock: steadyClock, alerts, policies, pages: incidents, users, projects, reachable },
    onCall: onCallNow,
    withheldBy: (...parameters: Parameters<Withholding["withheldBy"]>) => withholding.withheldBy(...parameters),
  };
  return {
    ...{ steadyClock, alerts, incidents, policies, silences, withholding, pagingWarnings },
    ...{ policiesWithSchedule, policiesWithChannel },
    withheldBy: (alert) => withheldNow({ withholding, policies, steadyClock }, alert),
    warningNotices: new PagingWarningNotices({ ...own, warnings: pagingWarnings }),
    requireUrl: (url) => outside.check(url),
    async eventAlerts(event) {
      const found = await alertsOfEvent(context, alerts, event);
      return found.length === 0 ? null : peopleOf(forecast, found);
    },
  };
}

/** The alerts that rules opened for an event, and the one that it was stored with. */
async function alertsOfEvent(
  { rules: book }: AlertsContext,
  alerts: Alerts,
  { projectId, correlationId, rules }: Parameters<ReadEventAlerts>[0],
): Promise<AlertView[]> {
  const opening = rules.filter(({ ruleId }) => book.opensAlerts(ruleId, projectId));
  const keys = opening.map(({ ruleId, key }) => alertKey(ruleId, key));
  if (keys.some((key) => !alerts.byKey(projectId, key))) await alerts.signalled();
  // Producers may choose correlation ids: those of other projects' alerts say nothing here.
  const own = (await alerts.read([correlationId])).filter((alert) => alert.projectId === projectId);
  return [...own, ...keys.flatMap((key) => alerts.byKey(projectId, key) ?? [])];
}

function withheldNow(
  { withholding, policies, steadyClock }: Pick<AlertOffers, "withholding" | "policies" | "steadyClock">,
  alert: AlertView,
): Withheld {
  const { projectId } = alert;
  const now = steadyClock.now();
  const routes = policies.routingOf(projectId).match(alert.labels);
  const all = routes.map(({ settings }) => withholding.withheldBy(alert, { projectId, ...settings }, now));
  const [first = { silencedBy: [], inhibitedBy: [], mutedBy: [] }] = all;
  const isMuted = all.every(({ mutedBy }) => mutedBy.length > 0);
  return { ...first, mutedBy: isMuted ? [...new Set(all.flatMap(({ mutedBy }) => mutedBy))] : [] };
}

/** Alerts that a commit has changed. */
export function alertsChanged({ alerts, withholding }: AlertOffers, rows: readonly AlertRow[]): void {
  alerts.changed(rows);
  for (const row of rows) {
    const alert = row.state === "firing" ? alerts.find(row.id) : null;
    if (alert) withholding.fired(alert);
    else if (row.state === "resolved") withholding.resolved(row);
  }
}

/** Projects with policies or routing that a commit has changed. */
export function policiesChanged(
  { policies, incidents, warningNotices, pages }: AlertOffers & Pick<AlertsContext, "pages">,
  projectIds: readonly string[],
): void {
  policies.changed(projectIds);
  warningNotices.policiesChanged(projectIds);
  for (const projectId of projectIds) {
    incidents.reconsider(projectId);
    incidents.reroute(projectId);
    pages.retryNow(({ owner }) => owner === `project ${projectId}`);
  }
  incidents.tryUnreached(({ projectId }) => projectIds.includes(projectId));
}

/**
 * What a commit has changed of ways of pages: what waits for them is tried, and incidents that
 * reached no one look again.
 */
export function waysChanged(
  { incidents, pages }: Pick<AlertOffers & AlertsContext, "incidents" | "pages">,
  { channelId, userId }: Omit<EffectOf<"ways-changed">, "type">,
): void {
  pages.retryNow(({ key }) => {
    const [kind, first, second] = key.split(" ");
    const isOwn = userId !== undefined && kind !== "channel" && first === userId;
    return isOwn || (channelId !== undefined && (kind === "service" ? second : first) === channelId);
  });
  const isToChannel = (step: PolicyStep): boolean => step.type === "channel" && step.id === channelId;
  if (userId !== undefined) incidents.tryUnreached(() => true, userId);
  else if (channelId !== undefined) incidents.tryUnreached((_row, { steps }) => steps.some(isToChannel));
}
