import { runAs, SYSTEM } from "../../../core/caller.ts";
import type { Logger } from "../../../core/log.ts";
import type { Clock } from "../../../core/time/clock.ts";
import type { Database } from "../../../store/database.ts";
import type { AuditTrail } from "../../records/audit/index.ts";
import type { RuleRow } from "../rule.ts";
import type { IncomingEvent } from "./incoming-event.ts";

const WINDOW_MS = 60_000;
const STRIKES = 10;

interface Count {
  readonly sinceMs: number;
  strikes: number;
}

/** Counts the events on which a rule's condition was too slow. */
export class RuleStrikes {
  readonly #counts = new Map<string, Count>();

  /**
   * @param at time of receipt of the event, epoch ms. @returns whether the rule has reached the
   * limit within a minute.
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

/** Uncounted steps per event for conditions of a project: only the rate limits such events. */
const FREE_EVENT_STEPS = 262_144;

interface RuleSum {
  row: RuleRow;
  steps: number;
}

interface ProjectSum {
  steps: number;
  readonly rules: Map<string, RuleSum>;
  /** The last event, and its steps so far. */
  eventSeq: number;
  eventSteps: number;
}

/** Sums the cost of conditions per project and minute; rules for all projects are one project. */
export class RuleWork {
  readonly #limitSteps: number;
  readonly #clock: Clock;
  readonly #projects = new Map<string | null, ProjectSum>();
  #sinceMs: number;

  /** @param limitSteps limit of one project per minute */
  constructor(limitSteps: number, clock: Clock) {
    this.#limitSteps = limitSteps;
    this.#clock = clock;
    this.#sinceMs = clock.elapsed();
  }

  /**
   * Records a costly evaluation. Returned rules no longer count.
   * @returns the costliest rules, as many as bring the project below its limit; usually none
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
 * condition is too costly. Applies to this version of the rule: a restart does not evaluate it
 * again, a change does.
 */
export function recordCostlyRules(database: Database, audit: AuditTrail, log: Logger): (row: RuleRow) => void {
  return (row) => {
    runAs(SYSTEM, () => storeTooCostly(database, audit, row)).catch((error: unknown) =>
      log.warn({ ruleId: row.id, err: error }, "cannot store that a rule is broken"),
    );
  };
}

function storeTooCostly(database: Database, audit: AuditTrail, { id, version, projectId }: RuleRow): Promise<void> {
  const metadata = { version, projectId, code: "TOO_COSTLY" };
  return database.write(async (trx) => {
    const rule = trx.updateTable("rules").set({ tooCostlyVersion: version });
    await rule.where("id", "=", id).where("version", "=", version).execute();
    await audit.record({ action: "rule.break", resourceType: "rule", resourceId: id, metadata }, { trx });
  });
}

/** Limits for the compiled patterns of rules, in instructions. */
export interface PatternLimits {
  /** For the active rules of one project. */
  readonly patternsPerProject: number;
  /** For all active rules of the server. */
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
   * Checks whether patterns of this size fit.
   * @param replaced ids of rules that are replaced. @returns the reason for a refusal, with limit
   * and value, or null
   */
  refusalOf(projectId: string | null, size: number, replaced: readonly string[]): string | null {
    const parts = replaced.map((id) => this.#parts.get(id)).filter((part) => part?.projectId === projectId);
    const freed = parts.reduce((sum, part) => sum + (part?.size ?? 0), 0);
    return size > freed ? this.refusal(projectId, size - freed) : null;
  }

  /** @returns the reason why `more` exceeds a limit, with limit and value; null when it fits. */
  refusal(projectId: string | null, more: number): string | null {
    const { patternsPerProject, patterns } = this.#limits;
    const sum = (this.#byProject.get(projectId) ?? 0) + more;
    if (sum > patternsPerProject)
      return (
        `the patterns of this project's rules compile to ${sum}; ` +
        `limits.patternsPerProject is ${patternsPerProject}`
      );
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
