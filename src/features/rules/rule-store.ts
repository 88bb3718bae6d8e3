import type { Config } from "../../config/load.ts";
import type { Clock } from "../../core/clock.ts";
import { invalidField, limitReached, PrismError } from "../../core/errors.ts";
import { uuidv7 } from "../../core/ids.ts";
import type { LiveSettings } from "../../http/live-settings.ts";
import { DEFAULT_CHANNELS, requireLink, requireServed, type ServedChannels } from "../../http/shapes.ts";
import { addEffect, type Trx } from "../../store/database.ts";
import type { UserDirectory } from "../access/index.ts";
import type { AuditTrail } from "../audit/index.ts";
import { requireSound } from "../sounds/index.ts";
import type { RuleBook } from "./deciding/rule-book.ts";
import { compileCondition, readCondition } from "./language/language.ts";
import { overTimeColumns, overTimeSettings } from "./over-time/settings.ts";
import * as queries from "./queries.ts";
import type { CreateRule, UpdateRule } from "./schema.ts";
import { textsOf } from "./texts.ts";
import { throttleSettings } from "./throttle/throttle.ts";
import { definitionView } from "./view.ts";

/** Dependencies of checking and storing rules. The caller checks permissions. */
export interface RuleStoreContext {
  readonly clock: Clock;
  readonly audit: AuditTrail;
  readonly users: UserDirectory;
  readonly config: Config;
  readonly channels: ServedChannels;
  readonly settings: Pick<LiveSettings, "limits">;
  readonly rules: Pick<RuleBook, "patternRefusal">;
}

/**
 * Builds the row of a new rule. @throws INVALID_CONDITION, INVALID_TEMPLATE, ROLE_NOT_FOUND,
 * RECIPIENT_NOT_FOUND, and similar
 */
export async function newRow(
  context: RuleStoreContext,
  trx: Trx,
  projectId: string | null,
  input: CreateRule,
  createdBy: string | null,
): Promise<queries.RuleRow> {
  check(context, input);
  const now = context.clock.now();
  const texts = templates(input);
  return {
    id: uuidv7(),
    projectId,
    name: input.name,
    description: input.description ?? "",
    condition: input.condition,
    ...(await resolveTargets(trx, context.users, projectId, input, null)),
    channels: JSON.stringify(input.channels ?? DEFAULT_CHANNELS),
    ...texts,
    sound: await requireSound(input.sound, trx),
    action: input.action ? JSON.stringify(input.action) : null,
    priority: input.priority ?? 0,
    active: input.active === false ? 0 : 1,
    ...throttlingColumns(input),
    ...overTimeColumns(input, { ...texts, name: input.name }),
    version: 1,
    tooCostlyVersion: null,
    createdBy,
    deletedAt: null,
    createdAt: now,
    updatedAt: now,
  };
}

/** Builds the changed row of a rule; missing members stay. @throws as {@link newRow} */
export async function changedRow(
  context: RuleStoreContext,
  trx: Trx,
  stored: queries.RuleWithStats,
  projectId: string | null,
  input: UpdateRule,
): Promise<queries.RuleRow> {
  check(context, input);
  const old = withoutStats(stored);
  const name = input.name ?? old.name;
  const texts = templates(input, old);
  return {
    ...old,
    projectId,
    name,
    description: input.description ?? old.description,
    condition: input.condition ?? old.condition,
    ...(await resolveTargets(trx, context.users, projectId, input, old)),
    channels: input.channels ? JSON.stringify(input.channels) : old.channels,
    ...texts,
    sound: input.sound === undefined ? old.sound : await requireSound(input.sound, trx),
    action: input.action === undefined ? old.action : input.action && JSON.stringify(input.action),
    priority: input.priority ?? old.priority,
    active: input.active === undefined ? old.active : input.active ? 1 : 0,
    ...throttlingColumns(input, old),
    ...overTimeColumns(input, { ...texts, name }, old),
    version: old.version + 1,
    updatedAt: context.clock.now(),
  };
}

/**
 * Rule, version and audit row are one transaction. @param by id of the user who makes it, for the
 * history of versions. @throws NAME_TAKEN
 */
export async function insertRule(
  context: RuleStoreContext,
  trx: Trx,
  row: queries.RuleRow,
  by: string | null,
): Promise<void> {
  await requireFreeName(trx, row);
  await trx.insertInto("rules").values(row).execute();
  await recordVersion(context, row, by, "rule.create", trx);
}

/** {@link insertRule}, replacing the stored rule of the same id. */
export async function replaceRule(
  context: RuleStoreContext,
  trx: Trx,
  row: queries.RuleRow,
  by: string | null,
): Promise<void> {
  const { id, createdAt: _c, createdBy: _b, ...changes } = row;
  await requireFreeName(trx, row);
  await trx.updateTable("rules").set(changes).where("id", "=", id).execute();
  await recordVersion(context, row, by, "rule.update", trx);
}

/** A name means one rule in its project: exports, imports and commands rely on it. @throws NAME_TAKEN */
async function requireFreeName(trx: Trx, { id, projectId, name }: queries.RuleRow): Promise<void> {
  const other = await queries.ruleByName(trx, projectId, name);
  if (other === undefined || other.id === id) return;
  const message = `the project has a rule of this name (${other.id}); change that one, or choose another name`;
  throw new PrismError("NAME_TAKEN", `name: ${message}`, { details: [{ path: "name", code: "NAME_TAKEN", message }] });
}

