import * as v from "valibot";
import { doc, example, instant, named, object, pattern, text } from "../../http/shapes.ts";
import { Range } from "./reading-schema.ts";
import { Conflict, nullableText, Person } from "./schema.ts";

const day = pattern(/^\d{4}-\d\d-\d\d$/, "must be a day such as 2026-11-24");

const entries = {
  firstDay: doc(day, "First day, by the clocks of the user's time zone"),
  lastDay: doc(day, "Last day, included; at most 366 days"),
  note: v.optional(doc(text(200), "Shown to the user, and to those who may change it")),
};

export const CreateDaysOff = example(
  object({
    userId: v.optional(
      doc(text(128, 1), "Who is away; default: the caller. Others need `oncall:write` in a project of the user"),
    ),
    ...entries,
  }),
  { userId: "admin", firstDay: "2030-12-24", lastDay: "2030-12-26", note: "Family" },
);
export type CreateDaysOff = v.InferOutput<typeof CreateDaysOff>;

export const UpdateDaysOff = example(
  object({ ...entries, firstDay: v.optional(entries.firstDay), lastDay: v.optional(entries.lastDay) }),
  { note: "Family, with a phone" },
);
export type UpdateDaysOff = v.InferOutput<typeof UpdateDaysOff>;

export const DaysOffView = named(
  "OnCallDaysOff",
  "Days on which a user is away. They change nothing: the user stays on call until a swap or override is taken",
  v.object({
    id: v.string(),
    user: Person,
    firstDay: v.string(),
    lastDay: v.string(),
    timezone: doc(v.string(), "The user's time zone now, by whose clocks the days start and end"),
    start: v.string(),
    end: doc(v.string(), "Exclusive"),
    note: doc(nullableText, "Null for callers who may not change it"),
    version: v.number(),
    createdBy: nullableText,
    createdAt: v.string(),
    updatedAt: v.string(),
    warnings: v.optional(doc(v.array(Conflict), "In answers to changes: when the user is on call on these days")),
  }),
);

export const ListDaysOff = object({
  userId: v.optional(
    doc(
      text(128, 1),
      "Of this user; default and `me`: the caller. Others need `oncall:write` in a project of the user",
    ),
  ),
  from: v.optional(doc(instant, "Those that end after this instant; default: now")),
});
export type ListDaysOff = v.InferOutput<typeof ListDaysOff>;

export const DaysOffList = v.object({ data: v.array(DaysOffView) });
export const DaysOffOfSchedule = v.object({ from: v.string(), to: v.string(), data: v.array(DaysOffView) });

export const DaysOffParams = object({ id: doc(v.string(), "Id of the days off") });

export const ConflictsQuery = object({
  scheduleId: v.optional(doc(text(64, 1), "Only this schedule")),
  projectId: v.optional(doc(text(64, 1), "Only schedules of this project, by id or slug")),
  userId: v.optional(doc(text(128, 1), "Only this user; `me`: the caller")),
  ...Range.entries,
});
export type ConflictsQuery = v.InferOutput<typeof ConflictsQuery>;

export const Conflicts = named(
  "OnCallConflicts",
  "When users are on call on their days off, and no swap or override covers it",
  v.object({ from: v.string(), to: v.string(), data: v.array(Conflict) }),
);
