import { type Caller, currentCaller, type PermissionHolder, runAs } from "../../core/caller.ts";
import { PrismError } from "../../core/errors.ts";
import { DAY_MS } from "../../core/time/clock.ts";
import { checkShape } from "../../http/body/input.ts";
import { requireVersion } from "../../http/body/negotiation.ts";
import type { Context } from "../../module/feature.ts";
import { MustCommitAlone, type Trx, WriteQueue } from "../../store/database.ts";
import { COUNTED_AS, NO_COUNTS } from "./deciding/rule-stats.ts";
import { importRules } from "./import-rules.ts";
import { conditionWarnings } from "./language/language.ts";
import * as queries from "./queries.ts";
import { type RuleRow, RuleVersion, versionList } from "./rule.ts";
import { allowedRow, projectAfter, projectOf, requirePriority, ruleAccess, visibleProjects } from "./rule-access.ts";
import {
  changedRow,
  checkingSteps,
  patternSizeOf,
  replaceRule,
  requirePatternRoom,
  requireRoom,
} from "./rule-store.ts";
import { type ImportReply, type ImportRules, UpdateRule, type VersionsQuery } from "./schema.ts";
import { countsView, ruleView } from "./view.ts";

export type RulesContext = Context<"rules" | "channels" | "projects" | "users" | "sounds" | "trialEvent">;

interface RuleChange {
  readonly principal: PermissionHolder;
  readonly id: string;
  readonly ifMatch: string;
  readonly input: UpdateRule;
}

interface QueuedChange extends RuleChange {
  readonly caller: Caller;
}

interface CheckedChange {
  readonly old: RuleRow;
  readonly row: RuleRow;
}

interface StoredChange {
  readonly row: RuleRow;
  readonly roles: ReadonlyMap<string, string>;
}

/** What came of a change in a queue: one that is refused must not stop the others. */
type Outcome = StoredChange | { readonly refusal: unknown };

export type RuleChanges = WriteQueue<QueuedChange, Outcome>;

/** Changes of one transaction. */
const CHANGED_AT_ONCE = 64;
const MAX_WAITING = 2000;

/** Changes of rules that {@link decidesByRule}: all that wait are one transaction. */
export function ruleChanges(context: RulesContext): RuleChanges {
  return new WriteQueue({
    db: context.db,
    options: { sharesCommit: true },
    most: CHANGED_AT_ONCE,
    mayWait: MAX_WAITING,
    store: (trx, all) => storeChanges(context, trx, all),
  });
}

export async function updateRule(
  context: RulesContext,
  changes: RuleChanges,
  principal: PermissionHolder,
  id: string,
  ifMatch: string,
  input: UpdateRule,
) {
  currentCaller().charge?.({ steps: checkingSteps(input) });
  const change = { principal, id, ifMatch, input };
  const stored = (decidesByRule(input) ? await queued(changes, change) : null) ?? (await changeAlone(context, change));
  return { row: stored.row, body: await ruleAnswer(context, stored.row, stored.roles) };
}

/** @returns null for a change that must be stored by itself */
async function queued(changes: RuleChanges, change: RuleChange): Promise<StoredChange | null> {
  const outcome = await changes.add({ ...change, caller: currentCaller() });
  if (!("refusal" in outcome)) return outcome;
  if (outcome.refusal instanceof MustCommitAlone) return null;
  throw outcome.refusal;
}

function changeAlone(context: RulesContext, change: RuleChange): Promise<StoredChange> {
  return context.db.writeSharedIfPossible(async (trx, sharesCommit) => {
    const { id, input } = change;
    const found = await queries.ruleToChange(trx, id, input.name);
    return storeChange(context, trx, change, found, await checkedChange(context, trx, change, found, sharesCommit));
  });
}

/**
 * Whether nothing but the rule itself decides about the change. With patterns it commits alone, before
 * those that came later.
 */
