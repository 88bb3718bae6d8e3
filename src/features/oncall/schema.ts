import * as v from "valibot";
import { DAY_MS, isTimezone } from "../../core/time/clock.ts";
import { listing, within } from "../../http/api/listing.ts";
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
  doc,
  example,
  instant,
  integer,
  named,
  object,
  pageEntries,
  pattern,
  queryBoolean,
  refersTo,
  selfChanging,
  text,
} from "../../http/api/shapes.ts";
import { FREQUENCIES, WEEKDAYS } from "./model/recurrence.ts";

declare module "../../store/schema.ts" {
  interface Schema {
    oncall_schedules: OnCallRow;
    oncall_shifts: ShiftRow;
  }
}

const MAX_LEAD_MS = 7 * DAY_MS;

const isTrue = v.boolean("must be true or false");
const timezone = v.pipe(
  v.string("must be a string"),
  v.check(isTimezone, "must be a time zone of the IANA database, such as Europe/Berlin"),
);
export const leadMs = v.nullable(integer(0, MAX_LEAD_MS));
export const users = v.pipe(v.array(refersTo("people", text(128, 1))), v.maxLength(50, "must be at most 50 users"));

const projectId = v.optional(doc(text(64, 1), "Id or slug of the project; default: the default project"));
export const nullableText = v.nullable(v.string());

export const OnCallSchedule = resource("OnCallSchedule", "An on-call schedule", "oncall_schedules", () => ({
  id: stored(v.string()),
  projectId: stored(v.string()),
  name: given(text(100, 1), "Name"),
  description: given(text(4000), "What the schedule is for").or(""),
  /** Of new shifts, and of the texts about this schedule. */
  timezone: given(timezone, "Time zone of new shifts; default: that of the server").or("UTC"),
  handoverLeadMs: given(
    leadMs,
    "How long before a shift its users are notified; 0 (default): when it starts; null: never",
  ).or(0),
  notifiesOff: given(isTrue, "Whether users are notified when their shift ends; default false", flag).or(0),
  reportsGaps: given(
    isTrue,
    "Whether times of the next 14 days without anyone on call are reported; default true",
    flag,
  ).or(1),
  calendarUrl: computed(doc(nullableText, "Null also for callers who may not change the schedule")),
  calendar: computed(
    selfChanging(
      doc(
        v.nullable(v.object({ checkedAt: nullableText, changedAt: nullableText, error: nullableText })),
        "State of the imported calendar; null without one",
      ),
    ),
  ),
  hasCalendarLink: computed(selfChanging(doc(v.boolean(), "Whether the schedule can be read by a calendar link"))),
  version: stored(v.number()).or(1),
  createdBy: stored(nullableText),
  createdAt: stored(v.string(), time),
  updatedAt: stored(v.string(), time),
  tokenHash: column(nullableText).or(null),
  /** Who made the link of `tokenHash`; null: an earlier version. */
  tokenBy: column(nullableText).or(null),
  /** JSON: the users last reported as on call. */
  onCall: column(v.string()).or("[]"),
  /** Up to here hand-overs are reported. */
  checkedAt: column(v.nullable(v.number())),
  /** When gaps are searched next. */
  gapsAt: column(v.nullable(v.number())).or(null),
  dueAt: column(v.nullable(v.number())).or(null),
}));
export type OnCallRow = RowOf<typeof OnCallSchedule>;

export const scheduleList = listing(OnCallSchedule, () => ({ q: within(["name"], text(100, 1), "Part of the name") }));

const calendarUrl = v.optional(
  doc(v.nullable(text(2048, 1)), "iCalendar file with shifts as events, read every 10 minutes; null: none"),
);

export const CreateOnCallSchedule = () =>
  example(object({ projectId, ...OnCallSchedule.forCreate, calendarUrl }), {
    name: "Database",
    timezone: "Europe/Berlin",
    handoverLeadMs: 3_600_000,
  });
export type CreateOnCallSchedule = v.InferOutput<ReturnType<typeof CreateOnCallSchedule>>;

/** Members that are missing stay as they are. */
export const UpdateOnCallSchedule = () =>
  example(object({ ...OnCallSchedule.forUpdate, calendarUrl }), {
    description: "Who restores databases at night",
    notifiesOff: true,
  });
export type UpdateOnCallSchedule = v.InferOutput<ReturnType<typeof UpdateOnCallSchedule>>;

export const DeleteSchedule = object({
  force: v.optional(doc(queryBoolean, "Delete it although policies name it")),
});

export const ListOnCallSchedules = () =>
  object({
    projectId: v.optional(doc(text(64, 1), "Id or slug of the project; default: every project that the caller reads")),
    ...scheduleList.entries,
    ...pageEntries(),
  });
export type ListOnCallSchedules = v.InferOutput<ReturnType<typeof ListOnCallSchedules>>;

export const Person = named(
  "OnCallUser",
  "A user of an on-call schedule",
  v.object({ id: v.string(), username: nullableText, name: nullableText }),
);

