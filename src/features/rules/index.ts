/** The part of `rules` that other features may use. */

export { countRule, type RuleCounts } from "./backtest.ts";
export {
  DELIVER_JOB,
  type Decision,
  deliverJob,
  type Earlier,
  enqueuedBy,
  recipientsJob,
  STORM_JOB,
  sliceMark,
  stormJob,
} from "./deciding/decide.ts";
export {
  Budget,
  EVENT_OVERHEAD_BYTES,
  type EventResult,
  IncomingEvent,
  storedEvent,
} from "./deciding/incoming-event.ts";
export { MAX_DIRECT_RECIPIENTS } from "./deciding/rule-book.ts";
export { type PipelineMetrics, RuleStats } from "./deciding/rule-stats.ts";
export {
  type CompiledText,
  ConditionTooCostly,
  chargeText,
  compileCondition,
  compileTemplate,
  compileTest,
  compileText,
  cutText,
  FILTERS,
  type FilterCall,
  type Placeholder,
  pathText,
  Refusal,
  type RuleEvent,
  type RulePosition,
  readTemplate,
  stepsTaken,
  type TemplateFilter,
  type TemplatePlace,
  throughFilters,
  type Value,
  valuesOf,
  withinBudget,
} from "./language/language.ts";
export { LIMITS, STEPS_PER_CHARACTER, STEPS_PER_INSTRUCTION } from "./language/limits.ts";
export { alertKey, previewAlert } from "./over-time/alert-link.ts";
export { MatchCounts } from "./over-time/match-counts.ts";
export type { SuppressionSetting } from "./rule.ts";
export { evaluation } from "./schema.ts";
export { rendered, textsOf } from "./texts.ts";
export { type DefaultSuppression, throttleSettings } from "./throttle/throttle.ts";
