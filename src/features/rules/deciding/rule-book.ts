import { PrismError } from "../../../core/errors.ts";
import type { Logger } from "../../../core/log.ts";
import type { Uses } from "../../../module/feature.ts";
import {
  type Condition,
  ConditionTooCostly,
  RuleIndex,
  type RulePosition,
  type RuleWalk,
  readCondition,
} from "../language/language.ts";
import { type OverTimeSettings, overTimeSettings } from "../over-time/settings.ts";
import type { RuleRow } from "../rule.ts";
import { type Text, textsOf } from "../texts.ts";
import { type ThrottleSettings, throttleSettings } from "../throttle/throttle.ts";
import type { IncomingEvent } from "./incoming-event.ts";
import { type PatternLimits, PatternQuota, RuleStrikes, RuleWork } from "./rule-costs.ts";

/** A rule as the pipeline evaluates it. */
export interface ActiveRule {
  readonly row: RuleRow & ForMembers;
  readonly condition: Condition;
  readonly title: Text;
  readonly message: Text;
  readonly throttling: ThrottleSettings;
  /** Null for a rule without a threshold, an absence or an alert. */
  readonly overTime: OverTimeSettings | null;
  /** An entry of the index for the condition that resolves the rule's alert. */
  readonly isResolve: boolean;
}

/** In the rule of a receiver. */
export interface ForMembers {
  /** All members of the project are its recipients, in place of users and roles. */
  readonly isForMembers?: boolean;
}

/** The key in the index of a rule's condition `resolve`; it comes right after the rule. */
export function resolveEntry(id: string): string {
  return `${id} resolve`;
}

/** Why an active rule is not evaluated. */
export interface BrokenRule {
  readonly code: string;
  readonly message: string;
}

const TOO_COSTLY: BrokenRule = {
  code: "TOO_COSTLY",
  message:
    "the condition is too slow: on ten events within a minute, " +
    "or it was the slowest when its project exceeded limits.ruleStepsPerMinute",
};

type OnRuleError = (rule: ActiveRule, error: unknown) => void;

export interface RuleBookParts extends Uses<"reader" | "clock" | "log" | "defaultProjectId"> {
  readonly limits: PatternLimits & { readonly ruleStepsPerMinute: number };
  /** Called for a rule that is no longer evaluated because its condition is too costly. */
  onTooCostly(row: RuleRow): void;
  /** Called for each rule that takes effect, and for each that no longer is in force. */
  readonly overTime: { put(rule: ActiveRule): void; remove(id: string): void };
}

/** Compiling patterns takes at most this much of a turn of the loop, plus one condition. */
const MEASURE_MS = 5;

/** For a rule with more recipients a job writes them. */
export const MAX_DIRECT_RECIPIENTS = 200;

const IS_ACTIVE = "u.status = 'active' and u.deletedAt is null";

/**
 * The recipients of a rule: holders of its roles and the users it names. For a rule of a project
 * only members of that project count; for `default` all users do. One look-up per role, along an
 * index in the order of ids and ended by its limit, so the cost does not grow with the number of
 * users. `cross join` keeps SQLite from reversing the order.
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
    and (@projectId is null or exists (
      select 1 from project_members m where m.projectId = @projectId and m.userId = u.id))
  order by u.id limit @limit`;

const MEMBERS = `
  select u.id from project_members m cross join users u on u.id = m.userId
  where m.projectId = @projectId and m.userId > @after and ${IS_ACTIVE} order by m.userId limit @limit`;

interface Page {
  readonly projectId: string | null;
  readonly after: string;
  readonly limit: number;
}

export type RuleTargets = Pick<RuleRow, "targetUsers" | "targetRoles" | "projectId"> & ForMembers;

/**
 * The active rules, compiled and indexed, and their recipients. A copy of tables, kept current by
 * the effects `rules-changed` ({@link changed}) and `rights-changed` ({@link forgetRecipients}).
 */
export class RuleBook {
  readonly #index = new RuleIndex<ActiveRule>();
  /** The version read of each rule, even if it does not compile: each is reported once. */
  readonly #versions = new Map<string, number>();
  readonly #recipients = new Map<string, readonly string[]>();
  readonly #defaultProjectId: string;
  readonly #quota: PatternQuota;
  readonly #strikes = new RuleStrikes();
  readonly #work: RuleWork;
  readonly #broken = new Map<string, BrokenRule>();
  /** Rules whose patterns are not compiled and counted yet. */
  readonly #unmeasured = new Map<string, ActiveRule>();
  readonly #log: Logger;
  readonly #onTooCostly: RuleBookParts["onTooCostly"];
  readonly #overTime: RuleBookParts["overTime"];
  readonly #active;
  readonly #one;
  readonly #opensAlerts;
  readonly #holders;
  readonly #holdersInProject;
  readonly #named;
  readonly #members;
  readonly #adminRole;