export const Conflict = named(
  "OnCallConflict",
  "A time in which a user is on call and away",
  v.object({
    scheduleId: v.string(),
    projectId: v.string(),
    name: doc(v.string(), "Of the schedule"),
    user: Person,
    start: v.string(),
    end: v.string(),
    daysOffId: v.string(),
    firstDay: v.string(),
    lastDay: v.string(),
    swapId: doc(nullableText, "An open request of the user for a substitute in this time"),
    message: v.string(),
  }),
);

const warnings = v.optional(
  doc(v.array(Conflict), "In answers to changes: users who are put on call on their days off, at most 20, for 92 days"),
);

const weekday = v.picklist(WEEKDAYS, `must be one of ${WEEKDAYS.join(", ")}`);
const monthDay = v.pipe(
  integer(-31, 31),
  v.check((day) => day !== 0, "must be 1 to 31, or -31 to -1 from the end of the month"),
);
const some = <T extends v.GenericSchema>(item: T, most: number) =>
  v.pipe(v.array(item), v.minLength(1, "must have at least one entry"), v.maxLength(most));

const Recurrence = named(
  "OnCallRecurrence",
  "When a shift repeats, by the clocks of its time zone (RFC 5545 section 3.3.10)",
  v.pipe(
    object({
      frequency: doc(v.picklist(FREQUENCIES, `must be one of ${FREQUENCIES.join(", ")}`), "Unit of the interval"),
      interval: v.optional(doc(integer(1, 1000), "Repeats every so many hours, days, weeks or months; default 1")),
      weekStart: v.optional(doc(weekday, "First day of a week; default MO")),
      byDay: v.optional(
        doc(
          some(
            pattern(/^(-?[1-5])?(SU|MO|TU|WE|TH|FR|SA)$/, "must be a weekday such as MO; monthly also 1MO or -1FR"),
            35,
          ),
          "Only on these weekdays",
        ),
      ),
      byMonth: v.optional(doc(some(integer(1, 12), 12), "Only in these months")),
      byMonthDay: v.optional(doc(some(monthDay, 62), "Only on these days of the month; negative: from its end")),
      until: v.optional(doc(instant, "The last shift starts at or before this instant")),
    }),
    v.check(
      ({ frequency, byDay }) => frequency === "monthly" || !byDay?.some((day) => day.length > 2),
      "only monthly shifts have numbered weekdays",
    ),
    v.check(({ frequency, byMonthDay }) => frequency !== "weekly" || !byMonthDay, "weekly shifts have no byMonthDay"),
  ),
);

const effect = {
  validFrom: doc(nullableText, "Start of the effect of the last change; null: never changed"),
  validUntil: doc(nullableText, "End of the effect of an earlier form or a deleted shift; null: in effect"),
};

/** A shift or rotation; overrides and swaps are rows of the same table. */
export const Shift = resource("OnCallShift", "A shift or rotation of an on-call schedule", "oncall_shifts", () => ({
  id: stored(v.string()),
  scheduleId: stored(v.string()),
  kind: column(v.picklist(["rotation", "single", "override", "swap"]))
    .or("single")
    .shownAs(v.picklist(["rotation", "single"])),
  /** The reason of an override or swap. */
  name: given(text(100), "Name").or(""),
  level: given(integer(0, 9), "Higher levels win; what they leave free goes to lower ones; default 0").or(0),
  start: given(
    pattern(/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?$/, "must be a local time such as 2026-11-23T09:00:00"),
    "Start of the first shift, by the clocks of `timezone`",
  ).inColumn("startLocal"),
  durationMs: given(
    integer(60_000, 366 * DAY_MS),
    "Length of each shift: multiples of 24 hours are days of the calendar, others elapsed time",
  ),
  timezone: given(timezone, "Default: that of the schedule").or("UTC"),
  recurrence: given(v.nullable(Recurrence), "Null or absent: the shift happens once", orNull(json()))
    .or(null)
    .shownAs(
      v.nullable(
        v.object({
          frequency: v.picklist(FREQUENCIES),
          interval: v.number(),
          weekStart: v.optional(weekday),
          byDay: v.optional(v.array(v.string())),
          byMonth: v.optional(v.array(v.number())),
          byMonthDay: v.optional(v.array(v.number())),
          until: v.optional(v.string()),
        }),
      ),
    ),
  /** Ids of the users. */
  turns: given(
    v.pipe(v.array(users), v.minLength(1, "must have at least one turn"), v.maxLength(100)),
    "Users of each turn, by id or username; each period of the recurrence takes the next turn",
    json<string[][]>(),
  ),
  startTurn: given(integer(0, 99), "Index of the first turn; default 0").or(0),
  validFrom: stored(effect.validFrom, orNull(time)).or(null),
  validUntil: stored(effect.validUntil, orNull(time)).or(null),
  currentId: stored(doc(nullableText, "For an earlier form: the id of the current one")).or(null),
  version: stored(v.number()).or(1),
  createdBy: stored(nullableText),
  createdAt: stored(v.string(), time),
  updatedAt: stored(v.string(), time),
  warnings: computed(warnings),
  /** The user who is replaced. */
  swapFor: column(nullableText).or(null),
}));
export type ShiftRow = RowOf<typeof Shift>;

