import { DAY_MS, toRfc3339, toRfc3339OrNull } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import type { PermissionHolder } from "../../core/principal.ts";
import { missingPermission } from "../../http/access.ts";
import { checkShape } from "../../http/input.ts";
import { requireVersion } from "../../http/negotiation.ts";
import { pageBody, readPage } from "../../http/pagination.ts";
import type { Context } from "../../module/feature.ts";
import { addEffect } from "../../store/database.ts";
import { COUNTED_AS } from "./deciding/rule-stats.ts";
import { importRules } from "./import-rules.ts";
import { conditionWarnings } from "./language/language.ts";
import * as queries from "./queries.ts";
import {
  allowedRow,
  projectAfter,
  projectOf,
  requirePriority,
  visibleProjects,
  visibleRule,
  writableRule,
} from "./rule-access.ts";
import { changedRow, insertRule, newRow, replaceRule, requirePatternRoom, requireRoom, roleId } from "./rule-store.ts";
import {
  type CreateRule,
  type ImportReply,
  type ImportRules,
  type ListRules,
  UpdateRule,
  type VersionsQuery,
} from "./schema.ts";
import { countsView, ruleView } from "./view.ts";

export type RulesContext = Context<"rules" | "channels" | "projects" | "users" | "sounds" | "trialEvent">;

// A rule, its version and its audit row are one transaction.

export async function createRule(context: RulesContext, principal: PermissionHolder, input: CreateRule) {
  const projectId = projectOf(context.projects, principal, input.projectId);
  const id = await context.db.write(async (trx) => {
    const row = await newRow(context, trx, projectId, input, principal.userId);
    requirePatternRoom(context, [row]);
    requirePriority(principal, row);
    await insertRule(context, trx, row, principal.userId);
    await requireRoom(context, trx, [row]);
    return row.id;
  });
  return readRule(context, id);
}

export async function updateRule(
  context: RulesContext,
  principal: PermissionHolder,
  id: string,
  ifMatch: string,
  input: UpdateRule,
) {
  await context.db.write(async (trx) => {
    const old = await writableRule(context.projects, principal, id, trx);
    requireVersion(ifMatch, old.version);
    const projectId = projectAfter(context.projects, principal, old, input.projectId);
    const row = await changedRow(context, trx, old, projectId, input);
    const allowed = await allowedRow(context.projects, principal, old, row, trx);
    if (input.condition !== undefined || input.active || allowed.projectId !== old.projectId)
      requirePatternRoom(context, [allowed]);
    requirePriority(principal, allowed);
    await replaceRule(context, trx, allowed, principal.userId);
    if (old.active === 0 || old.projectId !== allowed.projectId) await requireRoom(context, trx, [allowed]);
  });
  return readRule(context, id);
}

/**
 * Stores the content of an earlier version as a new one. The rule stays in its project and enabled
 * or disabled. @throws RULE_NOT_FOUND, and as {@link updateRule}
 */
export async function restoreVersion(
  context: RulesContext,
  principal: PermissionHolder,
  { id, version }: { readonly id: string; readonly version: string },
  ifMatch: string,
) {
  const { projects, db } = context;
  await visibleRule(projects, principal, id, db.read);
  const isNumber = /^\d{1,9}$/.test(version);
  const visible = visibleProjects(projects, principal);
  const definition = isNumber ? await queries.definitionOf(db.read, id, visible, Number(version)) : undefined;
  if (definition === undefined) throw new PrismError("RULE_NOT_FOUND", "The rule has no such version");
  const { projectId: _project, active: _active, ...content } = JSON.parse(definition) as Record<string, unknown>;
  const input = { ...WITHOUT_LIMITS, ...content };
  return updateRule(context, principal, id, ifMatch, checkShape(UpdateRule, input, "body"));
}

/** All of them or none. @throws as {@link createRule}, with each problem's path in `details` */
export function importAs(context: RulesContext, principal: PermissionHolder, input: ImportRules): Promise<ImportReply> {
  const { db, users } = context;
  return importRules(db, context, input, {
    userId: principal.userId,
    projectOf: async (ref) => projectOf(context.projects, principal, ref),
    requireStorable: (row) => requirePriority(principal, row),
    userOf: (ref, projectId, path) => users.existingOne(ref, projectId, path),
  });
}

export async function deleteRule(context: RulesContext, principal: PermissionHolder, id: string): Promise<void> {
  const { db, clock, audit } = context;
  await db.write(async (trx) => {
    const rule = await writableRule(context.projects, principal, id, trx);
    await trx.updateTable("rules").set({ deletedAt: clock.now(), active: 0 }).where("id", "=", id).execute();
    await audit.record(
      { action: "rule.delete", resourceType: "rule", resourceId: id, metadata: { version: rule.version } },
      { trx },
    );
    addEffect(trx, { type: "rules-changed", ruleIds: [id] });
  });
}

export async function getRule(context: RulesContext, principal: PermissionHolder, id: string) {
  await visibleRule(context.projects, principal, id, context.db.read);
  return readRule(context, id);
}

