import * as v from "valibot";
import { doc, instant, named, object, pattern, queryBoolean, queryInteger, text } from "../../http/api/shapes.ts";

/** The longest time of a report. */
export const MAX_RANGE_DAYS = 400;
/** Of incidents and of noise: more groups are left out. */
export const MAX_GROUPS = 200;

const range = {
  project: v.optional(doc(text(128, 1), "Id or slug of a project; default: all projects of the caller")),
  days: v.optional(
    doc(
      queryInteger(1, MAX_RANGE_DAYS),
      "Days in UTC, that of `to` is the last one: from 00:00 of the first. Not with `from`. Default: 30",
    ),
  ),
  from: v.optional(doc(instant, "Incidents that were opened from then on; default: by `days`")),
  to: v.optional(doc(instant, "And before then; default: now")),
};

export const RangeQuery = object(range);
export type RangeQuery = v.InferOutput<typeof RangeQuery>;

const BY = /^(project|policy|severity|key|day|week|label:[a-zA-Z_][a-zA-Z0-9_]{0,63})$/;
export const IncidentsQuery = object({
  ...range,
  by: v.optional(
    doc(
      pattern(BY, "must be project, policy, severity, key, day, week or label:<name>"),
      "What makes a group; `key`: the name of the alert with two labels of its group; `day` and `week`: in UTC, " +
        "a week begins on Monday. Default: `key`",
    ),
  ),
  compare: v.optional(doc(queryBoolean, "Also `compared`: whether it is getting better")),
});
export type IncidentsQuery = v.InferOutput<typeof IncidentsQuery>;

const nullableNumber = (about: string) => doc(v.nullable(v.number()), about);
const Times = named(
  "ReportTimes",
  "Milliseconds; null: of no incident",
  v.object({
    median: nullableNumber("Half of them took at most so long"),
    p90: nullableNumber("Nine of ten took at most so long"),
    mean: nullableNumber("Arithmetic mean"),
  }),
);
export type ReportTimes = v.InferOutput<typeof Times>;

const figures = {
  incidents: doc(v.number(), "Ended incidents"),
  paged: doc(v.number(), "Those that people were paged for"),
  acknowledged: doc(v.number(), "Those with a response: acknowledged, snoozed, reassigned, or resolved by a person"),
  unacknowledgedShare: nullableNumber("Share of `paged` without a response; null: none was paged"),
  brief: doc(v.number(), "Those that ended by themselves within 5 minutes"),
  reopened: doc(v.number(), "Those whose key had ended at most 30 minutes before"),
  pages: doc(v.number(), "Accepted pages to people and rooms, without those of the end"),
  severities: doc(
    v.object({ critical: v.number(), error: v.number(), warning: v.number(), info: v.number() }),
    "Incidents by their highest severity",
  ),
  ack: doc(Times, "From the first page to the first response"),
  ackSinceOpening: doc(v.nullable(Times), "From the opening to the first response; null: the figures are approximate"),
  resolve: doc(Times, "From the opening to the end"),
};
export const IncidentFigures = v.object(figures);
export type IncidentFigures = v.InferOutput<typeof IncidentFigures>;
const Group = v.object({ group: doc(v.string(), "The project's id, or the name, key, date or label"), ...figures });
export type IncidentGroup = v.InferOutput<typeof Group>;

const of = { from: v.string(), to: v.string() };

const Compared = v.object({
  with: doc(
    v.picklist(["before", "firstHalf"]),
    "`before`: the same length of time before; `firstHalf`: there were too few incidents before, so the second half with the first",
  ),
  isApproximate: doc(v.boolean(), "One of both had more than 100 000: median and p90 are those of a histogram, ≈"),
  now: doc(IncidentFigures, "Of the range, or of its second half"),
  before: doc(IncidentFigures, "Of the time before, or of the first half"),
});

export const IncidentsReport = named(
  "IncidentsReport",
  "How incidents went that were opened in a time and have ended",
  v.object({
    ...of,
    by: v.string(),
    isApproximate: doc(v.boolean(), "There were more than 100 000: median and p90 are those of a histogram, ≈"),
    total: IncidentFigures,
    compared: doc(v.nullable(Compared), "With `compare`; null: there are too few incidents to compare with"),
    data: doc(v.array(Group), `The groups with most pages, weeks in their order; at most ${MAX_GROUPS}`),
    groupsLeftOut: v.number(),
  }),
);
export type IncidentsReport = v.InferOutput<typeof IncidentsReport>;

