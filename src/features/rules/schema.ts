import * as v from "valibot";
import { pageEntries } from "../../http/pagination.ts";
import {
  Action,
  CHANNELS,
  ChannelList,
  doc,
  example,
  instant,
  integer,
  named,
  object,
  queryBoolean,
  selfChanging,
  text,
  uuid,
} from "../../http/shapes.ts";
import { overTimeEntries } from "./over-time/schema.ts";

/** The members of a rule. */
export const entries = {
  name: doc(text(255, 1), "Name shown in lists"),
  description: doc(text(4000), "Purpose of the rule"),
  condition: doc(
    v.pipe(v.string("must be a string"), v.minLength(1, "must not be empty")),
    "Expression over the event; see /docs/rules",
  ),
  targetRoles: doc(v.pipe(v.array(text(100, 1)), v.maxLength(32)), "Names or ids of roles; notifies active holders"),
  targetUsers: doc(v.pipe(v.array(text(128, 1)), v.maxLength(1000)), "Ids or usernames of users to notify"),
  channels: ChannelList,
  titleTemplate: doc(v.nullable(text(255, 1)), "Template of the title; null, the default: what the event says"),
  messageTemplate: doc(v.nullable(text(4000, 1)), "Template of the message; null as for the title"),
  sound: doc(v.nullable(text(255, 1)), "Id or file name of a sound"),
  action: doc(v.nullable(Action), "Action that the app offers"),
  priority: doc(
    integer(-2_147_483_648, 2_147_483_647),
    "Higher is more urgent: 500 and above ignores quiet hours and sends push with high priority",
  ),
  active: doc(v.boolean("must be true or false"), "False disables the rule; default true"),
  suppression: doc(
    v.nullable(
      named(
        "Suppression",
        "Limit on the notifications of a rule per window",
        object({
          count: doc(integer(1, 1_000_000), "Notifications per window; further matches are suppressed"),
          windowMs: doc(integer(1000, 86_400_000), "Length of the window"),
          mode: v.optional(
            doc(v.picklist(["suppress", "batch"]), "Default `suppress`; `batch` adds samples of suppressed events"),
          ),
          key: v.optional(doc(text(256, 1), "Template; each value has its own window")),
        }),
      ),
    ),
    "Limit on notifications per window",
  ),
  dedupe: doc(
    v.nullable(
      named(
        "Dedupe",
        "Suppression of repeated notifications of the same value",
        object({
          key: doc(text(256, 1), "Template; an equal value within the window sends no second notification"),
          windowMs: doc(integer(1000, 30 * 86_400_000), "How long a value counts as a duplicate"),
        }),
      ),
    ),
    "Repeats that send no notification",
  ),
  cooldownMs: doc(integer(0, 30 * 86_400_000), "Quiet period after the rule, or its dedupe key, fired"),
  ...overTimeEntries,
  projectId: v.nullable(
    doc(
      v.pipe(v.string(), v.maxLength(64)),
      "Id or slug; null for events of all projects (needs `projects:all`). " +
        "Default of a new rule: null for callers with `projects:all`, otherwise the default project",
    ),
  ),
};

type Optional<E extends v.ObjectEntries> = { [K in keyof E]: v.OptionalSchema<E[K], undefined> };

function optional<E extends v.ObjectEntries>(members: E): Optional<E> {
  return Object.fromEntries(Object.entries(members).map(([name, member]) => [name, v.optional(member)])) as Optional<E>;
}

const requiredEntries = { name: entries.name, condition: entries.condition };
export const CreateRule = example(object({ ...optional(entries), ...requiredEntries }), {
  name: "Payment over 1000 failed",
  condition: "event.type == 'payment.failed' && event.amount >= 1000",
  targetRoles: ["Admin"],
  titleTemplate: "Payment of {{ event.amount }} failed",
  messageTemplate: "Order {{ event.orderId }}: {{ event.reason | default:'no reason given' }}",
  priority: 500,
  suppression: { count: 5, windowMs: 60_000 },
  projectId: "default",
});
export type CreateRule = v.InferOutput<typeof CreateRule>;

/** Members that are missing stay as they are. */
export const UpdateRule = example(object(optional(entries)), { priority: 600, active: true });
export type UpdateRule = v.InferOutput<typeof UpdateRule>;

/** What one transaction takes. */
export const MAX_IMPORTED = 1000;

