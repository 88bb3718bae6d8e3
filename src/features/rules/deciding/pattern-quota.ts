import type { Database as Sqlite } from "better-sqlite3";
import { PrismError } from "../../../core/errors.ts";
import { readCondition } from "../language/language.ts";

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
   *
   * @param replaced ids of rules that are replaced. @returns the reason why not, which names limit and value, or null
   */
  refusalOf(projectId: string | null, size: number, replaced: readonly string[]): string | null {
    const freed = replaced.reduce((sum, id) => sum + this.#sizeOf(id, projectId), 0);
    return size > freed ? this.refusal(projectId, size - freed) : null;
  }

  /** What a rule counts for now. */
  #sizeOf(ruleId: string, projectId: string | null): number {
    const part = this.#parts.get(ruleId);
    return part?.projectId === projectId ? part.size : 0;
  }

  /** @returns why `more` does not fit into the limits, naming limit and value; null where it fits. */
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

interface StoredCondition {
  readonly id: string;
  readonly projectId: string | null;
  readonly condition: string;
}

/** Counts the patterns of the active rules that are stored, where no server runs that counts them. Broken rules do not count. */
export function storedPatterns(reader: Sqlite, limits: PatternLimits): PatternQuota {
  const quota = new PatternQuota(limits);
  const rules = reader.prepare<[], StoredCondition>(
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
