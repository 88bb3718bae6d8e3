import { currentCaller } from "../../core/caller.ts";
import { invalidField, limitReached, PrismError } from "../../core/errors.ts";
import { uuidv7 } from "../../core/ids.ts";
import { type KnownChannels, requireLink, requireServed } from "../../http/api/shapes.ts";
import type { LiveSettings } from "../../http/server/live-settings.ts";
import type { Uses } from "../../module/feature.ts";
import { addEffect, insertLater, type Trx, updateLater } from "../../store/database.ts";
import type { UserDirectory } from "../access/index.ts";
import { requireSound } from "../notifications/sounds/index.ts";
import type { RuleBook } from "./deciding/rule-book.ts";
import { compileCondition, readCondition } from "./language/language.ts";
import { STEPS_PER_CHARACTER, STEPS_PER_INSTRUCTION } from "./language/limits.ts";
import { overTimeSettings, requireOverTime } from "./over-time/settings.ts";
import * as queries from "./queries.ts";
import { Rule, type RuleRow } from "./rule.ts";
import type { CreateRule, UpdateRule } from "./schema.ts";
import { textsOf } from "./texts.ts";
import { throttleSettings } from "./throttle/throttle.ts";
import { definitionView } from "./view.ts";

/** Dependencies of checking and storing rules. The caller checks permissions. */
export interface RuleStoreContext extends Uses<"clock" | "audit" | "users" | "config"> {
  readonly channels: KnownChannels;
  readonly settings: Pick<LiveSettings, "limits">;
  readonly rules: Pick<RuleBook, "patternRefusal">;
}

/** Reading a rule takes about 0.1 ms besides its characters and patterns. */
const STEPS_PER_RULE = 8000;

/** Steps of checking a rule that a request gives. */
export function checkingSteps(input: UpdateRule): number {
  return STEPS_PER_RULE + STEPS_PER_CHARACTER * JSON.stringify(input).length;
}

/**
 * Builds the row of a new rule. @throws INVALID_CONDITION, INVALID_TEMPLATE, ROLE_NOT_FOUND,
 * RECIPIENT_NOT_FOUND, and similar
 */
export function newRow(
  context: RuleStoreContext,
  trx: Trx,
  projectId: string | null,
  input: CreateRule,
  createdBy: string | null,
  id = uuidv7(),
): Promise<RuleRow> {
  const now = context.clock.now();
  const { name, condition } = input;
  const own = { id, projectId, name, condition, createdBy, createdAt: now, updatedAt: now };
  return checkedRow(context, trx, { ...Rule.initial, ...own }, projectId, input);
}

/** Builds the changed row of a rule; missing members stay. @throws as {@link newRow} */
export async function changedRow(
  context: RuleStoreContext,
  trx: Trx,
  old: RuleRow,
  projectId: string | null,
  input: UpdateRule,
): Promise<RuleRow> {
  const row = await checkedRow(context, trx, old, projectId, input);
  return { ...row, version: old.version + 1, updatedAt: context.clock.now() };
}

/** A row with what a request sets. */
async function checkedRow(
  context: RuleStoreContext,
  trx: Trx,
  old: RuleRow,
  projectId: string | null,
  input: UpdateRule,
): Promise<RuleRow> {
  const { config, channels: served, users } = context;
  requireServed(input.channels, served);
  requireLink(input.action?.url, "action.url", config);
  if (input.condition !== undefined) compileCondition(input.condition);
  const row = { ...old, ...Rule.columns(input), projectId };
  textsOf({ name: "", titleTemplate: row.titleTemplate, messageTemplate: row.messageTemplate });
  Object.assign(row, await resolveTargets(trx, users, old, projectId, input));
  if (input.sound !== undefined) row.sound = await requireSound(input.sound, trx);
  throttleSettings(row);
  requireOverTime(row);
  return row;
}

/**
 * Rule, version and audit row are one transaction. @param by id of the user who makes it, for the
 * history of versions. @throws NAME_TAKEN
 */
export async function insertRule(context: RuleStoreContext, trx: Trx, row: RuleRow, by: string | null): Promise<void> {
  await requireFreeName(trx, row);
  const roles = await queries.roleNames(trx);
  insertLater(trx, "rules", row);
  await recordVersion(context, row, { by, roles, action: "rule.create" }, trx);
}

/** {@link insertRule}, replacing the stored rule of the same id. @param found read already, for this project and name */
export async function replaceRule(
  context: RuleStoreContext,
  trx: Trx,
  row: RuleRow,
  by: string | null,
  found?: queries.RuleToChange,
): Promise<void> {
  const { id, createdAt: _c, createdBy: _b, ...changes } = row;
  if (!found) await requireFreeName(trx, row);
  else if (found.namesakeId !== null) throw nameTaken(found.namesakeId);
  const roles = found?.roles ?? (await queries.roleNames(trx));
  updateLater(trx, "rules", id, changes);
  await recordVersion(context, row, { by, roles, action: "rule.update" }, trx);
}

/** A name means one rule in its project: exports, imports and commands rely on it. @throws NAME_TAKEN */
async function requireFreeName(trx: Trx, { id, projectId, name }: RuleRow): Promise<void> {
  const other = await queries.ruleByName(trx, projectId, name);
  if (other !== undefined && other.id !== id) throw nameTaken(other.id);
}

function nameTaken(id: string): PrismError {
  const message = `the project has a rule of this name (${id}); change that one, or choose another name`;
  return new PrismError("NAME_TAKEN", `name: ${message}`, { details: [{ path: "name", code: "NAME_TAKEN", message }] });
}

