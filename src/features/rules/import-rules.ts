import { isDeepStrictEqual } from "node:util";
import { currentCaller } from "../../core/caller.ts";
import { type ErrorDetail, MAX_ERROR_DETAILS, PrismError } from "../../core/errors.ts";
import { LoopTurns } from "../../core/promises.ts";
import { countText } from "../../core/text/clean-text.ts";
import type { Database, Trx } from "../../store/database.ts";
import { type ConditionWarning, conditionWarnings, keepingConditions, readCondition } from "./language/language.ts";
import * as queries from "./queries.ts";
import type { RuleRow } from "./rule.ts";
import {
  changedRow,
  checkingSteps,
  insertRule,
  newRow,
  patternSizeOf,
  type RuleStoreContext,
  replaceRule,
  requirePatternRoom,
  requireRoom,
} from "./rule-store.ts";
import type { ImportReply, ImportRules } from "./schema.ts";
import { definitionView } from "./view.ts";

type GivenRule = ImportRules["rules"][number];

/** The importing caller: creator of the rules, and resolver of their references. */
export interface Importer {
  /** Null for the command line, which imports for no user. */
  readonly userId: string | null;
  /** Undefined: the importer's default. @throws PROJECT_NOT_FOUND, UNAUTHORIZED_ROLE */
  projectOf(ref: string | null | undefined, trx: Trx): Promise<string | null>;
  /** The id of an active user whom the project reaches. @throws RECIPIENT_NOT_FOUND */
  userOf(ref: string, projectId: string | null, path: string): string;
  /** @throws UNAUTHORIZED_ROLE where the importer may not store a rule like this */
  requireStorable?(row: RuleRow): void;
}

type Outcome = ImportReply["rules"][number]["outcome"];

interface Change {
  readonly outcome: Outcome;
  readonly row: RuleRow;
}

interface Step extends Change {
  readonly patternSize: number;
  readonly warnings: readonly ConditionWarning[];
}

/**
 * Stores rules, all or none, in one transaction. A rule is known by its name in its project; one
 * that is there already and equal is left alone, one that differs is changed with `update` only,
 * and members that are missing stay as they are. Every rule is checked before the first is stored.
 * @throws PrismError with the code of the first problem; `details` has all of them, each with its
 * place: `rules.3.condition`; WORK_LIMITED
 */
export async function importRules(
  db: Database,
  context: RuleStoreContext,
  given: ImportRules,
  importer: Importer,
): Promise<ImportReply> {
  const steps = given.rules.reduce((sum, rule) => sum + checkingSteps(rule), 0);
  currentCaller().pay?.({ steps });
  return keepingConditions(async () => {
    const warnings = await readAll(given.rules);
    return storeRules(db, context, given, { importer, warnings });
  });
}

type WarningsOf = (condition: string) => readonly ConditionWarning[];

/** Reads the conditions before the transaction, which holds up everything else. */
async function readAll(rules: readonly GivenRule[]): Promise<WarningsOf> {
  const known = new Map<string, readonly ConditionWarning[]>();
  const turns = new LoopTurns();
  for (const { condition } of rules) {
    await turns.pause();
    if (condition === undefined || known.has(condition)) continue;
    try {
      readCondition(condition);
      known.set(condition, conditionWarnings(condition));
    } catch (error) {
      // The plan refuses it, with its place.
      if (!(error instanceof PrismError)) throw error;
    }
  }
  return (condition) => known.get(condition) ?? conditionWarnings(condition);
}

interface Given {
  readonly importer: Importer;
  readonly warnings: WarningsOf;
}

function storeRules(
  db: Database,
  context: RuleStoreContext,
  { rules, update = false, dryRun = false }: ImportRules,
  given: Given,
): Promise<ImportReply> {
  return db.write(async (trx) => {
    const { importer } = given;
    const steps = await plan(trx, context, rules, update, given);
    requirePatternRoom(context, steps);
    for (const { outcome, row } of dryRun ? [] : steps) {
      if (outcome === "created") await insertRule(context, trx, row, importer.userId);
      else if (outcome === "updated") await replaceRule(context, trx, row, importer.userId);
    }
    if (!dryRun) {
      const changed = steps.filter(({ outcome }) => outcome !== "unchanged");
      await requireRoom(
        context,
        trx,
        changed.map(({ row }) => row),
      );
    }
    const count = (wanted: Outcome): number => steps.filter(({ outcome }) => outcome === wanted).length;
    return {
      created: count("created"),
      updated: count("updated"),
      unchanged: count("unchanged"),
      dryRun,
      rules: steps.map(({ outcome, warnings, row: { id, name, projectId } }) => ({
        id: dryRun && outcome === "created" ? null : id,
        name,
        projectId,
        outcome,
        warnings: [...warnings],
      })),
    };
  });
}

