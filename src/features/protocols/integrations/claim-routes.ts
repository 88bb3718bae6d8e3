import type { PermissionHolder } from "../../../core/caller.ts";
import { invalidField, PrismError, STATUS_OF } from "../../../core/errors.ts";
import { DAY_MS, HOUR_MS, toRfc3339, toRfc3339OrNull } from "../../../core/time/clock.ts";
import { type Route, route } from "../../../http/api/route.ts";
import type { JsonMembers } from "../../../http/body/input.ts";
import { holderOf, missingPermission } from "../../../http/server/access.ts";
import { addEffect, type Trx } from "../../../store/database.ts";
import type { IntegrationClaimsTable } from "../../../store/schema.ts";
import { requireFreeToken } from "../../access/index.ts";
import { recordAction } from "../../records/audit/index.ts";
import { noClaim } from "./claims.ts";
import * as c from "./context.ts";
import { Integration, type IntegrationRow } from "./integration.ts";
import { insertIntegration, type ManageContext, replace, viewOf } from "./manage.ts";
import * as o from "./opsgenie-alerts.ts";
import * as s from "./schema.ts";

type ClaimsContext = ManageContext & c.ProtocolContext;

const PATH = "/api/v1/integrations/claims";
const LISTED = 5000;
/** An older create is of a state that may be over. */
const REPLAYED_MS = HOUR_MS;
const FORMER_KEY_MS = 7 * DAY_MS;
const shared = { tag: "Integrations", access: { permission: "projects:all" } } as const;

/** Keys of Opsgenie's that are not known: the window in which they are kept, and who gets them. */
export function claimRoutes(context: ClaimsContext): Route[] {
  const { db, claims, clock } = context;
  return [
    route({
      ...{ ...shared, method: "GET", path: PATH, id: "listIntegrationClaims" },
      summary: "List unknown Opsgenie keys and their requests",
      response: s.ClaimList,
      handle: async () => ({ openUntil: toRfc3339OrNull(claims.openUntil), data: await listClaims(context) }),
    }),
    route({
      ...{ ...shared, method: "POST", path: `${PATH}/window`, id: "setIntegrationClaimWindow" },
      summary: "Keep requests with unknown Opsgenie keys for a while, or close this window",
      body: s.SetClaimWindow,
      status: 200,
      response: s.ClaimWindow,
      async handle(exchange, { body: { durationMs } }) {
        await db.write(async (trx) => {
          requireAdministrator(context, holderOf(exchange));
          await claims.setWindow(trx, clock.now() + durationMs);
          await recordAction(context, trx, durationMs > 0 ? "claim.open" : "claim.close", "window", { durationMs });
        });
        return { openUntil: toRfc3339OrNull(claims.openUntil) };
      },
    }),
    route({
      ...{ ...shared, method: "POST", path: `${PATH}/:id`, id: "assignIntegrationClaim", params: s.ClaimParams },
      summary: "Give an unknown key to an Opsgenie integration, and open its alerts of the last hour",
      details: "This path takes precedence over that of an integration with the id `claims`, which none has.",
      body: s.AssignClaim,
      status: 200,
      response: s.AssignedClaim,
      errors: ["NOT_FOUND", "PROJECT_NOT_FOUND", "INTEGRATION_NOT_FOUND", "NAME_TAKEN", "LIMIT_REACHED"],
      async handle(exchange, { params: { id }, body }) {
        const { row, ...done } = await db.write((trx) => assign(context, trx, holderOf(exchange), { id, ...body }));
        return { integration: viewOf(context, row), ...done };
      },
    }),
    route({
      ...{ ...shared, method: "DELETE", path: `${PATH}/:id`, id: "discardIntegrationClaim", params: s.ClaimParams },
      summary: "Discard an unknown key and its requests",
      status: 204,
      errors: ["NOT_FOUND"],
      async handle(exchange, { params: { id } }) {
        await db.write(async (trx) => {
          requireAdministrator(context, holderOf(exchange));
          const prefix = await claims.discard(trx, id);
          await recordAction(context, trx, "claim.discard", id, { prefix });
        });
      },
    }),
  ];
}

/** The caller with the rights of now. @throws UNAUTHORIZED_ROLE */
function requireAdministrator({ projects }: ClaimsContext, caller: PermissionHolder): PermissionHolder {
  const current = projects.current(caller);
  if (!current.permissions.has("projects:all")) throw missingPermission("projects:all");
  return current;
}

