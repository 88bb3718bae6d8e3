import type { Metrics } from "../../../core/metrics.ts";
import type { DecisionRow, RuleStatSum } from "../../../store/commit/write-set.ts";
import type { DecisionOutcome } from "../../../store/schema.ts";
import type { EventResult } from "./incoming-event.ts";

type Sum = { -readonly [K in keyof RuleStatSum]: RuleStatSum[K] };

/** The totals of a rule before its first match. */
export const NO_COUNTS: Readonly<Omit<Sum, "ruleId">> = {
  ...{ matched: 0, fired: 0, suppressed: 0, deduped: 0, cooled: 0, noRecipients: 0 },
  ...{ counted: 0, alertsOpened: 0, alertsResolved: 0, errors: 0, lastMatchedAt: null, lastError: null },
};

/** Rule totals of a write set. */
export class RuleStats {
  readonly #sums = new Map<string, Sum>();

  of(ruleId: string): Sum {
    let sum = this.#sums.get(ruleId);
    if (!sum) {
      sum = { ruleId, ...NO_COUNTS };
      this.#sums.set(ruleId, sum);
    }
    return sum;
  }

  rows(): RuleStatSum[] {
    return [...this.#sums.values()];
  }
}

/** The total that counts each outcome. */
export const COUNTED_AS = {
  fired: "fired",
  suppressed: "suppressed",
  deduped: "deduped",
  cooled: "cooled",
  "no recipients": "noRecipients",
  counted: "counted",
  "alert-opened": "alertsOpened",
  "alert-resolved": "alertsResolved",
} as const satisfies Record<DecisionOutcome, keyof RuleStatSum>;

/** Totals match the rows: a decision that replaces another one replaces its count. */
export function countDecisions(
  decisions: readonly DecisionRow[],
  earlier: ReadonlyMap<string, DecisionOutcome> | null,
  stats: RuleStats,
  now: number,
): void {
  for (const { ruleId, outcome } of decisions) {
    const sum = stats.of(ruleId);
    sum[COUNTED_AS[outcome]]++;
    // The end of an alert is no match.
    if (outcome === "alert-resolved") continue;
    if (earlier?.has(ruleId)) sum.noRecipients--;
    else sum.matched++;
    sum.lastMatchedAt = now;
  }
}

/** From 10 µs, for a small set without matching rules, to a second. */
const DECIDING_BUCKETS = [0.00001, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 1];

/** Why a match creates no notification, as named in a rule's totals. */
const SUPPRESSED = ["suppressed", "deduped", "cooled"] as const;

export type PipelineMetrics = ReturnType<typeof pipelineMetrics>;

/** Counts the outcomes of events and rules once they are on disk. Labels are fixed words. */
export function pipelineMetrics(metrics: Metrics) {
  const events = metrics.counter("prism_ingest_events_total", "Events that were sent, by what became of them");
  const rejected = events({ result: "rejected" });
  const failed = events({ result: "failed" });
  const results = {
    accepted: events({ result: "accepted" }),
    duplicate: events({ result: "duplicate" }),
    conflict: rejected,
    taken: rejected,
  };
  const deciding = metrics.histogram(
    "prism_rule_eval_seconds",
    "Time in which the events of one write set were decided by the rules",
    DECIDING_BUCKETS,
  )();
  const matches = metrics.counter("prism_rule_matches_total", "Matches of a rule and an event")();
  const errors = metrics.counter("prism_rule_errors_total", "Rules that failed on an event")();
  const notifications = metrics.counter("prism_notifications_total", "Notifications that were stored, by recipient")();
  const suppressed = metrics.counter("prism_suppressed_total", "Matches that made no notification, by reason");
  const reasons = {
    suppressed: suppressed({ reason: "suppressed" }),
    deduped: suppressed({ reason: "deduped" }),
    cooled: suppressed({ reason: "cooldown" }),
  };
  const sliced = metrics.counter(
    "prism_rule_slices_total",
    "Times the rules of one event filled a slice and the others were decided later",
  )();
  return {
    /** A set has left rules of an event to a later one. */
    sliced: () => sliced.add(1),
    settled(outcomes: readonly EventResult[]): void {
      for (const { status } of outcomes) results[status].add();
    },
    /** Valid events that could not be stored. */
    failed: (count: number) => failed.add(count),
    /** Events that are not valid. */
    rejected: (count: number) => rejected.add(count),
    decided(stats: RuleStats): void {
      for (const row of stats.rows()) {
        matches.add(row.matched);
        errors.add(row.errors);
        for (const reason of SUPPRESSED) reasons[reason].add(row[reason]);
      }
    },
    /** @param startedAt from `performance.now()`. */
    deciding: (startedAt: number) => deciding.observe((performance.now() - startedAt) / 1000),
    notified: (count: number) => notifications.add(count),
  };
}
