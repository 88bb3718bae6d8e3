import * as v from "valibot";
import { doc, example, instant, integer, named, object, uuid } from "../../http/api/shapes.ts";
import { outcomeCounts, Rule } from "./rule.ts";
import { warnings } from "./schema.ts";

export const BacktestRule = () =>
  example(
    v.pipe(
      object({
        condition: Rule.forUpdate.condition,
        ruleId: v.optional(doc(uuid, "A stored rule: source of absent members, and compared with in `diff`")),
        suppression: Rule.forUpdate.suppression,
        dedupe: Rule.forUpdate.dedupe,
        cooldownMs: Rule.forUpdate.cooldownMs,
        threshold: Rule.forUpdate.threshold,
        absence: Rule.forUpdate.absence,
        alert: Rule.forUpdate.alert,
        projectId: v.optional(
          doc(v.pipe(v.string(), v.maxLength(64)), "Id or slug; default: that of the rule, or `default`"),
        ),
        from: v.optional(doc(instant, "Receipt of the first event; default: the oldest stored event")),
        to: v.optional(doc(instant, "Receipt of the last event, exclusive; default: now")),
        samples: v.optional(doc(integer(0, 20), "Number of sample events in the result; default 5")),
        changes: v.optional(
          doc(
            integer(0, 100),
            "With `ruleId`: number of listed events that were added, and of removed ones; default 20",
          ),
        ),
      }),
      v.check(({ condition, ruleId }) => condition !== undefined || ruleId !== undefined, "give condition or ruleId"),
    ),
    { condition: "event.level == 'error'", suppression: { count: 5, windowMs: 60_000 }, projectId: "default" },
  );
export type BacktestRule = v.InferOutput<ReturnType<typeof BacktestRule>>;

const REPLAYED = [
  ...(["fired", "suppressed", "deduped", "cooled"] as const),
  ...(["counted", "alert-opened", "alert-resolved", "error"] as const),
] as const;

/** An event that one of two versions of a rule notifies of. */
const BacktestChange = v.object({
  change: v.picklist(["added", "removed"]),
  eventId: v.string(),
  seq: v.number(),
  type: v.string(),
  receivedAt: v.string(),
  title: doc(v.nullable(v.string()), "Title of the notification by the rule's template"),
  before: doc(v.nullable(v.picklist(REPLAYED)), "Outcome of the stored version; null: it did not match"),
  after: doc(v.nullable(v.picklist(REPLAYED)), "Outcome of the tried rule; null: it did not match"),
});

export const BacktestReply = named(
  "BacktestResult",
  "What the rule would have done",
  v.object({
    scanned: v.number(),
    ...outcomeCounts,
    errors: doc(v.number(), "Events on which the condition or a key failed"),
    from: doc(v.nullable(v.string()), "Receipt of the first evaluated event; null without any"),
    to: v.nullable(v.string()),
    perDay: v.array(v.object({ day: v.string(), ...outcomeCounts })),
    series: doc(
      v.object({
        from: doc(v.nullable(v.string()), "Start of the first bucket; null without events"),
        stepMs: v.number(),
        matched: v.array(v.number()),
        fired: v.array(v.number()),
        firedBefore: v.optional(doc(v.array(v.number()), "With `ruleId`: notifications of the stored version")),
      }),
      "One number per bucket, at most 200",
    ),
    samples: v.array(
      v.object({
        eventId: v.string(),
        seq: v.number(),
        type: v.string(),
        receivedAt: v.string(),
        title: v.nullable(v.string()),
      }),
    ),
    wouldReach: v.object({
      users: doc(v.nullable(v.number()), "Current recipients, counted up to 10 000; null without `ruleId`"),
    }),
    diff: v.optional(
      doc(
        v.object({ added: v.number(), removed: v.number() }),
        "With `ruleId`: notifications gained and lost against the stored version",
      ),
    ),
    changes: v.optional(doc(v.array(BacktestChange), "With `ruleId`: the first of these events, in their order")),
    alerts: v.optional(
      doc(
        v.object({
          opened: v.number(),
          resolved: v.number(),
          dropped: doc(v.number(), "Pending ones that ended before they fired"),
          absences: doc(v.number(), "How often nothing matched for the time of `absence`"),
          spans: v.array(
            v.object({
              key: v.string(),
              labels: v.record(v.string(), v.string()),
              startedAt: doc(v.string(), "When it became pending, or fired at once"),
              firedAt: v.string(),
              resolvedAt: doc(v.nullable(v.string()), "Null: it would still fire"),
              matches: v.number(),
            }),
          ),
        }),
        "For a rule with `alert` or `absence`; at most 100 spans, in the order of their start",
      ),
    ),
    warnings,
    tookMs: v.number(),
  }),
);
export type BacktestReply = v.InferOutput<typeof BacktestReply>;
