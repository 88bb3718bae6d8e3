import * as v from "valibot";
import { IDEMPOTENCY_ERRORS, type Idempotency } from "../../../http/api/idempotency.ts";
import { withVersion } from "../../../http/api/route.ts";
import { doc, object, pageOf } from "../../../http/api/shapes.ts";
import { holderOf } from "../../../http/server/access.ts";
import { type FeatureServer, feature } from "../../../module/feature.ts";
import type { Trx } from "../../../store/database.ts";
import { ImportAlerting, type ImportContext, ImportedAlerting, importAlerting } from "./import.ts";
import * as r from "./routing-service.ts";
import * as s from "./service.ts";

const PATH = "/api/v1/policies";
const ROUTES = "/api/v1/routes";
const ProjectQuery = object({ projectId: s.projectId });
const WarningsQuery = object({
  projectId: s.projectId,
  scope: v.optional(doc(v.picklist(["own", "all"]), "`all`: of all projects; needs `projects:all`; default `own`")),
});

interface PoliciesOwn extends Omit<ImportContext, "audit"> {
  readonly idempotency: Idempotency;
}

/** Policies, and the routes that lead alerts to them. */
export const policiesFeature = feature("policies", {
  needs: ["projects", "users", "policies", "requireUrl", "pagingWarnings", "channelsOfImport"],
  register(server, given) {
    const { pagingWarnings: warnings, channelsOfImport: channels } = given;
    const context = { ...given, warnings, channels, originOf: channels.originOf };
    servePolicies(server, context, context);
    serveRouting(server, context);
  },
});

const read = { permission: "events:read", within: "project" } as const;
const write = { permission: "policies:write", within: "project" } as const;

function servePolicies(server: FeatureServer, context: s.PolicyContext, { idempotency }: PoliciesOwn): void {
  const tag = "Incidents";
  const one = { tag, path: `${PATH}/:id`, params: s.PolicyParams };
  const invalid = ["RECIPIENT_NOT_FOUND", "ROLE_NOT_FOUND", "NAME_TAKEN", "URL_REFUSED"] as const;

  server.route({
    method: "GET",
    path: PATH,
    id: "listPolicies",
    summary: "List the policies of a project by name",
    returns: "All policies, the built-in one included",
    tag,
    access: read,
    query: ProjectQuery,
    response: v.object({ data: v.array(s.PolicyView) }),
    errors: ["PROJECT_NOT_FOUND"],
    handle: (exchange, { query }) => s.listPolicies(context, holderOf(exchange), query.projectId),
  });
  server.route({
    method: "POST",
    path: PATH,
    id: "createPolicy",
    summary: "Create a policy",
    tag,
    access: write,
    body: s.CreatePolicy,
    status: 201,
    response: s.ChangedPolicy,
    errors: ["PROJECT_NOT_FOUND", "LIMIT_REACHED", ...invalid, ...IDEMPOTENCY_ERRORS],
    async handle(exchange, { body }) {
      const principal = holderOf(exchange);
      context.projects.require(principal, body.projectId ?? context.projects.defaultId, "policies:write");
      await s.requireUrls(context, body.steps);
      const create = async (trx: Trx) => {
        const policy = await s.createPolicy(context, principal, body, trx);
        return withVersion(policy, { status: 201 });
      };
      return idempotency.run(exchange, principal, body, create, {});
    },
  });
  server.route({
    method: "GET",
    path: `${PATH}/warnings`,
    id: "listPolicyWarnings",
    summary: "List what would keep pages of a project from arriving",
    details:
      "Policies without steps, channels that were never tested, people on call without a way, gaps of schedules.",
    tag,
    access: read,
    query: WarningsQuery,
    response: s.PolicyWarnings,
    errors: ["PROJECT_NOT_FOUND"],
    handle: (exchange, { query }) => s.listPolicyWarnings(context, holderOf(exchange), query),
  });
  server.route({
    ...one,
    method: "GET",
    id: "getPolicy",
    summary: "Get a policy",
    access: read,
    response: s.PolicyView,
    errors: ["POLICY_NOT_FOUND"],
    handle: async (exchange, { params }) => withVersion(await s.getPolicy(context, holderOf(exchange), params.id)),
  });
  for (const method of ["PUT", "PATCH"] as const) {
    server.route({
      ...one,
      method,
      id: method === "PUT" ? "updatePolicy" : "patchPolicy",
      summary: "Update a policy; absent members keep their values",
      details: "Incidents that are open keep the version with which they started.",
      access: write,
      body: s.UpdatePolicy,
      response: s.ChangedPolicy,
      errors: ["POLICY_NOT_FOUND", "VERSION_CONFLICT", "INVALID_STATE", ...invalid],
      handle: async (exchange, { params, body }) =>
        withVersion(await s.updatePolicy(context, holderOf(exchange), params.id, exchange.header("if-match"), body)),
    });
  }
  server.route({
    ...one,
    method: "DELETE",
    id: "deletePolicy",
    summary: "Delete a policy that no route names; its open incidents continue",
    access: write,
    errors: ["POLICY_NOT_FOUND", "INVALID_STATE"],
    handle: (exchange, { params }) => s.deletePolicy(context, holderOf(exchange), params.id),
  });
  server.route({
    ...one,
    method: "GET",
    path: `${PATH}/:id/versions`,
    id: "listPolicyVersions",
    summary: "List the versions of a policy, newest first",
    access: read,
    query: s.VersionsQuery,
    response: () => pageOf(s.PolicyVersion.View),
    errors: ["POLICY_NOT_FOUND", "INVALID_CURSOR"],
    handle: (exchange, { params, query }) => s.listPolicyVersions(context, holderOf(exchange), params.id, query),
  });
}

function serveRouting(server: FeatureServer, context: ImportContext): void {
  const tag = "Incidents";
  server.route({
    method: "GET",
    path: ROUTES,
    id: "getRouting",
    summary: "Get the routing document of a project",
    tag,
    access: read,
    query: ProjectQuery,
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
    query: ProjectQuery,
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
    method: "POST",
    path: `${ROUTES}/import`,
    id: "importAlerting",
    summary: "Store channels, policies and routes of a project together: all or none",
    details: "Channels and policies are found again by their names. Channels need `channels:write` too.",
    tag,
    access: write,
    query: ProjectQuery,
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
    query: ProjectQuery,
    body: r.TestRoutes,
    response: r.TestedRoutes,
    errors: ["PROJECT_NOT_FOUND"],
    handle: (exchange, { query, body }) => r.testRoutes(context, holderOf(exchange), query.projectId, body),
  });
}
