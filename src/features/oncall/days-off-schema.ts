import * as v from "valibot";
import { column, computed, given, type RowOf, resource, stored, time } from "../../http/api/resource.ts";
import { doc, example, instant, named, object, pattern, text } from "../../http/api/shapes.ts";
import { Range } from "./reading-schema.ts";
import { Conflict, nullableText, Person } from "./schema.ts";

declare module "../../store/schema.ts" {
  interface Schema {
    oncall_days_off: DaysOffRow;
  }
}

export const day = pattern(/^\d{4}-\d\d-\d\d$/, "must be a day such as 2026-11-24");

export const DaysOff = resource(
  "OnCallDaysOff",
  "Days on which a user is away. They change nothing: the user stays on call until a swap or override is taken",
  "oncall_days_off",
  () => ({
    id: stored(v.string()),
    user: computed(Person),
    firstDay: given(day, "First day, by the clocks of the user's time zone"),
    lastDay: given(day, "Last day, included; at most 366 days"),
    timezone: computed(doc(v.string(), "The user's time zone now, by whose clocks the days start and end")),
    start: computed(v.string()),
    end: computed(doc(v.string(), "Exclusive")),
    note: given(text(200), "Shown to the user, and to those who may change it")
      .or("")
      .shownAs(doc(nullableText, "Null for callers who may not change it")),
    version: stored(v.number()).or(1),
    createdBy: stored(nullableText),
    createdAt: stored(v.string(), time),
    updatedAt: stored(v.string(), time),
    warnings: computed(
      v.optional(doc(v.array(Conflict), "In answers to changes: when the user is on call on these days")),
    ),
    userId: column(v.string()),
  }),
);
export type DaysOffRow = RowOf<typeof DaysOff>;

export const CreateDaysOff = () =>
  example(
    object({
      userId: v.optional(
        doc(text(128, 1), "Who is away; default: the caller. Others need `oncall:write` in a project of the user"),
      ),
      ...DaysOff.forCreate,
    }),
    { userId: "admin", firstDay: "2030-12-24", lastDay: "2030-12-26", note: "Family" },
  );
export type CreateDaysOff = v.InferOutput<ReturnType<typeof CreateDaysOff>>;

export const UpdateDaysOff = () => example(object(DaysOff.forUpdate), { note: "Family, with a phone" });
export type UpdateDaysOff = v.InferOutput<ReturnType<typeof UpdateDaysOff>>;

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

export const DaysOffList = () => v.object({ data: v.array(DaysOff.View) });
export const DaysOffOfSchedule = () => v.object({ from: v.string(), to: v.string(), data: v.array(DaysOff.View) });

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