async function plan(
  trx: Trx,
  context: RuleStoreContext,
  rules: readonly GivenRule[],
  update: boolean,
  { importer, warnings }: Given,
): Promise<Step[]> {
  const roles = await queries.roleNames(trx);
  const steps: Step[] = [];
  const problems: Problem[] = [];
  const places = new Map<string, number>();
  const sizes = new Map<string | null, number>();
  // Compiling what many rules hold must not keep the loop.
  const turns = new LoopTurns();
  for (const [at, rule] of rules.entries()) {
    await turns.pause();
    try {
      const projectId = await importer.projectOf(rule.projectId, trx);
      requireOnce(places, `${projectId} ${rule.name}`, at);
      const own = withUserIds(rule, projectId, importer);
      const change = await changeOf(trx, context, own, projectId, { update, importer, roles });
      const patternSize = patternSizeOf(change.row);
      const size = (sizes.get(projectId) ?? 0) + (change.row.active === 1 ? patternSize : 0);
      sizes.set(projectId, size);
      steps.push({ ...change, patternSize, warnings: warnings(change.row.condition) });
      // Whatever the others replace, there is no room for these: they are refused when all is planned.
      if (size > context.config.limits.patternsPerProject) break;
    } catch (error) {
      if (!(error instanceof PrismError)) throw error;
      problems.push({ at, name: rule.name, error });
    }
  }
  if (problems.length > 0) throw refusalOf(problems);
  return steps;
}

async function changeOf(
  trx: Trx,
  context: RuleStoreContext,
  rule: GivenRule,
  projectId: string | null,
  { update, importer, roles }: { update: boolean; importer: Importer; roles: ReadonlyMap<string, string> },
): Promise<Change> {
  const stored = await queries.ruleByName(trx, projectId, rule.name);
  if (!stored) {
    const created = await newRow(context, trx, projectId, rule, importer.userId);
    importer.requireStorable?.(created);
    return { outcome: "created", row: created };
  }
  const row = await changedRow(context, trx, stored, projectId, rule);
  if (isDeepStrictEqual(comparable(row, roles), comparable(stored, roles)))
    return { outcome: "unchanged", row: stored };
  if (!update) throw refused("NAME_TAKEN", "name", "there is a rule of this name that differs; update changes it");
  importer.requireStorable?.(row);
  return { outcome: "updated", row };
}

/** The parts of a rule that count in a comparison; the order of its recipients does not. */
function comparable(row: RuleRow, roles: ReadonlyMap<string, string>) {
  const { targetRoles, targetUsers, ...definition } = definitionView(row, roles);
  return { ...definition, targetRoles: [...targetRoles].sort(), targetUsers: [...targetUsers].sort() };
}

/** With ids for its users: an import creates no users. @throws RECIPIENT_NOT_FOUND */
function withUserIds(rule: GivenRule, projectId: string | null, importer: Importer): GivenRule {
  if (rule.targetUsers === undefined) return rule;
  const targetUsers = rule.targetUsers.map((ref, at) => importer.userOf(ref, projectId, `targetUsers.${at}`));
  return { ...rule, targetUsers };
}

/** @throws VALIDATION_FAILED for a rule that is twice in the imported list */
function requireOnce(places: Map<string, number>, key: string, at: number): void {
  const earlier = places.get(key);
  if (earlier !== undefined)
    throw refused("VALIDATION_FAILED", "name", `rules.${earlier} has the same name in the same project`);
  places.set(key, at);
}

function refused(code: "NAME_TAKEN" | "VALIDATION_FAILED", path: string, message: string): PrismError {
  return new PrismError(code, `${path}: ${message}`, { details: [{ path, code, message }] });
}

interface Problem {
  readonly at: number;
  readonly name: string;
  readonly error: PrismError;
}

function refusalOf(problems: readonly Problem[]): PrismError {
  const [first] = problems;
  if (!first) throw new TypeError("a refusal needs a problem");
  const others = problems.length - 1;
  const more = others === 0 ? "" : `; ${countText(others, "more rule is", "more rules are")} not valid`;
  return new PrismError(first.error.code, `rules.${first.at} (${first.name}): ${first.error.message}${more}`, {
    details: problems.flatMap(detailsOf).slice(0, MAX_ERROR_DETAILS),
  });
}

function detailsOf({ at, error: { code, message, details } }: Problem): ErrorDetail[] {
  const found: readonly ErrorDetail[] = details ?? [{ code, message }];
  return found.map((detail) => ({ ...detail, path: `rules.${at}${detail.path ? `.${detail.path}` : ""}` }));
}
