import type { Counter, Histogram, Metrics } from "../../../core/metrics.ts";
import type { DecisionRow, RuleStatSum } from "../../../store/commit/write-set.ts";
import type { DecisionOutcome } from "../../../store/schema.ts";
import type { EventResult } from "./incoming-event.ts";

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

/** From 10 µs, which a small set without matching rules takes, to a second. */
const DECIDING_BUCKETS = [0.00001, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 1];

/** Why a match makes no notification, as the totals of a rule name it. */
const SUPPRESSED = ["suppressed", "deduped", "cooled"] as const;

/** What became of events and what the rules made of them, counted when it is on disk (contract 13). The labels are fixed words. */
export class PipelineMetrics {
  readonly #results: Readonly<Record<EventResult["status"] | "rejected" | "failed", Counter>>;
  readonly #deciding: Histogram;
  readonly #matches: Counter;
  readonly #errors: Counter;
  readonly #notifications: Counter;
  readonly #suppressed: Readonly<Record<(typeof SUPPRESSED)[number], Counter>>;
  readonly #sliced: Counter;

  constructor(metrics: Metrics) {
    const events = metrics.counter("prism_ingest_events_total", "Events that were sent, by what became of them");
    const rejected = events({ result: "rejected" });
    this.#results = {
      accepted: events({ result: "accepted" }),
      duplicate: events({ result: "duplicate" }),
      conflict: rejected,
      rejected,
      failed: events({ result: "failed" }),
    };
    this.#deciding = metrics.histogram(
      "prism_rule_eval_seconds",
      "Time in which the events of one write set were decided by the rules",
      DECIDING_BUCKETS,
    )();
    this.#matches = metrics.counter("prism_rule_matches_total", "Matches of a rule and an event")();
    this.#errors = metrics.counter("prism_rule_errors_total", "Rules that failed on an event")();
    this.#notifications = metrics.counter(
      "prism_notifications_total",
      "Notifications that were stored, by recipient",
    )();
    const suppressed = metrics.counter("prism_suppressed_total", "Matches that made no notification, by reason");
    this.#suppressed = {
      suppressed: suppressed({ reason: "suppressed" }),
      deduped: suppressed({ reason: "deduped" }),
      cooled: suppressed({ reason: "cooldown" }),
    };
    this.#sliced = metrics.counter(
      "prism_rule_slices_total",
      "Times the rules of one event filled a slice and the others were decided later",
    )();
  }

  /** A set has left rules of an event to a later one. */
  sliced(): void {
    this.#sliced.add(1);
  }

  settled(results: readonly EventResult[]): void {
    for (const { status } of results) this.#results[status].add();
  }

  /** Events that were well and could not be stored. */
  failed(count: number): void {
    this.#results.failed.add(count);
  }

  /** Events that were refused for what they are. */
  rejected(count: number): void {
    this.#results.rejected.add(count);
  }

  decided(stats: RuleStats): void {
    for (const row of stats.rows()) {
      this.#matches.add(row.matched);
      this.#errors.add(row.errors);
      for (const reason of SUPPRESSED) this.#suppressed[reason].add(row[reason]);
    }
  }

  /** @param startedAt as of `performance.now()`. */
  deciding(startedAt: number): void {
    this.#deciding.observe((performance.now() - startedAt) / 1000);
  }

  notified(count: number): void {
    this.#notifications.add(count);
  }
}