  constructor({ reader, defaultProjectId, limits, clock, log, onTooCostly, overTime }: RuleBookParts) {
    this.#defaultProjectId = defaultProjectId;
    this.#quota = new PatternQuota(limits);
    this.#work = new RuleWork(limits.ruleStepsPerMinute, clock);
    this.#log = log;
    this.#onTooCostly = onTooCostly;
    this.#overTime = overTime;
    this.#active = reader.prepare<[], { id: string; version: number }>(
      "select id, version from rules where active = 1 and deletedAt is null",
    );
    this.#one = reader.prepare<[string], RuleRow>("select * from rules where id = ?");
    this.#opensAlerts = reader
      .prepare<[string, string], 1>(
        `select 1 from rules where id = ? and active = 1 and deletedAt is null and alert is not null
           and (projectId is null or projectId = ?)`,
      )
      .pluck();
    this.#holders = reader.prepare<Page & { role: string }, { id: string }>(HOLDERS);
    this.#holdersInProject = reader.prepare<Page & { role: string }, { id: string }>(HOLDERS_IN_PROJECT);
    this.#named = reader.prepare<Page & { users: string }, { id: string }>(NAMED);
    this.#members = reader.prepare<Page, { id: string }>(MEMBERS);
    this.#adminRole = reader.prepare<[], string>("select id from roles where name = 'Admin'").pluck();
    this.reload();
  }

  /** Reads the active rules that differ from their table. */
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
    this.#log.debug({ rules: this.#versions.size, broken: this.#broken.size }, "loaded the active rules");
  }

  /** Reads a new, changed or deleted rule. */
  changed(id: string): void {
    const row = this.#one.get(id);
    if (row) this.put(row);
    else this.remove(id);
  }

  /** Stores the current version of a rule; removes an inactive one. Idempotent. */
  put(row: RuleRow): void {
    this.#forget(row.id);
    if (row.active === 0 || row.deletedAt !== null) {
      this.#overTime.remove(row.id);
      return;
    }
    this.#versions.set(row.id, row.version);
    if (row.tooCostlyVersion === row.version) {
      this.#break(row, TOO_COSTLY);
      return;
    }
    try {
      const rule: ActiveRule = {
        row,
        condition: readCondition(row.condition),
        ...textsOf(row),
        throttling: throttleSettings(row),
        overTime: overTimeSettings(row),
        isResolve: false,
      };
      this.#index.add(row.id, rule.condition, row, row.projectId, rule);
      const resolve = rule.overTime?.alert?.resolve;
      if (resolve) {
        const ending = { ...rule, condition: resolve, isResolve: true };
        this.#index.add(resolveEntry(row.id), resolve, row, row.projectId, ending);
      }
      this.#measureLater(rule);
      this.#overTime.put(rule);
      this.#log.debug({ ruleId: row.id, projectId: row.projectId, version: row.version }, "rule is active");
    } catch (error) {
      // Valid when stored, so it comes from another version. The other rules continue.
      this.#break(row, reasonOf(error));
    }
  }

  /** Whether a rule is active, with an alert, in this project. */
  opensAlerts(id: string, projectId: string): boolean {
    return this.#opensAlerts.get(id, projectId) === 1;
  }

  isForAllProjects(id: string): boolean {
    return this.#one.get(id)?.projectId === null;
  }

  remove(id: string): void {
    this.#forget(id);
    this.#overTime.remove(id);
  }

  #forget(id: string): void {
    this.#recipients.delete(id);
    if (!this.#versions.delete(id)) return;
    this.#leaveOut(id);
    this.#broken.delete(id);
    this.#strikes.forget(id);
  }

  /** Why an active rule is not evaluated; null for evaluated and for inactive ones. */
  brokenOf(id: string): BrokenRule | null {
    return this.#broken.get(id) ?? null;
  }

  /** See {@link PatternQuota.refusalOf}. */
  patternRefusal(projectId: string | null, size: number, replaced: readonly string[]): string | null {
    return this.#quota.refusalOf(projectId, size, replaced);
  }

  /**
   * Rules that match, in rule order; null when asking all of them is too much for one turn of the
   * loop: see {@link walk}.
   */
  match(event: IncomingEvent, onError: OnRuleError): ActiveRule[] | null {
    return this.#index.match(event, onError, (rule, steps) => this.#noteCost(rule, steps, event));
  }

  /** One turn of asking the rules after a position, in rule order. */
  walk(event: IncomingEvent, after: RulePosition, onError: OnRuleError): RuleWalk<ActiveRule> {
    return this.#index.walk(event, after, onError, (rule, steps) => this.#noteCost(rule, steps, event));
  }

  /**
   * Records that a condition failed on an event. One that is too slow on ten events within a minute
   * is no longer evaluated.
   */
  noteError({ row }: ActiveRule, error: unknown, { receivedAt }: IncomingEvent): void {
    if (!(error instanceof ConditionTooCostly)) return;
    if (this.#strikes.add(row.id, receivedAt)) this.#breakCostly(row);
  }

  /**
   * The costliest rules of a project over its limit are no longer evaluated, because they delay
   * events of other projects.
   */
  #noteCost({ row }: ActiveRule, steps: number, event: IncomingEvent): void {
    for (const costliest of this.#work.add(row, steps, event)) this.#breakCostly(costliest);
  }

  /** A rule changed since its evaluation stays. */
  #breakCostly(row: RuleRow): void {
    if (this.#broken.has(row.id) || this.#versions.get(row.id) !== row.version) return;
    this.#break(row, TOO_COSTLY);
    this.#onTooCostly(row);
  }

  /** Patterns are compiled in slices: ten thousand rules must not block the start or the loop. */
  #measureLater(rule: ActiveRule): void {
    if (this.#unmeasured.size === 0) setImmediate(() => this.#measureSome());
    this.#unmeasured.set(rule.row.id, rule);
  }

  #measureSome(): void {
    const until = performance.now() + MEASURE_MS;
    for (const [id, rule] of this.#unmeasured) {
      this.#unmeasured.delete(id);
      this.#measure(rule);
      if (performance.now() > until) break;
    }
    if (this.#unmeasured.size > 0) setImmediate(() => this.#measureSome());
  }

  #measure({ row, condition, overTime }: ActiveRule): void {
    try {
      const size = condition.measure() + (overTime?.alert?.resolve?.measure() ?? 0);
      const refusal = size > 0 ? this.#quota.refusal(row.projectId, size) : null;
      if (refusal === null) this.#quota.set(row.id, row.projectId, size);
      else this.#break(row, { code: "INVALID_CONDITION", message: refusal });
    } catch (error) {
      this.#break(row, reasonOf(error));
    }
  }

  #break(row: RuleRow, reason: BrokenRule): void {
    this.#leaveOut(row.id);
    this.#overTime.remove(row.id);
    this.#broken.set(row.id, reason);
    this.#log.error(
      { ruleId: row.id, projectId: row.projectId, code: reason.code, reason: reason.message },
      "skipping a broken rule until it is changed",
    );
  }

  #leaveOut(id: string): void {
    this.#index.remove(id);
    this.#index.remove(resolveEntry(id));
    this.#unmeasured.delete(id);
    this.#quota.delete(id);
  }

  /**
   * Ids of the rule's recipients, ascending; at most {@link MAX_DIRECT_RECIPIENTS} and one more,
   * which means too many.
   */
  recipientsOf({ row }: ActiveRule): readonly string[] {
    let ids = this.#recipients.get(row.id);
    if (!ids) {
      ids = this.recipientPage(row, "", MAX_DIRECT_RECIPIENTS + 1);
      this.#recipients.set(row.id, ids);
    }
    return ids;
  }

  /** The rule's next recipients with an id greater than `after`, ascending. */
  recipientPage(rule: RuleTargets, after: string, limit: number): string[] {
    if (rule.isForMembers) return this.#memberPage(rule.projectId ?? this.#defaultProjectId, after, limit);
    const projectId = rule.projectId === this.#defaultProjectId ? null : rule.projectId;
    const page = { projectId, after, limit };
    const holders = projectId === null ? this.#holders : this.#holdersInProject;
    const found = new Set(this.#named.all({ ...page, users: rule.targetUsers }).map(({ id }) => id));
    for (const role of JSON.parse(rule.targetRoles) as string[])
      for (const { id } of holders.all({ ...page, role })) found.add(id);
    return [...found].sort().slice(0, limit);
  }

  /** Members of the project `default`: its explicit members, otherwise administrators. */
  #memberPage(projectId: string, after: string, limit: number): string[] {
    const members = this.#members.all({ projectId, after, limit });
    const hasMembers = members.length > 0 || this.#members.get({ projectId, after: "", limit: 1 }) !== undefined;
    if (projectId !== this.#defaultProjectId || hasMembers) return members.map(({ id }) => id);
    const page = { projectId: null, after, limit, role: this.#adminRole.get() ?? "" };
    return this.#holders.all(page).map(({ id }) => id);
  }

  forgetRecipients(): void {
    this.#recipients.clear();
  }

  /** Number of rules in force. */
  get size(): number {
    return this.#versions.size - this.#broken.size;
  }
}

function reasonOf(error: unknown): BrokenRule {
  const message = error instanceof Error ? error.message : String(error);
  return { code: error instanceof PrismError ? error.code : "INTERNAL", message };
}
