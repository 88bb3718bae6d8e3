import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DateTime, IANAZone } from "luxon";
import { occurrences, type ShiftRecurrence, type ShiftTimes } from "../../../src/features/oncall/model/recurrence.ts";

const MINUTE = 60_000;
const QUARTER = 15 * MINUTE;
const HOUR = 3_600_000;
const DAY = 86_400_000;
const WEEKDAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];

/** Zones with clock changes by an hour, by half an hour, at midnight, to the west and to the east. */
const CHANGES: readonly (readonly [zone: string, day: string])[] = [
  ["Europe/Berlin", "2026-03-29"],
  ["Europe/Berlin", "2026-10-25"],
  ["America/New_York", "2026-03-08"],
  ["America/New_York", "2026-11-01"],
  ["America/Santiago", "2026-09-06"],
  ["Asia/Beirut", "2026-03-29"],
  ["Australia/Lord_Howe", "2026-04-05"],
  ["Australia/Lord_Howe", "2026-10-04"],
  ["Pacific/Auckland", "2026-09-27"],
  ["Asia/Kolkata", "2026-06-10"],
  ["UTC", "2026-02-28"],
];

/** Wall times and the first instant at which a clock in the zone shows them, minute by minute. */
const clocks = new Map<string, Map<number, number>>();

function clockOf(zone: string, from: number, to: number): Map<number, number> {
  const key = `${zone} ${from}`;
  const clock = clocks.get(key) ?? readClock(zone, from, to);
  clocks.set(key, clock);
  return clock;
}

function readClock(zone: string, from: number, to: number): Map<number, number> {
  const instants = new Map<number, number>();
  let expected: number | null = null;
  let offset = IANAZone.create(zone).offset(from);
  for (let at = from; at < to; at += MINUTE) {
    // Every zone changes at a quarter of an hour.
    if (at % QUARTER === 0) offset = IANAZone.create(zone).offset(at);
    const wall = at + offset * MINUTE;
    // A skipped time comes as long after the last shown one as if nothing had been skipped.
    if (expected !== null)
      for (let skipped = expected, then = at; skipped < wall; skipped += MINUTE, then += MINUTE)
        instants.set(skipped, then);
    if (!instants.has(wall)) instants.set(wall, at);
    expected = wall + MINUTE;
  }
  return instants;
}

/** The same rules, day by day and minute by minute. */
function modelOf(shift: ShiftTimes, from: number, to: number): Set<string> {
  const { start, durationMs, timezone, recurrence: rule } = shift;
  const clock = clockOf(timezone, to - 50 * DAY, to + 10 * DAY);
  const stepMs = rule?.frequency === "hourly" ? HOUR : DAY;
  const minutes = new Set<string>();
  const starts: { wall: number; key: string }[] = [];
  for (let wall = start; wall < to + 2 * DAY; wall += rule ? stepMs : Number.POSITIVE_INFINITY) {
    if (rule && !isStart(rule, start, wall)) continue;
    starts.push({ wall, key: rule ? keyOf(rule, start, wall) : "" });
  }
  const keys = [...new Set(starts.map(({ key }) => key))];
  for (const { wall, key } of starts) {
    const first = clock.get(wall) ?? Number.NaN;
    if (rule?.until !== undefined && first > rule.until) continue;
    const isNominal = durationMs % DAY === 0 || (rule?.frequency === "hourly" && durationMs === rule.interval * HOUR);
    const end = isNominal ? (clock.get(wall + durationMs) ?? Number.NaN) : first + durationMs;
    for (let at = Math.max(first, from); at < Math.min(end, to); at += MINUTE)
      minutes.add(`${at} ${keys.indexOf(key)}`);
  }
  return minutes;
}

