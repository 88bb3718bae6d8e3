import { DAY_MS, toRfc3339 } from "../../base/clock.ts";
import { PrismError } from "../../base/errors.ts";
import { isUuid, uuidv7 } from "../../base/ids.ts";
import type { UserPrincipal } from "../../base/principal.ts";
import { missingPermission } from "../../http/access.ts";
import { pageBody, readPage } from "../../http/pagination.ts";
import { compileCondition, compileTemplate } from "../../rules/index.ts";
import type { CoreServices } from "../../services/module.ts";
import { requireLink } from "../../services/notifications/links.ts";
import { DEFAULT_CHANNELS, requireServed, requireSound } from "../../services/notifications/message-parts.ts";
import { requireVersion } from "../../services/versions.ts";
import type { Trx } from "../../store/database.ts";
import * as queries from "./queries.ts";
import type { CreateRule, ListRules, UpdateRule, VersionsQuery } from "./schema.ts";
import { resolveTargets, roleId } from "./targets.ts";
import { countsView, definitionView, ruleView } from "./view.ts";

/** Rules: making, changing, versions, totals (contract 4.8). A rule, its version and its audit row are one transaction. */
export class RuleService {
  readonly #services: CoreServices;

  constructor(services: CoreServices) {
    this.#services = services;
  }

