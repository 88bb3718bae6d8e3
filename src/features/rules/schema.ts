import * as v from "valibot";
import { pageEntries } from "../../http/pagination.ts";
import {
  Action,
  CHANNELS,
  ChannelList,
  instant,
  integer,
  jsonObject,
  named,
  object,
  queryBoolean,
  selfChanging,
  text,
  uuid,
} from "../../http/shapes.ts";

const entries = {
  name: text(255, 1),
  description: text(4000),
  condition: v.pipe(
    v.string("must be a string"),
    v.minLength(1, "must not be empty"),
    v.description("See docs/rules.md"),
  ),
  targetRoles: v.pipe(
    v.array(text(100, 1)),
    v.maxLength(32),
    v.description("Names or ids of roles; their active holders hear of it"),
  ),
  targetUsers: v.pipe(v.array(text(128, 1)), v.maxLength(1000)),
  channels: ChannelList,
  titleTemplate: text(255, 1),
  messageTemplate: text(4000, 1),
  sound: v.nullable(text(255, 1)),
  action: v.nullable(Action),
  priority: v.pipe(
    integer(-2_147_483_648, 2_147_483_647),
    v.description("The larger, the more urgent: from 500 on quiet hours do not hold it, from 600 on push is urgent"),
  ),
  active: v.boolean("must be true or false"),
  suppression: v.nullable(
    object({
      count: v.pipe(
        integer(1, 1_000_000),
        v.description("Matches in the window after which further ones are held back"),
      ),
      windowMs: integer(1000, 86_400_000),
      mode: v.optional(
        v.pipe(
          v.picklist(["suppress", "batch"]),
          v.description("Default `suppress`; `batch` tells samples of what was held back as well"),
        ),
      ),
      key: v.optional(v.pipe(text(256, 1), v.description("Template; each value has a window of its own"))),
    }),
  ),
  dedupe: v.nullable(
    object({
      key: v.pipe(
        text(256, 1),
        v.description("Template; while a notification of the same value is younger, it stands for both"),
      ),
      windowMs: integer(1000, 30 * 86_400_000),
    }),
  ),
  cooldownMs: v.pipe(
    integer(0, 30 * 86_400_000),
    v.description("Silence after the rule, or its dedupe key, has fired"),
  ),
  projectId: v.nullable(
    v.pipe(
      v.string(),
      v.maxLength(64),
      v.description(
        "Id or slug; null: events of every project, which needs `projects:all`. Absent in a new rule: every project for callers with " +
          "`projects:all`, the default project for all others",
      ),
    ),
  ),
};

type Optional<E extends v.ObjectEntries> = { [K in keyof E]: v.OptionalSchema<E[K], undefined> };

function optional<E extends v.ObjectEntries>(members: E): Optional<E> {
  return Object.fromEntries(Object.entries(members).map(([name, member]) => [name, v.optional(member)])) as Optional<E>;
}

export const CreateRule = object({ ...optional(entries), name: entries.name, condition: entries.condition });
export type CreateRule = v.InferOutput<typeof CreateRule>;

/** Members that are missing stay as they are. */
export const UpdateRule = object(optional(entries));
export type UpdateRule = v.InferOutput<typeof UpdateRule>;

/** What one transaction takes. */
export const MAX_IMPORTED = 1000;

/** As databases without booleans write it, too. */
const flag = v.pipe(
  v.union([v.boolean(), v.literal(0), v.literal(1)], "must be true or false"),
  v.transform((value) => Boolean(value)),
);

export const ImportRules = object({
  rules: v.pipe(
    v.array(
      object({
        ...CreateRule.entries,
        active: v.optional(flag),
        targetUsers: v.optional(
          v.pipe(
            v.array(text(255, 1)),
            v.maxLength(1000),
            v.description("Ids, external ids or usernames; for callers who may read users mail addresses, too"),
          ),
        ),
      }),
    ),
    v.minLength(1, "must hold at least one rule"),
    v.maxLength(MAX_IMPORTED, `must be at most ${MAX_IMPORTED} rules`),
  ),
  update: v.optional(
    v.pipe(
      v.boolean("must be true or false"),
      v.description(
        "Changes rules that are there under the same name in the same project; without it they must be equal",
      ),
    ),
  ),
  dryRun: v.optional(
    v.pipe(v.boolean("must be true or false"), v.description("Checks everything and says what would be done")),
  ),
});
export type ImportRules = v.InferOutput<typeof ImportRules>;

const warnings = v.pipe(
  v.array(
    v.object({
      code: v.string(),
      message: v.string(),
      position: v.number(),
      line: v.number(),
      column: v.number(),
    }),
  ),
  v.description("What is allowed in the condition and can never do what it seems to"),
);

export const ImportView = v.object({
  created: v.number(),
  updated: v.number(),
  unchanged: v.number(),
  dryRun: v.boolean(),
  rules: v.array(
    v.object({
      id: v.pipe(v.nullable(v.string()), v.description("Null for a rule that a dry run would make")),
      name: v.string(),
      projectId: v.nullable(v.string()),
      outcome: v.picklist(["created", "updated", "unchanged"]),
      warnings,
    }),
  ),
});

export type ImportReply = v.InferOutput<typeof ImportView>;

export const SORTS = ["name", "priority", "createdAt", "updatedAt"] as const;

export const ListRules = object({
  active: v.optional(queryBoolean),
  q: v.optional(text(100)),
  projectId: v.optional(v.pipe(v.string(), v.maxLength(64))),
  createdBy: v.optional(uuid),
  targetRole: v.optional(text(100, 1)),
  sort: v.optional(v.picklist(SORTS.flatMap((field) => [field, `-${field}` as const]))),
  ...pageEntries(),
});
export type ListRules = v.InferOutput<typeof ListRules>;

