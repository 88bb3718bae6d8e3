/** The part of `rules` that other features may use. */

export { Decider, type Decision, type Earlier, enqueuedBy, sliceMark } from "./deciding/decide.ts";
export { EVENT_OVERHEAD_BYTES, type EventResult, IncomingEvent, storedEvent } from "./deciding/incoming-event.ts";
export { ReceiverRules } from "./deciding/receiver-rules.ts";
export { MAX_DIRECT_RECIPIENTS, RuleBook } from "./deciding/rule-book.ts";
export { recordCostlyRules } from "./deciding/rule-costs.ts";
export { DELIVER_JOB, deliverJob, recipientsJob, STORM_JOB, stormJob } from "./deciding/rule-jobs.ts";
export { type PipelineMetrics, pipelineMetrics, RuleStats } from "./deciding/rule-stats.ts";
export { Budget } from "./deciding/turn-limits.ts";
export {
  type CompiledText,
  ConditionTooCostly,
  chargeText,
  compileCondition,
  compileTemplate,
  compileTest,
  compileText,
  cutText,
  patternPool,
  type RuleEvent,
  type RulePosition,
  stepsTaken,
  valuesOf,
  withinBudget,
} from "./language/language.ts";
export { Absences } from "./over-time/absences.ts";
export { AlertLink, alertKey, previewAlert } from "./over-time/alert-link.ts";
export { MatchCounts, storedMatches } from "./over-time/match-counts.ts";
export { OverTime } from "./over-time/over-time.ts";
export { SUPPRESSION_SWEEPS } from "./retention.ts";
export { evaluation } from "./schema.ts";
export { rendered, textsOf } from "./texts.ts";
export { type DefaultSuppression, type SuppressionSetting, Throttle, throttleSettings } from "./throttle/throttle.ts";
