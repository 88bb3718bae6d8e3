import { toRfc3339OrNull } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import { uuidv7 } from "../../core/ids.ts";
import type { PermissionHolder } from "../../core/principal.ts";
import { listing, ofProjects } from "../../http/listing.ts";
import { requireVersion } from "../../http/negotiation.ts";
import type { Context } from "../../module/feature.ts";
import { addEffect, type Trx } from "../../store/database.ts";
import { owned } from "../access/index.ts";
import { checkLabels } from "../alerts/index.ts";
import { Integration, type IntegrationRow, type IntegrationView } from "./integration.ts";
import { createIntegrationKey } from "./integrations.ts";
import type { CreateIntegration, ListIntegrations, UpdateIntegration } from "./schema.ts";

export type ManageContext = Context<"projects" | "integrations">;

const integrationAccess = owned<IntegrationRow>(Integration, {
  see: "project:read",
  read: "events:read",
  write: "policies:write",
  missing: "INTEGRATION_NOT_FOUND",
  noun: "integration",
});

const integrationList = listing(Integration, {}, { order: { name: "string" }, isAscending: true });

/** By name. @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE, INVALID_CURSOR */
export function listIntegrations(context: ManageContext, principal: PermissionHolder, query: ListIntegrations) {
  const projectId = context.projects.requireOrDefault(principal, query.projectId, "events:read");
  const scope = { visible: ofProjects([projectId]), state: undefined };
  return integrationList.page(context.db, scope, query, () => (row) => integrationView(context, row));
}

/** @throws INTEGRATION_NOT_FOUND, UNAUTHORIZED_ROLE */
export async function getIntegration(context: ManageContext, principal: PermissionHolder, id: string) {
  return integrationView(context, await integrationAccess.visible(context.projects, principal, id, context.db.read));
}

/** @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE, NAME_TAKEN, LIMIT_REACHED, VALIDATION_FAILED */
export async function createIntegration(context: ManageContext, principal: PermissionHolder, input: CreateIntegration) {
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
    await changed(context, trx, "create", row, { kind: row.kind, name: row.name });
  });
  return { ...integrationView(context, row), key };
}

/** Absent members keep their values. @throws as above, VERSION_CONFLICT */
export function updateIntegration(
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
    const row = await replace(context, trx, { ...old, name, labels });
    await changed(context, trx, "update", row, { name });
    return integrationView(context, row);
  });
}

/** A new key; the old one works for `graceMs` more. @throws INTEGRATION_NOT_FOUND, UNAUTHORIZED_ROLE */
export function rotateIntegration(context: ManageContext, principal: PermissionHolder, id: string, graceMs: number) {
  return context.db.write(async (trx) => {
    const old = await integrationAccess.writable(context.projects, principal, id, trx);
    const { key, prefix, hash } = createIntegrationKey();
    const previous =
      graceMs === 0
        ? { previousHash: null, previousUntil: null }
        : { previousHash: old.hash, previousUntil: context.clock.now() + graceMs };
    const row = await replace(context, trx, { ...old, prefix, hash, ...previous });
    await changed(context, trx, "rotate", row, { graceMs });
    return { ...integrationView(context, row), key };
  });
}

/** Its alerts stay as they are. @throws INTEGRATION_NOT_FOUND, UNAUTHORIZED_ROLE */
export async function deleteIntegration(
  context: ManageContext,
  principal: PermissionHolder,
  id: string,
): Promise<void> {
  await context.db.write(async (trx) => {
    const row = await integrationAccess.writable(context.projects, principal, id, trx);
    await trx.deleteFrom("integrations").where("id", "=", id).execute();
    addEffect(trx, { type: "integrations-changed", deleted: [id] });
    await record(context, trx, "delete", row, { kind: row.kind, name: row.name });
  });
}

async function replace({ clock }: ManageContext, trx: Trx, next: IntegrationRow): Promise<IntegrationRow> {
  const row = { ...next, updatedAt: clock.now(), version: next.version + 1 };
  await trx.updateTable("integrations").set(row).where("id", "=", row.id).execute();
  return row;
}

async function changed(
  context: ManageContext,
  trx: Trx,
  action: string,
  row: IntegrationRow,
  metadata: Readonly<Record<string, unknown>>,
): Promise<void> {
  addEffect(trx, { type: "integrations-changed", changed: [row] });
  await record(context, trx, action, row, metadata);
}

function record(
  { audit }: ManageContext,
  trx: Trx,
  action: string,
  { id, projectId }: IntegrationRow,
  metadata: Readonly<Record<string, unknown>>,
): Promise<unknown> {
  const entry = { action: `integration.${action}`, resourceType: "integration", resourceId: id };
  return audit.record({ ...entry, metadata: { projectId, ...metadata } }, { trx });
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
