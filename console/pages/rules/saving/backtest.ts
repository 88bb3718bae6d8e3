import { api } from "../../../app/api.ts";
import type { Definition } from "../types.ts";

interface Counts {
  readonly matched: number;
  readonly fired: number;
  readonly suppressed: number;
  readonly deduped: number;
  readonly cooled: number;
}

export interface BacktestSample {
  readonly eventId: string;
  readonly type: string;
  readonly receivedAt: string;
  readonly title: string | null;
}

/** What a decision about one event was; null: the condition was false. */
export type Outcome =
  | ("fired" | "suppressed" | "deduped" | "cooled" | "counted")
  | ("alert-opened" | "alert-resolved" | "error")
  | null;

/** An event that one of the two versions notifies of. */
export interface BacktestChange extends BacktestSample {
  readonly change: "added" | "removed";
  readonly before: Outcome;
  readonly after: Outcome;
}

interface Series {
  /** Start of the first bucket; null without events. */
  readonly from: string | null;
  readonly stepMs: number;
  readonly matched: readonly number[];
  readonly fired: readonly number[];
  readonly firedBefore?: readonly number[];
}

export interface Backtest extends Counts {
  readonly scanned: number;
  readonly errors: number;
  readonly from: string | null;
  readonly to: string | null;
  readonly series: Series;
  readonly samples: readonly BacktestSample[];
  /** Against the stored version of the rule. */
  readonly diff?: { readonly added: number; readonly removed: number };
  readonly changes?: readonly BacktestChange[];
  readonly tookMs: number;
}

export const RANGES = [
  { value: "24", label: "24 hours" },
  { value: "168", label: "7 days" },
] as const;
const HOUR_MS = 3_600_000;

/** Evaluates a draft on stored events. @param ruleId the stored rule to compare with */
export function runBacktest(
  { condition, suppression, dedupe, cooldownMs, projectId }: Definition,
  { ruleId, hours }: { readonly ruleId?: string | undefined; readonly hours: number },
  signal?: AbortSignal,
): Promise<Backtest> {
  const body = {
    condition,
    suppression,
    dedupe,
    cooldownMs,
    ruleId,
    ...(projectId === null ? {} : { projectId }),
    from: new Date(Date.now() - hours * HOUR_MS).toISOString(),
    samples: 10,
  };
  return api.post<Backtest>("/rules/backtest", body, {}, { signal, limitMs: null });
}
