import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  isWithin,
  nextChange,
  parseTimeInterval,
  parseTimeIntervals,
} from "../../../../src/features/alerts/model/time-intervals.ts";
import { durationText, parseAlertTime, parsePrometheusDuration } from "../../../../src/features/alerts/model/times.ts";

test("durations are those of Prometheus", () => {
  const cases: [string, number | undefined][] = [
    ["0", 0],
    ["30s", 30_000],
    ["1h30m", 5_400_000],
    ["1d", 86_400_000],
    ["1w", 604_800_000],
    ["1y", 31_536_000_000],
    ["1m500ms", 60_500],
    ["", undefined],
    ["30", undefined],
    ["1m1h", undefined],
    ["1.5h", undefined],
    ["-1m", undefined],
    ["99999999999999y", undefined],
  ];
  for (const [text, ms] of cases) assert.equal(parsePrometheusDuration(text), ms, text);
  for (const [ms, text] of [
    [0, "0s"],
    [90_000, "1m30s"],
    [604_800_000, "1w"],
    [691_200_000, "8d"],
    [14_400_000, "4h"],
    [1, "1ms"],
  ] as const)
    assert.equal(durationText(ms), text);
  fc.assert(fc.property(fc.nat(1e12), (ms) => parsePrometheusDuration(durationText(ms)) === ms));
});

test("times are read in every form that Alertmanager accepts", () => {
  const at = (text: string) => Date.parse(text);
  const cases: [string, number | null | undefined][] = [
    ["2026-11-21T10:00:00Z", at("2026-11-21T10:00:00Z")],
    ["2026-11-21T10:00:00.123456789Z", at("2026-11-21T10:00:00.123Z")],
    ["2026-11-21T10:00:00+02:00", at("2026-11-21T08:00:00Z")],
    ["2026-11-21T10:00:00.5+0200", at("2026-11-21T08:00:00.500Z")],
    ["2026-11-21T10:00:00", at("2026-11-21T10:00:00Z")],
    ["2026-11-21T10:00Z", at("2026-11-21T10:00:00Z")],
    ["2026-11-21T10:00", at("2026-11-21T10:00:00Z")],
    ["2026-11-21 10:00:00", at("2026-11-21T10:00:00Z")],
    ["2026-11-21", at("2026-11-21T00:00:00Z")],
    ["", 0],
    ["0001-01-01T00:00:00.000Z", null],
    ["0001-01-01T00:00:00Z", null],
    ["2026-02-30", undefined],
    ["2026-11-21T25:00:00Z", undefined],
    ["tomorrow", undefined],
    ["2026-11-21T10:00:00.5 Z", undefined],
  ];
  for (const [text, expected] of cases) assert.equal(parseAlertTime(text), expected, text);
});

const nights = parseTimeIntervals([
  { times: [{ start_time: "22:00", end_time: "24:00" }], weekdays: ["monday:friday"], location: "Europe/Berlin" },
  { times: [{ start_time: "00:00", end_time: "06:00" }], location: "Europe/Berlin" },
]);

test("a time interval contains the local times that all its members contain", () => {
  const cases: [unknown, string, boolean][] = [
    [{}, "2026-11-21T10:00:00Z", true],
    [{ times: [{ start_time: "09:00", end_time: "10:00" }] }, "2026-11-21T09:59:59Z", true],
    [{ times: [{ start_time: "09:00", end_time: "10:00" }] }, "2026-11-21T10:00:00Z", false],
    [
      { times: [{ start_time: "09:00", end_time: "17:00" }], location: "America/New_York" },
      "2026-11-21T13:59:00Z",
      false,
    ],
    [
      { times: [{ start_time: "09:00", end_time: "17:00" }], location: "America/New_York" },
      "2026-11-21T14:00:00Z",
      true,
    ],
    [{ weekdays: ["saturday", "sunday"] }, "2026-11-21T10:00:00Z", true],
    [{ weekdays: ["Monday:Friday"] }, "2026-11-21T10:00:00Z", false],
    [{ days_of_month: ["-1"] }, "2028-02-29T10:00:00Z", true],
    [{ days_of_month: ["-7:-1"] }, "2026-11-23T10:00:00Z", false],
    [{ days_of_month: ["1:5", "21"] }, "2026-11-21T10:00:00Z", true],
    [{ days_of_month: ["29:31"] }, "2027-02-28T10:00:00Z", false],
    [{ months: ["november"] }, "2026-11-21T10:00:00Z", true],
    [{ months: ["1:3", "11"] }, "2026-11-21T10:00:00Z", true],
    [{ months: [12] }, "2026-11-21T10:00:00Z", false],
    [{ years: ["2026:2027"] }, "2026-11-21T10:00:00Z", true],
    [{ years: [2027] }, "2026-11-21T10:00:00Z", false],
    [{ weekdays: ["saturday"], years: [2027] }, "2026-11-21T10:00:00Z", false],
  ];
  for (const [given, at, expected] of cases)
    assert.equal(isWithin([parseTimeInterval(given)], Date.parse(at)), expected, `${JSON.stringify(given)} at ${at}`);
  assert.ok(isWithin(nights, Date.parse("2026-11-20T21:30:00Z")));
  assert.ok(!isWithin(nights, Date.parse("2026-11-21T21:30:00Z")), "not on a Saturday");
});