  async create(principal: UserPrincipal, input: CreateRule) {
    const { db, clock, users } = this.#services;
    const projectId = this.#targetProject(principal, input.projectId ?? null);
    requireServed(input.channels);
    requireLink(input.action?.url, "action.url", this.#services.config);
    compileCondition(input.condition);
    const now = clock.now();
    const id = uuidv7();
    await db.write(async (trx) => {
      const row: queries.RuleRow = {
        id,
        projectId,
        name: input.name,
        description: input.description ?? "",
        condition: input.condition,
        ...(await resolveTargets(trx, users, projectId, input, null)),
        channels: JSON.stringify(input.channels ?? DEFAULT_CHANNELS),
        ...templates(input.titleTemplate ?? asTemplate(input.name), input.messageTemplate ?? "{{event.type}}"),
        sound: requireSound(input.sound),
        action: input.action ? JSON.stringify(input.action) : null,
        priority: input.priority ?? 0,
        active: input.active === false ? 0 : 1,
        version: 1,
        createdBy: principal.userId,
        deletedAt: null,
        createdAt: now,
        updatedAt: now,
      };
      await trx.insertInto("rules").values(row).execute();
      await this.#recordVersion(row, principal, "rule.create", trx);
    });
    return this.#read(id);
  }

  async update(principal: UserPrincipal, id: string, ifMatch: string, input: UpdateRule) {
    const { db, clock, users } = this.#services;
    await db.write(async (trx) => {
      const {
        matched: _m,
        fired: _f,
        noRecipients: _n,
        errors: _e,
        lastMatchedAt: _l,
        lastError: _x,
        ...old
      } = await this.#writable(principal, id, trx);
      requireVersion(ifMatch, old.version);
      const projectId = input.projectId === undefined ? old.projectId : this.#targetProject(principal, input.projectId);
      requireServed(input.channels);
      requireLink(input.action?.url, "action.url", this.#services.config);
      if (input.condition !== undefined) compileCondition(input.condition);
      const row: queries.RuleRow = {
        ...old,
        projectId,
        name: input.name ?? old.name,
        description: input.description ?? old.description,
        condition: input.condition ?? old.condition,
        ...(await resolveTargets(trx, users, projectId, input, old)),
        channels: input.channels ? JSON.stringify(input.channels) : old.channels,
        ...templates(input.titleTemplate ?? old.titleTemplate, input.messageTemplate ?? old.messageTemplate),
        sound: input.sound === undefined ? old.sound : requireSound(input.sound),
        action: input.action === undefined ? old.action : input.action && JSON.stringify(input.action),
        priority: input.priority ?? old.priority,
        active: input.active === undefined ? old.active : input.active ? 1 : 0,
        version: old.version + 1,
        updatedAt: clock.now(),
      };
      const { id: _id, createdAt: _c, createdBy: _b, ...changes } = row;
      await trx.updateTable("rules").set(changes).where("id", "=", id).execute();
      await this.#recordVersion(row, principal, "rule.update", trx);
    });
    return this.#read(id);
  }

  async delete(principal: UserPrincipal, id: string): Promise<void> {
    const { db, clock, audit, system } = this.#services;
    await db.write(async (trx) => {
      const rule = await this.#writable(principal, id, trx);
      await trx.updateTable("rules").set({ deletedAt: clock.now(), active: 0 }).where("id", "=", id).execute();
      await audit.record(
        { action: "rule.delete", resourceType: "rule", resourceId: id, metadata: { version: rule.version } },
        { trx },
      );
      db.afterCommit(trx, () => system.rules.remove(id));
    });
  }

  async get(principal: UserPrincipal, id: string) {
    await this.#visible(principal, id);
    return this.#read(id);
  }

  async list(principal: UserPrincipal, query: ListRules) {
    const { db, projects } = this.#services;
    const sort = readSort(query.sort ?? "-createdAt");
    const request = readPage(query, [sort.field === "name" ? "string" : "number", "string"]);
    const roles = await queries.roleNames(db.read);
    const filter: queries.RuleFilter = {
      ...this.#visibleProjects(principal),
      active: query.active,
      q: query.q,
      projectId: query.projectId === undefined ? undefined : projects.require(principal, query.projectId, "rules:read"),
      createdBy: query.createdBy,
      roleId: query.targetRole === undefined ? undefined : (roleId(roles, query.targetRole) ?? query.targetRole),
    };
    if (filter.projectIds?.length === 0 && !filter.withGlobal) throw missingPermission("rules:read");
    const rows = await queries.listRules(db.scan, filter, sort, request);
    const total = request.wantsTotal ? await queries.countRules(db.scan, filter) : undefined;
    return pageBody(
      request,
      rows,
      (row) => ruleView(row, roles),
      (row) => [row[sort.field], row.id],
      total,
    );
  }

  /** Versions from a time when the rule was of a project whose rules the caller may not read are left out. */
  async versions(principal: UserPrincipal, id: string, query: VersionsQuery) {
    await this.#visible(principal, id);
    const { db } = this.#services;
    const request = readPage(query, ["number"]);
    const visible = this.#visibleProjects(principal);
    const rows = await queries.listVersions(db.read, id, visible, request);
    const total = request.wantsTotal ? await queries.countVersions(db.read, id, visible) : undefined;
    const view = (row: (typeof rows)[number]) => ({
      version: row.version,
      definition: JSON.parse(row.definition) as Record<string, unknown>,
      createdBy: row.createdBy,
      createdAt: toRfc3339(row.createdAt),
    });
    return pageBody(request, rows, view, (row) => [row.version], total);
  }

  /** Totals since the rule exists, or counted from the stored decisions of a time; by day the last 30 days unless a time is given. */
  async stats(
    principal: UserPrincipal,
    id: string,
    { from, to }: { from?: number | undefined; to?: number | undefined },
  ) {
    const rule = await this.#visible(principal, id);
    const { db, clock } = this.#services;
    const rows = await queries.decisionsPerDay(
      db.scan,
      id,
      from ?? (to === undefined ? clock.now() - 30 * DAY_MS : 0),
      to ?? Number.MAX_SAFE_INTEGER,
    );
    const days = new Map<string, { day: string; matched: number; fired: number }>();
    for (const { day, outcome, n } of rows) {
      const entry = days.get(day) ?? { day, matched: 0, fired: 0 };
      days.set(day, { day, matched: entry.matched + n, fired: entry.fired + (outcome === "fired" ? n : 0) });
    }
    const perDay = [...days.values()];
    if (from === undefined && to === undefined) return { ...countsView(rule), perDay };
    const sum = (count: (row: (typeof rows)[number]) => number): number =>
      rows.reduce((total, row) => total + count(row), 0);
    const matched = sum((row) => row.n);
    const fired = sum((row) => (row.outcome === "fired" ? row.n : 0));
    return { ...countsView({ ...rule, matched, fired, noRecipients: matched - fired }), perDay };
  }

  /** @throws RULE_NOT_FOUND, also for a rule that the caller may not see. */
  async #visible(principal: UserPrincipal, id: string, trx?: Trx): Promise<queries.RuleWithStats> {
    const rule = isUuid(id) ? await queries.findRule(trx ?? this.#services.db.read, id) : undefined;
    if (!rule || !this.#has(principal, rule.projectId, "rules:read"))
      throw new PrismError("RULE_NOT_FOUND", "No such rule");
    return rule;
  }

  async #writable(principal: UserPrincipal, id: string, trx: Trx): Promise<queries.RuleWithStats> {
    const rule = await this.#visible(principal, id, trx);
    if (!this.#has(principal, rule.projectId, "rules:write")) throw missingPermission("rules:write");
    if (rule.projectId === null) requireAllProjects(principal);
    return rule;
  }

  #visibleProjects(principal: UserPrincipal): queries.VisibleProjects {
    const { projects } = this.#services;
    const withGlobal = principal.permissions.has("rules:read");
    if (withGlobal && principal.permissions.has("projects:all")) return { projectIds: null, withGlobal };
    const candidates = new Set([projects.defaultId, ...principal.memberships.keys()]);
    return { projectIds: [...candidates].filter((id) => projects.has(principal, id, "rules:read")), withGlobal };
  }

  #has(principal: UserPrincipal, projectId: string | null, right: "rules:read" | "rules:write"): boolean {
    return projectId === null
      ? principal.permissions.has(right)
      : this.#services.projects.has(principal, projectId, right);
  }

  #targetProject(principal: UserPrincipal, ref: string | null): string | null {
    if (ref !== null) return this.#services.projects.require(principal, ref, "rules:write");
    if (!principal.permissions.has("rules:write")) throw missingPermission("rules:write");
    requireAllProjects(principal);
    return null;
  }