function isStart(rule: ShiftRecurrence, start: number, wall: number): boolean {
  const day = DateTime.fromMillis(wall, { zone: "UTC" });
  const name = WEEKDAYS[day.weekday - 1] ?? "";
  if (rule.byMonth && !rule.byMonth.includes(day.month)) return false;
  const monthDays =
    rule.byMonthDay ?? (rule.frequency === "monthly" && !rule.byDay ? [new Date(start).getUTCDate()] : null);
  if (monthDays && !monthDays.some((each) => each === day.day || each === day.day - (day.daysInMonth ?? 0) - 1))
    return false;
  const weekday = WEEKDAYS[DateTime.fromMillis(start, { zone: "UTC" }).weekday - 1] ?? "";
  const weekdays = rule.byDay ?? (rule.frequency === "weekly" ? [weekday] : null);
  if (weekdays && !weekdays.includes(name)) return false;
  return indexOf(rule, start, wall) % rule.interval === 0;
}

function keyOf(rule: ShiftRecurrence, start: number, wall: number): string {
  return String(indexOf(rule, start, wall));
}

/** Number of hours, days, weeks or months since that of the start. */
function indexOf(rule: ShiftRecurrence, start: number, wall: number): number {
  const [a, b] = [start, wall].map((at) => DateTime.fromMillis(at, { zone: "UTC" })) as [DateTime, DateTime];
  if (rule.frequency === "hourly") return Math.round((wall - start) / HOUR);
  if (rule.frequency === "daily") return Math.floor(wall / DAY) - Math.floor(start / DAY);
  if (rule.frequency === "weekly") return Math.round(b.startOf("week").diff(a.startOf("week"), "weeks").weeks);
  return (b.year - a.year) * 12 + b.month - a.month;
}

const subset = <T>(values: readonly T[]) => fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 4 });
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 2 });

const shifts = fc
  .record({
    change: fc.constantFrom(...CHANGES),
    daysBefore: fc.integer({ min: 1, max: 40 }),
    minuteOfDay: fc.constantFrom(0, 60, 90, 120, 150, 180, 540, 1380),
    durationMs: fc.constantFrom(HOUR / 2, HOUR, 3 * HOUR, 8 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY),
    frequency: fc.constantFrom("hourly", "daily", "weekly", "monthly", null),
    interval: fc.integer({ min: 1, max: 12 }),
    byDay: maybe(subset(WEEKDAYS)),
    byMonth: maybe(subset([1, 2, 3, 4, 9, 10, 11])),
    byMonthDay: maybe(subset([1, 15, 28, 29, 31, -1, -2])),
    untilDays: maybe(fc.integer({ min: 1, max: 45 })),
  })
  .map(({ change: [timezone, day], daysBefore, minuteOfDay, durationMs, frequency, interval, untilDays, ...by }) => {
    const changeAt = Date.parse(`${day}T00:00:00Z`);
    const start = changeAt - daysBefore * DAY + minuteOfDay * MINUTE;
    const until = untilDays === undefined ? undefined : start + untilDays * DAY;
    const filters = frequency === "weekly" ? { byDay: by.byDay, byMonth: by.byMonth } : by;
    const shift: ShiftTimes = {
      start,
      durationMs,
      timezone,
      recurrence: frequency && { frequency, interval, until, ...filters },
    };
    return { shift, from: changeAt - 2 * DAY, to: changeAt + 3 * DAY };
  });

test("occurrences are those of a clock that is read minute by minute, also when it changes", () => {
  fc.assert(
    fc.property(shifts, ({ shift, from, to }) => {
      const found = new Set<string>();
      for (const { start, end, period } of occurrences(shift, from, to))
        for (let at = Math.max(start, from); at < Math.min(end, to); at += MINUTE) found.add(`${at} ${period}`);
      assert.deepEqual([...found].sort(), [...modelOf(shift, from, to)].sort());
    }),
    { numRuns: 150 },
  );
});

function first(shift: ShiftTimes, from: string, count: number): string[] {
  const found: string[] = [];
  for (const { start, end } of occurrences(shift, Date.parse(from), Number.MAX_SAFE_INTEGER)) {
    found.push(`${new Date(start).toISOString()} ${(end - start) / HOUR} h`);
    if (found.length === count) break;
  }
  return found;
}

