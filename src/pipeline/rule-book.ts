import type { Database as Sqlite } from "better-sqlite3";
import type { Selectable } from "kysely";
import type { Logger } from "../base/log.ts";
import { type Condition, compileCondition, compileTemplate, RuleIndex, type Template } from "../rules/index.ts";
import type { RulesTable } from "../store/schema.ts";
import type { IncomingEvent } from "./incoming-event.ts";
import { type Restraint, restraintOf } from "./suppression/restraint.ts";

export type RuleRow = Selectable<RulesTable>;

/** A rule as the pipeline runs it. */
export interface ActiveRule {
  readonly row: RuleRow;
  readonly condition: Condition;
  readonly title: Template;
  readonly message: Template;
  readonly restraint: Restraint;
}

/** A rule that reaches more users than this has its recipients written by a job. */
export const MAX_DIRECT_RECIPIENTS = 200;

const IS_ACTIVE = "u.status = 'active' and u.deletedAt is null";

/**
 * Whom a rule reaches: holders of its roles and the users it names; where it is bound to a project, that project's members only, which for
 * `default` is everybody (D27). One look-up per role, each along an index in the order of ids and ended by its limit: what it costs does not
 * grow with the number of users. `cross join` keeps SQLite from turning the order round.
 */
const HOLDERS = `
  select u.id from user_roles r cross join users u on u.id = r.userId
  where r.roleId = @role and r.userId > @after and ${IS_ACTIVE} order by r.userId limit @limit`;
const HOLDERS_IN_PROJECT = `
  select u.id from project_members m cross join user_roles r on r.userId = m.userId and r.roleId = @role
  cross join users u on u.id = m.userId
  where m.projectId = @projectId and m.userId > @after and ${IS_ACTIVE} order by m.userId limit @limit`;
const NAMED = `
  select u.id from json_each(@users) j cross join users u on u.id = j.value
  where u.id > @after and ${IS_ACTIVE}
    and (@projectId is null or exists (select 1 from project_members m where m.projectId = @projectId and m.userId = u.id))
  order by u.id limit @limit`;

interface Page {
  readonly projectId: string | null;
  readonly after: string;
  readonly limit: number;
}

type Targets = Pick<RuleRow, "targetUsers" | "targetRoles" | "projectId">;

/**
 * The active rules, compiled and indexed, and whom each reaches. A copy of tables: whoever changes a rule tells {@link put} or
 * {@link remove} after the commit; whoever changes users, roles or members calls {@link forgetRecipients}.
 */
export class RuleBook {
  readonly #index = new RuleIndex<ActiveRule>();
  /** What has been read of each rule, one that does not compile included: it is reported once. */
  readonly #versions = new Map<string, number>();
  readonly #recipients = new Map<string, readonly string[]>();
  readonly #defaultProjectId: string;
  readonly #log: Logger;
  readonly #active;
  readonly #one;
  readonly #holders;
  readonly #holdersInProject;
  readonly #named;

  constructor(reader: Sqlite, defaultProjectId: string, log: Logger) {
    this.#defaultProjectId = defaultProjectId;
    this.#log = log;
    this.#active = reader.prepare<[], { id: string; version: number }>(
      "select id, version from rules where active = 1 and deletedAt is null",
    );
    this.#one = reader.prepare<[string], RuleRow>("select * from rules where id = ?");
    this.#holders = reader.prepare<Page & { role: string }, { id: string }>(HOLDERS);
    this.#holdersInProject = reader.prepare<Page & { role: string }, { id: string }>(HOLDERS_IN_PROJECT);
    this.#named = reader.prepare<Page & { users: string }, { id: string }>(NAMED);
    this.reload();
  }

  /** Compares all active rules with their tables and reads what has changed; for changes made beside the server. */
  reload(): void {
    const rows = this.#active.all();
    const ids = new Set(rows.map((row) => row.id));
    for (const id of [...this.#versions.keys()]) if (!ids.has(id)) this.remove(id);
    for (const { id, version } of rows) {
      if (this.#versions.get(id) === version) continue;
      const row = this.#one.get(id);
      if (row) this.put(row);
    }
    this.forgetRecipients();
  }

  /** Takes a rule as it now is; one that is not active goes. Running it again changes nothing. */
  put(row: RuleRow): void {
    this.remove(row.id);
    if (row.active === 0 || row.deletedAt !== null) return;
    this.#versions.set(row.id, row.version);
    try {
      const rule: ActiveRule = {
        row,
        condition: compileCondition(row.condition),
        title: compileTemplate(row.titleTemplate, "titleTemplate"),
        message: compileTemplate(row.messageTemplate, "messageTemplate"),
        restraint: restraintOf(row),
      };
      this.#index.add(row.id, rule.condition, row, row.projectId, rule);
    } catch (error) {
      // It was checked when it was stored, so this is a rule of another version of the program. The others go on.
      this.#log.error({ ruleId: row.id, err: error }, "a stored rule does not compile and is left out");
    }
  }

  remove(id: string): void {
    this.#recipients.delete(id);
    if (this.#versions.delete(id)) this.#index.remove(id);
  }

  match(event: IncomingEvent, onError: (rule: ActiveRule, error: unknown) => void): ActiveRule[] {
    return this.#index.match(event, onError);
  }

  /** Ids of the users a rule reaches, ascending; one more than {@link MAX_DIRECT_RECIPIENTS} at most, which says that there are too many. */
  recipientsOf({ row }: ActiveRule): readonly string[] {
    let ids = this.#recipients.get(row.id);
    if (!ids) {
      ids = this.recipientPage(row, "", MAX_DIRECT_RECIPIENTS + 1);
      this.#recipients.set(row.id, ids);
    }
    return ids;
  }

  /** The first users a rule reaches whose id is greater than `after`, ascending. */
  recipientPage(rule: Targets, after: string, limit: number): string[] {
    const projectId = rule.projectId === this.#defaultProjectId ? null : rule.projectId;
    const page = { projectId, after, limit };
    const holders = projectId === null ? this.#holders : this.#holdersInProject;
    const found = new Set(this.#named.all({ ...page, users: rule.targetUsers }).map(({ id }) => id));
    for (const role of JSON.parse(rule.targetRoles) as string[])
      for (const { id } of holders.all({ ...page, role })) found.add(id);
    return [...found].sort().slice(0, limit);
  }

  forgetRecipients(): void {
    this.#recipients.clear();
  }

  /** Rules in force. */
  get size(): number {
    return this.#index.size;
  }
}
