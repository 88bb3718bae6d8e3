import type { EpochMs } from "../../../core/clock.ts";

/** What is tried on stored events: of a rule what decides, as it is stored. */
export interface TriedRule {
  readonly condition: string;
  readonly suppression: string | null;
  readonly dedupe: string | null;
  readonly cooldownMs: number;
  /** For samples; null where there is no rule. */
  readonly titleTemplate: string | null;
}

/** What a backtest is to do. JSON-safe: it goes to a thread. */
export interface BacktestPlan {
  readonly projectId: string;
  /** By receipt; null: from the first event that is stored. */
  readonly from: EpochMs | null;
  readonly to: EpochMs;
  readonly samples: number;
  readonly rule: TriedRule;
  /** The version in force, to which the difference is told. */
  readonly stored: TriedRule | null;
  /** What holds of rules that say nothing of storms; null: nothing does. */
  readonly defaults: { readonly count: number; readonly windowMs: number } | null;
}

export interface BacktestProgress {
  readonly scanned: number;
  readonly total: number;
}

export interface BacktestSample {
  readonly eventId: string;
  readonly seq: number;
  readonly type: string;
  readonly receivedAt: EpochMs;
  readonly title: string | null;
}

export interface BacktestDay {
  /** UTC. */
  readonly day: string;
  readonly matched: number;
  readonly fired: number;
  readonly suppressed: number;
  readonly deduped: number;
  readonly cooled: number;
}

/** What came of it. */
export interface BacktestOutcome {
  readonly scanned: number;
  readonly matched: number;
  readonly fired: number;
  readonly suppressed: number;
  readonly deduped: number;
  readonly cooled: number;
  /** Events on which the condition or a key stopped. */
  readonly errors: number;
  /** Receipt of the first and the last event that was looked at; null where there was none. */
  readonly firstAt: EpochMs | null;
  readonly lastAt: EpochMs | null;
  readonly perDay: readonly BacktestDay[];
  readonly samples: readonly BacktestSample[];
  /** Events that would be told and are not, and the other way round. */
  readonly diff: { readonly added: number; readonly removed: number } | null;
}

export interface BacktestThreadData {
  readonly file: string;
  readonly plan: BacktestPlan;
}

export type BacktestMessage =
  | { readonly kind: "progress"; readonly progress: BacktestProgress }
  | { readonly kind: "outcome"; readonly outcome: BacktestOutcome }
  | { readonly kind: "failed"; readonly message: string };
