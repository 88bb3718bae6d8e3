// The members of answers of /api/v1/oncall that the pages use.

import type {
  OnCallConflict,
  OnCallFinalShifts,
  OnCallGaps,
  OnCallLayers,
  OnCallNow,
  OnCallPerson,
  OnCallShift,
  OnCallUser,
} from "../../../src/client/api-types.gen.ts";

/** Days off in the time of a shift, which no swap or override covers. */
export type Away = NonNullable<OnCallPerson["away"]>;

export type Duty = OnCallNow["data"][number];

export type FinalShift = OnCallFinalShifts["data"][number];

export type Layer = OnCallLayers["data"][number];

export type Gap = OnCallGaps["data"][number];

export const WEEKDAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"] as const;
export type Frequency = Recurrence["frequency"];

export type Recurrence = NonNullable<OnCallShift["recurrence"]>;

/** Answers to changes of shifts, overrides and swaps. */
export interface Warned {
  readonly warnings?: readonly OnCallConflict[];
}

/** The id for scopes of queries and of keys. */
export const schedulePath = (id: string): string => `/oncall/schedules/${id}`;

export function nameOf(person: OnCallUser): string {
  return person.name || person.username || "Without a name";
}

export function namesOf(people: readonly OnCallUser[]): string {
  return people.length === 0 ? "no one" : people.map(nameOf).join(", ");
}
