export { cutText } from "./code-points.ts";
export { type Condition, compileCondition } from "./condition.ts";
export { InvalidCondition, InvalidTemplate } from "./errors.ts";
export type { RuleEvent } from "./event.ts";
export type { Fact, Scalar } from "./lookup/facts.ts";
export { RuleIndex, type RuleOrder } from "./lookup/rule-index.ts";
export type { ShownValue } from "./shown-value.ts";
export { compileTemplate, type Template } from "./template.ts";
export type { ConditionTrace, TraceEntry } from "./trace.ts";
