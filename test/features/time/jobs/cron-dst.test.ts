import assert from "node:assert/strict";
import test from "node:test";
import { cronTimes, readCron } from "../../../../src/features/time/schedules/cron/recurrence.ts";
import { shownTime, timesOf } from "./support/shown-times.ts";

const NEW_YORK = "America/New_York";
const BERLIN = "Europe/Berlin";
/** Sets its clocks by half an hour. */
const LORD_HOWE = "Australia/Lord_Howe";
/** Sets them at midnight. */
const BEIRUT = "Asia/Beirut";
/** By two hours. */
const TROLL = "Antarctica/Troll";
/** In the last hour of a day, so that a gap ends tomorrow. */
const NUUK = "America/Nuuk";
/** Back for Ramadan. */
const CASABLANCA = "Africa/Casablanca";

type Case = readonly [zone: string, day: string, pattern: string, times: readonly string[]];

/**
 * What patterns with fixed hours have on a day of the zone: instants, and wall times that do not
 * happen. The instants come from another implementation of the zones (Python's zoneinfo), minute by
 * minute.
 */
const FIXED_HOURS: readonly Case[] = [
  [NEW_YORK, "2026-03-08", "30 2 * * *", ["03-08T07:00Z moved 03:00"]],
  [NEW_YORK, "2026-03-09", "30 2 * * *", ["03-09T06:30Z"]],
  [NEW_YORK, "2026-03-08", "0 2 * * *", ["03-08T07:00Z moved 03:00"]],
  [NEW_YORK, "2026-03-08", "59 1 * * *", ["03-08T06:59Z"]],
  [NEW_YORK, "2026-03-08", "0 3 * * *", ["03-08T07:00Z"]],
  [NEW_YORK, "2026-03-08", "15,45 2 * * *", ["02:15 skipped", "02:45 skipped"]],
  [
    NEW_YORK,
    "2026-03-08",
    "*/20 1,2,3 * * *",
    [
      "03-08T06:00Z",
      "03-08T06:20Z",
      "03-08T06:40Z",
      "02:00 skipped",
      "02:20 skipped",
      "02:40 skipped",
      "03-08T07:00Z",
      "03-08T07:20Z",
      "03-08T07:40Z",
    ],
  ],
  [NEW_YORK, "2026-03-08", "30 1-4 * * *", ["03-08T06:30Z", "02:30 skipped", "03-08T07:30Z", "03-08T08:30Z"]],
  [NEW_YORK, "2026-03-08", "0 */6 * * *", ["03-08T05:00Z", "03-08T10:00Z", "03-08T16:00Z", "03-08T22:00Z"]],
  [NEW_YORK, "2026-11-01", "30 1 * * *", ["11-01T05:30Z"]],
  [
    NEW_YORK,
    "2026-11-01",
    "15,45 1 * * *",
    ["11-01T05:15Z", "11-01T05:45Z", "11-01T06:15Z repeated", "11-01T06:45Z repeated"],
  ],
  [NEW_YORK, "2026-11-01", "0 1,2 * * *", ["11-01T05:00Z", "11-01T06:00Z repeated", "11-01T07:00Z"]],
  [NEW_YORK, "2026-11-01", "59 0 * * *", ["11-01T04:59Z"]],
  [NEW_YORK, "2026-11-01", "0 2 * * *", ["11-01T07:00Z"]],
  [
    NEW_YORK,
    "2026-11-01",
    "0-30/15 1 * * *",
    [
      "11-01T05:00Z",
      "11-01T05:15Z",
      "11-01T05:30Z",
      "11-01T06:00Z repeated",
      "11-01T06:15Z repeated",
      "11-01T06:30Z repeated",
    ],
  ],
  [BERLIN, "2026-03-29", "30 2 * * *", ["03-29T01:00Z moved 03:00"]],
  [BERLIN, "2026-03-29", "0 2 * * *", ["03-29T01:00Z moved 03:00"]],
  [BERLIN, "2026-03-29", "0,30 2 * * *", ["02:00 skipped", "02:30 skipped"]],
  [BERLIN, "2026-03-29", "30 2-3 * * *", ["02:30 skipped", "03-29T01:30Z"]],
  [BERLIN, "2026-03-29", "15 3 * * *", ["03-29T01:15Z"]],
  [BERLIN, "2026-10-25", "30 2 * * *", ["10-25T00:30Z"]],
  [
    BERLIN,
    "2026-10-25",
    "*/30 2 * * *",
    ["10-25T00:00Z", "10-25T00:30Z", "10-25T01:00Z repeated", "10-25T01:30Z repeated"],
  ],
  [BERLIN, "2026-10-25", "0 3 * * *", ["10-25T02:00Z"]],
  [BERLIN, "2026-10-25", "20 2,4 * * *", ["10-25T00:20Z", "10-25T01:20Z repeated", "10-25T03:20Z"]],
  [LORD_HOWE, "2026-10-04", "15 2 * * *", ["10-03T15:30Z moved 02:30"]],
  [LORD_HOWE, "2026-10-04", "45 2 * * *", ["10-03T15:45Z"]],
  [LORD_HOWE, "2026-10-04", "*/15 2 * * *", ["02:00 skipped", "02:15 skipped", "10-03T15:30Z", "10-03T15:45Z"]],
  [LORD_HOWE, "2026-10-04", "0,29,30 2 * * *", ["02:00 skipped", "02:29 skipped", "10-03T15:30Z"]],
  [LORD_HOWE, "2026-04-05", "45 1 * * *", ["04-04T14:45Z"]],
  [LORD_HOWE, "2026-04-05", "15 1 * * *", ["04-04T14:15Z"]],
  [
    LORD_HOWE,
    "2026-04-05",
    "*/15 1 * * *",
    ["04-04T14:00Z", "04-04T14:15Z", "04-04T14:30Z", "04-04T14:45Z", "04-04T15:00Z repeated", "04-04T15:15Z repeated"],
  ],
  [LORD_HOWE, "2026-04-05", "40 1,2 * * *", ["04-04T14:40Z", "04-04T15:10Z repeated", "04-04T16:10Z"]],
  [BEIRUT, "2026-03-29", "30 0 * * *", ["03-28T22:00Z moved 01:00"]],
  [BEIRUT, "2026-03-29", "0 0 * * *", ["03-28T22:00Z moved 01:00"]],
  [BEIRUT, "2026-03-29", "0,30 0 * * *", ["00:00 skipped", "00:30 skipped"]],
  [BEIRUT, "2026-03-29", "0 0-2 * * *", ["00:00 skipped", "03-28T22:00Z", "03-28T23:00Z"]],
  [BEIRUT, "2026-10-24", "30 23 * * *", ["10-24T20:30Z"]],
  [
    BEIRUT,
    "2026-10-24",
    "0,30 23 * * *",
    ["10-24T20:00Z", "10-24T20:30Z", "10-24T21:00Z repeated", "10-24T21:30Z repeated"],
  ],
  [BEIRUT, "2026-10-25", "0 0 * * *", ["10-24T22:00Z"]],
  [TROLL, "2026-03-29", "30 1 * * *", ["03-29T01:00Z moved 03:00"]],
  [TROLL, "2026-03-29", "45 2 * * *", ["03-29T01:00Z moved 03:00"]],
  [TROLL, "2026-03-29", "0 1-3 * * *", ["01:00 skipped", "02:00 skipped", "03-29T01:00Z"]],
  [TROLL, "2026-03-29", "0 3 * * *", ["03-29T01:00Z"]],
  [TROLL, "2026-10-25", "30 1 * * *", ["10-24T23:30Z"]],
  [TROLL, "2026-10-25", "30 2 * * *", ["10-25T00:30Z"]],
  [
    TROLL,
    "2026-10-25",
    "30 1,2 * * *",
    ["10-24T23:30Z", "10-25T00:30Z", "10-25T01:30Z repeated", "10-25T02:30Z repeated"],
  ],
  [NUUK, "2026-03-28", "30 23 * * *", ["03-29T01:00Z moved 00:00"]],
  [NUUK, "2026-03-28", "0,30 23 * * *", ["23:00 skipped", "23:30 skipped"]],
  [NUUK, "2026-10-24", "30 23 * * *", ["10-25T00:30Z"]],
  [
    NUUK,
    "2026-10-24",
    "15,45 23 * * *",
    ["10-25T00:15Z", "10-25T00:45Z", "10-25T01:15Z repeated", "10-25T01:45Z repeated"],
  ],
  [CASABLANCA, "2026-03-22", "30 2 * * *", ["03-22T02:00Z moved 03:00"]],
  [CASABLANCA, "2026-02-15", "30 2 * * *", ["02-15T01:30Z"]],
];

