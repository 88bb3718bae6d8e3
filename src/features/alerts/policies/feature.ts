import * as v from "valibot";
import { holderOf } from "../../../http/access.ts";
import { IDEMPOTENCY_ERRORS, type Idempotency } from "../../../http/idempotency.ts";
import { pageEntries, readPage } from "../../../http/pagination.ts";
import { versioned } from "../../../http/route.ts";
import { doc, object, pageOf } from "../../../http/shapes.ts";
import { type FeatureServer, feature } from "../../../module/feature.ts";
import type { Trx } from "../../../store/database.ts";
import { ImportAlerting, type ImportContext, ImportedAlerting, importAlerting } from "./import.ts";
import * as r from "./routing-service.ts";
import * as s from "./service.ts";

const PATH = "/api/v1/policies";
const ROUTES = "/api/v1/routes";
const projectId = v.optional(
  doc(v.pipe(v.string(), v.maxLength(64)), "Id or slug of a project; default: the default project"),
);
const ProjectQuery = object({ projectId });
const WarningsQuery = object({
  projectId,
  scope: v.optional(
    doc(v.picklist(["own", "all"]), "`all`: those of all projects; needs `projects:all`; default `own`"),
  ),
});
const paging = { limit: pageEntries().limit, cursor: pageEntries().cursor };
const VersionsQuery = object(paging);
const RoutingVersionsQuery = object({ projectId, ...paging });

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

function servePolicies(server: FeatureServer, context: s.PolicyContext, { db, idempotency }: PoliciesOwn): void {
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
        return versioned(policy.version, policy, { status: 201 });
      };
      return idempotency.run(exchange, principal, body, db, create, {});
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
    async handle(exchange, { params }) {
      const policy = await s.getPolicy(context, holderOf(exchange), params.id);
      return versioned(policy.version, policy);
    },
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
      async handle(exchange, { params, body }) {
        const ifMatch = exchange.header("if-match");
        const policy = await s.updatePolicy(context, holderOf(exchange), params.id, ifMatch, body);
        return versioned(policy.version, policy);
      },
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
    query: VersionsQuery,
    response: pageOf(s.PolicyVersion),
    errors: ["POLICY_NOT_FOUND", "INVALID_CURSOR"],
    handle: (exchange, { params, query }) =>
      s.listPolicyVersions(context, holderOf(exchange), params.id, readPage(query, ["number"])),
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
    async handle(exchange, { query }) {
      const routing = await r.getRouting(context, holderOf(exchange), query.projectId);
      return versioned(routing.version, routing);
    },
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
    async handle(exchange, { query, body }) {
      const ifMatch = exchange.header("if-match");
      const routing = await r.putRouting(context, holderOf(exchange), query.projectId, ifMatch, body);
      return versioned(routing.version, routing);
    },
  });
  server.route({
    method: "GET",
    path: `${ROUTES}/versions`,
    id: "listRoutingVersions",
    summary: "List the versions of a project's routing document, newest first",
    tag,
    access: read,
    query: RoutingVersionsQuery,
    response: pageOf(r.RoutingVersion),
    errors: ["PROJECT_NOT_FOUND", "INVALID_CURSOR"],
    handle: (exchange, { query: { projectId, ...query } }) =>
      r.listRoutingVersions(context, holderOf(exchange), projectId, readPage(query, ["number"])),
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
    summary: "Show which routes and policies would take an alert; nothing is stored",
    tag,
    access: read,
    query: ProjectQuery,
    body: r.TestRoutes,
    response: r.TestedRoutes,
    errors: ["PROJECT_NOT_FOUND"],
    handle: (exchange, { query, body }) => r.testRoutes(context, holderOf(exchange), query.projectId, body),
  });
}
