import type { DecisionRow, RuleStatSum } from "../../../store/commit/write-set.ts";
import type { DecisionOutcome } from "../../../store/schema.ts";

/** Rule totals gathered over a write set. */
export class RuleStats {
  readonly #sums = new Map<string, { -readonly [K in keyof RuleStatSum]: RuleStatSum[K] }>();

  of(ruleId: string): { -readonly [K in keyof RuleStatSum]: RuleStatSum[K] } {
    let sum = this.#sums.get(ruleId);
    if (!sum) {
      sum = {
        ruleId,
        matched: 0,
        fired: 0,
        suppressed: 0,
        deduped: 0,
        cooled: 0,
        noRecipients: 0,
        errors: 0,
        lastMatchedAt: null,
        lastError: null,
      };
      this.#sums.set(ruleId, sum);
    }
    return sum;
  }

  rows(): RuleStatSum[] {
    return [...this.#sums.values()];
  }
}

const COUNTED_AS = {
  fired: "fired",
  suppressed: "suppressed",
  deduped: "deduped",
  cooled: "cooled",
  "no recipients": "noRecipients",
} as const satisfies Record<DecisionOutcome, keyof RuleStatSum>;

/** The totals are those of the rows: a decision that takes the place of another counts in its place. */
export function countDecisions(
  decisions: readonly DecisionRow[],
  earlier: ReadonlyMap<string, DecisionOutcome> | null,
  stats: RuleStats,
  now: number,
): void {
  for (const { ruleId, outcome } of decisions) {
    const sum = stats.of(ruleId);
    if (earlier?.has(ruleId)) sum.noRecipients--;
    else sum.matched++;
    sum.lastMatchedAt = now;
    sum[COUNTED_AS[outcome]]++;
  }
}
