// What the pages use of the answers of /api/v1/oncall.

export interface Person {
  readonly id: string;
  readonly username: string | null;
  readonly name: string | null;
}

/** Days off in the time of a shift, which no swap or override covers. */
export interface Away {
  readonly firstDay: string;
  readonly lastDay: string;
}

/** A user on call. */
export interface OnCallPerson extends Person {
  readonly away: Away | null;
}

export interface DaysOff extends Away {
  readonly id: string;
  readonly user: Person;
  readonly start: string;
  readonly end: string;
  /** Null: the user may not change it. */
  readonly note: string | null;
  readonly warnings?: readonly Conflict[];
}

/** A time in which a user is on call and away. */
export interface Conflict extends Away {
  readonly scheduleId: string;
  readonly projectId: string;
  readonly name: string;
  readonly user: Person;
  readonly start: string;
  readonly end: string;
  readonly daysOffId: string;
  readonly swapId: string | null;
}

export interface Schedule {
  readonly id: string;
  readonly projectId: string;
  readonly name: string;
  readonly description: string;
  readonly timezone: string;
  readonly handoverLeadMs: number | null;
  readonly notifiesOff: boolean;
  readonly reportsGaps: boolean;
  readonly calendarUrl: string | null;
  readonly calendar: {
    readonly checkedAt: string | null;
    readonly error: string | null;
  } | null;
  readonly hasCalendarLink: boolean;
  readonly createdAt: string;
}

export interface Duty {
  readonly scheduleId: string;
  readonly projectId: string;
  readonly name: string;
  readonly timezone: string;
  /** Empty: a gap. */
  readonly current: readonly OnCallPerson[];
  readonly until: string | null;
  readonly next: { readonly start: string; readonly end: string; readonly users: readonly OnCallPerson[] } | null;
  /** From now on, as far as was asked. */
  readonly shifts?: readonly FinalShift[];
}

export interface FinalShift {
  readonly start: string;
  readonly end: string;
  readonly users: readonly OnCallPerson[];
  readonly level: number;
}

export interface Layer {
  readonly id: string;
  readonly kind: "rotation" | "single" | "override" | "calendar";
  readonly name: string;
  readonly level: number;
  readonly spans: readonly LayerSpan[];
}

export interface LayerSpan {
  readonly start: string;
  readonly end: string;
  readonly users: readonly string[];
  readonly id: string;
}

export interface Layers {
  readonly data: readonly Layer[];
  readonly people: readonly Person[];
}

export interface Gap {
  readonly start: string;
  readonly end: string;
  readonly durationMs: number;
}

export const WEEKDAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"] as const;
export type Frequency = "hourly" | "daily" | "weekly" | "monthly";

export interface Recurrence {
  readonly frequency: Frequency;
  readonly interval: number;
  readonly byDay?: readonly string[];
  readonly byMonth?: readonly number[];
  readonly byMonthDay?: readonly number[];
  readonly until?: string;
}

export interface Shift {
  readonly id: string;
  readonly kind: "rotation" | "single";
  readonly name: string;
  readonly level: number;
  /** Local time. */
  readonly start: string;
  readonly durationMs: number;
  readonly timezone: string;
  readonly recurrence: Recurrence | null;
  readonly turns: readonly (readonly string[])[];
  readonly startTurn: number;
  readonly version: number;
}

export interface Override {
  readonly id: string;
  readonly start: string;
  readonly end: string;
  readonly users: readonly string[];
  readonly replaces: string | null;
  readonly reason: string;
}

export interface Swap {
  readonly id: string;
  readonly userId: string;
  readonly takenBy: string | null;
  readonly state: "open" | "taken" | "expired";
  readonly start: string;
  readonly end: string;
  readonly reason: string;
}

/** What changes of shifts, overrides and swaps answer. */
export interface Warned {
  readonly warnings?: readonly Conflict[];
}

/** The id for scopes of queries and of keys. */
export const schedulePath = (id: string): string => `/oncall/schedules/${id}`;

export function nameOf(person: Person): string {
  return person.name || person.username || "Without a name";
}

export function namesOf(people: readonly Person[]): string {
  return people.length === 0 ? "no one" : people.map(nameOf).join(", ");
}
