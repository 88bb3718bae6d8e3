export { type Condition, compileCondition, conditionWarnings, keepingConditions, readCondition } from "./condition.ts";
export { InvalidCondition, InvalidTemplate, Refusal } from "./errors.ts";
export type { Value } from "./evaluate/values.ts";
export { ConditionTooCostly, cutText, evaluationBudget } from "./evaluate/values.ts";
export type { RuleEvent } from "./event.ts";
export { compileTemplate, type Template } from "./event-template.ts";
export {
  type CompiledText,
  chargeText,
  compileTest,
  compileText,
  stepsTaken,
  valuesOf,
  withinBudget,
} from "./expression.ts";
export type { RuleWalk } from "./lookup/rule-index.ts";
export { inRuleOrder, RULES_START, RuleIndex, type RulePosition } from "./lookup/rule-index.ts";
export { patternPool } from "./patterns.ts";
export {
  FILTERS,
  type FilterCall,
  type Placeholder,
  pathText,
  readTemplate,
  type TemplateFilter,
  type TemplatePlace,
  throughFilters,
} from "./template.ts";
export type { ConditionTrace } from "./trace.ts";
export type { ConditionWarning } from "./warnings.ts";
