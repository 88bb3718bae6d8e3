import { type Selectable, sql } from "kysely";
import { type ReadDb, rowsOf, rowsOfAll, type Trx } from "../../store/database.ts";
import type { Schema } from "../../store/schema.ts";
import { countOf, valuesOf } from "../../store/sqlite/list-queries.ts";
import { ofVisible, type RuleRow, type VisibleProjects } from "./rule.ts";

/** What a change of a rule reads, in one message to the writer. */
export interface RuleToChange {
  readonly rule: RuleRow | undefined;
  /** Another rule of its project that has the name; null: it is free. */
  readonly namesakeId: string | null;
  readonly roles: ReadonlyMap<string, string>;
}

const RULE_SQL = "select * from rules where id = ? and deletedAt is null";
const NAMESAKE_SQL = `select other.id from rules r
  join rules other on coalesce(other.projectId, '') = coalesce(r.projectId, '')
    and other.name = coalesce(?, r.name) and other.deletedAt is null
  where r.id = ? and other.id <> r.id limit 1`;
const ROLES_SQL = "select id, name from roles";

/** @param name of the rule after the change; undefined: it stays */
export async function ruleToChange(trx: Trx, id: string, name: string | undefined): Promise<RuleToChange> {
  const [rules, namesakes, roles] = await rowsOfAll(trx, [
    { sql: RULE_SQL, parameters: [id] },
    { sql: NAMESAKE_SQL, parameters: [name ?? null, id] },
    { sql: ROLES_SQL, parameters: [] },
  ]);
  const [rule] = rules as RuleRow[];
  const [namesake] = namesakes as { id: string }[];
  return { rule, namesakeId: namesake?.id ?? null, roles: namesOf(roles) };
}

const RULES_SQL = "select * from rules where id in (select value from json_each(?)) and deletedAt is null";

/** Rules and the names of roles, in one message to the writer. */
export async function rulesToChange(trx: Trx, ids: readonly string[]) {
  const [rules, roles] = await rowsOfAll(trx, [
    { sql: RULES_SQL, parameters: [JSON.stringify(ids)] },
    { sql: ROLES_SQL, parameters: [] },
  ]);
  return { rules: new Map((rules as RuleRow[]).map((rule) => [rule.id, rule])), roles: namesOf(roles) };
}

function namesOf(roles: unknown): ReadonlyMap<string, string> {
  return new Map((roles as { id: string; name: string }[]).map(({ id, name }) => [id, name]));
}

/** The totals of a rule; undefined before its first match. */
export async function statsOfOne(db: ReadDb, ruleId: string): Promise<Selectable<Schema["rule_stats"]> | undefined> {
  const [row] = await rowsOf<Selectable<Schema["rule_stats"]>>(db, "select * from rule_stats where ruleId = ?", [
    ruleId,
  ]);
  return row;
}

/** The rule of a project, or with null of all projects, that has this name. */
export function ruleByName(db: Trx, projectId: string | null, name: string): Promise<RuleRow | undefined> {
  const named = db.selectFrom("rules").selectAll().where("deletedAt", "is", null).where("name", "=", name);
  return named.where("projectId", projectId === null ? "is" : "=", projectId).executeTakeFirst();
}

/** The rules of a project, or with null those of all projects, by name. */
export function rulesOf(db: ReadDb | Trx, projectId: string | null, ids?: readonly string[]): Promise<RuleRow[]> {
  const all = ofProject(db, projectId).selectAll().orderBy("name");
  return (ids ? all.where("id", "in", valuesOf(ids)) : all).execute();
}

/** Of the rules of {@link rulesOf}. */
export function ruleVersionsOf(db: ReadDb | Trx, projectId: string | null) {
  return ofProject(db, projectId).select(["id", "version", "targetRoles"]).execute();
}

function ofProject(db: ReadDb | Trx, projectId: string | null) {
  const all = db.selectFrom("rules").where("deletedAt", "is", null);
  return all.where("projectId", projectId === null ? "is" : "=", projectId);
}

