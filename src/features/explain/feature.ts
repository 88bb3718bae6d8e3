import type { PermissionHolder } from "../../core/caller.ts";
import { holderOf } from "../../http/server/access.ts";
import { type FeatureServer, feature, type Uses } from "../../module/feature.ts";
import * as a from "./alert-schema.ts";
import * as s from "./schema.ts";
import type { ExplainOwn } from "./service.ts";

const events = () => import("./service.ts");
const alerts = () => import("./alert-service.ts");
const policies = () => import("./policy-service.ts");

const shared = {
  method: "GET",
  tag: "Explain",
  access: { tokenScopes: ["notifications:own", "notifications:read_all"] },
  params: s.Params,
  query: s.Query,
  response: s.ExplainView,
} as const;

declare module "../../module/feature.ts" {
  interface Offers {
    /** Why people were notified of an incident, in sentences. @throws INCIDENT_NOT_FOUND */
    readonly explainIncident: (caller: PermissionHolder, id: string) => Promise<a.AlertExplanation>;
  }
}

/** Why a user was notified, or was not. */
export const explainFeature = feature("explain", {
  needs: [
    "projects",
    "users",
    "steadyClock",
    "alerts",
    "policies",
    "withholding",
    "incidents",
    "reachable",
    "waysOf",
    "originOfChannel",
  ],
  open: (context) => ({
    explainIncident: async (caller, id) => (await alerts()).explainIncident(ownOf(context), caller, id),
  }),
  register: (server, context) => serve(server, ownOf(context)),
});

function ownOf(context: Omit<ExplainOwn, "alerting"> & Omit<ExplainOwn["alerting"], "clock"> & Uses<"steadyClock">) {
  return { ...context, alerting: { ...context, clock: context.steadyClock } };
}

function serve(server: FeatureServer, context: ExplainOwn): void {
  server.route({
    ...shared,
    path: "/api/v1/explain/event/:id",
    id: "explainEvent",
    summary: "Explain an event: rules, notifications, recipients, channels; recipients see their own part",
    errors: ["EVENT_NOT_FOUND", "USER_NOT_FOUND"],
    handle: async (exchange, { params, query }) =>
      (await events()).explainEvent(context, holderOf(exchange), params.id, query.userId),
  });
  server.route({
    ...shared,
    path: "/api/v1/explain/notification/:id",
    id: "explainNotification",
    summary: "Explain a notification: its cause and its deliveries; recipients see their own part",
    errors: ["NOTIFICATION_NOT_FOUND", "USER_NOT_FOUND"],
    handle: async (exchange, { params, query }) =>
      (await events()).explainNotification(context, holderOf(exchange), params.id, query.userId),
  });
  serveAlerts(server, context);
}

const ofProject = { tag: "Explain", access: { permission: "events:read", within: "project" } } as const;

function serveAlerts(server: FeatureServer, context: ExplainOwn): void {
  server.route({
    ...ofProject,
    method: "GET",
    path: "/api/v1/explain/incident/:id",
    id: "explainIncident",
    summary: "Explain an incident: why people were notified or not, and the next steps",
    params: a.IncidentParams,
    query: s.Query,
    response: a.AlertExplanation,
    errors: ["INCIDENT_NOT_FOUND", "USER_NOT_FOUND"],
    handle: async (exchange, { params, query }) =>
      (await alerts()).explainIncident(context, holderOf(exchange), params.id, query.userId),
  });
  server.route({
    ...ofProject,
    method: "GET",
    path: "/api/v1/explain/alert/:id",
    id: "explainAlert",
    summary: "Explain an alert: what opened it, its incidents, and what silenced, inhibited or muted it",
    params: a.AlertParams,
    response: a.AlertExplanation,
    errors: ["ALERT_NOT_FOUND"],
    handle: async (exchange, { params }) => (await alerts()).explainAlert(context, holderOf(exchange), params.id),
  });
  server.route({
    ...ofProject,
    method: "POST",
    path: "/api/v1/explain/alert",
    id: "explainLabels",
    summary: "Explain what would happen to an alert with these labels, now or at a time; nothing is stored",
    body: a.TrialBody,
    response: a.AlertTrial,
    errors: ["PROJECT_NOT_FOUND"],
    handle: async (exchange, { body }) => (await alerts()).explainLabels(context, holderOf(exchange), body),
  });
  server.route({
    ...ofProject,
    method: "POST",
    path: "/api/v1/explain/policy",
    id: "explainPolicy",
    summary: "Explain whom a policy would notify and when, now or at a time, as it is or with changes",
    details: "Nothing is stored or sent. Without a route: no first wait, and nothing is silenced, inhibited or muted.",
    body: a.PolicyTrialBody,
    response: a.PolicyTrial,
    errors: ["PROJECT_NOT_FOUND", "POLICY_NOT_FOUND", "RECIPIENT_NOT_FOUND", "ROLE_NOT_FOUND"],
    handle: async (exchange, { body }) => (await policies()).explainPolicy(context, holderOf(exchange), body),
  });
}