/** Checks this transaction's rules against the limits of active ones. @throws LIMIT_REACHED */
export async function requireRoom(
  { settings }: RuleStoreContext,
  trx: Trx,
  rows: readonly Pick<RuleRow, "projectId" | "createdBy" | "active">[],
): Promise<void> {
  const { rulesPerProject, rulesPerUser } = settings.limits;
  const active = rows.filter((row) => row.active === 1);
  for (const projectId of new Set(active.map((row) => row.projectId)))
    if ((await queries.countActive(trx, "projectId", projectId)) > rulesPerProject)
      throw limitReached("A project has too many active rules", "limits.rulesPerProject", rulesPerProject);
  for (const createdBy of new Set(active.map((row) => row.createdBy)))
    if (createdBy !== null && (await queries.countActive(trx, "createdBy", createdBy)) > rulesPerUser)
      throw limitReached("A user has too many active rules", "limits.rulesPerUser", rulesPerUser);
}

/** Size of the patterns of a rule, at the cost of the caller; 0 for one without patterns, or that is not active. */
export function patternSizeOf(row: RuleRow): number {
  if (row.active === 0) return 0;
  const size = readCondition(row.condition).measure() + (overTimeSettings(row)?.alert?.resolve?.measure() ?? 0);
  if (size > 0) currentCaller().charge?.({ steps: size * STEPS_PER_INSTRUCTION });
  return size;
}

interface SizedRule {
  readonly row: RuleRow;
  readonly patternSize: number;
}

/** @throws INVALID_CONDITION when the patterns of these rules together exceed the limits */
export function requirePatternRoom({ rules }: RuleStoreContext, sized: readonly SizedRule[]): void {
  const byProject = new Map<string | null, { size: number; ids: string[] }>();
  for (const { row, patternSize } of sized) {
    const { id, projectId, active } = row;
    if (active === 0) continue;
    const sum = byProject.get(projectId) ?? { size: 0, ids: [] };
    sum.size += patternSize;
    sum.ids.push(id);
    byProject.set(projectId, sum);
  }
  for (const [projectId, { size, ids }] of byProject) {
    const message = size > 0 ? rules.patternRefusal(projectId, size, ids) : null;
    if (message === null) continue;
    throw new PrismError("INVALID_CONDITION", message, { details: [{ path: "condition", code: "LIMIT", message }] });
  }
}

interface Change {
  readonly by: string | null;
  readonly roles: ReadonlyMap<string, string>;
  readonly action: "rule.create" | "rule.update";
}

async function recordVersion(
  { audit }: RuleStoreContext,
  row: RuleRow,
  { by, roles, action }: Change,
  trx: Trx,
): Promise<void> {
  const definition = JSON.stringify(definitionView(row, roles));
  const version = { ruleId: row.id, version: row.version, definition, createdBy: by, createdAt: row.updatedAt };
  insertLater(trx, "rule_versions", version);
  await audit.record({ action, resourceType: "rule", resourceId: row.id, metadata: { version: row.version } }, { trx });
  // In force for everything sealed after this commit.
  addEffect(trx, { type: "rules-changed", ruleIds: [row.id] });
}

type Targets = Pick<RuleRow, "targetRoles" | "targetUsers">;

/**
 * The recipients of a rule as stored: ids, so that a renamed role keeps its meaning. Members that
 * are not given stay unchecked, so that a rule can be renamed after one of its users was disabled;
 * a rule that moves to another project has its users checked there. @throws ROLE_NOT_FOUND,
 * RECIPIENT_NOT_FOUND, VALIDATION_FAILED without any recipient or alert
 */
async function resolveTargets(
  trx: Trx,
  directory: UserDirectory,
  old: RuleRow,
  projectId: string | null,
  given: UpdateRule,
): Promise<Targets> {
  const users = given.targetUsers ?? (old.projectId === projectId ? undefined : Rule.value(old, "targetUsers"));
  const targets = {
    targetRoles: given.targetRoles ? JSON.stringify(await roleIds(trx, given.targetRoles)) : old.targetRoles,
    targetUsers: users
      ? JSON.stringify(await directory.recipients(users, trx, projectId, "targetUsers"))
      : old.targetUsers,
  };
  const hasAlert = (given.alert === undefined ? old.alert : given.alert) !== null;
  if (targets.targetRoles !== "[]" || targets.targetUsers !== "[]" || hasAlert) return targets;
  throw invalidField("body", "targetRoles", "name at least one role or user, or an alert", "REQUIRED");
}

async function roleIds(trx: Trx, refs: readonly string[]): Promise<string[]> {
  const names = await queries.roleNames(trx);
  const ids = refs.map((ref, at) => {
    const id = roleId(names, ref);
    if (id === undefined) {
      throw new PrismError("ROLE_NOT_FOUND", `No such role: ${ref}`, {
        details: [{ path: `targetRoles.${at}`, code: "ROLE_NOT_FOUND", message: "is no role" }],
      });
    }
    return id;
  });
  return [...new Set(ids)];
}

/** Resolves a role by id or name, ignoring case. */
export function roleId(names: ReadonlyMap<string, string>, ref: string): string | undefined {
  if (names.has(ref)) return ref;
  const wanted = ref.toLowerCase();
  for (const [id, name] of names) if (name.toLowerCase() === wanted) return id;
  return undefined;
}
