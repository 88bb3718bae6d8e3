/** What other features may use of `rules`. */
export { Budget } from "./deciding/budget.ts";
export {
  DELIVER_JOB,
  Decider,
  type Decision,
  deliverJob,
  type Earlier,
  enqueuedBy,
  recipientsJob,
  STORM_JOB,
  sliceMark,
  stormJob,
} from "./deciding/decide.ts";
export { EVENT_OVERHEAD_BYTES, type EventResult, IncomingEvent } from "./deciding/incoming-event.ts";
export { PipelineMetrics } from "./deciding/pipeline-metrics.ts";
export { MAX_DIRECT_RECIPIENTS, RuleBook } from "./deciding/rule-book.ts";
export { RuleStats } from "./deciding/rule-stats.ts";
export { storedEvent } from "./deciding/stored-event.ts";
export {
  type ConditionTrace,
  type ConditionWarning,
  compileCondition,
  compileTemplate,
  conditionWarnings,
  cutText,
  patternPool,
  type RuleEvent,
  type RulePosition,
} from "./language/language.ts";
export { recordCostlyRules } from "./record-costly-rules.ts";
export { type DefaultSuppression, FiringGate } from "./throttle/gate.ts";
export { restraintOf, type SuppressionSetting } from "./throttle/restraint.ts";
