import { callerOf, holderOf } from "../../../http/access.ts";
import { pageOf } from "../../../http/shapes.ts";
import { type FeatureServer, feature } from "../../../module/feature.ts";
import * as s from "./schema.ts";
import type { AlertsContext } from "./service.ts";
import * as service from "./service.ts";

const PATH = "/api/v1/alerts";
const tag = "Alerts";

/** What fires, and what has fired. */
export const alertsFeature = feature("alerts", {
  needs: ["projects", "alerts", "withheldBy"],
  register: serve,
});

function serve(server: FeatureServer, context: AlertsContext): void {
  const read = { permission: "events:read", within: "project", keyScope: "events:read" } as const;

  server.route({
    method: "GET",
    path: PATH,
    id: "listAlerts",
    summary: "List alerts of a project, latest first; by default those that fire",
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
      "alerts of a request are taken even if others are refused.",
    tag,
    access: { permission: "events:write", within: "project", keyScope: "events:write" },
    body: s.PostAlerts,
    response: s.PostedAlerts,
    errors: ["PROJECT_NOT_FOUND", "STORAGE_FULL", "STORAGE_LIMIT_REACHED"],
    handle: (exchange, { body }) => service.postAlerts(context, callerOf(exchange), body),
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