/** Hourly and shorter, around the clock change: the first times after an instant. */
const EVERY_HOUR: readonly (readonly [zone: string, after: string, pattern: string, times: readonly string[]])[] = [
  [NEW_YORK, "2026-03-08T05:59:59Z", "*/30 * * * *", ["03-08T06:00Z", "03-08T06:30Z", "03-08T07:00Z", "03-08T07:30Z"]],
  [NEW_YORK, "2026-11-01T05:59:59Z", "0 * * * *", ["11-01T06:00Z repeated", "11-01T07:00Z", "11-01T08:00Z"]],
  [BERLIN, "2026-03-29T00:00:00Z", "15 * * * *", ["03-29T00:15Z", "03-29T01:15Z", "03-29T02:15Z"]],
  [BERLIN, "2026-10-25T00:00:00Z", "0 0-23 * * *", ["10-25T01:00Z repeated", "10-25T02:00Z", "10-25T03:00Z"]],
  [LORD_HOWE, "2026-10-03T14:50:00Z", "*/20 * * * *", ["10-03T15:10Z", "10-03T15:40Z", "10-03T16:00Z"]],
  [LORD_HOWE, "2026-04-04T14:20:00Z", "*/20 * * * *", ["04-04T14:40Z", "04-04T15:10Z repeated", "04-04T15:30Z"]],
  [BEIRUT, "2026-03-28T21:00:00Z", "0 * * * *", ["03-28T22:00Z", "03-28T23:00Z", "03-29T00:00Z"]],
  [TROLL, "2026-03-29T00:00:00Z", "30 * * * *", ["03-29T00:30Z", "03-29T01:30Z", "03-29T02:30Z"]],
  [
    TROLL,
    "2026-10-25T00:00:00Z",
    "30 * * * *",
    ["10-25T00:30Z", "10-25T01:30Z repeated", "10-25T02:30Z repeated", "10-25T03:30Z"],
  ],
];