const berlin = (start: string, durationMs: number, recurrence: ShiftRecurrence | null): ShiftTimes => ({
  start: Date.parse(`${start}Z`),
  durationMs,
  timezone: "Europe/Berlin",
  recurrence,
});

test("a shift of 8 hours stays 8 hours when the clock changes", () => {
  const shift = berlin("2026-10-23T22:00", 8 * HOUR, { frequency: "daily", interval: 1 });
  assert.deepEqual(first(shift, "2026-10-23T12:00:00Z", 3), [
    "2026-10-23T20:00:00.000Z 8 h",
    "2026-10-24T20:00:00.000Z 8 h",
    "2026-10-25T21:00:00.000Z 8 h",
  ]);
});

test("a shift of whole days ends at the same time of day, so days and weeks leave no gap", () => {
  const shift = berlin("2026-03-27T09:00", DAY, { frequency: "daily", interval: 1 });
  assert.deepEqual(first(shift, "2026-03-28T08:00:00Z", 3), [
    "2026-03-28T08:00:00.000Z 23 h",
    "2026-03-29T07:00:00.000Z 24 h",
    "2026-03-30T07:00:00.000Z 24 h",
  ]);
});

test("hourly shifts as long as their interval follow each other without a gap", () => {
  const shift = berlin("2026-10-24T08:00", 12 * HOUR, { frequency: "hourly", interval: 12 });
  assert.deepEqual(first(shift, "2026-10-24T06:00:00Z", 3), [
    "2026-10-24T06:00:00.000Z 12 h",
    "2026-10-24T18:00:00.000Z 13 h",
    "2026-10-25T07:00:00.000Z 12 h",
  ]);
});

test("the first Monday and the last Friday of a month", () => {
  const shift = berlin("2026-01-01T09:00", HOUR, { frequency: "monthly", interval: 1, byDay: ["1MO", "-1FR"] });
  const days = first(shift, "2026-01-01T00:00:00Z", 4).map((text) => text.slice(0, 10));
  assert.deepEqual(days, ["2026-01-05", "2026-01-30", "2026-02-02", "2026-02-27"]);
});

test("a rule that names a day which never comes has no occurrence, and the search ends", () => {
  const never = { frequency: "monthly", interval: 1, byMonth: [2], byMonthDay: [30] } as const;
  assert.deepEqual(first(berlin("2026-01-01T09:00", HOUR, never), "2026-01-01T00:00:00Z", 1), []);
});

test("an occurrence far from the start is found at once", () => {
  const shift = berlin("2000-01-01T00:00", HOUR, { frequency: "hourly", interval: 1 });
  assert.deepEqual(first(shift, "2099-07-01T00:00:00Z", 1), ["2099-07-01T00:00:00.000Z 1 h"]);
});

test("a filtered rotation far from its start counts every period before it", () => {
  const rules: ShiftRecurrence[] = [
    { frequency: "hourly", interval: 5, byDay: ["MO", "SA"] },
    { frequency: "hourly", interval: 7, byMonth: [2, 12], byMonthDay: [29, -1] },
    { frequency: "daily", interval: 3, byMonth: [1, 6] },
  ];
  for (const recurrence of rules) {
    const shift = berlin("2020-01-30T05:00", HOUR, recurrence);
    const to = Date.parse("2026-01-01T00:00:00Z");
    const all = [...occurrences(shift, Date.parse("2020-01-01T00:00:00Z"), to)];
    assert.deepEqual(
      all.map(({ period }) => period),
      all.map((_, at) => at),
    );
    const late = [...occurrences(shift, Date.parse("2023-06-01T00:00:00Z"), to)];
    assert.deepEqual(late, all.slice(-late.length), recurrence.frequency);
    assert.ok(late.length > 0);
  }
});
