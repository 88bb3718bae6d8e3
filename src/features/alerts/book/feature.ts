import { pageOf } from "../../../http/api/shapes.ts";
import { callerOf, holderOf } from "../../../http/server/access.ts";
import { type FeatureServer, feature } from "../../../module/feature.ts";
import { alertFindings } from "../findings.ts";
import { alertsChanged, openAlerts, policiesChanged, waysChanged } from "../open.ts";
import { alertSweep, incidentSweep } from "../retention.ts";
import { AlertStats, AlertStatsQuery, alertStats } from "./alert-stats.ts";
import * as s from "./schema.ts";
import type { AlertsContext } from "./service.ts";
import * as service from "./service.ts";

const PATH = "/api/v1/alerts";
const tag = "Alerts";

/** Firing and resolved alerts. */
export const alertsFeature = feature("alerts", {
  needs: [
    "projects",
    "users",
    "jobs",
    "runner",
    "notify",
    "rules",
    "pages",
    "pagePeople",
    "reachable",
    "serviceChannels",
    "outside",
    "onCall",
    "gapsOf",
    "namedOnCall",
  ],
  open: openAlerts,
  findings: alertFindings,
  effects: (context) => {
    const { alerts, incidents, silences, users } = context;
    return {
      "alerts-changed": ({ alerts: rows = [] }) => alertsChanged(context, rows),
      "silences-changed": ({ silences: rows }) => silences.changed(rows),
      "incidents-changed": (effect) => incidents.changed(effect),
      "policies-changed": ({ projectIds }) => policiesChanged(context, projectIds),
      "rights-changed"(change) {
        if (change.of === "project") alerts.projectChanged(change.projectId);
        if (change.of !== "user") return;
        waysChanged(context, { userId: change.userId });
        // A person may be active, or a member, again.
        incidents.tryUnreached(({ projectId }) => users.reachable([change.userId], projectId).length > 0);
      },
      "rules-changed": ({ ruleIds }) => alerts.rulesChanged(ruleIds),
      "ways-changed": (change) => waysChanged(context, change),
    };
  },
  load({ alerts, silences, incidents, reader }) {
    alerts.load();
    silences.load();
    incidents.load(reader);
  },
  dueWork: ({ alerts, silences, incidents, warningNotices }) => [
    alerts.due,
    silences.borders,
    incidents.due,
    warningNotices.due,
  ],
  register: serve,
  start({ alerts, incidents }) {
    alerts.start();
    incidents.start();
  },
  async close({ alerts, silences, incidents, readsOnly }) {
    if (readsOnly) return;
    await incidents.stop();
    await silences.idle();
    await alerts.stop();
  },
  /** Incidents first: alerts stay as long as their incident. */
  sweeps: ({ settings }) => [
    incidentSweep(() => settings.retention.alertDays),
    alertSweep(() => settings.retention.alertDays),
  ],
});

function serve(server: FeatureServer, context: AlertsContext): void {
  const read = { permission: "events:read", within: "project", keyScope: "events:read" } as const;

  server.route({
    method: "GET",
    path: PATH,
    id: "listAlerts",
    summary: "List alerts of a project, latest first; by default firing ones",
    tag,
    access: read,
    query: s.ListAlerts,
    response: pageOf(s.AlertShape),
    errors: ["PROJECT_NOT_FOUND", "INVALID_CURSOR"],
    handle: (exchange, { query }) => service.listAlerts(context, callerOf(exchange), query),
  });
  server.route({
    method: "POST",
    path: PATH,
    id: "postAlerts",
    summary: "Fire and resolve alerts; answered once every change of state is on disk",
    details:
      "An alert that fires already is repeated: this moves its time-out and annotations and is no event. Valid " +
      "alerts of a request are stored even if others are refused.",
    tag,
    access: { permission: "events:write", within: "project", keyScope: "events:write" },
    body: s.PostAlerts,
    response: s.PostedAlerts,
    errors: ["PROJECT_NOT_FOUND", "STORAGE_FULL", "STORAGE_LIMIT_REACHED"],
    handle: (exchange, { body }) => service.postAlerts(context, callerOf(exchange), body),
  });
  server.route({
    method: "GET",
    path: `${PATH}/stats`,
    id: "getAlertStats",
    summary: "Count alerts over time by severity and by name",
    details: "At most 200 buckets. The segment `stats` takes precedence over the id of an alert.",
    tag,
    access: read,
    query: AlertStatsQuery,
    response: AlertStats,
    errors: ["PROJECT_NOT_FOUND"],
    handle: (exchange, { query }) => alertStats(context, callerOf(exchange), query),
  });
  server.route({
    method: "GET",
    path: `${PATH}/:id`,
    id: "getAlert",
    summary: "Get an alert with its incidents",
    tag,
    access: read,
    params: s.AlertParams,
    response: s.AlertDetails,
    errors: ["ALERT_NOT_FOUND"],
    handle: (exchange, { params }) => service.getAlert(context, callerOf(exchange), params.id),
  });
  server.route({
    method: "POST",
    path: `${PATH}/:id/resolve`,
    id: "resolveAlert",
    summary: "Resolve an alert of the native API, a rule, PagerDuty or Opsgenie",
    tag,
    access: { permission: "incidents:act", within: "project" },
    params: s.AlertParams,
    response: s.AlertShape,
    errors: ["ALERT_NOT_FOUND", "INVALID_STATE"],
    handle: (exchange, { params }) => service.resolveAlert(context, holderOf(exchange), params.id),
  });
}
