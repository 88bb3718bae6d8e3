import * as v from "valibot";
import { isTimezone } from "../../../core/clock.ts";
import { pageEntries } from "../../../http/pagination.ts";
import {
  doc,
  example,
  instant,
  integer,
  jsonObject,
  named,
  object,
  queryList,
  selfChanging,
  text,
  uuid,
} from "../../../http/shapes.ts";
import { MATCH_OPERATORS } from "../model/utf8-matchers.ts";
import { MAX_MATCHERS } from "./live-silence.ts";

const STATES = ["pending", "active", "expired"] as const;
const KINDS = ["silence", "maintenance"] as const;
/** Ten years. */
const MAX_DURATION_MS = 315_576_000_000;
/** A window lasts no longer than a month. */
const MAX_WINDOW_MS = 2_678_400_000;
const MAX_VALUE = 4096;

const MatcherObject = named(
  "Matcher",
  "A condition on one label; an absent label counts as empty",
  v.object({
    name: doc(v.string(), "Name of the label"),
    operator: doc(v.picklist(MATCH_OPERATORS), "`=`, `!=`, or `=~`, `!~` with a regular expression (RE2) of the value"),
    value: v.string(),
  }),
);

const kind = doc(
  v.picklist(KINDS, `must be one of ${KINDS.join(", ")}`),
  "`maintenance`: a planned window; the default with `recurrence`",
);

const matcher = v.union(
  [
    doc(text(2 * MAX_VALUE, 1), 'Text such as `team="db"` or `instance=~"db-[0-9]+"`'),
    object({
      name: doc(text(MAX_VALUE, 1), "Name of the label"),
      operator: v.optional(
        doc(v.picklist(MATCH_OPERATORS, `must be one of ${MATCH_OPERATORS.join(", ")}`), "Default: `=`"),
      ),
      value: doc(text(MAX_VALUE), "Value, or a regular expression (RE2) of the whole value"),
    }),
  ],
  'must be a matcher such as team="db", as a text or an object with name, operator and value',
);

const matchers = v.pipe(
  v.array(matcher),
  v.minLength(1, "must be at least one matcher"),
  v.maxLength(MAX_MATCHERS, `must be at most ${MAX_MATCHERS} matchers`),
);

const recurrence = object({
  cron: doc(text(100, 1), "When a window starts: a cron pattern"),
  durationMs: doc(integer(60_000, MAX_WINDOW_MS), "Length of a window in elapsed time"),
  timezone: doc(
    v.pipe(v.string("must be a string"), v.check(isTimezone, "must be a time zone of the IANA database")),
    "IANA time zone of the pattern",
  ),
});

const annotations = v.pipe(
  jsonObject(16_384),
  v.check((value) => Object.values(value).every((each) => typeof each === "string"), "must have texts as values"),
);

/** What the silence matches; exactly one of these. */
const selection = {
  matchers: v.optional(doc(matchers, "All must match")),
  incidentId: v.optional(doc(uuid, "Instead of matchers: the labels that all alerts of this incident have")),
  notificationId: v.optional(doc(uuid, "Instead of matchers: as `incidentId`, for the incident of a notification")),
};

const times = {
  startsAt: v.optional(doc(instant, "Default: now; with `recurrence` the first window starts after it")),
  endsAt: v.optional(doc(v.nullable(instant), "End; null or absent only with `recurrence` or `durationMs`")),
  durationMs: v.optional(doc(integer(1, MAX_DURATION_MS), "Instead of `endsAt`: time from the start to the end")),
  recurrence: v.optional(doc(v.nullable(recurrence), "Windows by the wall clock; null: one span")),
};

const texts = {
  comment: doc(text(4000), "Reason, for other people"),
  annotations: v.optional(doc(annotations, "Names and texts of your own")),
};

export const CreateSilence = example(
  object({
    projectId: v.optional(doc(text(128, 1), "Id or slug of the project; default: that of the incident, or `default`")),
    kind: v.optional(kind),
    ...selection,
    ...times,
    ...texts,
  }),
  {
    matchers: ['team="db"', 'instance=~"db-[0-9]+"'],
    durationMs: 7_200_000,
    comment: "The disks are exchanged",
  },
);
export type GivenMatcher = v.InferOutput<typeof matcher>;
export type CreateSilence = v.InferOutput<typeof CreateSilence>;

