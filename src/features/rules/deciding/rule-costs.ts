import type { Database as Sqlite } from "better-sqlite3";
import { runAs, SYSTEM } from "../../../core/caller.ts";
import type { Clock } from "../../../core/clock.ts";
import { PrismError } from "../../../core/errors.ts";
import type { Logger } from "../../../core/log.ts";
import type { Database } from "../../../store/database.ts";
import type { AuditService } from "../../audit/index.ts";
import { readCondition } from "../language/language.ts";
import type { RuleRow } from "../queries.ts";
import type { IncomingEvent } from "./incoming-event.ts";

const WINDOW_MS = 60_000;
const STRIKES = 10;

interface Count {
  readonly sinceMs: number;
  strikes: number;
}

/** Counts the events on which a rule's condition took too long. */
export class RuleStrikes {
  readonly #counts = new Map<string, Count>();

  /**
   * @param at receipt of the event, epoch ms. @returns whether the rule has had as many within a
   * minute as a rule may have.
   */
  add(ruleId: string, at: number): boolean {
    const known = this.#counts.get(ruleId);
    const count = known && Math.abs(at - known.sinceMs) < WINDOW_MS ? known : { sinceMs: at, strikes: 0 };
    count.strikes += 1;
    this.#counts.set(ruleId, count);
    return count.strikes >= STRIKES;
  }

  forget(ruleId: string): void {
    this.#counts.delete(ruleId);
  }
}

/**
 * Conditions of a project may take this much of one event uncounted, in steps: such events are
 * limited by their rate only.
 */
const FREE_EVENT_STEPS = 262_144;

interface RuleSum {
  row: RuleRow;
  steps: number;
}

interface ProjectSum {
  steps: number;
  readonly rules: Map<string, RuleSum>;
  /** The event that was asked last, and what it has taken so far. */
  eventSeq: number;
  eventSteps: number;
}

/**
 * Adds up, for a minute at a time, what the costly conditions of each project take. Rules of every
 * project are a project of their own.
 */
export class RuleWork {
  readonly #limitSteps: number;
  readonly #clock: Clock;
  readonly #projects = new Map<string | null, ProjectSum>();
  #sinceMs: number;

  /** @param limitSteps that the conditions of one project may take in a minute */
  constructor(limitSteps: number, clock: Clock) {
    this.#limitSteps = limitSteps;
    this.#clock = clock;
    this.#sinceMs = clock.elapsed();
  }

  /**
   * To be called for a costly evaluation. A rule that is returned no longer counts.
   * @returns the rules that have taken the most, as many as bring the project back to its limit;
   * usually none
   */
  add(row: RuleRow, steps: number, { seq }: IncomingEvent): RuleRow[] {
    const sum = this.#sumOf(row.projectId);
    if (sum.eventSeq !== seq) {
      sum.eventSeq = seq;
      sum.eventSteps = 0;
    }
    sum.eventSteps += steps;
    if (sum.eventSteps <= FREE_EVENT_STEPS) return [];
    const rule = sum.rules.get(row.id) ?? { row, steps: 0 };
    rule.row = row;
    rule.steps += steps;
    sum.rules.set(row.id, rule);
    sum.steps += steps;
    return this.#takeCostliest(sum);
  }

  #sumOf(projectId: string | null): ProjectSum {
    const now = this.#clock.elapsed();
    if (now - this.#sinceMs >= WINDOW_MS) {
      this.#projects.clear();
      this.#sinceMs = now;
    }
    let sum = this.#projects.get(projectId);
    if (!sum) {
      sum = { steps: 0, rules: new Map(), eventSeq: -1, eventSteps: 0 };
      this.#projects.set(projectId, sum);
    }
    return sum;
  }

  #takeCostliest(sum: ProjectSum): RuleRow[] {
    const taken: RuleRow[] = [];
    while (sum.steps > this.#limitSteps) {
      let costliest: RuleSum | null = null;
      for (const rule of sum.rules.values()) if (!costliest || rule.steps > costliest.steps) costliest = rule;
      if (!costliest) break;
      sum.rules.delete(costliest.row.id);
      sum.steps -= costliest.steps;
      taken.push(costliest.row);
    }
    return taken;
  }
}

/**
 * Makes the listener that stores and audits that a rule is no longer evaluated because its
 * condition takes too long. It holds for this version of the rule: a restart does not evaluate it
 * again, a change does.
 */
