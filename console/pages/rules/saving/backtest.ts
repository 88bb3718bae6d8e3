import type { BacktestResult } from "../../../../src/client/api-types.gen.ts";
import { api } from "../../../app/api.ts";
import type { Definition } from "../types.ts";

export type BacktestSample = BacktestResult["samples"][number];

/** An event that one of the two versions notifies of. */
export type BacktestChange = NonNullable<BacktestResult["changes"]>[number];

/** What a decision about one event was; null: the condition was false. */
export type BacktestOutcome = BacktestChange["after"];

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
): Promise<BacktestResult> {
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
  return api.post<BacktestResult>("/rules/backtest", body, {}, { signal, limitMs: null });
}