test("an invalid time interval is refused with the reason", () => {
  const cases: [unknown, RegExp][] = [
    ["monday", /must be an object/],
    [{ day: 1 }, /no member "day"/],
    [{ times: "09:00" }, /times must be a list/],
    [{ times: [{ start_time: "9:00", end_time: "10:00" }] }, /"9:00" is not a time of day/],
    [{ times: [{ start_time: "22:00", end_time: "06:00" }] }, /start_time must be before end_time/],
    [{ weekdays: ["friday:monday"] }, /runs backwards/],
    [{ weekdays: ["mon"] }, /"mon" is not a weekday/],
    [{ days_of_month: ["0"] }, /not a day of the month/],
    [{ days_of_month: ["-1:3"] }, /run backwards/],
    [{ days_of_month: ["28:-1"] }, /run backwards/],
    [{ days_of_month: ["-5:-7"] }, /run backwards/],
    [{ months: ["13"] }, /not a month/],
    [{ years: ["x"] }, /not a year/],
    [{ location: "Mars/Olympus" }, /not a time zone/],
  ];
  for (const [given, problem] of cases) assert.throws(() => parseTimeInterval(given), problem);
});

test("nextChange is the first instant with another answer", () => {
  const next = (at: string, given = nights) => new Date(nextChange(given, Date.parse(at))).toISOString();
  assert.equal(next("2026-11-20T12:00:00Z"), "2026-11-20T21:00:00.000Z");
  assert.equal(next("2026-11-20T21:00:00Z"), "2026-11-21T05:00:00.000Z", "two intervals that touch are one span");
  assert.equal(next("2026-11-21T05:00:00Z"), "2026-11-21T23:00:00.000Z", "no evening on a Saturday");
  assert.equal(next("2026-03-28T23:30:00Z"), "2026-03-29T04:00:00.000Z", "an hour less when the clocks go forward");
  assert.equal(next("2026-10-24T22:30:00Z"), "2026-10-25T05:00:00.000Z", "an hour more when they go back");
  const hour = parseTimeIntervals([{ times: [{ start_time: "02:15", end_time: "02:45" }], location: "Europe/Berlin" }]);
  assert.equal(next("2026-03-28T12:00:00Z", hour), "2026-03-30T00:15:00.000Z", "02:15 does not exist on that day");
  assert.equal(next("2026-10-25T00:45:00Z", hour), "2026-10-25T01:15:00.000Z", "02:15 happens twice");
  const year = parseTimeIntervals([{ years: ["2030"] }]);
  assert.equal(next("2026-01-01T00:00:00Z", year), "2027-02-05T00:00:00.000Z", "looked at again after 400 days");
});

test("a search among very many ranges ends early, where nothing has changed", () => {
  const times = Array.from({ length: 720 }, (_, n) => {
    const at = (minute: number) =>
      `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;
    return { start_time: at(2 * n), end_time: at(2 * n + 1) };
  });
  const many = parseTimeIntervals(Array.from({ length: 100 }, () => ({ times, years: ["2099"] })));
  const at = Date.parse("2026-01-01T00:00:00Z");
  const change = nextChange(many, at);
  assert.ok(change > at && change < at + 86_400_000, new Date(change).toISOString());
  const month = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"];
  const days = parseTimeIntervals(month.map((each) => ({ months: [each], days_of_month: ["31"], years: ["2026"] })));
  assert.equal(new Date(nextChange(days, Date.parse("2026-11-01T00:00:00Z"))).getUTCFullYear(), 2027);
});

test("nothing changes before nextChange", () => {
  const start = Date.parse("2026-10-20T00:00:00Z");
  fc.assert(
    fc.property(
      fc.nat(14 * 24 * 60),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (minutes, part) => {
        const at = start + minutes * 60_000;
        const change = nextChange(nights, at);
        assert.equal(isWithin(nights, at + Math.floor((change - at) * part)), isWithin(nights, at));
        assert.notEqual(isWithin(nights, change), isWithin(nights, at));
      },
    ),
  );
});
