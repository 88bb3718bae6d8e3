import * as v from "valibot";
import { once } from "../../../core/once.ts";
import { isTimezone } from "../../../core/time/clock.ts";
import {
  doc,
  example,
  instant,
  integer,
  named,
  object,
  pageEntries,
  selfChanging,
  text,
  uuid,
} from "../../../http/api/shapes.ts";
import { MATCH_OPERATORS } from "../model/utf8-matchers.ts";
import { MAX_MATCHERS } from "./live-silence.ts";
import { silenceList } from "./queries.ts";
import { MatcherObject, Silence, SpanView } from "./silence.ts";

/** Ten years. */
const MAX_DURATION_MS = 315_576_000_000;
/** A window lasts no longer than a month. */
const MAX_WINDOW_MS = 2_678_400_000;
const MAX_VALUE = 4096;

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
  durationMs: v.optional(
    doc(
      integer(60_000, MAX_WINDOW_MS),
      "Length of a window: a multiple of 24 hours means days of the calendar, any other is elapsed time",
    ),
  ),
  until: v.optional(
    doc(
      v.pipe(
        v.string("must be a string"),
        v.regex(/^(?:(?:[01]\d|2[0-3]):[0-5]\d|24:00)$/, "must be HH:MM, up to 24:00"),
      ),
      "Instead of `durationMs`: a window lasts until the clock shows this time, such as `06:00`",
    ),
  ),
  timezone: doc(
    v.pipe(v.string("must be a string"), v.check(isTimezone, "must be a time zone of the IANA database")),
    "IANA time zone of the pattern",
  ),
});

/** The matchers of the silence; exactly one of these. */
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

const projectId = v.optional(
  doc(text(128, 1), "Id or slug of the project; default: that of the incident, or `default`"),
);

/** What a file says of a silence. */
export const silenceEntries = () => ({ matchers: doc(matchers, "All must match"), ...times, ...Silence.forCreate });

export const CreateSilence = () =>
  example(
    object({
      projectId,
      ...selection,
      ...times,
      ...Silence.forCreate,
    }),
    {
      matchers: ['team="db"', 'instance=~"db-[0-9]+"'],
      durationMs: 7_200_000,
      comment: "The disks are exchanged",
    },
  );
export type GivenMatcher = v.InferOutput<typeof matcher>;
export type CreateSilence = v.InferOutput<ReturnType<typeof CreateSilence>>;

export const UpdateSilence = () =>
  example(
    object({
      matchers: v.optional(doc(matchers, "All must match; other matchers make a silence with a new id")),
      ...times,
      ...Silence.forUpdate,
    }),
    { durationMs: 14_400_000, comment: "The disks are exchanged; it takes longer" },
  );
export type UpdateSilence = v.InferOutput<ReturnType<typeof UpdateSilence>>;

/** As for a new silence; nothing but the selection is required. */
export const PreviewSilence = () =>
  example(object({ projectId, ...selection, ...times, ...Silence.forUpdate }), {
    matchers: ['team="db"'],
    recurrence: { cron: "0 22 * * 6", until: "06:00", timezone: "Europe/Berlin" },
  });
export type PreviewSilence = v.InferOutput<ReturnType<typeof PreviewSilence>>;

export const SilenceParams = object({ id: doc(v.string(), "Id of the silence") });

export const ExpireQuery = object({
  only: v.optional(
    doc(
      v.picklist(["window"], "must be window"),
      "`window`: ends the current window of a recurring silence or skips the next one; later windows stay",
    ),
  ),
});

export const ListSilences = () =>
  object({
    projectId: v.optional(doc(text(128, 1), "Id or slug; default: the key's project, or `default`")),
    ...silenceList.entries,
    sort: silenceList.sort,
    ...pageEntries(),
  });
export type ListSilences = v.InferOutput<ReturnType<typeof ListSilences>>;

export const SilenceDetail = once(() =>
  named(
    "SilenceDetail",
    "A silence with the alerts that it silenced last",
    v.object({
      ...Silence.shown,
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
  ),
);

export const PreviewView = named(
  "SilencePreview",
  "Alerts that a silence would silence now",
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
