import { type Clock, toRfc3339, toRfc3339OrNull } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import { isUuid, uuidv7 } from "../../core/ids.ts";
import type { PermissionHolder } from "../../core/principal.ts";
import { missingPermission } from "../../http/access.ts";
import { requireVersion } from "../../http/negotiation.ts";
import { pageBody, readPage } from "../../http/pagination.ts";
import { addEffect, type Database, type ReadDb, type Trx } from "../../store/database.ts";
import { countOf } from "../../store/sqlite/list-queries.ts";
import type { Projects } from "../access/index.ts";
import { checkLabels, type LabelRecord } from "../alerts/index.ts";
import type { AuditTrail } from "../audit/index.ts";
import { createIntegrationKey, type IntegrationRow, type Integrations } from "./integrations.ts";
import type { CreateIntegration, IntegrationView, ListIntegrations, UpdateIntegration } from "./schema.ts";

export interface ManageContext {
  readonly db: Database;
  readonly clock: Clock;
  readonly projects: Projects;
  readonly integrations: Integrations;
  readonly audit: AuditTrail;
}

/** By name. @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE, INVALID_CURSOR */
export async function listIntegrations(context: ManageContext, principal: PermissionHolder, query: ListIntegrations) {
  const { db, projects } = context;
  const projectId = projects.requireOrDefault(principal, query.projectId, "events:read");
  const request = readPage(query, ["string"]);
  const filtered = db.read.selectFrom("integrations").where("projectId", "=", projectId);
  const { after, limit, offset } = request;
  const rows = await (after ? filtered.where("name", ">", String(after[0])) : filtered)
    .selectAll()
    .orderBy("name")
    .limit(limit + 1)
    .offset(offset)
    .execute();
  const total = request.wantsTotal ? await countOf(filtered) : undefined;
  return pageBody(
    request,
    rows,
    (row) => integrationView(context, row),
    (row) => [row.name],
    total,
  );
}

/** @throws INTEGRATION_NOT_FOUND, UNAUTHORIZED_ROLE */
export async function getIntegration(context: ManageContext, principal: PermissionHolder, id: string) {
  return integrationView(context, await findIntegration(context, principal, id, context.db.read));
}

/** @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE, NAME_TAKEN, LIMIT_REACHED, VALIDATION_FAILED */
export async function createIntegration(context: ManageContext, principal: PermissionHolder, input: CreateIntegration) {
  const { db, projects, clock } = context;
  const projectId = projects.requireOrDefault(principal, input.projectId, "policies:write");
  const labels = JSON.stringify(checkedLabels(input.labels));
  const { key, prefix, hash } = createIntegrationKey();
  const now = clock.now();
  const given = { projectId, kind: input.kind, name: input.name, labels };
  const times = { previousHash: null, previousUntil: null, createdAt: now, updatedAt: now, lastUsedAt: null };
  const row = { ...given, ...times, id: uuidv7(), prefix, hash, createdBy: principal.userId, version: 1 };
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
    const old = await writableIntegration(context, principal, id, trx);
    requireVersion(ifMatch, old.version);
    const name = input.name ?? old.name;
    if (name !== old.name) await requireFreeName(trx, old.projectId, name, id);
    const labels = input.labels ? JSON.stringify(checkedLabels(input.labels)) : old.labels;
    if (name === old.name && labels === old.labels) return integrationView(context, old);
    const row = await replace(context, trx, { ...old, name, labels });
    await changed(context, trx, "update", row, { name });
    return integrationView(context, row);
  });
}

/** A new key; the old one works for `graceMs` more. @throws INTEGRATION_NOT_FOUND, UNAUTHORIZED_ROLE */
export function rotateIntegration(context: ManageContext, principal: PermissionHolder, id: string, graceMs: number) {
  return context.db.write(async (trx) => {
    const old = await writableIntegration(context, principal, id, trx);
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
    const row = await writableIntegration(context, principal, id, trx);
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

async function findIntegration(
  { projects }: ManageContext,
  principal: PermissionHolder,
  id: string,
  db: ReadDb | Trx,
): Promise<IntegrationRow> {
  const row = isUuid(id)
    ? await db.selectFrom("integrations").selectAll().where("id", "=", id).executeTakeFirst()
    : undefined;
  if (!row || !projects.exists(row.projectId) || !projects.has(principal, row.projectId, "project:read"))
    throw new PrismError("INTEGRATION_NOT_FOUND", "No such integration");
  projects.require(principal, row.projectId, "events:read");
  return row;
}

async function writableIntegration(
  context: ManageContext,
  principal: PermissionHolder,
  id: string,
  trx: Trx,
): Promise<IntegrationRow> {
  const row = await findIntegration(context, principal, id, trx);
  if (!context.projects.has(principal, row.projectId, "policies:write")) throw missingPermission("policies:write");
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

function checkedLabels(labels: LabelRecord = {}): LabelRecord {
  checkLabels(labels);
  return labels;
}

function integrationView({ integrations }: ManageContext, row: IntegrationRow): IntegrationView {
  return {
    id: row.id,
    projectId: row.projectId,
    kind: row.kind,
    name: row.name,
    labels: JSON.parse(row.labels) as Record<string, string>,
    prefix: row.prefix,
    previousUntil: toRfc3339OrNull(row.previousUntil),
    lastUsedAt: toRfc3339OrNull(integrations.lastUsedAt(row)),
    createdBy: row.createdBy,
    createdAt: toRfc3339(row.createdAt),
    updatedAt: toRfc3339(row.updatedAt),
    version: row.version,
  };
}
