import { holderOf } from "../../http/access.ts";
import { versioned } from "../../http/route.ts";
import { pageOf } from "../../http/shapes.ts";
import { type FeatureServer, feature } from "../../module/feature.ts";
import type { ProtocolContext } from "./context.ts";
import { Integration } from "./integration.ts";
import * as m from "./manage.ts";
import { opsgenieRoutes } from "./opsgenie.ts";
import { pagerDutyRoutes } from "./pagerduty.ts";
import * as s from "./schema.ts";

const PATH = "/api/v1/integrations";

type IntegrationsOwn = Omit<m.ManageContext, "audit"> & ProtocolContext;

/** Programs that send alerts in PagerDuty's and Opsgenie's protocols, and their keys. */
export const integrationsFeature = feature("integrations", {
  needs: ["projects", "alerts", "integrations", "incidents"],
  effects: ({ integrations }) => ({ "integrations-changed": (change) => integrations.changed(change) }),
  register(server, context) {
    serve(server, context);
    for (const each of [...pagerDutyRoutes(context), ...opsgenieRoutes(context)]) server.route(each);
  },
});

function serve(server: FeatureServer, context: IntegrationsOwn & m.ManageContext): void {
  const tag = "Integrations";
  const read = { tag, access: { permission: "events:read", within: "project" } } as const;
  const write = { tag, access: { permission: "policies:write", within: "project" } } as const;
  const one = { path: `${PATH}/:id`, params: s.IntegrationParams };

  server.route({
    ...read,
    method: "GET",
    path: PATH,
    id: "listIntegrations",
    summary: "List the integrations of a project by name",
    query: s.ListIntegrations,
    response: pageOf(Integration.View),
    errors: ["PROJECT_NOT_FOUND", "INVALID_CURSOR"],
    handle: (exchange, { query }) => m.listIntegrations(context, holderOf(exchange), query),
  });
  server.route({
    ...write,
    method: "POST",
    path: PATH,
    id: "createIntegration",
    summary: "Create an integration; the answer has its key",
    body: s.CreateIntegration,
    status: 201,
    response: s.IssuedIntegration,
    errors: ["PROJECT_NOT_FOUND", "NAME_TAKEN", "LIMIT_REACHED"],
    async handle(exchange, { body }) {
      const integration = await m.createIntegration(context, holderOf(exchange), body);
      return versioned(integration.version, integration, { status: 201 });
    },
  });
  server.route({
    ...read,
    ...one,
    method: "GET",
    id: "getIntegration",
    summary: "Get an integration",
    response: Integration.View,
    errors: ["INTEGRATION_NOT_FOUND"],
    async handle(exchange, { params }) {
      const integration = await m.getIntegration(context, holderOf(exchange), params.id);
      return versioned(integration.version, integration, { state: integration.lastUsedAt ?? "" });
    },
  });
  server.route({
    ...write,
    ...one,
    method: "PATCH",
    id: "updateIntegration",
    summary: "Change name or labels; absent members keep their values",
    details: "Labels count for alerts that fire from now on.",
    body: s.UpdateIntegration,
    response: Integration.View,
    errors: ["INTEGRATION_NOT_FOUND", "NAME_TAKEN", "VERSION_CONFLICT"],
    async handle(exchange, { params, body }) {
      const ifMatch = exchange.header("if-match");
      const integration = await m.updateIntegration(context, holderOf(exchange), params.id, ifMatch, body);
      return versioned(integration.version, integration);
    },
  });
  server.route({
    ...write,
    ...one,
    path: `${PATH}/:id/rotate`,
    method: "POST",
    id: "rotateIntegration",
    summary: "Replace the key; the old one works until the grace period ends",
    body: s.RotateIntegration,
    status: 201,
    response: s.IssuedIntegration,
    errors: ["INTEGRATION_NOT_FOUND"],
    handle: (exchange, { params, body }) =>
      m.rotateIntegration(context, holderOf(exchange), params.id, body.graceMs ?? 0),
  });
  server.route({
    ...write,
    ...one,
    method: "DELETE",
    id: "deleteIntegration",
    summary: "Delete an integration; its alerts stay, the next request with its key is refused",
    errors: ["INTEGRATION_NOT_FOUND"],
    handle: (exchange, { params }) => m.deleteIntegration(context, holderOf(exchange), params.id),
  });
}
