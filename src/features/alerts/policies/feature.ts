import { Slots } from "../../../core/limits/slots.ts";
import { withVersion } from "../../../http/api/route.ts";
import { pageOf } from "../../../http/api/shapes.ts";
import { holderOf } from "../../../http/server/access.ts";
import { type FeatureServer, feature, type Uses } from "../../../module/feature.ts";
import { ImportAlerting, type ImportContext, ImportedAlerting, importAlerting } from "./import.ts";
import { managedPolicies, policyAccess } from "./manage.ts";
import * as r from "./routing-service.ts";
import * as s from "./service.ts";
import { RouteTraffic } from "./traffic-view.ts";

const ROUTES = "/api/v1/routes";

/** Policies, and the routes that lead alerts to them. */
export const policiesFeature = feature("policies", {
  needs: [
    "projects",
    "users",
    "policies",
    "requireUrl",
    "pagingWarnings",
    "originOfChannel",
    "configKinds",
    "onCall",
    "gapsOf",
  ],
  register(server, given) {
    const context = contextOf(given);
    servePolicies(server, context);
    serveRouting(server, context);
  },
  async configKinds(given) {
    const { policiesKind, routesKind } = await import("./config-kind.ts");
    const { projects, users, onCall, gapsOf } = given;
    // What would reach no one is asked of what the same apply makes, too.
    const warnings = { ...given.pagingWarnings, projects, users, onCall, gapsOf };
    const context = { ...contextOf(given), warnings };
    return [policiesKind(context), routesKind(context)];
  },
});

function contextOf<G extends Uses<"pagingWarnings" | "originOfChannel">>(given: G) {
  const { pagingWarnings: warnings, originOfChannel: originOf } = given;
  return { ...given, warnings, originOf };
}

const read = { permission: "events:read", within: "project" } as const;
const write = { permission: "policies:write", within: "project" } as const;

function servePolicies(server: FeatureServer, context: s.PolicyContext): void {
  for (const each of managedPolicies.routes(context)) server.route(each);
  server.route({
    method: "GET",
    path: `${s.PATH}/warnings`,
    id: "listPolicyWarnings",
    summary: "List what would keep pages of a project from arriving",
    details:
      "Policies without steps, channels that were never tested, people on call without a way, gaps of schedules.",
    tag: s.TAG,
    access: read,
    query: s.WarningsQuery,
    response: s.PolicyWarnings,
    errors: ["PROJECT_NOT_FOUND"],
    handle: (exchange, { query }) => s.listPolicyWarnings(context, holderOf(exchange), query),
  });
  server.route({
    tag: s.TAG,
    params: s.PolicyParams,
    method: "GET",
    path: `${s.PATH}/:id/versions`,
    id: "listPolicyVersions",
    summary: "List the versions of a policy, newest first",
    access: read,
    query: s.VersionsQuery,
    response: () => pageOf(s.PolicyVersion.View),
    errors: ["POLICY_NOT_FOUND", "INVALID_CURSOR"],
    async handle(exchange, { params, query }) {
      const caller = holderOf(exchange);
      const row = await policyAccess.visible(context.projects, caller, params.id, context.db.read);
      return s.listPolicyVersions(context, caller, row, query);
    },
  });
}

function serveRouting(server: FeatureServer, context: ImportContext): void {
  const tag = s.TAG;
  const counting = new Slots({ total: 4, perOwner: 2, what: "counts of routes" });
  server.route({
    method: "GET",
    path: ROUTES,
    id: "getRouting",
    summary: "Get the routing document of a project",
    tag,
    access: read,
    query: s.ProjectQuery,
    response: r.RoutingView,
    errors: ["PROJECT_NOT_FOUND"],
    handle: async (exchange, { query }) =>
      withVersion(await r.getRouting(context, holderOf(exchange), query.projectId)),
  });
  server.route({
    method: "PUT",
    path: ROUTES,
    id: "putRouting",
    summary: "Replace the routing document of a project",
    details: "Open incidents keep the settings of their route; silences, inhibition and intervals apply at once.",
    tag,
    access: write,
    query: s.ProjectQuery,
    body: r.PutRouting,
    response: r.RoutingView,
    errors: ["PROJECT_NOT_FOUND", "VERSION_CONFLICT"],
    handle: async (exchange, { query, body }) =>
      withVersion(await r.putRouting(context, holderOf(exchange), query.projectId, exchange.header("if-match"), body)),
  });
  server.route({
    method: "GET",
    path: `${ROUTES}/versions`,
    id: "listRoutingVersions",
    summary: "List the versions of a project's routing document, newest first",
    tag,
    access: read,
    query: r.RoutingVersionsQuery,
    response: () => pageOf(r.RoutingVersion.View),
    errors: ["PROJECT_NOT_FOUND", "INVALID_CURSOR"],
    handle: (exchange, { query }) => r.listRoutingVersions(context, holderOf(exchange), query),
  });
  server.route({
    method: "GET",
    path: `${ROUTES}/traffic`,
    id: "getRouteTraffic",
    summary: "Count what each route of a project matched in seven days",
    details: "Alerts that fired in these days run through the routes of now. Nothing is counted as alerts arrive.",
    tag,
    access: read,
    query: s.ProjectQuery,
    response: RouteTraffic,
    errors: ["PROJECT_NOT_FOUND", "RATE_LIMITED", "OVERLOADED"],
    handle(exchange, { query }) {
      const caller = holderOf(exchange);
      return counting.run(caller.key, async () =>
        (await import("./traffic.ts")).routeTraffic(context, caller, query.projectId),
      );
    },
  });
  server.route({
    method: "POST",
    path: `${ROUTES}/import`,
    id: "importAlerting",
    summary: "Store channels, policies and routes of a project together: all or none",
    details: "Channels and policies are found again by their names. Channels need `channels:write` too.",
    tag,
    access: write,
    query: s.ProjectQuery,
    body: ImportAlerting,
    response: ImportedAlerting,
    errors: ["PROJECT_NOT_FOUND", "INVALID_STATE", "LIMIT_REACHED"],
    handle: (exchange, { query, body }) => importAlerting(context, holderOf(exchange), query.projectId, body),
  });
  server.route({
    method: "POST",
    path: `${ROUTES}/test`,
    id: "testRoutes",
    summary: "Show which routes and policies an alert would match; nothing is stored",
    tag,
    access: read,
    query: s.ProjectQuery,
    body: r.TestRoutes,
    response: r.TestedRoutes,
    errors: ["PROJECT_NOT_FOUND"],
    handle: (exchange, { query, body }) => r.testRoutes(context, holderOf(exchange), query.projectId, body),
  });
}
