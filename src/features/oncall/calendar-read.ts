import type ICAL from "ical.js";
import { cleanText, startOf } from "../../core/text/clean-text.ts";
import { DAY_MS, type EpochMs, instantOf, isTimezone } from "../../core/time/clock.ts";
import { type CalendarRecurrence, FREQUENCIES, occurrences, WEEKDAYS } from "./model/recurrence.ts";
import { WINDOWS_ZONES } from "./model/windows-zones.gen.ts";

/** Whom an event names. */
export interface EventPeople {
  /** In its summary. */
  readonly names: readonly string[];
  /** Mail addresses of its attendees, who count when no user is in the summary. */
  readonly attendees: readonly string[];
}

/** An event of an imported calendar. */
export interface ReadEvent extends EventPeople {
  readonly id: string;
  readonly start: EpochMs;
  readonly end: EpochMs;
  readonly level: number;
}

/** An event that cannot be read. */
export interface LeftOut extends EventPeople {
  readonly summary: string;
  /** A date or time, otherwise as the file has it, without control characters, shortened; empty: it has none. */
  readonly start: string;
  readonly reason: string;
}

export interface ReadFile {
  readonly events: readonly ReadEvent[];
  readonly leftOut: readonly LeftOut[];
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
/** Of one event, so that one does not take what all may. */
const MAX_STEPS_OF_EVENT = 150_000;
/** As of shifts. */
const MAX_INTERVAL = 1000;
/** Limits of a summary: users, and characters of a name. */
const MAX_USERS = 50;
const MAX_NAME = 320;
/** Characters of a start that is shown as the file has it; a valid one has 16 at most. */
const MAX_START = 30;

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

/** An event that cannot be read, with the reason. */
class EventUnreadable extends Error {
  override readonly name = "EventUnreadable";
}

/**
 * All occurrences in `[from, to)`, and the events that cannot be read, which do not keep the others
 * from being read. @throws CalendarUnreadable
 */
export async function readCalendar(text: string, options: ReadOptions): Promise<ReadFile> {
  // Loaded with the first calendar, for a quicker start.
  const { default: library } = await import("ical.js");
  const { root, rest, broken } = parse(library, text.replace(/^\uFEFF/, ""));
  if (root.name !== "vcalendar") throw new CalendarUnreadable("it is not an iCalendar file");
  const { events, leftOut } = new CalendarReader(root, { ...options, text: rest }).read();
  return { events, leftOut: [...broken, ...leftOut] };
}

/** The parts of a calendar: events, tasks, zones. A part in a part belongs to the outer one. */
const PARTS = /^BEGIN:(VEVENT|VTODO|VJOURNAL|VFREEBUSY|VTIMEZONE)[ \t]*\r?$[\s\S]*?^END:\1[ \t]*(?:\r?\n|$)/gim;

/** The parser refuses the whole file for one line: then its parts are parsed one by one. */
function parse(library: Library, text: string): { root: Component; rest: string; broken: LeftOut[] } {
  const parsed = (part: string): Component =>
    new library.Component(library.parse(part) as ConstructorParameters<Library["Component"]>[0]);
  try {
    return { root: parsed(text), rest: text, broken: [] };
  } catch {
    const broken: LeftOut[] = [];
    const rest = text.replaceAll(PARTS, (part: string, kind: string) => {
      try {
        parsed(`BEGIN:VCALENDAR\r\n${part}END:VCALENDAR`);
        return part;
      } catch (cause) {
        if (kind.toUpperCase() === "VEVENT") broken.push(brokenEvent(part, cause));
        return "";
      }
    });
    try {
      return { root: parsed(rest), rest, broken };
    } catch (cause) {
      throw new CalendarUnreadable("it is not an iCalendar file", { cause });
    }
  }
}

/** What the text of an event says that the library cannot parse. */
function brokenEvent(part: string, cause: unknown): LeftOut {
  const valuesOf = (name: string): string[] => writtenValues(part, name);
  const summary = (valuesOf("SUMMARY")[0] ?? "").replaceAll(/\\([,;\\])/g, "$1");
  const attendees = valuesOf("ATTENDEE").flatMap((value) => addressOf(value) ?? []);
  return {
    ...{ summary: summary.slice(0, MAX_NAME), start: writtenStart(part), reason: reasonOf(cause) },
    ...{ names: readSummary(summary).names.slice(0, MAX_USERS), attendees: attendees.slice(0, MAX_USERS) },
  };
}

/** The values of a property in the text of an event. */
function writtenValues(part: string, name: string): string[] {
  const lines = part.replaceAll(/\r?\n[ \t]/g, "").split(/\r?\n/);
  return lines.flatMap((line) => new RegExp(`^${name}(?:;[^:]*)?:(.*)$`, "i").exec(line)?.[1] ?? []);
}

/** A date or time in a form that people read, `2026-01-05T08:00:00Z`; anything else as it is written. */
function writtenStart(part: string): string {
  const start = cleanText(writtenValues(part, "DTSTART")[0] ?? "")
    .trim()
    .replace(/^(\d{4})(\d\d)(\d\d)(?=T|$)/, "$1-$2-$3")
    .replace(/T(\d\d)(\d\d)(\d\d)(Z?)$/, "T$1:$2:$3$4");
  return start.length <= MAX_START ? start : `${startOf(start, MAX_START)}…`;
}

function reasonOf(cause: unknown): string {
  return cause instanceof EventUnreadable ? cause.message : `it is not valid: ${(cause as Error).message}`;
}

class CalendarReader {
  readonly #root: Component;
  readonly #options: ReadOptions & { readonly text: string };
  readonly #timezone: string;
  readonly #events: ReadEvent[] = [];
  readonly #leftOut: LeftOut[] = [];
  /** The texts of the events, once one of them cannot be read. */
  #written: ReadonlyMap<Component, string> | undefined;
  readonly #zones = new Map<string, readonly Onset[]>();
  #steps = 0;
  #stepsOfEvent = 0;

