/** The part of `alerts` that other features may use. */

export { type AlertFilter, Alerts, type AlertsParts } from "./book/alerts.ts";
export { alertSweep } from "./book/retention.ts";
export { silenceSweep } from "./silences/queries.ts";
export { Silences } from "./silences/silences.ts";
export { Withholding } from "./silences/withholding.ts";
export type {
  AlertInput,
  AlertOutcome,
  AlertRow,
  AlertView,
  JoinIncidents,
  Transition,
  TransitionReason,
} from "./types.ts";
