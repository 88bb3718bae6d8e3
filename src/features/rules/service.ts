import { DAY_MS, toRfc3339 } from "../../core/clock.ts";
import { PrismError } from "../../core/errors.ts";
import type { UserPrincipal } from "../../core/principal.ts";
import { missingPermission } from "../../http/access.ts";
import { pageBody, readPage } from "../../http/pagination.ts";
import { requireVersion } from "../../http/versions.ts";
import { addEffect } from "../../store/database.ts";
import type { RulesContext } from "./context.ts";
import { type ImportReply, importRules } from "./import-rules.ts";
import { conditionWarnings } from "./language/language.ts";
import * as queries from "./queries.ts";
import { RuleAccess, requirePriority } from "./rule-access.ts";
import { RuleStore } from "./rule-store.ts";
import type { CreateRule, ImportRules, ListRules, UpdateRule, VersionsQuery } from "./schema.ts";
import { roleId } from "./targets.ts";
import { countsView, ruleView } from "./view.ts";

/** Rules: making, changing, versions, totals (contract 4.8). A rule, its version and its audit row are one transaction. */
export class RuleService {
  readonly #context: RulesContext;
  readonly #store: RuleStore;
  readonly #access: RuleAccess;

  constructor(context: RulesContext) {
    this.#context = context;
    this.#access = new RuleAccess(context.projects);
    const { db, clock, audit, users, config, rules, settings, senders } = context;
    const inForce = (row: queries.RuleRow): void => rules.put(row);
    const limits = () => settings.limits;
    const patternRefusal = rules.patternRefusal.bind(rules);
    this.#store = new RuleStore({
      db,
      clock,
      audit,
      users,
      config,
      senders: senders,
      limits,
      patternRefusal,
      inForce,
    });
  }

  async create(principal: UserPrincipal, input: CreateRule) {
    const projectId = this.#access.projectOf(principal, input.projectId);
    const id = await this.#context.db.write(async (trx) => {
      const row = await this.#store.newRow(trx, projectId, input, principal.userId);
      this.#store.requirePatternRoom([row]);
      requirePriority(principal, row);
      await this.#store.insert(trx, row, principal.userId);
      await this.#store.requireRoom(trx, [row]);
      return row.id;
    });
    return this.#read(id);
  }

  async update(principal: UserPrincipal, id: string, ifMatch: string, input: UpdateRule) {
    await this.#context.db.write(async (trx) => {
      const old = await this.#access.writable(principal, id, trx);
      requireVersion(ifMatch, old.version);
      const projectId = this.#access.projectAfter(principal, old, input.projectId);
      const row = await this.#store.changedRow(trx, old, projectId, input);
      const allowed = await this.#access.allowedRow(principal, old, row, trx);
      if (input.condition !== undefined || input.active || allowed.projectId !== old.projectId)
        this.#store.requirePatternRoom([allowed]);
      requirePriority(principal, allowed);
      await this.#store.replace(trx, allowed, principal.userId);
      if (old.active === 0 || old.projectId !== allowed.projectId) await this.#store.requireRoom(trx, [allowed]);
    });
    return this.#read(id);
  }

  /** All of them or none. @throws as {@link create}, with the place of each problem in `details` */
  import(principal: UserPrincipal, input: ImportRules): Promise<ImportReply> {
    const { db, users } = this.#context;
    const mayReadUsers = principal.permissions.has("users:read");
    return importRules(db, this.#store, input, {
      userId: principal.userId,
      projectOf: async (ref) => this.#access.projectOf(principal, ref),
      requireStorable: (row) => requirePriority(principal, row),
      // Whoever may not read users must not learn who has which mail address.
      userOf: async (ref, trx) => users.find(ref) ?? (mayReadUsers ? queries.activeUserByEmail(trx, ref) : undefined),
    });
  }

  async delete(principal: UserPrincipal, id: string): Promise<void> {
    const { db, clock, audit } = this.#context;
    await db.write(async (trx) => {
      const rule = await this.#access.writable(principal, id, trx);
      await trx.updateTable("rules").set({ deletedAt: clock.now(), active: 0 }).where("id", "=", id).execute();
      await audit.record(
        { action: "rule.delete", resourceType: "rule", resourceId: id, metadata: { version: rule.version } },
        { trx },
      );
      addEffect(trx, { type: "rules-changed", ruleIds: [id] });
    });
  }

  async get(principal: UserPrincipal, id: string) {
    await this.#visible(principal, id);
    return this.#read(id);
  }

  async list(principal: UserPrincipal, query: ListRules) {
    const { db, projects, sounds, rules } = this.#context;
    const sort = readSort(query.sort ?? "-createdAt");
    const request = readPage(query, [sort.field === "name" ? "string" : "number", "string"]);
    const roles = await queries.roleNames(db.read);
    const filter: queries.RuleFilter = {
      ...this.#access.visibleProjects(principal),
      active: query.active,
      q: query.q,
      projectId: query.projectId === undefined ? undefined : projects.require(principal, query.projectId, "rules:read"),
      createdBy: query.createdBy,
      roleId: query.targetRole === undefined ? undefined : (roleId(roles, query.targetRole) ?? query.targetRole),
    };
    if (filter.projectIds?.length === 0 && !filter.withGlobal) throw missingPermission("rules:read");
    const { rows, isCut } = await queries.listRules(db.scan, filter, sort, request);
    const total = request.wantsTotal ? await queries.countRules(db.scan, filter) : undefined;
    return pageBody(
      { ...request, isCut },
      rows,
      (row) => ruleView(row, roles, sounds.urlOf, rules.brokenOf(row.id)),
      (row) => [row[sort.field], row.id],
      total,
    );
  }

  /** Versions from a time when the rule was of a project whose rules the caller may not read are left out. */
  async versions(principal: UserPrincipal, id: string, query: VersionsQuery) {
    await this.#visible(principal, id);
    const { db } = this.#context;
    const request = readPage(query, ["number"]);
    const visible = this.#access.visibleProjects(principal);
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

  /** Totals since the rule exists, or counted from the stored decisions of a time; by day the last 30 days unless a time is given. */
  async stats(
    principal: UserPrincipal,
    id: string,
    { from, to }: { from?: number | undefined; to?: number | undefined },
  ) {
    const rule = await this.#visible(principal, id);
    const { db, clock } = this.#context;
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
      days.set(day, { day, matched: entry.matched + n, fired: entry.fired + (outcome === "fired" ? n : 0) });
      totals.matched += n;
      totals[outcome === "no recipients" ? "noRecipients" : outcome] += n;
    }
    const perDay = [...days.values()];
    if (from === undefined && to === undefined) return { ...countsView(rule), perDay };
    return { ...countsView({ ...rule, ...totals }), perDay };
  }

  /** A rule as it is stored. @throws RULE_NOT_FOUND, also for a rule that the caller may not see */
  stored(principal: UserPrincipal, id: string): Promise<queries.RuleRow> {
    return this.#visible(principal, id);
  }

  #visible(principal: UserPrincipal, id: string): Promise<queries.RuleWithStats> {
    return this.#access.visible(principal, id, this.#context.db.read);
  }

  async #read(id: string) {
    const { db, sounds, rules } = this.#context;
    const row = await queries.findRule(db.read, id);
    if (!row) throw new PrismError("RULE_NOT_FOUND", "No such rule");
    const roles = await queries.roleNames(db.read);
    const view = ruleView(row, roles, sounds.urlOf, rules.brokenOf(id));
    return { version: row.version, body: { ...view, warnings: conditionWarnings(row.condition) } };
  }
}

const NO_DECISIONS = { matched: 0, fired: 0, suppressed: 0, deduped: 0, cooled: 0, noRecipients: 0 };

function readSort(sort: string): queries.RuleSort {
  const descending = sort.startsWith("-");
  return { field: sort.replace("-", "") as queries.RuleSort["field"], descending };
}
