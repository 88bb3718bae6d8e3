import fc from "fast-check";

/* Schedules as the old systems describe them, and who is on call by their documentation, computed without Prism. */

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;
const STEP = HOUR / 2;

export interface OldWindow {
  /** 0 is Monday; null: each day. */
  readonly day: number | null;
  readonly startHour: number;
  readonly hours: number;
}

export interface OldLayer {
  /** By the clocks of the zone, as if they were UTC. */
  readonly hand: number;
  readonly unitHours: number;
  readonly length: number;
  readonly people: readonly string[];
  readonly windows: readonly OldWindow[];
  /** Days after the first hand-over from which, and until which, it counts. */
  readonly fromDays: number;
  readonly untilDays: number | null;
}

export interface OldCalendar {
  readonly zone: string;
  readonly layers: readonly OldLayer[];
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** What a clock in the zone shows, as if it were UTC. */
export function clockOf(at: number, zone: string): number {
  const format =
    formats.get(zone) ??
    new Intl.DateTimeFormat("sv-SE", { timeZone: zone, dateStyle: "short", timeStyle: "medium", hourCycle: "h23" });
  formats.set(zone, format);
  return Date.parse(`${format.format(at).replace(" ", "T")}Z`);
}

/** The instant at which a clock shows a time, that it shows once. */
export function instantAt(clock: number, zone: string): number {
  const guess = clock - (clockOf(clock, zone) - clock);
  return guess - (clockOf(guess, zone) - clock);
}

function isInside({ day, startHour, hours }: OldWindow, clock: number): boolean {
  // 1970-01-05 was a Monday.
  const cycle = day === null ? DAY : 7 * DAY;
  const begin = 4 * DAY + (day ?? 0) * DAY + startHour * HOUR;
  return (((clock - begin) % cycle) + cycle) % cycle < hours * HOUR;
}

export function personOf(layer: OldLayer, at: number, zone: string): string | null {
  const clock = clockOf(at, zone);
  const { hand, unitHours, length, people, windows, fromDays, untilDays } = layer;
  if (clock < hand + fromDays * DAY) return null;
  if (untilDays !== null && clock >= hand + untilDays * DAY) return null;
  if (windows.length > 0 && !windows.some((window) => isInside(window, clock))) return null;
  return people[Math.floor((clock - hand) / (unitHours * length * HOUR)) % people.length] ?? null;
}

/** People at an instant: all layers together, or the first that has someone. */
export function peopleAt({ zone, layers }: OldCalendar, at: number, isLayered: boolean): string[] {
  const found = layers.flatMap((layer) => personOf(layer, at, zone) ?? []);
  return [...new Set(isLayered ? found.slice(0, 1) : found)].sort();
}

export interface OldSpan {
  readonly start: number;
  readonly end: number;
  readonly people: readonly string[];
}

/** Spans without a change, to half an hour: all edges are there. */
export function rendered(at: (instant: number) => readonly string[], from: number, to: number): OldSpan[] {
  const spans: { start: number; end: number; people: readonly string[] }[] = [];
  for (let start = from; start < to; start += STEP) {
    const people = at(start);
    const last = spans.at(-1);
    if (last && last.people.join() === people.join()) last.end = start + STEP;
    else spans.push({ start, end: start + STEP, people });
  }
  return spans.filter(({ people }) => people.length > 0);
}

/** Hours at which no clock of these zones moves, nor is set twice. */
const hour = fc.constantFrom(0, 6, 7, 8, 9, 12, 17, 18, 20, 22, 23);
const ZONES = ["Europe/Berlin", "Europe/London", "America/New_York", "Australia/Sydney", "Asia/Tokyo", "UTC"];
const MONDAY = Date.UTC(2025, 0, 6);

const window = (isDaily: boolean) =>
  fc
    .record({ day: fc.integer({ min: 0, max: 6 }), from: hour, to: hour, days: fc.integer({ min: 0, max: 2 }) })
    .map(({ day, from, to, days }): OldWindow => {
      const hours = (to - from + 24) % 24 || 24;
      return { day: isDaily ? null : day, startHour: from, hours: isDaily ? hours : hours + days * 24 };
    });

const windows = fc.oneof(
  fc.constant([] as OldWindow[]),
  fc.array(window(true), { minLength: 1, maxLength: 1 }),
  fc.array(window(false), { minLength: 1, maxLength: 5 }),
);

const PEOPLE = ["ada", "ben", "cy", "dara", "eli"];

export function layerOf(names = PEOPLE) {
  const people = fc.shuffledSubarray(names, { minLength: 1, maxLength: 4 });
  const days = fc.record({
    ...{ day: fc.integer({ min: 0, max: 13 }), hour, people },
    unitHours: fc.constantFrom(24, 168),
    ...{ length: fc.integer({ min: 1, max: 3 }), windows },
  });
  const hours = fc.record({
    ...{ day: fc.integer({ min: 0, max: 13 }), hour: fc.constant(8), people },
    ...{ unitHours: fc.constant(1), length: fc.constantFrom(8, 12), windows: fc.constant([] as OldWindow[]) },
  });
  return fc.oneof({ arbitrary: days, weight: 4 }, { arbitrary: hours, weight: 1 }).map(
    ({ day, hour: at, unitHours, length, people: turns, windows: of }): OldLayer => ({
      ...{ hand: MONDAY + day * DAY + at * HOUR, unitHours, length, people: turns, windows: of },
      ...{ fromDays: 0, untilDays: null },
    }),
  );
}

export const zone = fc.constantFrom(...ZONES);

/** Four days before each of six changes of the clocks in these zones. */
export const CLOCK_CHANGES = [
  "2025-03-26T00:00:00Z",
  "2025-10-22T00:00:00Z",
  "2026-03-05T00:00:00Z",
  "2026-03-31T00:00:00Z",
  "2026-10-28T00:00:00Z",
  "2027-03-24T00:00:00Z",
].map((text) => Date.parse(text));

/** What the proof must find, seeded into one side. */
export const seed = fc.constantFrom("an hour", "people", "zone");

export function seeded({ zone: own, layers }: OldCalendar, kind: string): OldCalendar {
  const [first, ...rest] = layers as readonly [OldLayer, ...OldLayer[]];
  if (kind === "zone") return { zone: own === "Asia/Tokyo" ? "UTC" : "Asia/Tokyo", layers };
  if (kind === "an hour") return { zone: own, layers: [{ ...first, hand: first.hand + HOUR }, ...rest] };
  return { zone: own, layers: [{ ...first, people: [...first.people].reverse() }, ...rest] };
}

export function isSameCalendar(a: readonly OldSpan[], b: readonly OldSpan[]): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
