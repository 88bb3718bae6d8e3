import assert from "node:assert/strict";
import test from "node:test";
import { Cron as Croner } from "croner";
import fc from "fast-check";
import { Recurrence } from "../../../../src/features/time/schedules/cron/recurrence.ts";

/** docs/decisions/croner.md: where croner's times of a whole pattern in its zone differ. */
const ZONES = [
  ...["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Beirut", "Antarctica/Troll"],
  ...["Africa/Casablanca", "Africa/Cairo", "Pacific/Chatham", "America/St_Johns"],
];
/** Days of 2026 on which one of the zones sets its clocks, and the days beside them. */
const SET_DAYS = [
  ...["02-15", "03-08", "03-22", "03-28", "03-29", "04-04", "04-24", "09-26", "10-03", "10-24", "10-29", "11-01"],
];
const COUNT = 5;

function field(min: number, max: number, starWeight: number): fc.Arbitrary<string> {
  const value = fc.integer({ min, max });
  const list = fc.uniqueArray(value, { minLength: 1, maxLength: 3 }).map((values) => values.join(","));
  const range = fc.tuple(value, value).map(([a, b]) => (a === b ? `${a}` : `${Math.min(a, b)}-${Math.max(a, b)}`));
  const step = fc.integer({ min: 1, max: max - min + 1 }).map((each) => `${min}-${max}/${each}`);
  return fc.oneof({ weight: starWeight, arbitrary: fc.constant("*") }, { weight: 3, arbitrary: list }, range, step);
}

function ourTimes(cron: string, timezone: string, from: number): (number | null)[] {
  const recurrence = new Recurrence({ cron, timezone });
  const times: (number | null)[] = [];
  for (let at: number | null = from; times.length < COUNT && at !== null; times.push(at)) at = recurrence.nextRun(at);
  return times;
}

function cronerTimes(cron: string, timezone: string, from: number): (number | null)[] {
  const times = new Croner(cron, { timezone, mode: "5-or-6-parts" }).nextRuns(COUNT, new Date(from));
  return times.map((date) => date.getTime());
}

/** The next 28 February, in every zone. */
function endOfFebruary(from: number): number {
  const year = new Date(from).getUTCFullYear();
  const end = Date.UTC(year, 1, 28);
  return from < end ? end : Date.UTC(year + 1, 1, 28);
}

test("next times in zones that set their clocks are croner's, on days that every month has", () => {
  fc.assert(
    fc.property(
      fc.tuple(field(0, 59, 1), field(0, 23, 2), field(1, 28, 7), field(1, 12, 12), field(0, 6, 7)),
      fc.option(field(0, 59, 1), { freq: 4, nil: undefined }),
      fc.constantFrom(...ZONES),
      fc.constantFrom(...SET_DAYS),
      fc.integer({ min: -720, max: 1440 }),
      (fields, second, zone, day, minutes) => {
        const text = [...(second === undefined ? [] : [second]), ...fields].join(" ");
        const from = Date.parse(`2026-${day}T00:00:00Z`) + minutes * 60_000;
        // Of both a day and a weekday croner leaves out the first days of March, see below.
        const until = fields[2] === "*" || fields[4] === "*" ? Number.POSITIVE_INFINITY : endOfFebruary(from);
        const [ours, theirs] = [ourTimes(text, zone, from), cronerTimes(text, zone, from)].map((times) =>
          times.filter((at) => (at ?? 0) < until),
        );
        assert.deepEqual(ours, theirs, `${text} in ${zone} after ${from}`);
      },
    ),
    { numRuns: 10_000 },
  );
});

test("a time whose gap ends on the next day runs at the end of the gap; croner leaves it out", () => {
  const from = Date.parse("2026-03-28T02:00:00Z");
  const first = (times: readonly (number | null)[]) => new Date(times[0] ?? 0).toISOString();
  assert.equal(first(ourTimes("0 23 * * *", "America/Nuuk", from)), "2026-03-29T01:00:00.000Z");
  assert.equal(first(cronerTimes("0 23 * * *", "America/Nuuk", from)), "2026-03-30T00:00:00.000Z");
});

test("croner leaves out the first days of March beside days that February does not have", () => {
  const from = Date.parse("2026-02-15T00:00:00Z");
  const first = (times: readonly (number | null)[]) => new Date(times[0] ?? 0).toISOString();
  for (const days of ["30,1", "*/29", "1,31"]) {
    assert.equal(first(ourTimes(`0 9 ${days} * *`, "UTC", from)), "2026-03-01T09:00:00.000Z", days);
    assert.notEqual(first(cronerTimes(`0 9 ${days} * *`, "UTC", from)), "2026-03-01T09:00:00.000Z", days);
  }
  const late = Date.parse("2026-02-28T00:00:00Z");
  assert.equal(first(ourTimes("0 9 1 * 1", "UTC", late)), "2026-03-01T09:00:00.000Z", "a day and a weekday");
  assert.notEqual(first(cronerTimes("0 9 1 * 1", "UTC", late)), "2026-03-01T09:00:00.000Z", "a day and a weekday");
});
