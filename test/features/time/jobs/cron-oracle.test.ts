import assert from "node:assert/strict";
import test from "node:test";
import { Cron as Croner } from "croner";
import fc from "fast-check";
import {
  cronTimes,
  type DstMark,
  nextWallTime,
  readCron,
} from "../../../../src/features/time/schedules/cron/recurrence.ts";

const MINUTE = 60_000;
const DAY = 86_400_000;
const WINDOW_DAYS = 3;

const ZONES = [
  ...["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Beirut", "Antarctica/Troll", "America/Nuuk"],
  ...["Africa/Casablanca", "Africa/Cairo", "Pacific/Chatham", "America/St_Johns", "Asia/Kathmandu", "UTC"],
];

/** Days of 2026 on which one of the zones sets its clocks, and the days beside them. */
const SET_DAYS = [
  "02-15",
  "03-08",
  "03-22",
  "03-28",
  "03-29",
  "04-04",
  "04-24",
  "09-26",
  "10-03",
  "10-24",
  "10-29",
  "11-01",
];

interface FieldText {
  readonly text: string;
  has(value: number): boolean;
}

function fieldOf(min: number, max: number): fc.Arbitrary<FieldText> {
  const value = fc.integer({ min, max });
  const all: FieldText = { text: "*", has: () => true };
  const list = fc.uniqueArray(value, { minLength: 1, maxLength: 3 }).map((values) => ({
    text: values.join(","),
    has: (n: number) => values.includes(n),
  }));
  const range = fc.tuple(value, value).map(([a, b]) => {
    const [from, to] = a < b ? [a, b] : [b, a];
    // A range of one value is that value, for the program too: 5-5 names one minute.
    return { text: from === to ? `${from}` : `${from}-${to}`, has: (n: number) => n >= from && n <= to };
  });
  const stepped = fc.integer({ min: 1, max: max - min + 1 }).map((step) => ({
    text: `*/${step}`,
    has: (n: number) => (n - min) % step === 0,
  }));
  return fc.oneof({ weight: 2, arbitrary: fc.constant(all) }, { weight: 3, arbitrary: list }, range, stepped);
}

interface Pattern {
  readonly minute: FieldText;
  readonly hour: FieldText;
  readonly weekday: FieldText;
}

const pattern: fc.Arbitrary<Pattern> = fc.record({
  minute: fieldOf(0, 59),
  // Mostly the hours at which clocks are set.
  hour: fc.oneof(
    fieldOf(0, 23),
    fieldOf(0, 4),
    fc.constantFrom(23).map((n) => ({ text: "23", has: (h: number) => h === n })),
  ),
  weekday: fc.oneof(fc.constant({ text: "*", has: () => true }), fieldOf(0, 6)),
});

type Times = readonly (readonly [at: number, dst: DstMark | null])[];

/** Contract 8.5, minute by minute. A time that is moved counts on the day it was moved from. */
function naiveTimes({ minute, hour, weekday }: Pattern, zone: string, from: number, to: number): Times {
  const isFixed = /^\d+$/.test(minute.text) && /^(\d+)$/.test(hour.text.replace(/^(\d+)-\1$/, "$1"));
  const isInterval = Array.from({ length: 24 }, (_, h) => hour.has(h)).every(Boolean);
  const matches = (wall: number): boolean => {
    const date = new Date(wall);
    return minute.has(date.getUTCMinutes()) && hour.has(date.getUTCHours()) && weekday.has(date.getUTCDay());
  };
  const times: [number, DstMark | null][] = [];
  const shown = new Set<number>();
  let last = wallAt(zone, from - DAY);
  for (let at = from - DAY; at <= to; at += MINUTE) {
    const wall = wallAt(zone, at);
    for (let missing = last + MINUTE; missing < wall; missing += MINUTE)
      if (matches(missing) && !isInterval) times.push([at, isFixed ? "moved" : "skipped"]);
    const isRepeated = shown.has(wall);
    if (matches(wall) && !(isFixed && isRepeated)) times.push([at, isRepeated ? "repeated" : null]);
    shown.add(wall);
    last = wall;
  }
  return times.filter(([at]) => at > from);
}

const formatters = new Map<string, Intl.DateTimeFormat>();

/**
 * The wall clock, as if it showed UTC: read field by field, where the program asks for the offset.
 */