  async #recordVersion(row: queries.RuleRow, principal: UserPrincipal, action: string, trx: Trx): Promise<void> {
    const { db, audit, system } = this.#services;
    const definition = JSON.stringify(definitionView(row, await queries.roleNames(trx)));
    await trx
      .insertInto("rule_versions")
      .values({
        ruleId: row.id,
        version: row.version,
        definition,
        createdBy: principal.userId,
        createdAt: row.updatedAt,
      })
      .execute();
    await audit.record(
      { action, resourceType: "rule", resourceId: row.id, metadata: { version: row.version } },
      { trx },
    );
    // In force for everything sealed after this commit: the writer is released behind it.
    db.afterCommit(trx, () => system.rules.put(row));
  }

  async #read(id: string) {
    const { db } = this.#services;
    const row = await queries.findRule(db.read, id);
    if (!row) throw new PrismError("RULE_NOT_FOUND", "No such rule");
    return { version: row.version, body: ruleView(row, await queries.roleNames(db.read)) };
  }
}

function requireAllProjects(principal: UserPrincipal): void {
  if (!principal.permissions.has("projects:all")) throw missingPermission("projects:all");
}

/** @throws INVALID_TEMPLATE */
function templates(titleTemplate: string, messageTemplate: string): { titleTemplate: string; messageTemplate: string } {
  compileTemplate(titleTemplate, "titleTemplate");
  compileTemplate(messageTemplate, "messageTemplate");
  return { titleTemplate, messageTemplate };
}

/** A rule's name as a title that says just that, braces and all. */
function asTemplate(name: string): string {
  return name.replaceAll("{{", "{ {");
}

function readSort(sort: string): queries.RuleSort {
  const descending = sort.startsWith("-");
  return { field: sort.replace("-", "") as queries.RuleSort["field"], descending };
}
