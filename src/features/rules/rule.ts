import { type RawBuilder, sql } from "kysely";
import * as v from "valibot";
import { DAY_MS } from "../../core/time/clock.ts";
import { by, equals, listing, within } from "../../http/api/listing.ts";
import {
  column,
  computed,
  flag,
  given,
  json,
  orNull,
  type RowOf,
  resource,
  stored,
  time,
} from "../../http/api/resource.ts";
import {
  Action,
  ChannelList,
  type ChannelName,
  DEFAULT_CHANNELS,
  doc,
  integer,
  named,
  namesOf,
  object,
  queryBoolean,
  refersTo,
  selfChanging,
  text,
  uuid,
} from "../../http/api/shapes.ts";
import {
  Absence,
  type AbsenceSetting,
  type AlertSetting,
  RuleAlert,
  Threshold,
  type ThresholdSetting,
} from "./over-time/schema.ts";

declare module "../../store/schema.ts" {
  interface Schema {
    rules: RuleRow;
    rule_versions: RowOf<typeof RuleVersion>;
  }
}

const Suppression = named(
  "Suppression",
  "Limit on the notifications of a rule per window",
  object({
    count: doc(integer(1, 1_000_000), "Notifications per window; further matches are suppressed"),
    windowMs: doc(integer(1000, DAY_MS), "Length of the window"),
    mode: v.optional(
      doc(v.picklist(["suppress", "batch"]), "Default `suppress`; `batch` adds samples of suppressed events"),
    ),
    key: v.optional(doc(text(256, 1), "Template; each value has its own window")),
  }),
);
export type SuppressionSetting = v.InferOutput<typeof Suppression>;

const Dedupe = named(
  "Dedupe",
  "Suppression of repeated notifications of the same value",
  object({
    key: doc(text(256, 1), "Template; an equal value within the window sends no second notification"),
    windowMs: doc(integer(1000, 30 * DAY_MS), "How long a value counts as a duplicate"),
  }),
);
export type DedupeSetting = v.InferOutput<typeof Dedupe>;

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

export const counts = {
  ...outcomeCounts,
  noRecipients: v.number(),
  errors: v.number(),
  lastMatchedAt: v.nullable(v.string()),
  lastError: v.nullable(v.string()),
};

const Broken = v.object({ code: v.string(), message: v.string() });
const Activity = v.object({
  matched: v.number(),
  fired: doc(v.number(), "Matches that notified or opened an alert"),
  lastFiredAt: doc(v.nullable(v.string()), "The last of these, also before"),
  isCut: doc(v.boolean(), "More than 500 matches, of which the latest 500 are counted"),
});

