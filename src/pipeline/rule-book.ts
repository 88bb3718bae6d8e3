import type { Database as Sqlite } from "better-sqlite3";
import type { Selectable } from "kysely";
import type { Logger } from "../base/log.ts";
import { type Condition, compileCondition, compileTemplate, RuleIndex, type Template } from "../rules/index.ts";
import type { RulesTable } from "../store/schema.ts";
import type { IncomingEvent } from "./incoming-event.ts";

export type RuleRow = Selectable<RulesTable>;

/** A rule as the pipeline runs it. */
export interface ActiveRule {
  readonly row: RuleRow;
  readonly condition: Condition;
  readonly title: Template;
  readonly message: Template;
}

/** A rule that reaches more users than this has its recipients written by a job. */
export const MAX_DIRECT_RECIPIENTS = 200;

const IS_ACTIVE = "u.status = 'active' and u.deletedAt is null";

/** Holders of the roles, and the users named; of a rule bound to a project its members only, which for `default` is everybody (D27). */
const RECIPIENTS = `
  select u.id from users u
  where ${IS_ACTIVE}
    and (u.id in (select value from json_each(@users))
      or exists (select 1 from user_roles r where r.userId = u.id and r.roleId in (select value from json_each(@roles))))
    and (@projectId is null or exists (select 1 from project_members m where m.projectId = @projectId and m.userId = u.id))
    and u.id > @after
  order by u.id limit @limit`;

interface RecipientQuery {
  readonly users: string;
  readonly roles: string;
  readonly projectId: string | null;
  readonly after: string;
  readonly limit: number;
}

/**
 * The active rules, compiled and indexed, and whom each reaches. A copy of tables: whoever changes a rule tells {@link put} or
 * {@link remove} after the commit; whoever changes users, roles or members calls {@link forgetRecipients}.
 */
export class RuleBook {
  readonly #index = new RuleIndex<ActiveRule>();
  readonly #versions = new Map<string, number>();
  readonly #recipients = new Map<string, readonly string[]>();
  readonly #defaultProjectId: string;
  readonly #log: Logger;
  readonly #active;
  readonly #query;

  constructor(reader: Sqlite, defaultProjectId: string, log: Logger) {
    this.#defaultProjectId = defaultProjectId;
    this.#log = log;
    this.#active = reader.prepare<[], RuleRow>("select * from rules where active = 1 and deletedAt is null");
    this.#query = reader.prepare<RecipientQuery, { id: string }>(RECIPIENTS);
    this.reload();
  }

  /** Reads all active rules again and edits what has changed; for changes made beside the server. */
  reload(): void {
    const rows = this.#active.all();
    const ids = new Set(rows.map((row) => row.id));
    for (const id of [...this.#versions.keys()]) if (!ids.has(id)) this.remove(id);
    for (const row of rows) if (this.#versions.get(row.id) !== row.version) this.put(row);
    this.forgetRecipients();
  }

  /** Takes a rule as it now is; one that is not active goes. Running it again changes nothing. */
  put(row: RuleRow): void {
    this.remove(row.id);
    if (row.active === 0 || row.deletedAt !== null) return;
    try {
      const rule: ActiveRule = {
        row,
        condition: compileCondition(row.condition),
        title: compileTemplate(row.titleTemplate, "titleTemplate"),
        message: compileTemplate(row.messageTemplate, "messageTemplate"),
      };
      this.#index.add(row.id, rule.condition, row, row.projectId, rule);
      this.#versions.set(row.id, row.version);
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

  /** The users a rule reaches whose id is greater than `after`. */
  recipientPage(
    row: Pick<RuleRow, "targetUsers" | "targetRoles" | "projectId">,
    after: string,
    limit: number,
  ): string[] {
    const projectId = row.projectId === this.#defaultProjectId ? null : row.projectId;
    return this.#query
      .all({ users: row.targetUsers, roles: row.targetRoles, projectId, after, limit })
      .map(({ id }) => id);
  }

  forgetRecipients(): void {
    this.#recipients.clear();
  }

  get size(): number {
    return this.#versions.size;
  }
}
