import { type Selectable, sql } from "kysely";
import type { PageRequest } from "../../http/pagination.ts";
import type { ReadDb, Trx } from "../../store/database.ts";
import type { RuleStatsTable, RulesTable } from "../../store/schema.ts";
import {
  bytesOf,
  countOf,
  type FittingRows,
  fittingRows,
  holdsText,
  type RowBytes,
} from "../../store/sqlite/list-queries.ts";

export type RuleRow = Selectable<RulesTable>;
type StatsColumns = Omit<Selectable<RuleStatsTable>, "ruleId">;
/** A rule with its totals; null before its first match. */
export type RuleWithStats = RuleRow & { [K in keyof StatsColumns]: StatsColumns[K] | null };

/** The projects whose rules a caller may see. */
export interface VisibleProjects {
  /** Null: all projects. */
  readonly projectIds: readonly string[] | null;
  /** Whether rules for every project are included. */
  readonly withGlobal: boolean;
}

export interface RuleFilter extends VisibleProjects {
  readonly active: boolean | undefined;
  readonly q: string | undefined;
  readonly projectId: string | undefined;
  readonly createdBy: string | undefined;
  readonly sound: string | undefined;
  readonly roleId: string | undefined;
}

export type RuleSort = {
  readonly field: "name" | "priority" | "createdAt" | "updatedAt";
  readonly descending: boolean;
};

function stored(db: ReadDb | Trx) {
  return db
    .selectFrom("rules")
    .leftJoin("rule_stats", "rule_stats.ruleId", "rules.id")
    .where("rules.deletedAt", "is", null);
}

export const STATS = [
  "matched",
  "fired",
  "suppressed",
  "deduped",
  "cooled",
  "noRecipients",
  "counted",
  "alertsOpened",
  "alertsResolved",
  "errors",
  "lastMatchedAt",
  "lastError",
] as const;

function withStats(query: ReturnType<typeof stored>) {
  return query.selectAll("rules").select(STATS.map((column) => `rule_stats.${column}` as const));
}

function filtered(db: ReadDb, filter: RuleFilter) {
  const { projectIds, withGlobal, active, q, projectId, createdBy, sound, roleId } = filter;
  let query = stored(db);
  if (projectIds !== null) {
    query = query.where((e) =>
      e.or([
        ...(projectIds.length > 0 ? [e("rules.projectId", "in", projectIds)] : []),
        ...(withGlobal ? [e("rules.projectId", "is", null)] : []),
      ]),
    );
  }
  if (active !== undefined) query = query.where("rules.active", "=", active ? 1 : 0);
  if (projectId !== undefined) query = query.where("rules.projectId", "=", projectId);
  if (createdBy !== undefined) query = query.where("rules.createdBy", "=", createdBy);
  if (sound !== undefined) query = query.where(sql<string>`rules.sound collate nocase`, "=", sound);
  if (q !== undefined)
    query = query.where((e) => e.or([holdsText("rules.name", q), holdsText("rules.description", q)]));
  if (roleId !== undefined)
    query = query.where(sql<boolean>`exists (select 1 from json_each(rules.targetRoles) where value = ${roleId})`);
  return query;
}

export function countRules(db: ReadDb, filter: RuleFilter): Promise<number> {
  return countOf(filtered(db, filter));
}

/** Conditions, templates and recipients. */
const RULE_BYTES: RowBytes = {
  bytes: bytesOf(
    ...["description", "condition", "targetRoles", "targetUsers", "messageTemplate", "action", "alert"].map(
      (column) => `rules.${column}`,
    ),
  ),
  largest: 131_072,
};

/** A page of rules and the first of the next one. */
export function listRules(
  db: ReadDb,
  filter: RuleFilter,
  sort: RuleSort,
  page: PageRequest,
): Promise<FittingRows<RuleWithStats>> {
  return fittingRows(sorted(db, filter, sort, page.after).offset(page.offset), page.limit + 1, RULE_BYTES);
}

function sorted(db: ReadDb, filter: RuleFilter, sort: RuleSort, after: PageRequest["after"]) {
  const column = `rules.${sort.field}` as const;
  const direction = sort.descending ? "desc" : "asc";
  let query = withStats(filtered(db, filter));
  if (after) {
    const [value = "", id = ""] = after;
    const operator = sort.descending ? "<" : ">";
    query = query.where((e) =>
      e.or([e(column, operator, value), e.and([e(column, "=", value), e("rules.id", operator, String(id))])]),
    );
  }
  return query.orderBy(column, direction).orderBy("rules.id", direction);
}

export function findRule(db: ReadDb | Trx, id: string): Promise<RuleWithStats | undefined> {
  return withStats(stored(db)).where("rules.id", "=", id).executeTakeFirst();
}

/** The rule of a project, or with null of all projects, that has this name. */
export function ruleByName(db: Trx, projectId: string | null, name: string): Promise<RuleWithStats | undefined> {
  const named = withStats(stored(db)).where("rules.name", "=", name);
  return named.where("rules.projectId", projectId === null ? "is" : "=", projectId).executeTakeFirst();
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
function visibleVersions(db: ReadDb, ruleId: string, { projectIds, withGlobal }: VisibleProjects) {
  const query = db.selectFrom("rule_versions").where("ruleId", "=", ruleId);
  if (projectIds === null) return query;
  const projectId = sql<string | null>`json_extract(definition, '$.projectId')`;
  return query.where((e) =>
    e.or([
      ...(projectIds.length > 0 ? [e(projectId, "in", projectIds)] : []),
      ...(withGlobal ? [e(projectId, "is", null)] : []),
    ]),
  );
}

const VERSION_BYTES: RowBytes = { bytes: bytesOf("definition"), largest: RULE_BYTES.largest };

export function listVersions(db: ReadDb, ruleId: string, visible: VisibleProjects, page: PageRequest) {
  let query = visibleVersions(db, ruleId, visible).selectAll();
  if (page.after) query = query.where("version", "<", Number(page.after[0]));
  return fittingRows(query.orderBy("version", "desc").offset(page.offset), page.limit + 1, VERSION_BYTES);
}

export async function definitionOf(
  db: ReadDb,
  ruleId: string,
  visible: VisibleProjects,
  version: number,
): Promise<string | undefined> {
  const row = await visibleVersions(db, ruleId, visible)
    .select("definition")
    .where("version", "=", version)
    .executeTakeFirst();
  return row?.definition;
}

export function countVersions(db: ReadDb, ruleId: string, visible: VisibleProjects): Promise<number> {
  return countOf(visibleVersions(db, ruleId, visible));
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

export interface Activity {
  readonly ruleId: string;
  /** At most {@link ACTIVITY_DECISIONS}. */
  readonly matched: number;
  /** Matches that notified, or opened an alert. */
  readonly fired: number;
  readonly lastFiredAt: number | null;
}

/** What rules did since an instant, from their latest decisions: a busy rule has millions. */
export async function activityOf(
  db: ReadDb,
  ruleIds: readonly string[],
  since: number,
): Promise<ReadonlyMap<string, Activity>> {
  const { rows } = await sql<Activity>`
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
