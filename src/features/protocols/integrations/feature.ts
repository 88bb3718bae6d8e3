import { PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import type { PermissionHolder } from "../../../core/principal.ts";
import type { Json } from "../../../core/text/json-text.ts";
import { toRfc3339OrNull } from "../../../core/time/clock.ts";
import { listing, ofProjects } from "../../../http/api/listing.ts";
import { withVersion } from "../../../http/api/route.ts";
import { pageOf } from "../../../http/api/shapes.ts";
import { requireVersion } from "../../../http/body/negotiation.ts";
import { holderOf } from "../../../http/server/access.ts";
import { type Context, type FeatureServer, feature } from "../../../module/feature.ts";
import { addEffect, type Trx } from "../../../store/database.ts";
import { owned } from "../../access/index.ts";
import { checkLabels } from "../../alerts/index.ts";
import { recordAction } from "../../records/audit/index.ts";
import { Integration, type IntegrationRow, type IntegrationView } from "./integration.ts";
import { createIntegrationKey, Integrations } from "./integrations.ts";
import { opsgenieRoutes } from "./opsgenie.ts";
import { pagerDutyRoutes } from "./pagerduty.ts";
import type { CreateIntegration, UpdateIntegration } from "./schema.ts";
import * as s from "./schema.ts";

const PATH = "/api/v1/integrations";

declare module "../../../module/feature.ts" {
  interface Offers {
    readonly integrations: Integrations;
  }
}

/** Programs that send alerts in PagerDuty's and Opsgenie's protocols, and their keys. */
export const integrationsFeature = feature("integrations", {
  needs: ["projects", "alerts", "incidents", "onCall"],
  open: (context) => ({ integrations: new Integrations({ ...context, log: context.log.namespace("alerts") }) }),
  load: ({ integrations }) => integrations.load(),
  start: ({ integrations }) => integrations.start(),
  close: ({ integrations, readsOnly }) => (readsOnly ? undefined : integrations.stop()),
  effects: ({ integrations }) => ({ "integrations-changed": (change) => integrations.changed(change) }),
  register(server, context) {
    serve(server, context);
    for (const each of [...pagerDutyRoutes(context), ...opsgenieRoutes(context)]) server.route(each);
  },
});

function serve(server: FeatureServer, context: ManageContext): void {
  const { db, projects } = context;
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
    response: () => pageOf(Integration.View),
    errors: ["PROJECT_NOT_FOUND", "INVALID_CURSOR"],
    handle(exchange, { query }) {
      const projectId = projects.requireOrDefault(holderOf(exchange), query.projectId, "events:read");
      const scope = { visible: ofProjects([projectId]), state: undefined };
      return integrationList.page(db, scope, query, () => (row) => integrationView(context, row));
    },
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
    handle: async (exchange, { body }) =>
      withVersion(await createIntegration(context, holderOf(exchange), body), { status: 201 }),
  });
  server.route({
    ...read,
    ...one,
    method: "GET",
    id: "getIntegration",
    summary: "Get an integration",
    response: () => Integration.View,
    errors: ["INTEGRATION_NOT_FOUND"],
    async handle(exchange, { params }) {
      const row = await integrationAccess.visible(projects, holderOf(exchange), params.id, db.read);
      const integration = integrationView(context, row);
      return withVersion(integration, { state: integration.lastUsedAt ?? "" });
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
    response: () => Integration.View,
    errors: ["INTEGRATION_NOT_FOUND", "NAME_TAKEN", "VERSION_CONFLICT"],
    handle: async (exchange, { params, body }) =>
      withVersion(await updateIntegration(context, holderOf(exchange), params.id, exchange.header("if-match"), body)),
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
    handle: (exchange, { params, body: { graceMs = 0 } }) =>
      db.write(async (trx) => {
        const old = await integrationAccess.writable(projects, holderOf(exchange), params.id, trx);
        const { key, prefix, hash } = createIntegrationKey();
        const previous =
          graceMs === 0
            ? { previousHash: null, previousUntil: null }
            : { previousHash: old.hash, previousUntil: context.clock.now() + graceMs };
        const row = await replace(context, trx, "rotate", { ...old, prefix, hash, ...previous }, { graceMs });
        return { ...integrationView(context, row), key };
      }),
  });
  server.route({
    ...write,
    ...one,
    method: "DELETE",
    id: "deleteIntegration",
    summary: "Delete an integration; its alerts stay, the next request with its key is refused",
    errors: ["INTEGRATION_NOT_FOUND"],
    handle: (exchange, { params: { id } }) =>
      db.write(async (trx) => {
        const row = await integrationAccess.writable(projects, holderOf(exchange), id, trx);
        await trx.deleteFrom("integrations").where("id", "=", id).execute();
        addEffect(trx, { type: "integrations-changed", deleted: [id] });
        const metadata = { projectId: row.projectId, kind: row.kind, name: row.name };
        await recordAction(context, trx, "integration.delete", id, metadata);
      }),
  });
}