function decidesByRule({ condition, ...input }: UpdateRule): boolean {
  const { name, projectId, active, alert, targetUsers, targetRoles, sound } = input;
  const others = [name, projectId, active, alert, targetUsers, targetRoles, sound];
  return others.every((member) => member === undefined) && condition?.includes("matches") !== true;
}

/** Each on behalf of its own caller, and on top of those before it. */
async function storeChanges(context: RulesContext, trx: Trx, all: readonly QueuedChange[]): Promise<Outcome[]> {
  const { rules, roles } = await queries.rulesToChange(
    trx,
    all.map(({ id }) => id),
  );
  const outcomes: Outcome[] = [];
  for (const change of all) {
    const found = { rule: rules.get(change.id), namesakeId: null, roles };
    const outcome = await runAs(change.caller, () => storeQueued(context, trx, change, found));
    if ("row" in outcome) rules.set(outcome.row.id, outcome.row);
    outcomes.push(outcome);
  }
  return outcomes;
}

async function storeQueued(
  context: RulesContext,
  trx: Trx,
  change: RuleChange,
  found: queries.RuleToChange,
): Promise<Outcome> {
  let checked: CheckedChange;
  try {
    checked = await checkedChange(context, trx, change, found, true);
    // Other rules of its new project decide, too.
    if (checked.row.projectId !== checked.old.projectId) throw new MustCommitAlone();
  } catch (refusal) {
    // Nothing of it is written yet.
    return { refusal };
  }
  return storeChange(context, trx, change, found, checked);
}

/** @throws MustCommitAlone */
async function checkedChange(
  context: RulesContext,
  trx: Trx,
  { principal: caller, ifMatch, input }: RuleChange,
  found: queries.RuleToChange,
  sharesCommit: boolean,
): Promise<CheckedChange> {
  const principal = context.projects.current(caller);
  const old = ruleAccess.requireWritable(context.projects, principal, found.rule);
  requireVersion(ifMatch, old.version);
  return { old, row: await changedBy(context, trx, old, { principal, input }, sharesCommit) };
}

/** @throws MustCommitAlone */
async function changedBy(
  context: RulesContext,
  trx: Trx,
  old: RuleRow,
  { principal, input }: Pick<RuleChange, "principal" | "input">,
  sharesCommit: boolean,
): Promise<RuleRow> {
  const { projects } = context;
  const projectId = projectAfter(projects, principal, old, input.projectId);
  const changed = await changedRow(context, trx, old, projectId, input);
  const row = await allowedRow(projects, principal, old, changed, trx);
  if (input.condition !== undefined || input.active || row.projectId !== old.projectId) {
    // The limits of patterns are counted in memory, which changes after each commit.
    const patternSize = patternSizeOf(row);
    if (sharesCommit && patternSize > 0) throw new MustCommitAlone();
    requirePatternRoom(context, [{ row, patternSize }]);
  }
  requirePriority(principal, row);
  return row;
}

/** Changes a rule in a transaction that holds other changes, too. */
export async function changeIn(
  context: RulesContext,
  trx: Trx,
  old: RuleRow,
  input: UpdateRule,
  caller: PermissionHolder,
): Promise<RuleRow> {
  const principal = context.projects.current(caller);
  const found = await queries.ruleToChange(trx, old.id, input.name);
  const row = await changedBy(context, trx, old, { principal, input }, false);
  return (await storeChange(context, trx, { principal }, found, { old, row })).row;
}

async function storeChange(
  context: RulesContext,
  trx: Trx,
  { principal }: Pick<RuleChange, "principal">,
  found: queries.RuleToChange,
  { old, row }: CheckedChange,
): Promise<StoredChange> {
  const isMoved = row.projectId !== old.projectId;
  await replaceRule(context, trx, row, principal.userId, isMoved ? undefined : found);
  if (old.active === 0 || isMoved) await requireRoom(context, trx, [row]);
  return { row, roles: found.roles };
}

/**
 * Stores the content of an earlier version as a new one. The rule stays in its project and enabled
 * or disabled. @throws RULE_NOT_FOUND, and as {@link updateRule}
 */
