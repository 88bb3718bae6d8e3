import type { Database as Sqlite } from "better-sqlite3";
import { PrismError } from "../../../core/errors.ts";
import { readCondition } from "../language/language.ts";
import { type PatternLimits, PatternQuota } from "./pattern-quota.ts";

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