  constructor(root: Component, options: ReadOptions & { readonly text: string }) {
    this.#root = root;
    this.#options = options;
    const named = String(root.getFirstPropertyValue("x-wr-timezone") ?? "");
    this.#timezone = knownZone(named) ?? options.timezone;
  }

  read(): ReadFile {
    const components = this.#root.getAllSubcomponents("vevent");
    const replaced = new Map<string, Set<EpochMs>>();
    // Moved occurrences first: one that cannot be read does not replace its occurrence.
    for (const component of components.filter((each) => each.hasProperty("recurrence-id")))
      this.#attempt(component, () => {
        const property = component.getFirstProperty("recurrence-id") as Property;
        const at = this.#instantOf(property, fieldsOf(timeOf(property)));
        this.#readEvent(component, new Set());
        replaced.set(uidOf(component), (replaced.get(uidOf(component)) ?? new Set()).add(at));
      });
    for (const component of components.filter((each) => !each.hasProperty("recurrence-id")))
      this.#attempt(component, () => this.#readEvent(component, replaced.get(uidOf(component)) ?? new Set()));
    return { events: this.#events, leftOut: this.#leftOut };
  }

  #attempt(component: Component, read: () => void): void {
    const count = this.#events.length;
    this.#stepsOfEvent = 0;
    try {
      read();
    } catch (cause) {
      if (cause instanceof CalendarUnreadable) throw cause;
      this.#events.length = count;
      const { summary, names, attendees } = peopleOf(component);
      const start = this.#startOf(component);
      this.#leftOut.push({ summary, start, reason: reasonOf(cause), names: names.slice(0, MAX_USERS), attendees });
    }
  }

  /** The library keeps it only in another form: it makes `toda-y-` of `today`. */
  #startOf(component: Component): string {
    this.#written ??= this.#textsOfEvents();
    return writtenStart(this.#written.get(component) ?? "");
  }

  #textsOfEvents(): ReadonlyMap<Component, string> {
    const parts = [...this.#options.text.matchAll(PARTS)].filter(([, kind = ""]) => kind.toUpperCase() === "VEVENT");
    return new Map(this.#root.getAllSubcomponents("vevent").map((each, at) => [each, parts[at]?.[0] ?? ""]));
  }

  #readEvent(component: Component, exceptions: ReadonlySet<EpochMs>): void {
    const status = String(component.getFirstPropertyValue("status") ?? "").toUpperCase();
    const property = component.getFirstProperty("dtstart");
    if (status === "CANCELLED") return;
    const { level, names, attendees } = peopleOf(component);
    if (names.length + attendees.length === 0) return;
    if (names.length > MAX_USERS) throw new EventUnreadable(`it names more than ${MAX_USERS} users`);
    if (!property) throw new EventUnreadable("it has no start");
    const first = fieldsOf(timeOf(property));
    const endOf = this.#endOf(component, property, first);
    const isException = component.hasProperty("recurrence-id");
    const skipped = isException ? new Set<EpochMs>() : this.#skipped(component, exceptions);
    for (const time of isException ? [first] : this.#times(component, property, first)) {
      const start = this.#instantOf(property, time);
      const end = endOf(time, start);
      if (start >= this.#options.to || end <= this.#options.from || end <= start || skipped.has(start)) continue;
      this.#events.push({ id: uidOf(component), start, end, level, names, attendees });
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
   * without end for a day that never comes. @throws CalendarUnreadable, EventUnreadable
   */
  *#wallTimes(start: number, rule: Rule, to: number): Generator<number, undefined> {
    const times = { start, durationMs: 1000, timezone: "UTC", recurrence: recurrenceOf(rule) };
    for (const occurrence of occurrences(times, start, to, () => this.#countStep())) yield occurrence.start;
  }

  #countStep(): void {
    if (++this.#steps > MAX_STEPS) throw new CalendarUnreadable("its events repeat too often", { isCostly: true });
    if (++this.#stepsOfEvent > MAX_STEPS_OF_EVENT) throw new EventUnreadable("it repeats too often");
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
    if (isTimezone(tzid)) return instantOf(wall, tzid);
    const onsets = this.#onsetsOf(tzid);
    if (onsets.length > 0) return wall - offsetAt(onsets, wall);
    const zone = knownZone(tzid);
    if (zone === undefined) throw new EventUnreadable(`the time zone ${tzid} is not known`);
    return instantOf(wall, zone);
  }

  /** The changes of a zone that the file defines, ascending; none: it does not. */
  #onsetsOf(tzid: string): readonly Onset[] {
    const known = this.#zones.get(tzid);
    if (known) return known;
    const zone = this.#root
      .getAllSubcomponents("vtimezone")
      .find((each) => each.getFirstPropertyValue("tzid") === tzid);
    const onsets = (zone?.getAllSubcomponents() ?? []).flatMap((part) => this.#onsetsOfPart(part));
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

/** IANA's name of a zone, which may have its name in Windows. */
function knownZone(name: string): string | undefined {
  return isTimezone(name) ? name : WINDOWS_ZONES.get(name);
}

const UNSUPPORTED = ["BYWEEKNO", "BYYEARDAY", "BYHOUR", "BYMINUTE", "BYSECOND"];

function recurrenceOf(rule: Rule): CalendarRecurrence {
  const frequency = rule.freq.toLowerCase();
  const parts = rule.parts as Readonly<Record<string, readonly (string | number)[] | undefined>>;
  const isDaily = frequency === "daily" || frequency === "hourly";
  const unsupported = [...UNSUPPORTED, ...(isDaily ? ["BYSETPOS"] : [])].find((name) => parts[name]);
  if (unsupported !== undefined) throw new EventUnreadable(`recurrences with ${unsupported} are not supported`);
  const interval = rule.interval ?? 1;
  if (interval > MAX_INTERVAL) throw new EventUnreadable(`an interval is at most ${MAX_INTERVAL}`);
  const known = frequency === "yearly" ? frequency : FREQUENCIES.find((each) => each === frequency);
  if (!known) throw new EventUnreadable(`it repeats ${frequency}; the shortest is hourly`);
  return {
    frequency: known,
    interval,
    byDay: parts["BYDAY"]?.map((day) => String(day).replace(/^\+/, "")),
    byMonth: parts["BYMONTH"]?.map(Number),
    byMonthDay: parts["BYMONTHDAY"]?.map(Number),
    bySetPos: parts["BYSETPOS"]?.map(Number),
    weekStart: WEEKDAYS[rule.wkst - 1],
  };
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

function peopleOf(component: Component) {
  const summary = String(component.getFirstPropertyValue("summary") ?? "");
  const attendees = component.getAllProperties("attendee").flatMap((attendee) => {
    const isPerson = /^(?:INDIVIDUAL)?$/i.test(String(attendee.getParameter("cutype") ?? ""));
    const hasDeclined = /^DECLINED$/i.test(String(attendee.getParameter("partstat") ?? ""));
    return isPerson && !hasDeclined ? (addressOf(String(attendee.getFirstValue() ?? "")) ?? []) : [];
  });
  return { summary: summary.slice(0, MAX_NAME), ...readSummary(summary), attendees: attendees.slice(0, MAX_USERS) };
}

function addressOf(attendee: string): string | undefined {
  return /^mailto:(\S+@\S+)$/i.exec(attendee.trim())?.[1]?.slice(0, MAX_NAME);
}

/** PagerDuty's title of a shift: a person and a schedule. */
const PAGERDUTY = /^On Call - (.+?) - .+$/i;

/** `[L1] ada, grace@example.com`: level 1, two users. `@ada` is ada, as in Grafana OnCall. */
function readSummary(summary: string): { level: number; names: string[] } {
  const level = /\[L(\d)\]/i.exec(summary);
  const text = summary.replaceAll(/\[L\d\]/gi, "").trim();
  const names = (PAGERDUTY.exec(text)?.[1] ?? text).split(/[,;]/);
  const given = names.map((name) => name.trim().replace(/^@/, "").slice(0, MAX_NAME)).filter((name) => name !== "");
  return { level: Number(level?.[1] ?? 0), names: given };
}