export const UpdateSilence = example(
  object({
    kind: v.optional(kind),
    matchers: v.optional(doc(matchers, "All must match; other matchers make a silence with a new id")),
    ...times,
    comment: v.optional(texts.comment),
    annotations: texts.annotations,
  }),
  { durationMs: 14_400_000, comment: "The disks are exchanged; it takes longer" },
);
export type UpdateSilence = v.InferOutput<typeof UpdateSilence>;

export const PreviewSilence = example(object({ projectId: CreateSilence.entries.projectId, ...selection, ...times }), {
  matchers: ['team="db"'],
  recurrence: { cron: "0 22 * * 6", durationMs: 14_400_000, timezone: "Europe/Berlin" },
});
export type PreviewSilence = v.InferOutput<typeof PreviewSilence>;

export const SilenceParams = object({ id: doc(v.string(), "Id of the silence") });

export const ExpireQuery = object({
  only: v.optional(
    doc(
      v.picklist(["window"], "must be window"),
      "`window`: ends the current window of a recurring silence or skips the next one; later windows stay",
    ),
  ),
});

export const ListSilences = object({
  projectId: v.optional(doc(text(128, 1), "Id or slug; default: the key's project, or `default`")),
  state: v.optional(doc(queryList(v.picklist(STATES, `must be among ${STATES.join(", ")}`)), "States, by comma")),
  kind: v.optional(kind),
  ...pageEntries(),
});
export type ListSilences = v.InferOutput<typeof ListSilences>;

const SpanView = v.object({ startsAt: v.string(), endsAt: v.string() });

const members = {
  id: v.string(),
  projectId: v.string(),
  kind: v.picklist(KINDS),
  state: selfChanging(
    doc(v.picklist(STATES), "Computed from the times; a recurring silence is pending between its windows"),
  ),
  matchers: v.array(MatcherObject),
  text: selfChanging(doc(v.string(), 'The matchers as a text, such as `{team="db"}`')),
  startsAt: v.string(),
  endsAt: doc(v.nullable(v.string()), "Null: the windows have no end"),
  recurrence: v.nullable(v.object({ cron: v.string(), durationMs: v.number(), timezone: v.string() })),
  window: selfChanging(doc(v.nullable(SpanView), "The current span, otherwise the next one; null if it is expired")),
  comment: v.string(),
  annotations: v.record(v.string(), v.string()),
  createdBy: doc(v.string(), "Id of the user or key, or the name that a client of Alertmanager's API sent"),
  hits: selfChanging(doc(v.number(), "Number of alerts that it has silenced")),
  lastHitAt: selfChanging(v.nullable(v.string())),
  version: v.number(),
  createdAt: v.string(),
  updatedAt: v.string(),
};

export const SilenceView = named("Silence", "A silence or maintenance window", v.object(members));
export type SilenceView = v.InferOutput<typeof SilenceView>;

export const SilenceDetail = named(
  "SilenceDetail",
  "A silence with the alerts that it silenced last",
  v.object({
    ...members,
    withheld: selfChanging(
      doc(
        v.array(
          v.object({
            alertId: v.string(),
            incidentId: v.string(),
            at: doc(v.string(), "When it silenced the alert for the first time"),
            labels: doc(v.nullable(v.record(v.string(), v.string())), "Null if the alert is no longer kept"),
          }),
        ),
        "The last 20",
      ),
    ),
  }),
);

export const PreviewView = named(
  "SilencePreview",
  "What a silence would withhold now",
  v.object({
    projectId: v.string(),
    matchers: v.array(MatcherObject),
    text: v.string(),
    hits: doc(v.number(), "Number of firing alerts"),
    alerts: doc(
      v.array(
        v.object({
          id: v.string(),
          fingerprint: v.string(),
          labels: v.record(v.string(), v.string()),
          startsAt: v.string(),
        }),
      ),
      "The first 50",
    ),
    incidents: doc(
      v.array(
        v.object({
          id: v.string(),
          number: v.number(),
          title: v.string(),
          state: v.picklist(["open", "acknowledged", "resolved"]),
        }),
      ),
      "The first 50 unresolved incidents with such alerts",
    ),
    windows: doc(v.array(SpanView), "The next five spans, if times are given"),
    warnings: v.array(
      v.object({
        code: doc(v.picklist(["BROAD", "ANY_VALUE", "NO_HITS", "LONG"]), "Kind of the warning"),
        message: v.string(),
      }),
    ),
    needs: doc(v.nullable(v.literal("silences:broad")), "The permission besides `silences:write` to create it"),
  }),
);
