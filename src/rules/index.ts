export { cutText } from "./code-points.ts";
export { type Condition, compileCondition, readCondition } from "./condition.ts";
export { InvalidCondition, InvalidTemplate } from "./errors.ts";
export { ConditionTooCostly } from "./evaluate/evaluation-budget.ts";
export type { RuleEvent } from "./event.ts";
export { RuleIndex } from "./lookup/rule-index.ts";
export { patternPool } from "./patterns/pattern-pool.ts";
export { compileTemplate, type Template } from "./template.ts";
export type { ConditionTrace } from "./trace.ts";
