import * as v from "valibot";
import { doc, example, instant, named, object, selfChanging, text } from "../../http/api/shapes.ts";
import { leadMs, nullableText, Person } from "./schema.ts";

export const Range = object({
  from: v.optional(doc(instant, "Start; default: now")),
  to: v.optional(doc(instant, "End, exclusive, at most 366 days later; default: 14 days after the start")),
});
export type Range = v.InferOutput<typeof Range>;

const people = v.array(Person);

const away = doc(
  v.nullable(v.object({ daysOffId: v.string(), firstDay: v.string(), lastDay: v.string() })),
  "Days off of the user in this time, which no swap or override covers",
);
/** Users on call, who may be away. */
const onCall = v.array(named("OnCallPerson", "A user on call", v.object({ ...Person.entries, away })));

const NotReached = {
  ...Person.entries,
  text: doc(v.string(), "Why nothing reaches the user, such as `Ann, whose account is disabled`"),
};

const finalShift = v.object({
  start: v.string(),
  end: v.string(),
  users: onCall,
  level: doc(v.number(), "Of the shift; 10: an override"),
  shiftIds: doc(v.array(v.string()), "The shifts, overrides and swaps that name these users"),
});

export const FinalShifts = named(
  "OnCallFinalShifts",
  "List who is on call when, after priorities, overrides and swaps",
  v.object({
    from: v.string(),
    to: v.string(),
    data: v.array(finalShift),
    notReached: doc(
      v.array(v.object({ ...NotReached, start: v.string(), end: v.string() })),
      "Users whom the schedule names from now on, though they leave the time to others, or to no one",
    ),
  }),
);

export const Layers = named(
  "OnCallLayers",
  "When each shift, override and imported calendar puts users on call, before levels and swaps",
  v.object({
    from: v.string(),
    to: v.string(),
    data: v.array(
      v.object({
        id: doc(v.string(), "Id of the shift; `overrides`, or `calendar <level>`"),
        kind: v.picklist(["rotation", "single", "override", "calendar"]),
        name: v.string(),
        level: doc(v.number(), "10: overrides"),
        spans: v.array(v.object({ start: v.string(), end: v.string(), users: v.array(v.string()), id: v.string() })),
      }),
    ),
    people: doc(people, "All users whom shifts, overrides and swaps of the schedule name"),
  }),
);

export const Gaps = named(
  "OnCallGaps",
  "Times without anyone on call",
  v.object({
    from: v.string(),
    to: v.string(),
    data: v.array(v.object({ start: v.string(), end: v.string(), durationMs: v.number() })),
  }),
);

export const NowQuery = object({
  scheduleId: v.optional(doc(text(64, 1), "Only this schedule")),
  projectId: v.optional(doc(text(64, 1), "Only schedules of this project, by id or slug")),
  userId: v.optional(doc(text(128, 1), "Only schedules on which this user is on call now; `me`: the caller")),
  to: v.optional(doc(instant, "Adds `shifts`: who is on call from now until then, at most 62 days")),
});
export type NowQuery = v.InferOutput<typeof NowQuery>;

export const NowView = named(
  "OnCallNow",
  "List who is on call now, until when, and who is next",
  v.object({
    at: v.string(),
    data: v.array(
      v.object({
        scheduleId: v.string(),
        projectId: v.string(),
        name: v.string(),
        current: doc(onCall, "Empty: a gap. `away` looks 14 days ahead"),
        notReached: doc(
          v.array(v.object(NotReached)),
          "Users whom the schedule names now, though they leave the time to others, or to no one",
        ),
        until: doc(nullableText, "End of the current shift or gap; null: no change within 400 days"),
        next: v.nullable(v.object({ start: v.string(), end: v.string(), users: onCall })),
        timezone: v.string(),
        shifts: v.optional(doc(v.array(finalShift), "With `to` only; the times between them are gaps")),
      }),
    ),
  }),
);

export const OwnShiftsQuery = object({
  userId: v.optional(doc(text(128, 1), "The user; default and `me`: the caller")),
  ...Range.entries,
});
export type OwnShiftsQuery = v.InferOutput<typeof OwnShiftsQuery>;

export const OwnShifts = named(
  "OnCallOwnShifts",
  "When a user is on call, in the projects that the caller reads",
  v.object({
    from: v.string(),
    to: v.string(),
    data: v.array(
      v.object({
        scheduleId: v.string(),
        projectId: v.string(),
        name: v.string(),
        start: v.string(),
        end: v.string(),
        away,
        swapId: doc(nullableText, "An open request of the user for a substitute in this time"),
      }),
    ),
  }),
);

export const Preferences = named(
  "OnCallPreferences",
  "Settings of the caller for hand-overs",
  v.object({
    handoverLeadMs: doc(
      v.nullable(v.number()),
      "How long before a shift the user is notified; null: as set in the schedule",
    ),
    hasCalendarLink: selfChanging(v.boolean()),
  }),
);

export const UpdatePreferences = example(
  object({ handoverLeadMs: doc(leadMs, "How long before a shift the user is notified; null: as set in the schedule") }),
  { handoverLeadMs: 3_600_000 },
);
export type UpdatePreferences = v.InferOutput<typeof UpdatePreferences>;

export const CalendarLink = named(
  "OnCallCalendarLink",
  "A link for calendar programs; returned only once",
  v.object({ url: v.string(), token: doc(v.string(), "The secret in the link") }),
);

export const CalendarQuery = object({ token: doc(text(200, 1), "The secret of the calendar link") });
