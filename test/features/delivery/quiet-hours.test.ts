import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { zoneOffsetMs } from "../../../src/core/time/clock.ts";
import { quietUntil } from "../../../src/features/delivery/deliveries.ts";

const BERLIN = "Europe/Berlin";
const NIGHT = { from: "22:00", to: "07:00" };

for (const row of [
  { name: "in the evening they end the next morning", at: "2026-01-10T21:00:00Z", until: "2026-01-11T06:00:00.000Z" },
  { name: "after midnight they end the same morning", at: "2026-01-11T01:30:00Z", until: "2026-01-11T06:00:00.000Z" },
  { name: "their first moment is quiet", at: "2026-07-10T20:00:00Z", until: "2026-07-11T05:00:00.000Z" },
  { name: "a moment before is not", at: "2026-07-10T19:59:59.999Z", until: null },
  { name: "their end is not", at: "2026-07-10T05:00:00Z", until: null },
  {
    name: "the night in which clocks go forward is an hour shorter",
    at: "2026-03-28T22:00:00Z",
    until: "2026-03-29T05:00:00.000Z",
  },
  {
    name: "the night in which they go back is an hour longer",
    at: "2026-10-24T21:00:00Z",
    until: "2026-10-25T06:00:00.000Z",
  },
  {
    name: "an end that the gap skips is the end of the gap",
    at: "2026-03-29T00:30:00Z",
    hours: { from: "22:00", to: "02:30" },
    until: "2026-03-29T01:00:00.000Z",
  },
  {
    name: "an end that comes twice ends them the first time",
    at: "2026-10-24T23:00:00Z",
    hours: { from: "22:00", to: "02:30" },
    until: "2026-10-25T00:30:00.000Z",
  },
  {
    name: "an hour that comes again is quiet again",
    at: "2026-10-25T01:10:00Z",
    hours: { from: "22:00", to: "02:30" },
    until: "2026-10-25T01:30:00.000Z",
  },
  {
    name: "an end at the moment in which clocks go back comes with its second time",
    at: "2026-10-25T00:30:00Z",
    hours: { from: "22:00", to: "03:00" },
    until: "2026-10-25T02:00:00.000Z",
  },
  {
    name: "by day they need no midnight",
    at: "2026-01-10T11:00:00Z",
    hours: { from: "12:00", to: "14:00" },
    until: "2026-01-10T13:00:00.000Z",
  },
  {
    name: "from a time to itself is empty",
    at: "2026-01-10T11:00:00Z",
    hours: { from: "12:00", to: "12:00" },
    until: null,
  },
]) {
  test(`quiet hours in Berlin: ${row.name}`, () => {
    const until = quietUntil(Date.parse(row.at), BERLIN, row.hours ?? NIGHT);
    assert.equal(until === null ? null : new Date(until).toISOString(), row.until);
  });
}

test("quiet hours end at the first moment that is not quiet, wherever and whenever", () => {
  const time = fc
    .tuple(fc.integer({ min: 0, max: 23 }), fc.constantFrom(0, 15, 30, 59))
    .map(([hour, minute]) => `${String(hour).padStart(2, "0")}:${String(minute).padStart(2, "0")}`);
  const zone = fc.constantFrom(
    BERLIN,
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "UTC",
    "Africa/Casablanca",
  );
  const start = Date.UTC(2026, 0, 1);
  fc.assert(
    fc.property(zone, time, time, fc.integer({ min: 0, max: 364 * 1440 }), (timezone, from, to, minute) => {
      const at = start + minute * 60_000;
      const isQuiet = (instant: number): boolean => {
        const wall = new Date(instant + zoneOffsetMs(timezone, instant)).toISOString().slice(11, 16);
        return from <= to ? from <= wall && wall < to : from <= wall || wall < to;
      };
      let expected: number | null = null;
      if (isQuiet(at)) {
        expected = at;
        while (isQuiet(expected)) expected += 60_000;
      }
      assert.equal(quietUntil(at, timezone, { from, to }), expected);
    }),
    { numRuns: 100 },
  );
});