export function recordCostlyRules(database: Database, audit: AuditService, log: Logger): (row: RuleRow) => void {
  return (row) => {
    runAs(SYSTEM, () => storeTooCostly(database, audit, row)).catch((error: unknown) =>
      log.warn({ ruleId: row.id, err: error }, "storing that a rule is broken failed"),
    );
  };
}

function storeTooCostly(database: Database, audit: AuditService, { id, version, projectId }: RuleRow): Promise<void> {
  const metadata = { version, projectId, code: "TOO_COSTLY" };
  return database.write(async (trx) => {
    const rule = trx.updateTable("rules").set({ tooCostlyVersion: version });
    await rule.where("id", "=", id).where("version", "=", version).execute();
    await audit.record({ action: "rule.break", resourceType: "rule", resourceId: id, metadata }, { trx });
  });
}

/** How large the compiled patterns of rules may be, in instructions. */
export interface PatternLimits {
  /** Of one project's active rules together. */
  readonly patternsPerProject: number;
  /** Of all active rules of the server. */
  readonly patterns: number;
}

interface Part {
  readonly projectId: string | null;
  readonly size: number;
}

/** Counts the patterns of active rules against their limits. */
export class PatternQuota {
  readonly #limits: PatternLimits;
  readonly #parts = new Map<string, Part>();
  readonly #byProject = new Map<string | null, number>();
  #total = 0;

  constructor(limits: PatternLimits) {
    this.#limits = limits;
  }

  set(ruleId: string, projectId: string | null, size: number): void {
    this.delete(ruleId);
    if (size === 0) return;
    this.#parts.set(ruleId, { projectId, size });
    this.#add(projectId, size);
  }

  delete(ruleId: string): void {
    const part = this.#parts.get(ruleId);
    if (!part) return;
    this.#parts.delete(ruleId);
    this.#add(part.projectId, -part.size);
  }

  /**
   * Whether patterns of this size fit beside those of the other rules.
   * @param replaced ids of rules that are replaced. @returns the reason why not, which names limit
   * and value, or null
   */
  refusalOf(projectId: string | null, size: number, replaced: readonly string[]): string | null {
    const parts = replaced.map((id) => this.#parts.get(id)).filter((part) => part?.projectId === projectId);
    const freed = parts.reduce((sum, part) => sum + (part?.size ?? 0), 0);
    return size > freed ? this.refusal(projectId, size - freed) : null;
  }

  /**
   * @returns why `more` does not fit into the limits, naming limit and value; null where it fits.
   */
  refusal(projectId: string | null, more: number): string | null {
    const { patternsPerProject, patterns } = this.#limits;
    const sum = (this.#byProject.get(projectId) ?? 0) + more;
    if (sum > patternsPerProject)
      return `the patterns of this project's rules compile to ${sum}; limits.patternsPerProject is ${patternsPerProject}`;
    if (this.#total + more > patterns)
      return `the patterns of all rules compile to ${this.#total + more}; limits.patterns is ${patterns}`;
    return null;
  }

  #add(projectId: string | null, size: number): void {
    const sum = (this.#byProject.get(projectId) ?? 0) + size;
    if (sum === 0) this.#byProject.delete(projectId);
    else this.#byProject.set(projectId, sum);
    this.#total += size;
  }
}

/**
 * Counts the patterns of the active rules that are stored, where no server runs that counts them.
 * Broken rules do not count.
 */
export function storedPatterns(reader: Sqlite, limits: PatternLimits): PatternQuota {
  const quota = new PatternQuota(limits);
  const rules = reader.prepare<[], Pick<RuleRow, "id" | "projectId" | "condition">>(
    `select id, projectId, condition from rules where active = 1 and deletedAt is null and condition like '%matches%'
     and tooCostlyVersion is not version`,
  );
  for (const { id, projectId, condition } of rules.iterate()) {
    const size = sizeOf(condition);
    if (quota.refusal(projectId, size) === null) quota.set(id, projectId, size);
  }
  return quota;
}

/** @returns 0 for a condition that cannot be compiled */
function sizeOf(condition: string): number {
  try {
    return readCondition(condition).measure();
  } catch (error) {
    if (error instanceof PrismError) return 0;
    throw error;
  }
}
