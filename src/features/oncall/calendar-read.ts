import type ICAL from "ical.js";
import { DAY_MS, type EpochMs, isTimezone } from "../../core/clock.ts";
import { instantOf } from "./model/recurrence.ts";

/** An event of an imported calendar, with the users that its summary names. */
export interface ReadEvent {
  readonly id: string;
  readonly start: EpochMs;
  readonly end: EpochMs;
  readonly level: number;
  readonly names: readonly string[];
}

export interface ReadOptions {
  /** Of times without a zone, unless the calendar names another one. */
  readonly timezone: string;
  readonly from: EpochMs;
  readonly to: EpochMs;
}

type Library = typeof ICAL;
type Component = InstanceType<Library["Component"]>;
type Property = InstanceType<Library["Property"]>;
type Time = InstanceType<Library["Time"]>;

const MAX_EVENTS = 20_000;
/** Steps of all recurrences together: about a second of work. */
const MAX_STEPS = 200_000;

/** A calendar that cannot be read, with a text for its owner. */
export class CalendarUnreadable extends Error {
  override readonly name = "CalendarUnreadable";
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
    return new CalendarReader(library, root, options).read();
  } catch (cause) {
    if (cause instanceof CalendarUnreadable) throw cause;
    throw new CalendarUnreadable(`an event is not valid: ${(cause as Error).message}`, { cause });
  }
}

class CalendarReader {
  readonly #library: Library;
  readonly #root: Component;
  readonly #options: ReadOptions;
  readonly #timezone: string;
  readonly #events: ReadEvent[] = [];
  #steps = 0;

  constructor(library: Library, root: Component, options: ReadOptions) {
    this.#library = library;
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
      exceptions.set(uid, (exceptions.get(uid) ?? new Set()).add(this.#instantOf(replaced, timeOf(replaced))));
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
    const first = timeOf(property);
    const endOf = this.#endOf(component, property, first);
    const isException = component.hasProperty("recurrence-id");
    const skipped = isException ? new Set<EpochMs>() : this.#skipped(component, exceptions);
    for (const time of isException ? [first] : this.#times(component, property, first)) {
      const start = this.#instantOf(property, time);
      const end = endOf(time, start);
      if (end <= this.#options.from || end <= start || skipped.has(start)) continue;
      this.#events.push({ id: uidOf(component), start, end, ...summary });
      if (this.#events.length > MAX_EVENTS) throw new CalendarUnreadable(`it has more than ${MAX_EVENTS} events`);
    }
  }

  /** The occurrences of an event by its own clock, up to the end of the wanted span. */
  *#times(component: Component, property: Property, first: Time): Generator<Time, undefined> {
    const { to } = this.#options;
    const rules = component.getAllProperties("rrule");
    const dates = component.getAllProperties("rdate").flatMap((rdate) => timesOf(rdate));
    if (rules.length === 0 || dates.length > 0) yield first;
    for (const date of dates) if (this.#instantOf(property, date) < to) yield date;
    for (const rule of rules) {
      const recur = (rule.getFirstValue() as InstanceType<Library["Recur"]>).clone();
      if (recur.freq === "SECONDLY" || recur.freq === "MINUTELY")
        throw new CalendarUnreadable(`an event repeats ${recur.freq.toLowerCase()}; the shortest is hourly`);
      const until = recur.until ? this.#untilOf(property, recur.until) : Number.POSITIVE_INFINITY;
      // Compared here, in the zone of the event.
      recur.until = null;
      const start = first.clone();
      start.zone = this.#library.Timezone.localTimezone;
      const iterator = recur.iterator(start);
      for (let time = iterator.next(); time; time = iterator.next()) {
        if (++this.#steps > MAX_STEPS) throw new CalendarUnreadable("its events repeat too often");
        const at = this.#instantOf(property, time);
        if (at >= to || at > until) break;
        yield time;
      }
    }
  }

  #skipped(component: Component, exceptions: ReadonlySet<EpochMs>): ReadonlySet<EpochMs> {
    const dates = component
      .getAllProperties("exdate")
      .flatMap((property) => timesOf(property).map((time) => this.#instantOf(property, time)));
    return new Set([...exceptions, ...dates]);
  }

  /** Whole days are days of the calendar, other lengths are elapsed time. */
  #endOf(component: Component, property: Property, first: Time): (time: Time, start: EpochMs) => EpochMs {
    const end = component.getFirstProperty("dtend");
    const duration = component.getFirstPropertyValue("duration") as InstanceType<Library["Duration"]> | null;
    const wallMs = end ? wallOf(timeOf(end)) - wallOf(first) : (duration?.toSeconds() ?? 0) * 1000;
    const lengthMs = wallMs === 0 && first.isDate ? DAY_MS : wallMs;
    if (lengthMs % DAY_MS === 0)
      return (time) => this.#instantOf(property, { ...fieldsOf(time), wall: wallOf(time) + lengthMs });
    const elapsedMs = end ? this.#instantOf(end, timeOf(end)) - this.#instantOf(property, first) : lengthMs;
    return (_time, start) => start + elapsedMs;
  }

  /** A day means its end. */
  #untilOf(property: Property, until: Time): EpochMs {
    if (until.isDate) return this.#instantOf(property, { ...fieldsOf(until), wall: wallOf(until) + DAY_MS - 1000 });
    return isUtc(until) ? wallOf(until) : this.#instantOf(property, until);
  }

  /** @param property has the zone of the time */
  #instantOf(property: Property, time: Time | WallFields): EpochMs {
    const wall = "wall" in time ? time.wall : wallOf(time);
    const tzid = String(property.getParameter("tzid") ?? "");
    if ("wall" in time ? time.isUtc : isUtc(time) || isUtc(timeOf(property))) return wall;
    if (tzid === "" || time.isDate) return instantOf(wall, this.#timezone);
    if (isTimezone(tzid)) return instantOf(wall, tzid);
    const zone = this.#root
      .getAllSubcomponents("vtimezone")
      .find((each) => each.getFirstPropertyValue("tzid") === tzid);
    if (!zone) throw new CalendarUnreadable(`the time zone ${tzid} is not known`);
    const local = this.#library.Time.fromJSDate(new Date(wall), true);
    local.zone = new this.#library.Timezone(zone);
    return local.toUnixTime() * 1000;
  }
}

interface WallFields {
  readonly wall: number;
  readonly isDate: boolean;
  readonly isUtc: boolean;
}

function fieldsOf(time: Time): Omit<WallFields, "wall"> {
  return { isDate: time.isDate, isUtc: isUtc(time) };
}

function isUtc(time: Time): boolean {
  return time.zone?.tzid === "UTC";
}

function wallOf({ year, month, day, hour, minute, second }: Time): number {
  return Date.UTC(year, month - 1, day, hour, minute, second);
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
  return { level: Number(level?.[1] ?? 0), names: names.map((name) => name.trim()).filter((name) => name !== "") };
}