export const TestRule = object({
  condition: v.string("must be a string"),
  event: v.optional(jsonObject(262_144)),
  eventId: v.optional(uuid),
  templates: v.optional(
    object({
      title: v.optional(v.pipe(v.string(), v.maxLength(255))),
      message: v.optional(v.pipe(v.string(), v.maxLength(4000))),
    }),
  ),
});
export type TestRule = v.InferOutput<typeof TestRule>;

export const BacktestRule = v.pipe(
  object({
    condition: v.optional(entries.condition),
    ruleId: v.optional(
      v.pipe(
        uuid,
        v.description("A stored rule: what is not given is taken from it, and the answer has the difference"),
      ),
    ),
    suppression: v.optional(entries.suppression),
    dedupe: v.optional(entries.dedupe),
    cooldownMs: v.optional(entries.cooldownMs),
    projectId: v.optional(
      v.pipe(v.string(), v.maxLength(64), v.description("Id or slug; default: the rule's, else `default`")),
    ),
    from: v.optional(v.pipe(instant, v.description("By receipt; default: the first event that is stored"))),
    to: v.optional(v.pipe(instant, v.description("Exclusive; default: now"))),
    samples: v.optional(
      v.pipe(integer(0, 20), v.description("Events that would be told, the first of them; default 5")),
    ),
  }),
  v.check(({ condition, ruleId }) => condition !== undefined || ruleId !== undefined, "give condition or ruleId"),
);
export type BacktestRule = v.InferOutput<typeof BacktestRule>;

const backtestCounts = {
  matched: v.number(),
  fired: v.number(),
  suppressed: v.number(),
  deduped: v.number(),
  cooled: v.number(),
};

export const BacktestReply = v.object({
  scanned: v.number(),
  ...backtestCounts,
  errors: v.pipe(v.number(), v.description("Events on which the condition or a key stopped")),
  from: v.pipe(
    v.nullable(v.string()),
    v.description("Receipt of the first event that was looked at; null: there was none"),
  ),
  to: v.nullable(v.string()),
  perDay: v.array(v.object({ day: v.string(), ...backtestCounts })),
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
    users: v.pipe(
      v.nullable(v.number()),
      v.description("Whom the rule reaches now, counted to 10 000; null without ruleId"),
    ),
  }),
  diff: v.optional(
    v.pipe(
      v.object({ added: v.number(), removed: v.number() }),
      v.description(
        "With ruleId: events that would be told and the stored version does not tell, and the other way round",
      ),
    ),
  ),
  warnings,
  tookMs: v.number(),
});
export type BacktestReply = v.InferOutput<typeof BacktestReply>;

export const RuleParams = object({ id: v.string() });
export const VersionsQuery = object(pageEntries());
export type VersionsQuery = v.InferOutput<typeof VersionsQuery>;
export const StatsQuery = object({ from: v.optional(instant), to: v.optional(instant) });

const counts = {
  ...backtestCounts,
  noRecipients: v.number(),
  errors: v.number(),
  lastMatchedAt: v.nullable(v.string()),
  lastError: v.nullable(v.string()),
};

export const RuleView = named(
  "Rule",
  v.object({
    id: v.string(),
    projectId: v.nullable(v.string()),
    name: v.string(),
    description: v.string(),
    condition: v.string(),
    targetRoles: v.array(v.string()),
    targetUsers: v.array(v.string()),
    channels: v.array(v.picklist(CHANNELS)),
    titleTemplate: v.string(),
    messageTemplate: v.string(),
    sound: v.nullable(v.string()),
    soundUrl: selfChanging(v.nullable(v.string())),
    action: v.nullable(v.record(v.string(), v.unknown())),
    priority: v.number(),
    active: v.boolean(),
    suppression: v.nullable(v.record(v.string(), v.unknown())),
    dedupe: v.nullable(v.record(v.string(), v.unknown())),
    cooldownMs: v.number(),
    version: v.number(),
    createdBy: v.nullable(v.string()),
    createdAt: v.string(),
    updatedAt: v.string(),
    broken: selfChanging(
      v.pipe(
        v.nullable(v.object({ code: v.string(), message: v.string() })),
        v.description("Why an active rule is not evaluated; null for every other rule"),
      ),
    ),
    stats: selfChanging(v.object(counts)),
  }),
);

/** One rule, with what its author should know. */
export const RuleWithWarnings = named("RuleWithWarnings", v.object({ ...RuleView.entries, warnings }));

export const StatsView = v.object({
  ...counts,
  perDay: v.array(v.object({ day: v.string(), matched: v.number(), fired: v.number() })),
});

export const VersionView = named(
  "RuleVersion",
  v.object({
    version: v.number(),
    definition: v.record(v.string(), v.unknown()),
    createdBy: v.nullable(v.string()),
    createdAt: v.string(),
  }),
);

export const TestReply = v.object({
  matched: v.boolean(),
  value: v.unknown(),
  trace: v.array(
    v.object({
      pos: v.number(),
      text: v.string(),
      value: v.unknown(),
      type: v.optional(v.pipe(v.literal("decimal"), v.description("Of a decimal, whose value is shown as text"))),
      hint: v.optional(v.pipe(v.string(), v.description("Why values of these types give nothing, and what to write"))),
    }),
  ),
  warnings,
  error: v.optional(v.string()),
  title: v.optional(v.string()),
  message: v.optional(v.string()),
});
