import * as v from "valibot";
import { once } from "../../core/once.ts";
import { doc, example, instant, named, object, pageEntries, text } from "../../http/api/shapes.ts";
import { counts, Rule, ruleList } from "./rule.ts";

export const CreateRule = () =>
  example(object(Rule.forCreate), {
    name: "Payment over 1000 failed",
    condition: "event.type == 'payment.failed' && event.amount >= 1000",
    targetRoles: ["Admin"],
    titleTemplate: "Payment of {{ event.amount }} failed",
    messageTemplate: "Order {{ event.orderId }}: {{ event.reason | default:'no reason given' }}",
    priority: 500,
    suppression: { count: 5, windowMs: 60_000 },
    projectId: "default",
  });
export type CreateRule = v.InferOutput<ReturnType<typeof CreateRule>>;

/** Members that are missing stay as they are. */
export const UpdateRule = once(() => example(object(Rule.forUpdate), { priority: 600, active: true }));
export type UpdateRule = v.InferOutput<ReturnType<typeof UpdateRule>>;

/** Limit of one transaction. */
export const MAX_IMPORTED = 1000;

/** As databases without booleans write it, too. */
const flag = v.pipe(
  v.union([v.boolean(), v.literal(0), v.literal(1)], "must be true or false"),
  v.transform((value) => Boolean(value)),
);

export const ImportRules = () =>
  example(
    object({
      rules: doc(
        v.pipe(
          v.array(
            object({
              ...Rule.forCreate,
              active: v.optional(doc(flag, "False or 0 disables the rule; default true")),
              targetUsers: v.optional(
                doc(
                  v.pipe(v.array(text(255, 1)), v.maxLength(1000)),
                  "Ids, external ids or usernames; with `users:read` also email addresses",
                ),
              ),
            }),
          ),
          v.minLength(1, "must hold at least one rule"),
          v.maxLength(MAX_IMPORTED, `must be at most ${MAX_IMPORTED} rules`),
        ),
        "Rules; those with a known name in the project are updated or compared",
      ),
      update: v.optional(
        doc(
          v.boolean("must be true or false"),
          "Updates rules of the same name and project; otherwise they must be equal",
        ),
      ),
      dryRun: v.optional(doc(v.boolean("must be true or false"), "Checks everything and stores nothing")),
    }),
    {
      rules: [{ name: "Disk almost full", condition: "event.type == 'disk.full'", targetRoles: ["Admin"] }],
      update: true,
      dryRun: true,
    },
  );
export type ImportRules = v.InferOutput<ReturnType<typeof ImportRules>>;

export const warnings = doc(
  v.array(
    v.object({
      code: v.string(),
      message: v.string(),
      position: v.number(),
      line: v.number(),
      column: v.number(),
    }),
  ),
  "Parts of the condition that are valid but can never match",
);

export const ImportView = named(
  "RuleImport",
  "What the import did, or would do",
  v.object({
    created: v.number(),
    updated: v.number(),
    unchanged: v.number(),
    dryRun: v.boolean(),
    rules: v.array(
      v.object({
        id: doc(v.nullable(v.string()), "Null for a rule that a dry run would create"),
        name: v.string(),
        projectId: v.nullable(v.string()),
        outcome: v.picklist(["created", "updated", "unchanged"]),
        warnings,
      }),
    ),
  }),
);

export type ImportReply = v.InferOutput<typeof ImportView>;

export const ListRules = () =>
  object({
    ...ruleList.entries,
    include: v.optional(doc(v.picklist(["activity"]), "`activity`: also what each rule did in the last 24 hours")),
    sort: ruleList.sort,
    ...pageEntries(),
  });
export type ListRules = v.InferOutput<ReturnType<typeof ListRules>>;

export const RuleParams = object({ id: doc(v.string(), "Id of the rule") });
export const VersionParams = object({
  id: doc(v.string(), "Id of the rule"),
  version: doc(v.string(), "Number of the version"),
});
export const NoBody = object({});
export const VersionsQuery = object(pageEntries());
export type VersionsQuery = v.InferOutput<typeof VersionsQuery>;
export const StatsQuery = object({
  from: v.optional(doc(instant, "Start; default: 30 days ago, or without limit when `to` is given")),
  to: v.optional(doc(instant, "End; default: now")),
});

/** One rule, with what its author should know. */
export const RuleWithWarnings = once(() =>
  named(
    "RuleWithWarnings",
    "A rule with warnings about its condition and its people",
    v.object({
      ...Rule.shown,
      warnings: doc(
        v.array(
          v.object({
            ...{ code: v.string(), message: v.string() },
            ...{ position: v.optional(v.number()), line: v.optional(v.number()), column: v.optional(v.number()) },
          }),
        ),
        "Parts of the condition that are valid but can never match; without a position, `RECIPIENT_INACTIVE`: a " +
          "person in `targetUsers` whose account is not active, or who is not a member of the project",
      ),
    }),
  ),
);

export const StatsView = named(
  "RuleStats",
  "Counters of a rule",
  v.object({
    ...counts,
    perDay: v.array(v.object({ day: v.string(), matched: v.number(), fired: v.number() })),
  }),
);

/** The result of a condition, step by step. */
export const evaluation = {
  matched: v.boolean(),
  value: v.unknown(),
  trace: v.array(
    v.object({
      pos: v.number(),
      text: v.string(),
      value: v.unknown(),
      type: v.optional(doc(v.literal("decimal"), "Present for a decimal, shown as text")),
      hint: v.optional(doc(v.string(), "Why these types do not compare, and what to write")),
      item: v.optional(doc(v.number(), "Index of the element, for a part that any, all or count evaluates for each")),
    }),
  ),
  error: v.optional(v.string()),
};
