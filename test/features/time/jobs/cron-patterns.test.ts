import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { PrismError } from "../../../../src/core/errors.ts";
import { cronTimes, readCron, recurrenceOf } from "../../../../src/features/time/schedules/cron/recurrence.ts";

const NOW = Date.parse("2026-01-01T00:00:00Z");

/** Patterns that people write, and their first times in UTC from 2026 on. */
const READ: readonly (readonly [pattern: string, ...first: string[]])[] = [
  ["*/15 * * * *", "2026-01-01T00:15:00", "2026-01-01T00:30:00"],
  ["5 4 * * *", "2026-01-01T04:05:00"],
  ["10 5 4 * * *", "2026-01-01T04:05:10"],
  ["*/20 * * * * *", "2026-01-01T00:00:20"],
  ["0 9 * * MON-FRI", "2026-01-01T09:00:00", "2026-01-02T09:00:00", "2026-01-05T09:00:00"],
  ["0 9 * * 1-5", "2026-01-01T09:00:00"],
  ["0 0 * JAN,jul SUN", "2026-01-04T00:00:00"],
  ["0 0 * * 7", "2026-01-04T00:00:00"],
  ["0 0 * * sat-sun", "2026-01-03T00:00:00", "2026-01-04T00:00:00"],
  ["0 0 L * *", "2026-01-31T00:00:00", "2026-02-28T00:00:00"],
  ["0 0 LW * *", "2026-01-30T00:00:00"],
  ["0 0 17W * *", "2026-01-16T00:00:00"],
  ["0 0 * * FRI#2", "2026-01-09T00:00:00"],
  ["0 0 * * MON#L", "2026-01-26T00:00:00"],
  ["0 0 * * MONL", "2026-01-26T00:00:00"],
  ["0 0 13 * FRI", "2026-01-02T00:00:00", "2026-01-09T00:00:00", "2026-01-13T00:00:00"],
  ["0 0 13 * +FRI", "2026-02-13T00:00:00", "2026-03-13T00:00:00"],
  ["0 12 ? * MON", "2026-01-05T12:00:00"],
  ["0 0 29 2 *", "2028-02-29T00:00:00"],
  ["0 0 29 2 +MON", "2044-02-29T00:00:00"],
  ["10-30/10 * * * *", "2026-01-01T00:10:00"],
  ["  0   6\t* * *  ", "2026-01-01T06:00:00"],
  ["@hourly", "2026-01-01T01:00:00"],
  ["@Daily", "2026-01-02T00:00:00"],
  ["@midnight", "2026-01-02T00:00:00"],
  ["@weekly", "2026-01-04T00:00:00"],
  ["@monthly", "2026-02-01T00:00:00"],
  ["@yearly", "2027-01-01T00:00:00"],
  ["@annually", "2027-01-01T00:00:00"],
];

for (const [pattern, ...first] of READ) {
  test(`reads ${JSON.stringify(pattern)}`, () => {
    const times = cronTimes(readCron(pattern), "UTC", NOW);
    const shown = first.map(() => new Date(times.next().value?.at ?? 0).toISOString().slice(0, 19));
    assert.deepEqual(shown, first);
  });
}