const Person = v.object({
  userId: v.string(),
  name: v.nullable(v.string()),
  onCallHours: doc(v.number(), "Hours on call"),
  onCallNights: doc(v.number(), "Nights with an hour on call"),
  onCallWeekendDays: doc(v.number(), "Days of weekends and holidays on call"),
  pagesDay: v.number(),
  pagesNight: doc(v.number(), "Pages at night, in the time zone of the person"),
  pagesWeekend: doc(v.number(), "Of both: on weekends and holidays"),
  sleepBreaks: doc(v.number(), "Urgent pages at night that came at least 30 minutes after the one before"),
  swaps: doc(v.number(), "Shifts taken over from others"),
  hours: doc(
    v.array(v.number()),
    "Pages by the 24 hours of the day in the time zone of the person, as long as incidents are kept",
  ),
  keys: doc(
    v.array(v.object({ key: v.string(), pages: v.number(), pagesNight: v.number() })),
    "What paged the person most, at most 3, as long as incidents are kept",
  ),
  medianAckMs: nullableNumber("Median of the person's responses; shown to that person alone"),
});
export type PersonLoad = v.InferOutput<typeof Person>;

export const PeopleReport = named(
  "PeopleReport",
  "The load of people who are paged",
  v.object({
    ...of,
    shows: doc(v.picklist(["self", "owners", "all"]), "`reports.people`"),
    others: doc(v.boolean(), "Whether the load of other people is shown to the caller, of at least one project"),
    data: v.array(Person),
  }),
);
export type PeopleReport = v.InferOutput<typeof PeopleReport>;

const Labels = v.record(v.string(), v.string());
const Suggestion = v.object({
  kind: doc(
    v.picklist(["unacknowledged", "brief", "together"]),
    "`unacknowledged`: no one ever responded; `brief`: it ends by itself within 2 minutes; `together`: it comes with another one",
  ),
  text: doc(v.string(), "What would help, in a sentence"),
  matchers: doc(v.array(v.string()), "Matchers of the alerts: labels that those of its newest 100 incidents have"),
  labels: doc(Labels, "Labels of an alert of its newest incident: their route takes it today"),
  groupWaitMs: nullableNumber("Of `brief`: the group wait to set"),
  with: doc(v.nullable(v.string()), "Of `together`: the key that it comes with"),
  withMatchers: doc(v.array(v.string()), "Of `together`: matchers of the alerts that it comes with"),
  withLabels: doc(Labels, "Of `together`: labels of an alert that it comes with"),
  saves: doc(v.number(), "Pages that it would have saved"),
});
export type Suggestion = v.InferOutput<typeof Suggestion>;

const NoisyKey = v.object({
  key: v.string(),
  projectId: v.string(),
  incidents: v.number(),
  pages: v.number(),
  acknowledgedShare: nullableNumber("Of those that people were paged for"),
  selfResolvedShare: doc(v.number(), "Share that ended by itself within 5 minutes"),
  flaps: doc(v.number(), "How often it came again within 30 minutes"),
  silencedAt: doc(v.nullable(v.string()), "When a silence last withheld it in the time, as far as incidents are kept"),
  suggestions: v.array(Suggestion),
});
export type NoisyKey = v.InferOutput<typeof NoisyKey>;

export const NoiseReport = named(
  "NoiseReport",
  "What pages most, and what would help",
  v.object({
    ...of,
    pages: doc(v.number(), "Of all keys"),
    data: doc(v.array(NoisyKey), "Those with most pages first"),
  }),
);
export type NoiseReport = v.InferOutput<typeof NoiseReport>;

const ScheduleLoad = v.object({
  scheduleId: v.string(),
  projectId: v.string(),
  name: v.string(),
  shifts: doc(v.number(), "Stints of the same people"),
  people: v.number(),
  pagesPerShift: nullableNumber("Mean; null: no shift"),
  mostPages: doc(v.number(), "Of one shift"),
  gapHours: doc(v.number(), "Hours without anyone on call"),
  gaps: doc(v.array(v.object({ start: v.string(), end: v.string() })), "The longest ones, at most 20"),
  smallestShare: nullableNumber("Share of the time of the person with the least"),
  largestShare: nullableNumber("Share of the time of the person with the most"),
});
export type ScheduleLoad = v.InferOutput<typeof ScheduleLoad>;

export const SchedulesReport = named(
  "SchedulesReport",
  "How on-call schedules were",
  v.object({ ...of, data: v.array(ScheduleLoad) }),
);
export type SchedulesReport = v.InferOutput<typeof SchedulesReport>;