async function listClaims({ db }: ClaimsContext) {
  const rows = await db.read.selectFrom("integration_claims").selectAll().orderBy("id").limit(LISTED).execute();
  const byClaim = new Map<string, IntegrationClaimsTable[]>();
  for (const row of rows) byClaim.set(row.claimId, [...(byClaim.get(row.claimId) ?? []), row]);
  return [...byClaim].map(([id, found]) => {
    const { prefix = "", integrationId = null, assignedAt = null } = found[0] ?? {};
    const addresses = [...new Set(found.map(({ address }) => address))];
    const requests = found.map(({ at, action, alias, message, outcome }) => {
      return { at: toRfc3339(at), action, alias, message, outcome };
    });
    return { id, prefix, addresses, requests, integrationId, assignedAt: toRfc3339OrNull(assignedAt) };
  });
}

/** Makes or finds the integration, and replays, in one transaction: a close that comes next finds the alert. */
async function assign(
  context: ClaimsContext,
  trx: Trx,
  holder: PermissionHolder,
  { id, ...target }: s.AssignClaim & { readonly id: string },
) {
  const caller = requireAdministrator(context, holder);
  const rows = await trx
    .selectFrom("integration_claims")
    .selectAll()
    .where("claimId", "=", id)
    .where("assignedAt", "is", null)
    .orderBy("id")
    .execute();
  const [first] = rows;
  if (!first) throw noClaim();
  const row = await keyHolder(context, trx, caller, first, target);
  const now = context.clock.now();
  const replayed = new Set<string>();
  for (const each of dueCreates(rows, now)) if (await replay(context, trx, row, each)) replayed.add(each.id);
  for (const each of rows)
    await trx
      .updateTable("integration_claims")
      .set({ outcome: replayed.has(each.id) ? "replayed" : (each.outcome ?? "listed"), body: "", bytes: 0 })
      .set({ assignedAt: now, integrationId: row.id })
      .where("id", "=", each.id)
      .execute();
  addEffect(trx, { type: "claims-changed" });
  const done = { replayed: replayed.size, listed: rows.length - replayed.size };
  await recordAction(context, trx, "claim.assign", id, { projectId: row.projectId, integrationId: row.id, ...done });
  return { row, ...done };
}

/** The integration with the key of a claim. @throws NAME_TAKEN if another one has it */
async function keyHolder(
  context: ClaimsContext,
  trx: Trx,
  caller: PermissionHolder,
  { hash, prefix }: IntegrationClaimsTable,
  { projectId: ref, name, integrationId }: s.AssignClaim,
): Promise<IntegrationRow> {
  if (integrationId === undefined) {
    const projectId = context.projects.requireOrDefault(caller, ref, "policies:write");
    if (name === undefined) throw invalidField("claim", "name", "is required, or integrationId");
    await requireFreeToken(trx, "integrations", "key", hash);
    return insertIntegration(context, trx, caller, { projectId, kind: "opsgenie", name }, { hash, prefix });
  }
  const old = await Integration.require(trx, integrationId, "INTEGRATION_NOT_FOUND", "integration");
  context.projects.require(caller, old.projectId, "policies:write");
  if (old.kind !== "opsgenie") throw invalidField("claim", "integrationId", "must be of the kind opsgenie");
  if (old.hash === hash) return old;
  await requireFreeToken(trx, "integrations", "key", hash);
  const previousUntil = context.clock.now() + FORMER_KEY_MS;
  return replace(context, trx, "rotate", { ...old, hash, prefix, previousHash: old.hash, previousUntil }, {});
}

/** The first create of each alias that is younger than an hour and has no later close. */
function dueCreates(rows: readonly IntegrationClaimsTable[], now: number): readonly IntegrationClaimsTable[] {
  const open = new Map<string, IntegrationClaimsTable>();
  for (const row of rows) {
    if (row.alias === null || row.outcome === "closed") continue;
    if (row.action === "close") open.delete(row.alias);
    else if (row.action === "create" && now - row.at < REPLAYED_MS && !open.has(row.alias)) open.set(row.alias, row);
  }
  return [...open.values()];
}

/** @returns whether the alert was taken */
async function replay(
  context: ClaimsContext,
  trx: Trx,
  { labels, ...row }: IntegrationRow,
  { alias, at, body }: IntegrationClaimsTable,
): Promise<boolean> {
  const integration = { ...row, labels: JSON.parse(labels) as Record<string, string> };
  const content = { ...o.contentOf(JSON.parse(body) as JsonMembers), startsAt: at };
  try {
    await c.fire(context, integration, o.keyOf(integration, alias ?? ""), content, { trx });
    return true;
  } catch (error) {
    // A request that is no valid alert does not keep its key from being assigned.
    if (error instanceof PrismError && STATUS_OF[error.code] < 500) return false;
    throw error;
  }
}
