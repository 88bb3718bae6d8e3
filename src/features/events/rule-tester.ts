import { uuidv7 } from "../../core/ids.ts";
import { outlineJson } from "../../core/json-text.ts";
import {
  type ConditionTrace,
  type ConditionWarning,
  compileCondition,
  compileTemplate,
  conditionWarnings,
  type RuleEvent,
} from "../rules/index.ts";
import { readEvent } from "./pipeline/read-events.ts";

export interface RuleTest {
  readonly condition: string;
  readonly event: RuleEvent;
  readonly templates?: { readonly title?: string | undefined; readonly message?: string | undefined } | undefined;
}

export type RuleTestResult = ConditionTrace & {
  readonly warnings: readonly ConditionWarning[];
  readonly title?: string;
  readonly message?: string;
};

/** Tries a condition on an event without storing anything; over HTTP and `prism rules test`. @throws INVALID_CONDITION, INVALID_TEMPLATE */
export function testRule({ condition, event, templates }: RuleTest): RuleTestResult {
  const trace = compileCondition(condition).trace(event);
  const render = (source: string | undefined, field: string, max: number) =>
    source === undefined ? {} : { [field]: compileTemplate(source, field).render(event, max) };
  const warnings = conditionWarnings(condition);
  return {
    ...trace,
    warnings,
    ...render(templates?.title, "title", 255),
    ...render(templates?.message, "message", 4000),
  };
}

/** An event as ingest would make it of this object; a type may be left out. @throws VALIDATION_FAILED */
export function trialEvent(value: Readonly<Record<string, unknown>>, projectId: string, now: number): RuleEvent {
  const text = JSON.stringify({ type: "test", ...value });
  return readEvent(
    {
      text,
      outline: outlineJson(text, Number.MAX_SAFE_INTEGER),
      value: JSON.parse(text),
      receivedAt: now,
      newId: uuidv7(now),
      correlationId: null,
      projectOf: () => projectId,
    },
    { maxEventBytes: 262_144, lenient: true },
  );
}
