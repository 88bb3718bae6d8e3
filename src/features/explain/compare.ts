import { isDeepStrictEqual } from "node:util";
import type { EpochMs } from "../../core/time/clock.ts";
import { type AlertView, candidatesOf, type ForecastParts, maskedStep, tryAlert } from "../alerts/index.ts";

/* What an alert does by two configurations, and how that differs. */

/** People who are paged, or who are paged later. */
interface Paged {
  readonly afterMs: number;
  /** Ids of users, in order. */
  readonly users: readonly string[];
}

/** What follows from an alert if nobody acts. */
export interface ForecastOutcome {
  readonly policies: readonly string[];
  readonly withheld: readonly ("silenced" | "inhibited" | "muted")[];
  /** Pages with anyone, in order, up to the first repetition. */
  readonly pages: readonly Paged[];
  /** Ids of channels, and URLs of webhooks, with the time after which they are called. */
  readonly outside: readonly (readonly [afterMs: number, target: string])[];
}

const NOT_WITHHELD = { silencedBy: [], inhibitedBy: [], mutedBy: [] };

/**
 * All routes of an alert together. @param at its start; no incident is open then
 * @param isMasked for who may not see the URLs of webhooks, and would find them out by guesses
 * @throws what reading throws
 */
export async function outcomeOf(
  parts: ForecastParts,
  alert: AlertView,
  at: EpochMs,
  isMasked: boolean,
): Promise<ForecastOutcome> {
  const trials = await tryAlert(parts, alert, at);
  const pages: Paged[] = [];
  const outside: [number, string][] = [];
  for (const { actions, policy } of trials) {
    const { steps } = parts.policies.definitionOf(policy);
    for (const { at: then, action } of actions) {
      const afterMs = then - at;
      if (action.kind === "page") {
        const { users } = await candidatesOf(parts, parts.db, alert.projectId, action.notify, then);
        if (users.length > 0) pages.push({ afterMs, users });
      } else if (action.kind === "channel" || action.kind === "webhook") {
        const step = steps[action.step];
        const shown = step && isMasked ? maskedStep(step) : step;
        outside.push([afterMs, shown?.type === "channel" ? shown.id : shown?.type === "webhook" ? shown.url : ""]);
      }
    }
  }
  const all = trials.map(({ withheld }) => withheld);
  // An alert of two routes is withheld only if both are.
  const isSent = all.some(
    ({ silencedBy, inhibitedBy, mutedBy }) => ![...silencedBy, ...inhibitedBy, ...mutedBy].length,
  );
  const { silencedBy, inhibitedBy, mutedBy } = (isSent ? undefined : all[0]) ?? NOT_WITHHELD;
  return {
    policies: trials.map(({ policy }) => policy.name),
    withheld: [
      ...(silencedBy.length > 0 ? (["silenced"] as const) : []),
      ...(inhibitedBy.length > 0 ? (["inhibited"] as const) : []),
      ...(mutedBy.length > 0 ? (["muted"] as const) : []),
    ],
    pages: pages.sort((a, b) => a.afterMs - b.afterMs),
    outside,
  };
}

/** `people` and `time` are of the first page; `later`: of those after it. */
export type OutcomeChange = "withheld" | "people" | "time" | "later" | "outside";

/** How two outcomes of an alert differ; empty: nobody notices. */
export function outcomeChanges(before: ForecastOutcome, after: ForecastOutcome): OutcomeChange[] {
  if (before.withheld.length > 0 && after.withheld.length > 0) return [];
  if (before.withheld.length !== after.withheld.length) return ["withheld"];
  const [first, ...later] = before.pages;
  const [next, ...others] = after.pages;
  const changes: OutcomeChange[] = [];
  if (!isDeepStrictEqual(first?.users, next?.users)) changes.push("people");
  else if (first?.afterMs !== next?.afterMs) changes.push("time");
  if (!isDeepStrictEqual(later, others)) changes.push("later");
  if (!isDeepStrictEqual(before.outside, after.outside)) changes.push("outside");
  return changes;
}
