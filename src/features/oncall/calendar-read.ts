import type ICAL from "ical.js";
import { DAY_MS, type EpochMs, isTimezone } from "../../core/clock.ts";
import { FREQUENCIES, instantOf, occurrences, type ShiftRecurrence, WEEKDAYS } from "./model/recurrence.ts";

/** An event of an imported calendar, with the users that its summary names. */
export interface ReadEvent {
  readonly id: string;
  readonly start: EpochMs;
  readonly end: EpochMs;
  readonly level: number;
  readonly names: readonly string[];
}

export interface ReadOptions {
  /** Time zone for times without one; the calendar's own wins. */
  readonly timezone: string;
  readonly from: EpochMs;
  readonly to: EpochMs;
}

type Library = typeof ICAL;
type Component = InstanceType<Library["Component"]>;
type Property = InstanceType<Library["Property"]>;
type Time = InstanceType<Library["Time"]>;
type Rule = InstanceType<Library["Recur"]>;

const MAX_EVENTS = 20_000;
/** Steps of all recurrences together, with and without an event: about a second of work. */
const MAX_STEPS = 200_000;
/** As of shifts. */
const MAX_INTERVAL = 1000;
/** Limits of a summary: users, and characters of a name. */
const MAX_USERS = 50;
const MAX_NAME = 320;

/** A calendar that cannot be read, with a text for its owner. */
export class CalendarUnreadable extends Error {
  override readonly name = "CalendarUnreadable";
  /** Reading it took much time, which the next try would take again. */
  readonly isCostly: boolean;

  constructor(message: string, { isCostly = false, ...options }: ErrorOptions & { readonly isCostly?: boolean } = {}) {
    super(message, options);
    this.isCostly = isCostly;
  }
}

/** All occurrences in `[from, to)`. @throws CalendarUnreadable */
export async function readCalendar(text: string, options: ReadOptions): Promise<ReadEvent[]> {
  // Loaded with the first calendar, for a quicker start.
  const { default: library } = await import("ical.js");
  let root: Component;
  try {
    root = new library.Component(
      library.parse(text.replace(/^\uFEFF/, "")) as ConstructorParameters<Library["Component"]>[0],
    );
  } catch (cause) {
    throw new CalendarUnreadable("it is not an iCalendar file", { cause });
  }
  if (root.name !== "vcalendar") throw new CalendarUnreadable("it is not an iCalendar file");
  try {
    return new CalendarReader(root, options).read();
  } catch (cause) {
    if (cause instanceof CalendarUnreadable) throw cause;
    throw new CalendarUnreadable(`an event is not valid: ${(cause as Error).message}`, { cause });
  }
}

class CalendarReader {
  readonly #root: Component;
  readonly #options: ReadOptions;
  readonly #timezone: string;
  readonly #events: ReadEvent[] = [];
  readonly #zones = new Map<string, readonly Onset[]>();
  #steps = 0;

  constructor(root: Component, options: ReadOptions) {
    this.#root = root;
    this.#options = options;
    const named = String(root.getFirstPropertyValue("x-wr-timezone") ?? "");
    this.#timezone = isTimezone(named) ? named : options.timezone;
  }

