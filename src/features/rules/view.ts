import { toRfc3339OrNull } from "../../core/time/clock.ts";
import type { RuleStatSum } from "../../store/commit/write-set.ts";
import type { SoundUrlOf } from "../notifications/sounds/index.ts";
import type { BrokenRule } from "./deciding/rule-book.ts";
import { NO_COUNTS } from "./deciding/rule-stats.ts";
import { Rule, type RuleRow } from "./rule.ts";
import { UpdateRule } from "./schema.ts";

/**
 * A rule as clients see it. Only a running server knows which rules are broken. Roles are stored by
 * id, so that a renamed one keeps its meaning, and shown by name.
 */
export function ruleView(
  row: RuleRow,
  stats: RuleStatSum | undefined,
  roles: ReadonlyMap<string, string>,
  soundUrlOf: SoundUrlOf,
  broken: BrokenRule | null = null,
) {
  const targetRoles = (JSON.parse(row.targetRoles) as string[]).map((id) => roles.get(id) ?? id);
  return Rule.view(row, { targetRoles, soundUrl: soundUrlOf(row.sound), broken, stats: countsView(stats) });
}

/** The content of a version of a rule. */
export function definitionView(row: RuleRow, roles: ReadonlyMap<string, string>) {
  const shown = ruleView(row, undefined, roles, () => null);
  const { entries } = UpdateRule();
  const members = Object.entries(shown).filter(([name]) => name in entries);
  return Object.fromEntries(members) as Pick<typeof shown, keyof UpdateRule & keyof typeof shown>;
}

export function countsView(stats?: Partial<RuleStatSum>) {
  const { ruleId: _, ...counts } = { ...NO_COUNTS, ...stats };
  return { ...counts, lastMatchedAt: toRfc3339OrNull(counts.lastMatchedAt) };
}
