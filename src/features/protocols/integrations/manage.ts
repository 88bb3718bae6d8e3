import type { PermissionHolder, Principal } from "../../../core/caller.ts";
import { uuidv7 } from "../../../core/ids.ts";
import type { Json } from "../../../core/text/json-text.ts";
import { toRfc3339OrNull } from "../../../core/time/clock.ts";
import { listing, ofProjects } from "../../../http/api/listing.ts";
import { type Route, route } from "../../../http/api/route.ts";
import { pageOf } from "../../../http/api/shapes.ts";
import { holderOf } from "../../../http/server/access.ts";
import type { Context } from "../../../module/feature.ts";
import { addEffect, type Trx } from "../../../store/database.ts";
import { managed, owned, requireFreeName, requireFreeToken } from "../../access/index.ts";
import { checkLabels } from "../../alerts/index.ts";
import { requireMayForward, sealedForward } from "../../intake/forward/index.ts";
import { recordAction } from "../../records/audit/index.ts";
import { Integration, type IntegrationRow } from "./integration.ts";
import { createIntegrationKey } from "./integrations.ts";
import * as s from "./schema.ts";

export type ManageContext = Context<"projects" | "principals" | "integrations" | "forwarding">;

const PATH = "/api/v1/integrations";
const tag = "Integrations";
const integrationList = listing(Integration, () => ({}), { order: { name: "string" }, isAscending: true });

interface NewIntegration extends s.CreateIntegration {
  readonly projectId: string;
  /** Default: a new one. */
  readonly id?: string;
  /** Default: a new one. */
  readonly key?: string | undefined;
}

const integrationAccess = owned<IntegrationRow, Principal>(Integration, {
  ...{ see: "project:read", read: "events:read", write: "policies:write" },
  ...{ missing: "INTEGRATION_NOT_FOUND", noun: "integration" },
});

export const integrations = managed({
  ...{ path: PATH, names: ["Integration", "Integrations"], tag, params: s.IntegrationParams },
  access: integrationAccess,
  answer: () => Integration.View,
  list: {
    summary: "List the integrations of a project by name",
    errors: ["PROJECT_NOT_FOUND", "INVALID_CURSOR"],
    query: s.ListIntegrations,
    answer: () => pageOf(Integration.View),
    page(context: ManageContext, caller, query) {
      const projectId = context.projects.requireOrDefault(caller, query.projectId, "events:read");
      const scope = { visible: ofProjects([projectId]), state: undefined };
      return integrationList.page(context.db, scope, query, () => (row) => viewOf(context, row));
    },
  },
  get: { summary: "Get an integration" },
  create: {
    summary: "Create an integration; the answer has its key",
    errors: ["PROJECT_NOT_FOUND", "NAME_TAKEN", "LIMIT_REACHED", "URL_REFUSED"],
    body: s.CreateIntegration,
    answer: s.IssuedIntegration,
    async prepare({ projects, forwarding }, caller, body): Promise<NewIntegration> {
      const projectId = projects.requireOrDefault(caller, body.projectId, "policies:write");
      if (body.forwardUrl) await forwarding.check(body.forwardUrl);
      return { ...body, projectId };
    },
  },
  update: {
    summary: "Change name, labels or where its requests are passed on; absent members keep their values",
    details: "Labels count for alerts that fire from now on.",
    errors: ["NAME_TAKEN", "URL_REFUSED"],
    body: s.UpdateIntegration,
    async prepare(context, caller, body, id) {
      if (!body.forwardUrl) return body;
      await integrationAccess.visible(context.projects, caller, id, context.db.read);
      await context.forwarding.check(body.forwardUrl);
      return body;
    },
  },
  remove: { summary: "Delete an integration; its alerts stay, the next request with its key is refused" },
  view: (context, _caller, row) => viewOf(context, row),
  state: ({ lastUsedAt, forward }) => (forward === null ? lastUsedAt : { lastUsedAt, forward }),
  in: {
    async insert(context, trx, caller, spec) {
      const { key, ...hashed } = createIntegrationKey(spec.key);
      if (spec.key !== undefined) await requireFreeToken(trx, "integrations", "key", hashed.hash);
      return { row: await insertIntegration(context, trx, caller, spec, hashed), issued: { key } };
    },
    async change(context, trx, old, body, caller) {
      if (body.labels) checkLabels(body.labels);
      await requireMayForward(context, trx, caller, old.projectId, body, old);
      const { forwardUrl: url, ...given } = body;
      const target = sealedForward(context.box, "integrations", old.id, url);
      const { name = old.name, labels = old.labels, forwardHeaders = old.forwardHeaders } = Integration.columns(given);
      const isSame = name === old.name && labels === old.labels && forwardHeaders === old.forwardHeaders;
      if (isSame && url === undefined) return { row: old };
      if (name !== old.name) await requireFreeName(trx, "integrations", "an integration", { ...old, name });
      const next = { ...old, name, labels, forwardHeaders, ...target };
      return { row: await replace(context, trx, "update", next, { name, members: Object.keys(body) }) };
    },
    async remove(context, trx, { id, projectId, kind, name }) {
      await trx.deleteFrom("integrations").where("id", "=", id).execute();
      addEffect(trx, { type: "integrations-changed", deleted: [id] });
      await recordAction(context, trx, "integration.delete", id, { projectId, kind, name });
    },
  },
});