/** What is refused, and what is said of it. */
const REFUSED: readonly (readonly [pattern: string, message: string])[] = [
  ["", "it has 0 fields; give 5 (minute hour day month weekday) or 6 (second first)"],
  ["* * * *", "it has 4 fields; give 5 (minute hour day month weekday) or 6 (second first)"],
  ["* * * * * * * *", "it has 8 fields; give 5 (minute hour day month weekday) or 6 (second first)"],
  ["0 0 0 1 1 * 2030", "it has 7 fields; a year cannot be given"],
  ["60 * * * *", "minute: 60 is not 0 to 59"],
  ["99 0 0 1 1 *", "second: 99 is not 0 to 59"],
  ["0 24 * * *", "hour: 24 is not 0 to 23"],
  ["0 0 0 * *", "day of month: 0 is not 1 to 31"],
  ["0 0 32 * *", "day of month: 32 is not 1 to 31"],
  ["0 0 * 13 *", "month: 13 is not 1 to 12"],
  ["0 0 * * 8", "day of week: 8 is not 0 to 7"],
  ["0 0 * mai *", 'month: "mai" is not 1 to 12 or JAN to DEC'],
  ["0 0 * * monday", 'day of week: "monday" is not 0 to 7 or SUN to SAT'],
  ["5* * * * *", 'minute: "5*" is not 0 to 59'],
  ["1,,2 * * * *", 'minute: "" is not 0 to 59'],
  ["-5 * * * *", 'minute: "" is not 0 to 59'],
  ["1-2-3 * * * *", 'minute: "1-2-3" is not a range'],
  ["30-10 * * * *", 'minute: the range "30-10" runs backwards'],
  ["0 0 * * FRI-MON", 'day of week: the range "FRI-MON" runs backwards'],
  ["*/0 * * * *", 'minute: "*/0": the step must be 1 to 60'],
  ["*/61 * * * *", 'minute: "*/61": the step must be 1 to 60'],
  ["*/5/5 * * * *", 'minute: "*/5/5" has more than one step'],
  ["5/15 * * * *", 'minute: "5/15": a step needs * or a range before it, such as */15 or 0-59/15'],
  ["0 0 L-3 * *", 'day of month: "L" is not 1 to 31'],
  ["0 0 40W * *", "day of month: 40 is not 1 to 31"],
  ["0 0 * * 5#6", 'day of week: "5#6": after # use 1 to 5 or L'],
  ["0 0 * * L", 'day of week: "L" is not 0 to 7 or SUN to SAT'],
  ["0 0 * * +", 'day of week: "+" is not 0 to 7 or SUN to SAT'],
  ["@reboot", "@reboot is not one of @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly"],
  ["2030-01-01T00:00:00Z", "it has 1 fields; give 5 (minute hour day month weekday) or 6 (second first)"],
  ["0 0 30 2 *", "no day of the calendar fits it"],
  ["0 0 31 4,6,9,11 *", "no day of the calendar fits it"],
  ["0 0 1 * +MON#5", "no day of the calendar fits it"],
  [`${"0,".repeat(300)}0 * * * *`, "it is longer than 512 characters"],
];

for (const [pattern, message] of REFUSED) {
  test(`refuses ${JSON.stringify(pattern.slice(0, 40))}: ${message}`, () => {
    assert.throws(
      () => readCron(pattern),
      (error) => {
        assert.ok(error instanceof PrismError);
        assert.deepEqual(
          [error.code, error.details],
          ["INVALID_CRON", [{ path: "cron", code: "INVALID_CRON", message }]],
        );
        return true;
      },
    );
  });
}

test("a pattern all of whose times fall into the gap of its zone is refused there, and nowhere else", () => {
  const rule = { cron: "0,30 2 * 3 +SUN#2", timezone: "America/New_York" };
  assert.throws(() => recurrenceOf(rule, NOW), { code: "INVALID_CRON" });
  const times = recurrenceOf({ ...rule, timezone: "Europe/Berlin" }, NOW);
  assert.equal(new Date(times.nextRun(NOW) ?? 0).toISOString(), "2026-03-08T01:00:00.000Z");
});

test("any text is parsed or refused, without another error", () => {
  const piece = fc.constantFrom(..."0123456789*/,-#+LW? @", "MON", "JAN", "59", "1-5", "*/2", "2#1");
  const garbage = fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join(""));
  const almost = fc.array(fc.array(piece, { minLength: 1, maxLength: 3 }), { minLength: 5, maxLength: 6 });
  const patterns = fc.oneof(
    garbage,
    almost.map((fields) => fields.map((field) => field.join("")).join(" ")),
    fc.string(),
  );
  fc.assert(
    fc.property(patterns, (text) => {
      try {
        assert.ok(cronTimes(readCron(text), "Europe/Berlin", NOW).next().value);
      } catch (error) {
        assert.equal((error as PrismError).code, "INVALID_CRON", `${text}: ${error}`);
      }
    }),
    { numRuns: 2000 },
  );
});
