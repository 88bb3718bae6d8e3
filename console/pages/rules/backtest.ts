import { api } from "../../app/api.ts";
import type { Definition, Warning } from "./types.ts";

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

export interface Backtest extends Counts {
  readonly scanned: number;
  readonly errors: number;
  readonly from: string | null;
  readonly to: string | null;
  readonly perDay: readonly (Counts & { readonly day: string })[];
  readonly samples: readonly BacktestSample[];
  readonly wouldReach: { readonly users: number | null };
  /** Against the stored version of the rule. */
  readonly diff?: { readonly added: number; readonly removed: number };
  readonly warnings: readonly Warning[];
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