/** As databases without booleans write it, too. */
const flag = v.pipe(
  v.union([v.boolean(), v.literal(0), v.literal(1)], "must be true or false"),
  v.transform((value) => Boolean(value)),
);

export const ImportRules = example(
  object({
    rules: doc(
      v.pipe(
        v.array(
          object({
            ...CreateRule.entries,
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
export type ImportRules = v.InferOutput<typeof ImportRules>;

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

export const SORTS = ["name", "priority", "createdAt", "updatedAt"] as const;

export const ListRules = object({
  active: v.optional(doc(queryBoolean, "Only enabled or only disabled rules")),
  q: v.optional(doc(text(100), "Part of the name")),
  projectId: v.optional(doc(v.pipe(v.string(), v.maxLength(64)), "Id or slug of the project")),
  createdBy: v.optional(doc(uuid, "Id of the author")),
  targetRole: v.optional(doc(text(100, 1), "Name or id of a role that the rule notifies")),
  sound: v.optional(doc(text(255, 1), "File name of the sound that the rule plays")),
  include: v.optional(doc(v.picklist(["activity"]), "`activity`: also what each rule did in the last 24 hours")),
  sort: v.optional(doc(v.picklist(SORTS.flatMap((field) => [field, `-${field}` as const])), "Order; `-` descends")),
  ...pageEntries(),
});
export type ListRules = v.InferOutput<typeof ListRules>;

/** Matches by outcome. */
export const outcomeCounts = {
  matched: v.number(),
  fired: v.number(),
  suppressed: v.number(),
  deduped: v.number(),
  cooled: v.number(),
  counted: doc(v.number(), "Below the threshold, seen by an absence, or repetitions of a firing alert"),
  alertsOpened: v.number(),
  alertsResolved: doc(v.number(), "Ends of alerts by the rule; not counted as matches"),
};

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

const counts = {
  ...outcomeCounts,
  noRecipients: v.number(),
  errors: v.number(),
  lastMatchedAt: v.nullable(v.string()),
  lastError: v.nullable(v.string()),
};

export const RuleView = named(
  "Rule",
  "A rule with its counters",
  v.object({
    id: v.string(),
    projectId: v.nullable(v.string()),
    name: v.string(),
    description: v.string(),
    condition: v.string(),
    targetRoles: v.array(v.string()),
    targetUsers: v.array(v.string()),
    channels: v.array(v.picklist(CHANNELS)),
    titleTemplate: entries.titleTemplate,
    messageTemplate: entries.messageTemplate,
    sound: v.nullable(v.string()),
    soundUrl: selfChanging(v.nullable(v.string())),
    action: v.nullable(Action),
    priority: v.number(),
    active: v.boolean(),
    suppression: entries.suppression,
    dedupe: entries.dedupe,
    cooldownMs: v.number(),
    threshold: entries.threshold,
    absence: entries.absence,
    alert: entries.alert,
    version: v.number(),
    createdBy: v.nullable(v.string()),
    createdAt: v.string(),
    updatedAt: v.string(),
    broken: selfChanging(
      doc(
        v.nullable(v.object({ code: v.string(), message: v.string() })),
        "Reason why an enabled rule is not evaluated, or null",
      ),
    ),
    stats: selfChanging(v.object(counts)),
    activity: selfChanging(
      v.optional(
        doc(
          v.object({
            matched: v.number(),
            fired: doc(v.number(), "Matches that notified or opened an alert"),
            lastFiredAt: doc(v.nullable(v.string()), "The last of these, also before"),
            isCut: doc(v.boolean(), "More than 500 matches, of which the latest 500 are counted"),
          }),
          "In lists with `include=activity`: the last 24 hours",
        ),
      ),
    ),
  }),
);

/** One rule, with what its author should know. */
export const RuleWithWarnings = named(
  "RuleWithWarnings",
  "A rule with warnings about its condition and its people",
  v.object({
    ...RuleView.entries,
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
);

export const StatsView = named(
  "RuleStats",
  "Counters of a rule",
  v.object({
    ...counts,
    perDay: v.array(v.object({ day: v.string(), matched: v.number(), fired: v.number() })),
  }),
);

export const VersionView = named(
  "RuleVersion",
  "One version of a rule",
  v.object({
    version: v.number(),
    definition: v.record(v.string(), v.unknown()),
    createdBy: v.nullable(v.string()),
    createdAt: v.string(),
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