/** Decides who is notified of an event. Targets are stored by id; roles are shown by name. */
export const Rule = resource("Rule", "A rule with its counters", "rules", () => ({
  id: stored(v.string()),
  projectId: given(
    v.nullable(v.pipe(v.string(), v.maxLength(64))),
    "Id or slug; null for events of all projects (needs `projects:all`). " +
      "Default of a new rule: null for callers with `projects:all`, otherwise the default project",
  ).or(null),
  name: given(text(255, 1), "Name shown in lists"),
  description: given(text(4000), "Purpose of the rule").or(""),
  condition: given(
    v.pipe(v.string("must be a string"), v.minLength(1, "must not be empty")),
    "Expression over the event; see /docs/rules",
  ),
  targetRoles: given(
    v.pipe(v.array(namesOf("roles", text(100, 1))), v.maxLength(32)),
    "Names or ids of roles; notifies active holders",
    json(),
  )
    .or("[]")
    .shownAs(v.array(v.string())),
  targetUsers: given(
    v.pipe(v.array(refersTo("people", text(128, 1))), v.maxLength(1000)),
    "Ids or usernames of users to notify",
    json(),
  ).or("[]"),
  channels: given(ChannelList, "Channels to send by", json<ChannelName[]>()).or(JSON.stringify(DEFAULT_CHANNELS)),
  titleTemplate: given(v.nullable(text(255, 1)), "Template of the title; null, the default: what the event says").or(
    null,
  ),
  messageTemplate: given(v.nullable(text(4000, 1)), "Template of the message; null as for the title").or(null),
  sound: given(v.nullable(text(255, 1)), "Id or file name of a sound").or(null),
  action: given(v.nullable(Action), "Action that the app offers", orNull(json<v.InferOutput<typeof Action>>())).or(
    null,
  ),
  priority: given(
    integer(-2_147_483_648, 2_147_483_647),
    "Higher is more urgent: 500 and above ignores quiet hours and sends push with high priority",
  ).or(0),
  active: given(v.boolean("must be true or false"), "False disables the rule; default true", flag).or(1),
  suppression: given(
    v.nullable(Suppression),
    "Limit on notifications per window",
    orNull(json<SuppressionSetting>()),
  ).or(null),
  dedupe: given(v.nullable(Dedupe), "Repeats that send no notification", orNull(json<DedupeSetting>())).or(null),
  cooldownMs: given(integer(0, 30 * DAY_MS), "Quiet period after the rule, or its dedupe key, fired").or(0),
  threshold: given(
    v.nullable(Threshold),
    "The rule passes only when it matches this often",
    orNull(json<ThresholdSetting>()),
  ).or(null),
  absence: given(
    v.nullable(Absence),
    "The rule passes when nothing matches for this time; not with `threshold`",
    orNull(json<AbsenceSetting>()),
  ).or(null),
  alert: given(
    v.nullable(RuleAlert),
    "Opens an alert when the rule passes; the rule then needs no targets",
    orNull(json<AlertSetting>()),
  ).or(null),
  soundUrl: computed(selfChanging(v.nullable(v.string()))),
  version: stored(v.number()).or(1),
  createdBy: stored(v.nullable(v.string())),
  createdAt: stored(v.string(), time),
  updatedAt: stored(v.string(), time),
  broken: computed(selfChanging(doc(v.nullable(Broken), "Reason why an enabled rule is not evaluated, or null"))),
  stats: computed(selfChanging(v.object(counts))),
  activity: computed(v.optional(selfChanging(doc(Activity, "In lists with `include=activity`: the last 24 hours")))),
  /** The version that was found too costly and is not evaluated. */
  tooCostlyVersion: column(v.nullable(v.number())).or(null),
  deletedAt: column(v.nullable(v.number())).or(null),
}));
export type RuleRow = RowOf<typeof Rule>;

/** Largest conditions, templates and recipients of a rule, together. */
const RULE_BYTES = 131_072;

export const ruleList = listing(
  Rule,
  () => ({
    active: equals(queryBoolean, "Only enabled or only disabled rules"),
    q: within(["name", "description"], text(100), "Part of the name"),
    projectId: equals(v.pipe(v.string(), v.maxLength(64)), "Id or slug of the project"),
    createdBy: equals(uuid, "Id of the author"),
    targetRole: by(
      text(100, 1),
      "Name or id of a role that the rule notifies",
      (id) => sql`exists (select 1 from json_each(targetRoles) where value = ${id})`,
    ),
    sound: by(
      text(255, 1),
      "File name of the sound that the rule plays",
      (sound) => sql`sound collate nocase = ${sound}`,
    ),
  }),
  {
    sorts: { name: "string", priority: "number", createdAt: "number", updatedAt: "number" },
    searches: true,
    large: {
      columns: ["description", "condition", "targetRoles", "targetUsers", "messageTemplate", "action", "alert"],
      largest: RULE_BYTES,
    },
  },
);

export const RuleVersion = resource("RuleVersion", "One version of a rule", "rule_versions", () => ({
  ruleId: column(v.string()),
  version: stored(v.number()),
  definition: stored(v.record(v.string(), v.unknown()), json()),
  createdBy: stored(v.nullable(v.string())),
  createdAt: stored(v.string(), time),
}));

export const versionList = listing(RuleVersion, () => ({}), {
  order: { version: "number" },
  large: { columns: ["definition"], largest: RULE_BYTES },
});

/** The projects whose rules a caller may see. */
export interface VisibleProjects {
  /** Null: all projects. */
  readonly projectIds: readonly string[] | null;
  /** Whether rules for every project are included. */
  readonly withGlobal: boolean;
}

/** Rows of these projects. @param project of a row */
export function ofVisible({ projectIds, withGlobal }: VisibleProjects, project = sql`projectId`): RawBuilder<boolean> {
  if (projectIds === null) return sql`true`;
  const own = projectIds.length === 0 ? sql`false` : sql`${project} in (${sql.join(projectIds)})`;
  return sql`(${own}${withGlobal ? sql` or ${project} is null` : sql``})`;
}