/** Integrations and their keys. */
export function integrationRoutes(context: ManageContext): Route[] {
  const rotate = route({
    ...{ method: "POST", path: `${PATH}/:id/rotate`, id: "rotateIntegration", tag, params: s.IntegrationParams },
    access: { permission: "policies:write", within: "project" },
    summary: "Replace the key; the old one works until the grace period ends",
    body: s.RotateIntegration,
    status: 201,
    response: s.IssuedIntegration,
    errors: ["INTEGRATION_NOT_FOUND"],
    handle: (exchange, { params: { id }, body: { graceMs = 0 } }) =>
      integrations.act(context, holderOf(exchange), { id, status: 201 }, async (trx, old) => {
        const { key, ...hashed } = createIntegrationKey();
        const until = graceMs === 0 ? null : context.clock.now() + graceMs;
        const previous = { previousHash: until === null ? null : old.hash, previousUntil: until };
        const row = await replace(context, trx, "rotate", { ...old, ...hashed, ...previous }, { graceMs });
        return { row, issued: { key } };
      }),
  });
  return [...integrations.routes(context), rotate];
}

/** @param hashed of a key that no other one has */
export async function insertIntegration(
  context: ManageContext,
  trx: Trx,
  caller: PermissionHolder,
  spec: NewIntegration,
  hashed: Pick<IntegrationRow, "hash" | "prefix">,
): Promise<IntegrationRow> {
  const { id = uuidv7(), projectId, kind, name, labels, forwardHeaders, forwardUrl: url } = spec;
  checkLabels(labels ?? {});
  await requireMayForward(context, trx, caller, projectId, spec);
  const now = context.clock.now();
  const target = sealedForward(context.box, "integrations", id, url);
  const others = { id, projectId, ...hashed, ...target, createdBy: caller.userId, createdAt: now, updatedAt: now };
  const row = Integration.newRow({ kind, name, labels, forwardHeaders }, others);
  await context.projects.quotas.requireRoom(trx, "integrations", row);
  await requireFreeName(trx, "integrations", "an integration", row);
  await trx.insertInto("integrations").values(row).execute();
  addEffect(trx, { type: "integrations-changed", changed: [row] });
  await recordAction(context, trx, "integration.create", row.id, { projectId, kind, name });
  return row;
}

/** Stores the next version. */
export async function replace(
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

export function viewOf({ integrations: known, forwarding }: ManageContext, row: IntegrationRow) {
  return Integration.view(row, { forward: forwarding.shown(row), lastUsedAt: toRfc3339OrNull(known.lastUsedAt(row)) });
}