for (const [zone, day, pattern, times] of FIXED_HOURS) {
  test(`8.5 ${pattern} on ${day} in ${zone}`, () => {
    assert.deepEqual(timesOf(pattern, zone, day), times);
  });
}

for (const [zone, after, pattern, times] of EVERY_HOUR) {
  test(`8.5 ${pattern} after ${after} in ${zone}`, () => {
    assert.deepEqual(firstTimes(pattern, zone, after, times.length), times);
  });
}

test("8.5 a time that was moved after a gap is the usual one the next day", () => {
  assert.deepEqual(firstTimes("30 2 * * *", NEW_YORK, "2026-03-07T12:00:00Z", 3), [
    "03-08T07:00Z moved 03:00",
    "03-09T06:30Z",
    "03-10T06:30Z",
  ]);
});

test("8.5 a search from within the second pass of an overlap returns the rest of it", () => {
  const after = "2026-11-01T06:20:00Z";
  assert.deepEqual(firstTimes("15,45 1 * * *", NEW_YORK, after, 2), ["11-01T06:45Z repeated", "11-02T06:15Z"]);
  assert.deepEqual(firstTimes("30 1 * * *", NEW_YORK, after, 1), ["11-02T06:30Z"]);
});

test("8.5 several seconds in one minute are several times: in a gap they do not run", () => {
  const local = "2026-03-08T02:30:00";
  const [first, second] = cronTimes(readCron("0,30 30 2 * * *"), NEW_YORK, Date.parse("2026-03-08T00:00Z"));
  assert.deepEqual(first, { at: Date.parse("2026-03-08T07:00Z"), local: Date.parse(`${local}Z`), dst: "skipped" });
  assert.equal(second?.dst, "skipped");
});

function firstTimes(pattern: string, zone: string, after: string, count: number): string[] {
  const times: string[] = [];
  for (const occurrence of cronTimes(readCron(pattern), zone, Date.parse(after))) {
    times.push(shownTime(occurrence));
    if (times.length === count) break;
  }
  return times;
}