/** Checks this transaction's rules against the limits of active ones. @throws LIMIT_REACHED */
export async function requireRoom(
  { settings }: RuleStoreContext,
  trx: Trx,
  rows: readonly Pick<queries.RuleRow, "projectId" | "createdBy" | "active">[],
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

/** @throws INVALID_CONDITION when the patterns of these rules together exceed the limits */
export function requirePatternRoom({ rules }: RuleStoreContext, rows: readonly queries.RuleRow[]): void {
  const byProject = new Map<string | null, { size: number; ids: string[] }>();
  for (const row of rows) {
    const { id, projectId, condition, active } = row;
    if (active === 0) continue;
    const sum = byProject.get(projectId) ?? { size: 0, ids: [] };
    const resolve = overTimeSettings(row)?.alert?.resolve;
    sum.size += readCondition(condition).measure() + (resolve?.measure() ?? 0);
    sum.ids.push(id);
    byProject.set(projectId, sum);
  }
  for (const [projectId, { size, ids }] of byProject) {
    const message = size > 0 ? rules.patternRefusal(projectId, size, ids) : null;
    if (message === null) continue;
    throw new PrismError("INVALID_CONDITION", message, { details: [{ path: "condition", code: "LIMIT", message }] });
  }
}

function check({ config, channels: served }: RuleStoreContext, { channels, action, condition }: UpdateRule): void {
  requireServed(channels, served);
  requireLink(action?.url, "action.url", config);
  if (condition !== undefined) compileCondition(condition);
}

async function recordVersion(
  { audit }: RuleStoreContext,
  row: queries.RuleRow,
  createdBy: string | null,
  action: "rule.create" | "rule.update",
  trx: Trx,
): Promise<void> {
  const definition = JSON.stringify(definitionView(row, await queries.roleNames(trx)));
  const version = { ruleId: row.id, version: row.version, definition, createdBy, createdAt: row.updatedAt };
  await trx.insertInto("rule_versions").values(version).execute();
  await audit.record({ action, resourceType: "rule", resourceId: row.id, metadata: { version: row.version } }, { trx });
  // In force for everything sealed after this commit.
  addEffect(trx, { type: "rules-changed", ruleIds: [row.id] });
}

function withoutStats(rule: queries.RuleWithStats): queries.RuleRow {
  const columns = Object.entries(rule).filter(([name]) => !(queries.STATS as readonly string[]).includes(name));
  return Object.fromEntries(columns) as queries.RuleRow;
}

type Templates = Pick<queries.RuleRow, "titleTemplate" | "messageTemplate">;

/** Null: the description of the event. @throws INVALID_TEMPLATE */
function templates(
  input: Pick<UpdateRule, keyof Templates>,
  old: Templates = { titleTemplate: null, messageTemplate: null },
): Templates {
  const texts = {
    titleTemplate: input.titleTemplate === undefined ? old.titleTemplate : input.titleTemplate,
    messageTemplate: input.messageTemplate === undefined ? old.messageTemplate : input.messageTemplate,
  };
  textsOf({ name: "", ...texts });
  return texts;
}

const UNTHROTTLED = { suppression: null, dedupe: null, cooldownMs: 0 };

/** The throttle settings of a rule, as stored. @throws INVALID_TEMPLATE */
export function throttlingColumns(
  input: Pick<CreateRule, "suppression" | "dedupe" | "cooldownMs">,
  old: Pick<queries.RuleRow, "suppression" | "dedupe" | "cooldownMs"> = UNTHROTTLED,
) {
  const stored = {
    suppression: input.suppression === undefined ? old.suppression : textOrNull(input.suppression),
    dedupe: input.dedupe === undefined ? old.dedupe : textOrNull(input.dedupe),
    cooldownMs: input.cooldownMs ?? old.cooldownMs,
  };
  throttleSettings(stored);
  return stored;
}

function textOrNull(value: object | null): string | null {
  return value && JSON.stringify(value);
}

type Targets = Pick<queries.RuleRow, "targetRoles" | "targetUsers">;

/**
 * The recipients of a rule as stored: ids, so that a renamed role keeps its meaning. Members that
 * are not given stay unchecked, so that a rule can be renamed after one of its users was disabled;
 * a rule that moves to another project has its users checked there.
 * @param old the previous rule; null for a new one. @throws ROLE_NOT_FOUND, RECIPIENT_NOT_FOUND,
 * VALIDATION_FAILED without any recipient or alert
 */
async function resolveTargets(
  trx: Trx,
  directory: UserDirectory,
  projectId: string | null,
  given: Pick<UpdateRule, "targetRoles" | "targetUsers" | "alert">,
  old: (Targets & Pick<queries.RuleRow, "projectId" | "alert">) | null,
): Promise<Targets> {
  const isMoved = old !== null && old.projectId !== projectId;
  const users = given.targetUsers ?? (isMoved ? (JSON.parse(old.targetUsers) as string[]) : undefined);
  const targets = {
    targetRoles: given.targetRoles ? JSON.stringify(await roleIds(trx, given.targetRoles)) : (old?.targetRoles ?? "[]"),
    targetUsers: users
      ? JSON.stringify(await directory.recipients(users, trx, projectId, "targetUsers"))
      : (old?.targetUsers ?? "[]"),
  };
  const hasAlert = (given.alert === undefined ? old?.alert : given.alert) ?? null;
  if (targets.targetRoles !== "[]" || targets.targetUsers !== "[]" || hasAlert !== null) return targets;
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