  read(): ReadEvent[] {
    const components = this.#root.getAllSubcomponents("vevent");
    const exceptions = new Map<string, Set<EpochMs>>();
    for (const component of components) {
      const replaced = component.getFirstProperty("recurrence-id");
      if (!replaced) continue;
      const uid = uidOf(component);
      exceptions.set(
        uid,
        (exceptions.get(uid) ?? new Set()).add(this.#instantOf(replaced, fieldsOf(timeOf(replaced)))),
      );
    }
    for (const component of components) this.#readEvent(component, exceptions.get(uidOf(component)) ?? new Set());
    return this.#events;
  }

  #readEvent(component: Component, exceptions: ReadonlySet<EpochMs>): void {
    const status = String(component.getFirstPropertyValue("status") ?? "").toUpperCase();
    const property = component.getFirstProperty("dtstart");
    if (status === "CANCELLED" || !property) return;
    const summary = readSummary(String(component.getFirstPropertyValue("summary") ?? ""));
    if (summary.names.length === 0) return;
    const first = fieldsOf(timeOf(property));
    const endOf = this.#endOf(component, property, first);
    const isException = component.hasProperty("recurrence-id");
    const skipped = isException ? new Set<EpochMs>() : this.#skipped(component, exceptions);
    for (const time of isException ? [first] : this.#times(component, property, first)) {
      const start = this.#instantOf(property, time);
      const end = endOf(time, start);
      if (start >= this.#options.to || end <= this.#options.from || end <= start || skipped.has(start)) continue;
      this.#events.push({ id: uidOf(component), start, end, ...summary });
      if (this.#events.length > MAX_EVENTS) throw new CalendarUnreadable(`it has more than ${MAX_EVENTS} events`);
    }
  }

  /** The wall times of an event, up to the end of the wanted span. */
  *#times(component: Component, property: Property, first: WallFields): Generator<WallFields, undefined> {
    const { to } = this.#options;
    const rules = component.getAllProperties("rrule");
    const dates = component.getAllProperties("rdate").flatMap((rdate) => timesOf(rdate));
    if (rules.length === 0 || dates.length > 0) yield first;
    for (const date of dates) yield fieldsOf(date);
    for (const each of rules) {
      const rule = each.getFirstValue() as Rule;
      const until = rule.until ? this.#untilOf(property, rule.until) : Number.POSITIVE_INFINITY;
      let left = rule.count ?? Number.POSITIVE_INFINITY;
      for (const wall of this.#wallTimes(first.wall, rule, to + 2 * DAY_MS)) {
        this.#countStep();
        const time = { ...first, wall };
        if (left-- <= 0 || this.#instantOf(property, time) > until) break;
        yield time;
      }
    }
  }

  /**
   * The wall times of a recurrence up to an end, ascending. Expanded here: the library searches
   * without end for a day that never comes. @throws CalendarUnreadable
   */
  *#wallTimes(start: number, rule: Rule, to: number): Generator<number, undefined> {
    const times = { start, durationMs: 1000, timezone: "UTC", recurrence: recurrenceOf(rule) };
    for (const occurrence of occurrences(times, start, to, () => this.#countStep())) yield occurrence.start;
  }

  #countStep(): void {
    if (++this.#steps > MAX_STEPS) throw new CalendarUnreadable("its events repeat too often", { isCostly: true });
  }

  #skipped(component: Component, exceptions: ReadonlySet<EpochMs>): ReadonlySet<EpochMs> {
    const dates = component
      .getAllProperties("exdate")
      .flatMap((property) => timesOf(property).map((time) => this.#instantOf(property, fieldsOf(time))));
    return new Set([...exceptions, ...dates]);
  }

  /** Whole days are days of the calendar, other lengths are elapsed time. */
  #endOf(component: Component, property: Property, first: WallFields): (time: WallFields, start: EpochMs) => EpochMs {
    const end = component.getFirstProperty("dtend");
    const duration = component.getFirstPropertyValue("duration") as InstanceType<Library["Duration"]> | null;
    const wallMs = end ? fieldsOf(timeOf(end)).wall - first.wall : (duration?.toSeconds() ?? 0) * 1000;
    const lengthMs = wallMs === 0 && first.isDate ? DAY_MS : wallMs;
    if (lengthMs % DAY_MS === 0) return (time) => this.#instantOf(property, { ...time, wall: time.wall + lengthMs });
    const elapsedMs = end ? this.#instantOf(end, fieldsOf(timeOf(end))) - this.#instantOf(property, first) : lengthMs;
    return (_time, start) => start + elapsedMs;
  }

  /** A day means its end. */
  #untilOf(property: Property, until: Time): EpochMs {
    const fields = fieldsOf(until);
    if (!fields.isDate) return this.#instantOf(property, fields);
    return this.#instantOf(property, { ...fields, wall: fields.wall + DAY_MS - 1000 });
  }

  /** @param property has the zone of the time */
  #instantOf(property: Property, { wall, isDate, isUtc }: WallFields): EpochMs {
    if (isUtc) return wall;
    const tzid = String(property.getParameter("tzid") ?? "");
    if (tzid === "" || isDate) return instantOf(wall, this.#timezone);
    return isTimezone(tzid) ? instantOf(wall, tzid) : wall - offsetAt(this.#onsetsOf(tzid), wall);
  }

  /** The changes of a zone that the file defines, ascending. */
  #onsetsOf(tzid: string): readonly Onset[] {
    const known = this.#zones.get(tzid);
    if (known) return known;
    const zone = this.#root
      .getAllSubcomponents("vtimezone")
      .find((each) => each.getFirstPropertyValue("tzid") === tzid);
    const onsets = (zone?.getAllSubcomponents() ?? []).flatMap((part) => this.#onsetsOfPart(part));
    if (onsets.length === 0) throw new CalendarUnreadable(`the time zone ${tzid} is not known`);
    onsets.sort((left, right) => left.wall - right.wall);
    this.#zones.set(tzid, onsets);
    return onsets;
  }

  #onsetsOfPart(part: Component): Onset[] {
    const start = part.getFirstPropertyValue("dtstart") as Time | null;
    if (!start) return [];
    const offsetMs = (name: string): number => {
      const offset = part.getFirstPropertyValue(name) as InstanceType<Library["UtcOffset"]> | null;
      return (offset?.toSeconds() ?? 0) * 1000;
    };
    const change = { from: offsetMs("tzoffsetfrom"), to: offsetMs("tzoffsetto") };
    const rule = part.getFirstPropertyValue("rrule") as Rule | null;
    const until = rule?.until ? fieldsOf(rule.until).wall + change.from : Number.POSITIVE_INFINITY;
    const first = fieldsOf(start).wall;
    const walls = rule ? this.#onsetWalls(first, rule) : [first];
    const dates = part.getAllProperties("rdate").flatMap((rdate) => timesOf(rdate).map((time) => fieldsOf(time).wall));
    return [...walls, ...dates].filter((wall) => wall <= until).map((wall) => ({ wall, ...change }));
  }

  #onsetWalls(first: number, rule: Rule): number[] {
    const walls: number[] = [];
    for (const wall of this.#wallTimes(first, rule, this.#options.to + 2 * DAY_MS)) {
      this.#countStep();
      walls.push(wall);
    }
    return walls;
  }
}

/** A change of a zone's offset, at a wall time by the offset before it. */
interface Onset {
  readonly wall: number;
  readonly from: number;
  readonly to: number;
}

function offsetAt(onsets: readonly Onset[], wall: number): number {
  const last = onsets.findLast((onset) => onset.wall <= wall);
  if (!last) return onsets[0]?.from ?? 0;
  // A time in the gap is read with the offset before it.
  return wall < last.wall + last.to - last.from ? last.from : last.to;
}

const UNSUPPORTED = ["BYSETPOS", "BYWEEKNO", "BYYEARDAY", "BYHOUR", "BYMINUTE", "BYSECOND"];

function recurrenceOf(rule: Rule): ShiftRecurrence {
  const frequency = rule.freq.toLowerCase();
  const parts = rule.parts as Readonly<Record<string, readonly (string | number)[] | undefined>>;
  const unsupported = UNSUPPORTED.find((name) => parts[name]);
  if (unsupported !== undefined) throw new CalendarUnreadable(`recurrences with ${unsupported} are not supported`);
  const interval = rule.interval ?? 1;
  if (interval > MAX_INTERVAL) throw new CalendarUnreadable(`an interval is at most ${MAX_INTERVAL}`);
  const by = {
    byDay: parts["BYDAY"]?.map((day) => String(day).replace(/^\+/, "")),
    byMonth: parts["BYMONTH"]?.map(Number),
    byMonthDay: parts["BYMONTHDAY"]?.map(Number),
    weekStart: WEEKDAYS[rule.wkst - 1],
  };
  if (frequency === "yearly") {
    const isMonthly = by.byMonth !== undefined && interval === 1;
    if (!isMonthly && (by.byMonth || by.byDay))
      throw new CalendarUnreadable("yearly recurrences need one month each, and the interval 1");
    return { ...by, frequency: "monthly", interval: isMonthly ? 1 : 12 * interval };
  }
  const known = FREQUENCIES.find((each) => each === frequency);
  if (!known) throw new CalendarUnreadable(`an event repeats ${frequency}; the shortest is hourly`);
  return { ...by, frequency: known, interval };
}

/** Wall-clock time of the file. */
interface WallFields {
  readonly wall: number;
  readonly isDate: boolean;
  readonly isUtc: boolean;
}

function fieldsOf({ year, month, day, hour, minute, second, isDate, zone }: Time): WallFields {
  const wall = Date.UTC(year, month - 1, day, hour, minute, second);
  return { wall, isDate, isUtc: !isDate && zone?.tzid === "UTC" };
}

function timeOf(property: Property): Time {
  return property.getFirstValue() as Time;
}

/** Periods, which an RDATE may have, are left out. */
function timesOf(property: Property): Time[] {
  return (property.getValues() as unknown[]).filter((value): value is Time => (value as Time).icaltype !== "period");
}

function uidOf(component: Component): string {
  return String(component.getFirstPropertyValue("uid") ?? "").slice(0, 200);
}

/** `[L1] ada, grace@example.com`: level 1, two users. */
function readSummary(summary: string): { level: number; names: string[] } {
  const level = /\[L(\d)\]/i.exec(summary);
  const names = summary.replaceAll(/\[L\d\]/gi, "").split(/[,;]/);
  const given = names.map((name) => name.trim().slice(0, MAX_NAME)).filter((name) => name !== "");
  if (given.length > MAX_USERS) throw new CalendarUnreadable(`an event names more than ${MAX_USERS} users`);
  return { level: Number(level?.[1] ?? 0), names: given };
}