export const shiftList = listing(Shift, () => ({}));

export const CreateShift = () =>
  example(object(Shift.forCreate), {
    name: "Weeks",
    start: "2026-11-23T09:00:00",
    durationMs: 7 * DAY_MS,
    timezone: "Europe/Berlin",
    recurrence: { frequency: "weekly" },
    turns: [["admin"]],
  });
export type CreateShift = v.InferOutput<ReturnType<typeof CreateShift>>;

export const UpdateShift = () => example(object(Shift.forUpdate), { name: "Weeks from Monday", level: 1 });
export type UpdateShift = v.InferOutput<ReturnType<typeof UpdateShift>>;

export const span = {
  start: doc(instant, "Start"),
  end: doc(instant, "End, exclusive"),
};
export const reason = v.optional(doc(text(200), "Why; shown to those involved"));

const overrideEntries = {
  ...span,
  users: doc(v.pipe(users, v.minLength(1, "must name at least one user")), "Who is on call, by id or username"),
  replaces: v.optional(
    doc(v.nullable(text(128, 1)), "Only this user is replaced, `me`: the caller; null or absent: everyone on call is"),
  ),
  reason,
};
export const ORDER = "end must be after start, by at most 366 days";

export function isOrdered(start: number | undefined, end: number | undefined): boolean {
  return start === undefined || end === undefined || (start < end && end - start <= 366 * DAY_MS);
}

export const CreateOverride = example(
  v.pipe(
    object(overrideEntries),
    v.check(({ start, end }) => isOrdered(start, end), ORDER),
  ),
  {
    start: "2026-11-24T18:00:00Z",
    end: "2026-11-24T22:00:00Z",
    users: ["admin"],
    reason: "Dentist",
  },
);
export type CreateOverride = v.InferOutput<typeof CreateOverride>;

export const UpdateOverride = example(
  v.pipe(
    object({
      ...overrideEntries,
      start: v.optional(span.start),
      end: v.optional(span.end),
      users: v.optional(overrideEntries.users),
    }),
    v.check(({ start, end }) => isOrdered(start, end), ORDER),
  ),
  { reason: "Holiday" },
);
export type UpdateOverride = v.InferOutput<typeof UpdateOverride>;

export const OverrideView = named(
  "OnCallOverride",
  "Users who replace others on call for a span of time",
  v.object({
    id: v.string(),
    scheduleId: v.string(),
    start: v.string(),
    end: v.string(),
    users: v.array(v.string()),
    replaces: nullableText,
    reason: v.string(),
    ...effect,
    version: v.number(),
    createdBy: nullableText,
    createdAt: v.string(),
    updatedAt: v.string(),
    warnings,
  }),
);

export const CreateSwap = example(
  v.pipe(
    object({
      ...span,
      userId: v.optional(doc(text(128, 1), "User of the shifts; default: the caller. Other users need `oncall:write`")),
      reason,
    }),
    v.check(({ start, end }) => isOrdered(start, end), ORDER),
  ),
  { start: "2026-12-24T08:00:00Z", end: "2026-12-26T08:00:00Z", userId: "admin", reason: "Family" },
);
export type CreateSwap = v.InferOutput<typeof CreateSwap>;

export const TakeSwap = example(
  object({
    userId: v.optional(doc(text(128, 1), "Who takes the shifts; default: the caller. Others need `oncall:write`")),
  }),
  { userId: "admin" },
);
export type TakeSwap = v.InferOutput<typeof TakeSwap>;

export const SwapView = named(
  "OnCallSwap",
  "A request of a user that another one takes over the user's shifts of a span of time",
  v.object({
    id: v.string(),
    scheduleId: v.string(),
    userId: doc(v.string(), "Who asks"),
    takenBy: nullableText,
    state: doc(v.picklist(["open", "taken", "expired"]), "`expired`: over, and never taken"),
    start: v.string(),
    end: v.string(),
    reason: v.string(),
    version: v.number(),
    createdAt: v.string(),
    updatedAt: v.string(),
    warnings,
  }),
);

export const ScheduleParams = object({ id: doc(v.string(), "Id of the on-call schedule") });
export const ShiftParams = object({
  id: doc(v.string(), "Id of the on-call schedule"),
  shiftId: doc(v.string(), "Id of the shift, override or swap"),
});
export type ShiftParams = v.InferOutput<typeof ShiftParams>;

export const ListShifts = object({
  include: v.optional(doc(v.picklist(["past"]), "`past`: also deleted shifts and earlier forms, for 400 days")),
  ...pageEntries(),
});
export type ListShifts = v.InferOutput<typeof ListShifts>;