function wallAt(zone: string, at: number): number {
  const options = { timeZone: zone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric" } as const;
  const formatter =
    formatters.get(zone) ?? new Intl.DateTimeFormat("en-US", { ...options, hour: "numeric", minute: "numeric" });
  formatters.set(zone, formatter);
  const [month = 0, day = 0, year = 0, hour = 0, minute = 0] = (formatter.format(at).match(/\d+/g) ?? []).map(Number);
  return Date.UTC(year, month - 1, day, hour, minute);
}

test("8.5 the times of any pattern on any day of any zone are those that a walk from minute to minute finds", () => {
  fc.assert(
    fc.property(
      pattern,
      fc.constantFrom(...ZONES),
      fc.constantFrom(...SET_DAYS),
      fc.integer({ min: -DAY / MINUTE, max: DAY / MINUTE }),
      (fields, zone, day, shift) => {
        const from = Date.parse(`2026-${day}T00:00:00Z`) + shift * MINUTE;
        const to = from + WINDOW_DAYS * DAY;
        const text = `${fields.minute.text} ${fields.hour.text} * * ${fields.weekday.text}`;
        const found: [number, DstMark | null][] = [];
        for (const { at, dst } of cronTimes(readCron(text), zone, from)) {
          if (at > to) break;
          found.push([at, dst]);
        }
        assert.deepEqual(
          found,
          naiveTimes(fields, zone, from, to),
          `${text} in ${zone} behind ${new Date(from).toISOString()}`,
        );
      },
    ),
    { numRuns: 120 },
  );
});

/** Up to 28, also of a step: of 30,1 or of 1W beside 2#5, croner leaves out the 1st of March. */
const dayField = fc.oneof(
  fieldOf(1, 28).map(({ text }) => text.replace("*/", "1-28/")),
  fc.constantFrom("L", "LW", "15W", "1W", "31W", "10,L", "5W,20"),
);
const weekdayField = fc.oneof(
  fieldOf(0, 6).map(({ text }) => text),
  fc.constantFrom("MON#1", "FRI#L", "5L", "MON-WED#2", "+MON-FRI", "+SUN", "SAT-SUN", "7", "2#4"),
);

test("a day that a month does not have leaves out none of the others", () => {
  const cron = readCron("0 0 30,1 * *");
  const found: string[] = [];
  for (let at: number | undefined = Date.UTC(2027, 0, 1); found.length < 4; ) {
    at = nextWallTime(cron, at);
    if (at === undefined) break;
    found.push(new Date(at).toISOString().slice(0, 10));
  }
  assert.deepEqual(found, ["2027-01-30", "2027-02-01", "2027-03-01", "2027-03-30"]);
});

/**
 * The next times of `text` behind `from`, UTC. A croner that walks from February into March can leave out the first
 * days (`0 0 1W * 5L`), so it is asked anew at the end of each February.
 */
function cronerTimes(text: string, from: number, count: number): number[] {
  const croner = new Croner(text, { utcOffset: 0, mode: "5-or-6-parts" });
  const times: number[] = [];
  let at = new Date(from);
  for (let nones = 0; times.length < count && nones < 2; ) {
    const march = Date.UTC(at.getUTCFullYear() + (at.getTime() < Date.UTC(at.getUTCFullYear(), 2) - 1 ? 0 : 1), 2);
    const next = croner.nextRun(at);
    nones = next === null ? nones + 1 : 0;
    const isBeforeMarch = next !== null && next.getTime() < march;
    if (isBeforeMarch) times.push(next.getTime());
    at = isBeforeMarch ? next : new Date(march - 1);
  }
  return times;
}

test("days, weekdays, L, W and # mean what they mean to croner", () => {
  const fields = fc.tuple(fieldOf(0, 59), fieldOf(0, 23), dayField, fieldOf(1, 12), weekdayField);
  const start = fc.integer({ min: Date.UTC(2024, 0, 1), max: Date.UTC(2030, 0, 1) });
  fc.assert(
    fc.property(fields, start, ([minute, hour, day, month, weekday], from) => {
      const text = `${minute.text} ${hour.text} ${day} ${month.text} ${weekday}`;
      const theirs = cronerTimes(text, from, 3);
      if (theirs.length === 0) return assert.throws(() => readCron(text), { code: "INVALID_CRON" });
      const cron = readCron(text);
      const ours: (number | undefined)[] = [];
      for (let at: number | undefined = from; ours.length < theirs.length && at !== undefined; ours.push(at))
        at = nextWallTime(cron, at);
      assert.deepEqual(ours, theirs, text);
    }),
    { numRuns: 300 },
  );
});