/** The totals of rules; before its first match a rule has none. */
export async function statsOf(db: ReadDb, ruleIds: readonly string[]) {
  const rows = await db.selectFrom("rule_stats").selectAll().where("ruleId", "in", valuesOf(ruleIds)).execute();
  return new Map(rows.map((row) => [row.ruleId, row]));
}

export async function hasProjectBesides(db: Trx, projectId: string): Promise<boolean> {
  const query = db.selectFrom("projects").select("id").where("deletedAt", "is", null).where("id", "!=", projectId);
  return (await query.limit(1).executeTakeFirst()) !== undefined;
}

/** Ids and names of all roles; there are few. */
export async function roleNames(db: ReadDb | Trx): Promise<ReadonlyMap<string, string>> {
  const roles = await db.selectFrom("roles").select(["id", "name"]).execute();
  return new Map(roles.map(({ id, name }) => [id, name]));
}

/** A version belongs to the project it names: a rule may have moved. */
export function versionsOf(ruleId: string, visible: VisibleProjects) {
  return sql<boolean>`(ruleId = ${ruleId} and ${ofVisible(visible, sql`json_extract(definition, '$.projectId')`)})`;
}

export async function definitionOf(
  db: ReadDb,
  ruleId: string,
  visible: VisibleProjects,
  version: number,
): Promise<string | undefined> {
  const versions = db.selectFrom("rule_versions").select("definition").where(versionsOf(ruleId, visible));
  return (await versions.where("version", "=", version).executeTakeFirst())?.definition;
}

/** Decisions of a rule by day (UTC) and outcome. */
export function decisionsPerDay(db: ReadDb, ruleId: string, from: number, to: number) {
  return db
    .selectFrom("decisions")
    .select([
      "outcome",
      sql<string>`strftime('%Y-%m-%d', at / 1000, 'unixepoch')`.as("day"),
      (e) => e.fn.countAll<number>().as("n"),
    ])
    .where("ruleId", "=", ruleId)
    .where("at", ">=", from)
    .where("at", "<", to)
    .groupBy(["day", "outcome"])
    .orderBy("day")
    .execute();
}

/** Decisions that are read for a rule's activity. */
export const ACTIVITY_DECISIONS = 500;

/** Matches, at most {@link ACTIVITY_DECISIONS}, and those that notified or opened an alert. */
type Activity = typeof NO_ACTIVITY;

export const NO_ACTIVITY = { matched: 0, fired: 0, lastFiredAt: null as number | null };

/** Activity of rules since an instant, from their latest decisions: a busy rule has millions. */
export async function activityOf(
  db: ReadDb,
  ruleIds: readonly string[],
  since: number,
): Promise<ReadonlyMap<string, Activity>> {
  const { rows } = await sql<Activity & { readonly ruleId: string }>`
    with latest as (
      select wanted.value as ruleId, d.at, d.outcome from json_each(${JSON.stringify(ruleIds)}) as wanted
      join decisions as d on d.ruleId = wanted.value and d.eventSeq >= coalesce((
        select e.eventSeq from decisions as e where e.ruleId = wanted.value
        order by e.eventSeq desc limit 1 offset ${ACTIVITY_DECISIONS - 1}), 0)
    )
    select ruleId, sum(at >= ${since}) as matched,
      sum(at >= ${since} and outcome in ('fired', 'alert-opened')) as fired,
      max(case when outcome in ('fired', 'alert-opened') then at end) as lastFiredAt
    from latest group by ruleId`.execute(db);
  return new Map(rows.map((row) => [row.ruleId, row]));
}

/** Active rules of one project (null: of all projects) or of one creator. */
export function countActive(trx: Trx, column: "projectId" | "createdBy", value: string | null): Promise<number> {
  const active = trx.selectFrom("rules").where("active", "=", 1).where("deletedAt", "is", null);
  return countOf(active.where(column, "is", value));
}