type ManageContext = Context<"projects" | "integrations">;

const integrationAccess = owned<IntegrationRow>(Integration, {
  see: "project:read",
  read: "events:read",
  write: "policies:write",
  missing: "INTEGRATION_NOT_FOUND",
  noun: "integration",
});

const integrationList = listing(Integration, () => ({}), { order: { name: "string" }, isAscending: true });

/** @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE, NAME_TAKEN, LIMIT_REACHED, VALIDATION_FAILED */
async function createIntegration(context: ManageContext, principal: PermissionHolder, input: CreateIntegration) {
  const { db, projects, clock } = context;
  const projectId = projects.requireOrDefault(principal, input.projectId, "policies:write");
  const { kind, name, labels } = input;
  checkLabels(labels ?? {});
  const { key, prefix, hash } = createIntegrationKey();
  const now = clock.now();
  const row: IntegrationRow = {
    ...Integration.initial,
    ...Integration.columns({ labels }),
    ...{ id: uuidv7(), projectId, kind, name, prefix, hash },
    ...{ createdBy: principal.userId, createdAt: now, updatedAt: now },
  };
  await db.write(async (trx) => {
    await projects.quotas.requireRoom(trx, "integrations", row);
    await requireFreeName(trx, projectId, input.name, null);
    await trx.insertInto("integrations").values(row).execute();
    addEffect(trx, { type: "integrations-changed", changed: [row] });
    await recordAction(context, trx, "integration.create", row.id, { projectId, kind, name });
  });
  return { ...integrationView(context, row), key };
}

/** Absent members keep their values. @throws as above, VERSION_CONFLICT */
function updateIntegration(
  context: ManageContext,
  principal: PermissionHolder,
  id: string,
  ifMatch: string,
  input: UpdateIntegration,
): Promise<IntegrationView> {
  return context.db.write(async (trx) => {
    const old = await integrationAccess.writable(context.projects, principal, id, trx);
    requireVersion(ifMatch, old.version);
    if (input.labels) checkLabels(input.labels);
    const { name = old.name, labels = old.labels } = Integration.columns(input);
    if (name !== old.name) await requireFreeName(trx, old.projectId, name, id);
    if (name === old.name && labels === old.labels) return integrationView(context, old);
    return integrationView(context, await replace(context, trx, "update", { ...old, name, labels }, { name }));
  });
}

/** Stores the next version of an integration. */
async function replace(
  context: ManageContext,
  trx: Trx,
  action: string,
  next: IntegrationRow,
  metadata: Readonly<Record<string, Json>>,
): Promise<IntegrationRow> {
  const row = { ...next, updatedAt: context.clock.now(), version: next.version + 1 };
  await trx.updateTable("integrations").set(row).where("id", "=", row.id).execute();
  addEffect(trx, { type: "integrations-changed", changed: [row] });
  await recordAction(context, trx, `integration.${action}`, row.id, { projectId: row.projectId, ...metadata });
  return row;
}

async function requireFreeName(trx: Trx, projectId: string, name: string, except: string | null): Promise<void> {
  const taken = await trx
    .selectFrom("integrations")
    .select("id")
    .where("projectId", "=", projectId)
    .where("name", "=", name)
    .executeTakeFirst();
  if (taken && taken.id !== except)
    throw new PrismError("NAME_TAKEN", "The project has an integration with this name already");
}

function integrationView({ integrations }: ManageContext, row: IntegrationRow): IntegrationView {
  return Integration.view(row, { lastUsedAt: toRfc3339OrNull(integrations.lastUsedAt(row)) });
}