export async function listRules(context: RulesContext, principal: PermissionHolder, query: ListRules) {
  const { db, projects, sounds, rules } = context;
  const sort = readSort(query.sort ?? "-createdAt");
  const request = readPage(query, [sort.field === "name" ? "string" : "number", "string"]);
  const roles = await queries.roleNames(db.read);
  const filter: queries.RuleFilter = {
    ...visibleProjects(context.projects, principal),
    active: query.active,
    q: query.q,
    projectId: query.projectId === undefined ? undefined : projects.require(principal, query.projectId, "rules:read"),
    createdBy: query.createdBy,
    sound: query.sound,
    roleId: query.targetRole === undefined ? undefined : (roleId(roles, query.targetRole) ?? query.targetRole),
  };
  if (filter.projectIds?.length === 0 && !filter.withGlobal) throw missingPermission("rules:read");
  const { rows, isCut } = await queries.listRules(db.scan, filter, sort, request);
  const total = request.wantsTotal ? await queries.countRules(db.scan, filter) : undefined;
  const activity = query.include === undefined ? undefined : await activityOf(context, rows);
  return pageBody(
    { ...request, isCut },
    rows,
    (row) => ({ ...ruleView(row, roles, sounds.urlOf, rules.brokenOf(row.id)), ...activity?.(row.id) }),
    (row) => [row[sort.field], row.id],
    total,
  );
}

/** Reads what rules did in the last 24 hours. */
async function activityOf({ db, clock }: RulesContext, rows: readonly queries.RuleRow[]) {
  const ids = rows.map(({ id }) => id);
  const found = await queries.activityOf(db.scan, ids, clock.now() - DAY_MS);
  return (id: string) => {
    const { matched = 0, fired = 0, lastFiredAt = null } = found.get(id) ?? {};
    const isCut = matched === queries.ACTIVITY_DECISIONS;
    return { activity: { matched, fired, lastFiredAt: toRfc3339OrNull(lastFiredAt), isCut } };
  };
}

/** Omits versions of a time when the rule's project was one the caller may not read. */
export async function listVersions(
  context: RulesContext,
  principal: PermissionHolder,
  id: string,
  query: VersionsQuery,
) {
  await visibleRule(context.projects, principal, id, context.db.read);
  const { db } = context;
  const request = readPage(query, ["number"]);
  const visible = visibleProjects(context.projects, principal);
  const { rows, isCut } = await queries.listVersions(db.read, id, visible, request);
  const total = request.wantsTotal ? await queries.countVersions(db.read, id, visible) : undefined;
  const view = (row: (typeof rows)[number]) => ({
    version: row.version,
    definition: JSON.parse(row.definition) as Record<string, unknown>,
    createdBy: row.createdBy,
    createdAt: toRfc3339(row.createdAt),
  });
  return pageBody({ ...request, isCut }, rows, view, (row) => [row.version], total);
}

/**
 * Totals of the rule's lifetime, or counts of stored decisions in a time range; by day the last 30
 * days unless a range is given.
 */
export async function ruleStats(
  context: RulesContext,
  principal: PermissionHolder,
  id: string,
  { from, to }: { from?: number | undefined; to?: number | undefined },
) {
  const rule = await visibleRule(context.projects, principal, id, context.db.read);
  const { db, clock } = context;
  const rows = await queries.decisionsPerDay(
    db.scan,
    id,
    from ?? (to === undefined ? clock.now() - 30 * DAY_MS : 0),
    to ?? Number.MAX_SAFE_INTEGER,
  );
  const days = new Map<string, { day: string; matched: number; fired: number }>();
  const totals = { ...NO_DECISIONS };
  for (const { day, outcome, n } of rows) {
    const entry = days.get(day) ?? { day, matched: 0, fired: 0 };
    const matched = entry.matched + (outcome === "alert-resolved" ? 0 : n);
    days.set(day, { day, matched, fired: entry.fired + (outcome === "fired" ? n : 0) });
    if (outcome !== "alert-resolved") totals.matched += n;
    totals[COUNTED_AS[outcome]] += n;
  }
  const perDay = [...days.values()];
  if (from === undefined && to === undefined) return { ...countsView(rule), perDay };
  return { ...countsView({ ...rule, ...totals }), perDay };
}

async function readRule({ db, sounds, rules, users }: RulesContext, id: string) {
  const row = await queries.findRule(db.read, id);
  if (!row) throw new PrismError("RULE_NOT_FOUND", "No such rule");
  const roles = await queries.roleNames(db.read);
  const view = ruleView(row, roles, sounds.urlOf, rules.brokenOf(id));
  const people = users.absent(view.targetUsers, row.projectId).map(({ text }) => ({
    code: "RECIPIENT_INACTIVE",
    message: `The rule names ${text}: it notifies others only`,
  }));
  return { version: row.version, body: { ...view, warnings: [...conditionWarnings(row.condition), ...people] } };
}

const NO_DECISIONS = {
  ...{ matched: 0, fired: 0, suppressed: 0, deduped: 0, cooled: 0, noRecipients: 0 },
  ...{ counted: 0, alertsOpened: 0, alertsResolved: 0 },
};

/** Members that versions of earlier programs lack. */
const WITHOUT_LIMITS = {
  ...{ suppression: null, dedupe: null, cooldownMs: 0 },
  ...{ threshold: null, absence: null, alert: null },
};

function readSort(sort: string): queries.RuleSort {
  const descending = sort.startsWith("-");
  return { field: sort.replace("-", "") as queries.RuleSort["field"], descending };
}
