import * as v from "valibot";
import type { Principal } from "../../core/caller.ts";
import { PrismError } from "../../core/errors.ts";
import { doc, example, jsonObject, named, object, uuid } from "../../http/api/shapes.ts";
import { storedEvent } from "./deciding/incoming-event.ts";
import {
  type ConditionTrace,
  type ConditionWarning,
  compileCondition,
  compileTemplate,
  conditionWarnings,
  evaluationBudget,
  type RuleEvent,
} from "./language/language.ts";
import { previewAlert } from "./over-time/alert-link.ts";
import type { AlertSetting } from "./over-time/schema.ts";
import { overTimeSettings, requireOverTime } from "./over-time/settings.ts";
import { Rule } from "./rule.ts";
import { evaluation, warnings } from "./schema.ts";
import type { RulesContext } from "./service.ts";
import { textsOf } from "./texts.ts";

export const TestRule = () =>
  example(
    object({
      condition: doc(v.string("must be a string"), "Expression over the event; see /docs/rules"),
      event: v.optional(doc(jsonObject(262_144), "Event to test, not stored; this or `eventId`")),
      eventId: v.optional(doc(uuid, "Id of a stored event; this or `event`")),
      templates: v.optional(
        doc(
          object({
            title: v.optional(doc(v.nullable(v.pipe(v.string(), v.maxLength(255))), "Template of the title")),
            message: v.optional(doc(v.nullable(v.pipe(v.string(), v.maxLength(4000))), "Template of the message")),
          }),
          "Templates to render with the event; null for what the event says",
        ),
      ),
      alert: Rule.forUpdate.alert,
      name: v.optional(doc(v.pipe(v.string(), v.maxLength(255)), "Name of the rule, for the label `alertname`")),
    }),
    {
      condition: "event.type == 'payment.failed' && event.amount >= 1000",
      event: { type: "payment.failed", payload: { amount: 1200, orderId: "A-1001" } },
      templates: { title: "Payment of {{ event.amount }} failed" },
    },
  );

export const TestReply = named(
  "RuleTest",
  "Result of the condition, step by step",
  v.object({
    ...evaluation,
    warnings,
    title: v.optional(v.string()),
    message: v.optional(v.string()),
    alert: v.optional(
      doc(
        v.object({
          key: v.string(),
          labels: v.record(v.string(), v.string()),
          annotations: v.record(v.string(), v.string()),
          severity: v.nullable(v.string()),
          resolves: doc(v.boolean(), "Whether the event resolves the alert of this key"),
        }),
        "With `alert`: what the event does to it",
      ),
    ),
  }),
);

interface Templates {
  readonly title?: string | null | undefined;
  readonly message?: string | null | undefined;
}

export interface RuleTest {
  readonly condition: string;
  readonly event: RuleEvent;
  readonly templates?: Templates | undefined;
  readonly alert?: AlertSetting | null | undefined;
  readonly name?: string | undefined;
}

export type RuleTestResult = ConditionTrace & {
  readonly warnings: readonly ConditionWarning[];
  readonly title?: string;
  readonly message?: string;
  readonly alert?: {
    readonly key: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
    readonly severity: string | null;
    readonly resolves: boolean;
  };
};

/** Compiling a condition and its templates, in steps: about 1 ms. */
const COMPILING_STEPS = 80_000;

/** As {@link testRule}, at the caller's cost. @throws WORK_LIMITED, INVALID_CONDITION, INVALID_TEMPLATE */
export function trialOf({ work }: RulesContext, principal: Principal, test: RuleTest): Promise<RuleTestResult> {
  const payer = work.ofPrincipal(principal);
  return work.turns.run(principal.key, () => {
    work.require(payer);
    work.charge(payer, { steps: COMPILING_STEPS });
    const { result, steps } = evaluationBudget.measure(() => testRule(test));
    work.charge(payer, { steps });
    return result;
  });
}

/**
 * Tests a condition on an event without storing anything; used by HTTP and `prism rules test`.
 * @throws INVALID_CONDITION, INVALID_TEMPLATE
 */
export function testRule({ condition, event, templates, alert, name }: RuleTest): RuleTestResult {
  const compiled = compileCondition(condition);
  const isAsked = compiled.isFor(event);
  const traced = compiled.trace(event);
  const trace = isAsked ? traced : { ...traced, matched: false };
  const defaults = textsOf({ name: name ?? "test", titleTemplate: null, messageTemplate: null });
  const render = (source: string | null | undefined, field: "title" | "message", max: number) => {
    if (source === undefined) return {};
    const text = source === null ? defaults[field] : compileTemplate(source, field);
    return { [field]: text.render(event, max) };
  };
  const warnings = [...(isAsked ? [] : [NOT_ASKED]), ...conditionWarnings(condition)];
  return {
    ...trace,
    warnings,
    ...render(templates?.title, "title", 255),
    ...render(templates?.message, "message", 4000),
    ...(alert ? { alert: alertOf(alert, { name, ...templates }, event, trace.matched) } : {}),
  };
}

const NOT_ASKED: ConditionWarning = {
  code: "OWN_EVENT",
  message: "the event is of the server itself: a rule sees it only if its condition names its source or its type",
  ...{ position: 0, line: 1, column: 1 },
};

interface Texts extends Templates {
  readonly name?: string | undefined;
}

/** The alert of a trial. @throws INVALID_CONDITION, INVALID_TEMPLATE */
function alertOf(
  setting: AlertSetting,
  { name = "test", title = null, message = null }: Texts,
  event: RuleEvent,
  isMatch: boolean,
): NonNullable<RuleTestResult["alert"]> {
  const row = {
    ...{ ...Rule.initial, ...Rule.columns({ alert: setting }) },
    ...{ name, titleTemplate: title, messageTemplate: message },
  };
  requireOverTime(row);
  const preview = previewAlert(row, event);
  if (!preview) throw new TypeError("an alert was given");
  const resolve = overTimeSettings(row)?.alert?.resolve;
  const { key, labels, annotations = {}, severity = null } = preview;
  return { key, labels, annotations, severity, resolves: !isMatch && resolve?.test(event) === true };
}

/** A stored event to test a condition on. @throws EVENT_NOT_FOUND, also for an unreadable one */
export async function readableEvent(
  { db, projects }: RulesContext,
  principal: Principal,
  id: string,
): Promise<RuleEvent> {
  const row = await db.read.selectFrom("events").selectAll().where("id", "=", id).executeTakeFirst();
  if (!row || !projects.has(principal, row.projectId, "events:read"))
    throw new PrismError("EVENT_NOT_FOUND", "No such event");
  return storedEvent(row);
}