export async function restoreVersion(
  context: RulesContext,
  changes: RuleChanges,
  principal: PermissionHolder,
  { id, version }: { readonly id: string; readonly version: string },
  ifMatch: string,
) {
  const { projects, db } = context;
  await ruleAccess.visible(projects, principal, id, db.read);
  const isNumber = /^\d{1,9}$/.test(version);
  const visible = visibleProjects(projects, principal);
  const definition = isNumber ? await queries.definitionOf(db.read, id, visible, Number(version)) : undefined;
  if (definition === undefined) throw new PrismError("RULE_NOT_FOUND", "The rule has no such version");
  const { projectId: _project, active: _active, ...content } = JSON.parse(definition) as Record<string, unknown>;
  const input = { ...WITHOUT_LIMITS, ...content };
  return updateRule(context, changes, principal, id, ifMatch, checkShape(UpdateRule(), input, "body"));
}

/** All of them or none. @throws as {@link createRule}, with each problem's path in `details` */
export function importAs(context: RulesContext, principal: PermissionHolder, input: ImportRules): Promise<ImportReply> {
  const { db, users, projects } = context;
  return importRules(db, context, input, {
    userId: principal.userId,
    projectOf: async (ref) => projectOf(projects, projects.current(principal), ref),
    requireStorable: (row) => requirePriority(projects.current(principal), row),
    userOf: (ref, projectId, path) => users.existingOne(ref, projectId, path),
  });
}

/** Omits versions of a time when the rule's project was one the caller may not read. */
export async function listVersions(
  { db, projects }: RulesContext,
  principal: PermissionHolder,
  id: string,
  query: VersionsQuery,
) {
  await ruleAccess.visible(projects, principal, id, db.read);
  const visible = queries.versionsOf(id, visibleProjects(projects, principal));
  return versionList.page(db, { visible, state: undefined }, query, () => (row) => RuleVersion.view(row));
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
  const { db, clock } = context;
  await ruleAccess.visible(context.projects, principal, id, db.read);
  const stats = (await queries.statsOf(db.read, [id])).get(id);
  const rows = await queries.decisionsPerDay(
    db.scan,
    id,
    from ?? (to === undefined ? clock.now() - 30 * DAY_MS : 0),
    to ?? Number.MAX_SAFE_INTEGER,
  );
  const days = new Map<string, { day: string; matched: number; fired: number }>();
  const totals = { ...NO_COUNTS };
  for (const { day, outcome, n } of rows) {
    const entry = days.get(day) ?? { day, matched: 0, fired: 0 };
    const matched = entry.matched + (outcome === "alert-resolved" ? 0 : n);
    days.set(day, { day, matched, fired: entry.fired + (outcome === "fired" ? n : 0) });
    if (outcome !== "alert-resolved") totals.matched += n;
    totals[COUNTED_AS[outcome]] += n;
  }
  const perDay = [...days.values()];
  if (from === undefined && to === undefined) return { ...countsView(stats), perDay };
  const { errors, lastMatchedAt, lastError } = stats ?? NO_COUNTS;
  return { ...countsView({ ...totals, errors, lastMatchedAt, lastError }), perDay };
}

/** A rule with what is wrong with it. @param roles the names of all roles */
export async function ruleAnswer(
  { db, sounds, rules, users }: RulesContext,
  row: RuleRow,
  roles: ReadonlyMap<string, string>,
) {
  const stats = await queries.statsOfOne(db.read, row.id);
  const view = ruleView(row, stats, roles, sounds.urlOf, rules.brokenOf(row.id));
  const people = users.absent(view.targetUsers, row.projectId).map(({ text }) => ({
    code: "RECIPIENT_INACTIVE",
    message: `The rule names ${text}: it notifies others only`,
  }));
  return { ...view, warnings: [...conditionWarnings(row.condition), ...people] };
}

/** Members that versions of earlier programs lack. */
const WITHOUT_LIMITS = {
  ...{ suppression: null, dedupe: null, cooldownMs: 0 },
  ...{ threshold: null, absence: null, alert: null },
};
