import assert from "node:assert/strict";
import test from "node:test";
import type { PrismError } from "../../../../src/core/errors.ts";
import {
  bordersBetween,
  NO_END,
  nextBorderAt,
  requireWindows,
  type SilenceTimes,
  spanAt,
  spansFrom,
  stateAt,
} from "../../../../src/features/alerts/silences/spans.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const at = (text: string): number => Date.parse(text);
const single = (from: string, to: string): SilenceTimes => ({ startsAt: at(from), endsAt: at(to), recurrence: null });
const nightly = (from: string, more: Partial<SilenceTimes> = {}): SilenceTimes => ({
  startsAt: at(from),
  endsAt: NO_END,
  recurrence: { cron: "0 22 * * *", durationMs: 8 * HOUR, timezone: "Europe/Berlin" },
  ...more,
});
const shown = (span: { startsAt: number; endsAt: number } | null) =>
  span && [new Date(span.startsAt).toISOString(), new Date(span.endsAt).toISOString()];
const kinds = (times: SilenceTimes, after: number, now: number) =>
  bordersBetween(times, after, now).map(({ kind, at: when }) => `${kind} ${new Date(when).toISOString()}`);

test("a silence is pending, active from its start, and expired from its end", () => {
  const times = single("2026-06-01T10:00:00Z", "2026-06-01T12:00:00Z");
  const states = ["09:59:59.999", "10:00:00.000", "11:59:59.999", "12:00:00.000"].map((time) =>
    stateAt(times, at(`2026-06-01T${time}Z`)),
  );
  assert.deepEqual(states, ["pending", "active", "active", "expired"]);
});

test("a recurring silence is active in its windows and pending between them, until its end", () => {
  const times = nightly("2026-06-01T00:00:00Z", { endsAt: at("2026-06-03T21:00:00Z") });
  const state = (text: string) => stateAt(times, at(text));
  assert.equal(state("2026-06-01T19:59:59Z"), "pending");
  assert.equal(state("2026-06-01T20:00:00Z"), "active");
  assert.equal(state("2026-06-02T03:59:59Z"), "active");
  assert.equal(state("2026-06-02T04:00:00Z"), "pending");
  assert.deepEqual(
    [...spansFrom(times, at("2026-06-01T12:00:00Z"))].map(shown),
    [
      ["2026-06-01T20:00:00.000Z", "2026-06-02T04:00:00.000Z"],
      ["2026-06-02T20:00:00.000Z", "2026-06-03T04:00:00.000Z"],
      ["2026-06-03T20:00:00.000Z", "2026-06-03T21:00:00.000Z"],
    ],
    "the last window ends with the silence",
  );
  assert.equal(state("2026-06-03T21:00:00Z"), "expired");
});

test("a window that began before the silence does not count", () => {
  const times = nightly("2026-06-01T21:00:00Z");
  assert.equal(stateAt(times, at("2026-06-01T22:00:00Z")), "pending");
  assert.deepEqual(shown(spanAt(times, at("2026-06-01T22:00:00Z"))), [
    "2026-06-02T20:00:00.000Z",
    "2026-06-03T04:00:00.000Z",
  ]);
});

test("windows follow the wall clock of their zone, and last their duration, when clocks change", () => {
  const winter = nightly("2026-03-27T12:00:00Z");
  assert.deepEqual(
    [...take(spansFrom(winter, at("2026-03-27T12:00:00Z")), 3)].map(shown),
    [
      ["2026-03-27T21:00:00.000Z", "2026-03-28T05:00:00.000Z"],
      ["2026-03-28T21:00:00.000Z", "2026-03-29T05:00:00.000Z"],
      ["2026-03-29T20:00:00.000Z", "2026-03-30T04:00:00.000Z"],
    ],
    "22:00 is an hour earlier in UTC from 29 March",
  );
  const gap = nightly("2026-03-28T12:00:00Z", {
    recurrence: { cron: "30 2 * * *", durationMs: HOUR, timezone: "Europe/Berlin" },
  });
  assert.deepEqual(
    shown(spanAt(gap, at("2026-03-28T12:00:00Z"))),
    ["2026-03-29T01:00:00.000Z", "2026-03-29T02:00:00.000Z"],
    "02:30 does not exist; the window starts when the gap ends",
  );
  const overlap = nightly("2026-10-24T12:00:00Z", {
    recurrence: { cron: "30 2 * * *", durationMs: HOUR, timezone: "Europe/Berlin" },
  });
  assert.deepEqual(
    [...take(spansFrom(overlap, at("2026-10-24T12:00:00Z")), 2)].map(shown),
    [
      ["2026-10-25T00:30:00.000Z", "2026-10-25T01:30:00.000Z"],
      ["2026-10-26T01:30:00.000Z", "2026-10-26T02:30:00.000Z"],
    ],
    "02:30 occurs twice; the window starts once",
  );
});

/** Local times of a zone: Saturday 2027-03-27 to Monday, in which clocks go forward. */
const BERLIN = new Intl.DateTimeFormat("sv", { timeZone: "Europe/Berlin", dateStyle: "short", timeStyle: "short" });
const local = (rule: { cron: string; durationMs?: number; until?: string }, from: string) => {
  const times = nightly(from, { recurrence: { ...rule, timezone: "Europe/Berlin" } });
  const span = spanAt(times, at(from));
  return span && [BERLIN.format(span.startsAt), BERLIN.format(span.endsAt)];
};

test("24 hours are a day of the calendar, and until is a time of the clock, when clocks change", () => {
  const weekend = { cron: "0 0 * * 6", durationMs: 2 * DAY };
  assert.deepEqual(local(weekend, "2027-03-26T12:00:00Z"), ["2027-03-27 00:00", "2027-03-29 00:00"]);
  assert.deepEqual(local(weekend, "2027-10-29T12:00:00Z"), ["2027-10-30 00:00", "2027-11-01 00:00"]);
  const night = { cron: "0 22 * * *", until: "06:00" };
  assert.deepEqual(local(night, "2027-03-27T12:00:00Z"), ["2027-03-27 22:00", "2027-03-28 06:00"]);
  assert.deepEqual(local(night, "2027-10-30T12:00:00Z"), ["2027-10-30 22:00", "2027-10-31 06:00"]);
  assert.deepEqual(local({ ...night, until: "24:00" }, "2027-10-30T12:00:00Z"), [
    "2027-10-30 22:00",
    "2027-10-31 00:00",
  ]);
  assert.deepEqual(
    local({ cron: "0 1 * * 0", until: "02:30" }, "2027-03-27T12:00:00Z"),
    ["2027-03-28 01:00", "2027-03-28 03:30"],
    "02:30 is skipped",
  );
  const day = { cron: "0 8 * * 6", until: "08:00" };
  assert.deepEqual(local(day, "2027-03-26T12:00:00Z"), ["2027-03-27 08:00", "2027-03-28 08:00"]);
});

test("windows that touch are one, from whichever moment it is looked at", () => {
  const weekdays = { cron: "0 0 * * 1-5", durationMs: DAY, timezone: "Europe/Berlin" };
  for (const rule of [weekdays, { cron: "0 0 * * 1-5", until: "00:00", timezone: "Europe/Berlin" }]) {
    requireWindows(rule, at("2026-06-01T00:00:00Z"));
    const times = nightly("2026-05-01T00:00:00Z", { recurrence: rule });
    const week = ["2026-06-07T22:00:00.000Z", "2026-06-12T22:00:00.000Z"];
    for (const day of ["06T12", "08T00", "10T12", "12T21"])
      assert.deepEqual(shown(spanAt(times, at(`2026-06-${day}:00:00Z`))), week);
    assert.deepEqual(kinds(times, at("2026-06-07T00:00:00Z"), at("2026-06-13T00:00:00Z")), [
      `started ${week[0]}`,
      `ended ${week[1]}`,
    ]);
    assert.equal(stateAt(times, at("2026-06-13T12:00:00Z")), "pending");
  }
  const hours = { cron: "0 * * * 1-5", durationMs: HOUR, timezone: "UTC" };
  requireWindows(hours, at("2026-06-01T00:00:00Z"));
  assert.deepEqual(shown(spanAt(nightly("2026-05-01T00:00:00Z", { recurrence: hours }), at("2026-06-12T23:30:00Z"))), [
    "2026-06-08T00:00:00.000Z",
    "2026-06-13T00:00:00.000Z",
  ]);
  const lateStart = nightly("2026-06-10T12:00:00Z", { recurrence: weekdays });
  assert.deepEqual(shown(spanAt(lateStart, at("2026-06-12T12:00:00Z")))?.[0], "2026-06-10T22:00:00.000Z");
});

test("windows without a break are refused, and windows that a clock change joins are not", () => {
  const daily = { cron: "0 12 * * *", durationMs: DAY - 30 * 60_000, timezone: "Europe/Berlin" };
  requireWindows(daily, at("2026-03-01T00:00:00Z"));
  const times = nightly("2026-03-27T00:00:00Z", { recurrence: daily });
  assert.deepEqual(shown(spanAt(times, at("2026-03-28T12:00:00Z"))), [
    "2026-03-28T11:00:00.000Z",
    "2026-03-30T09:30:00.000Z",
  ]);
  const hourly = { cron: "0 * * * *", durationMs: HOUR, timezone: "UTC" };
  for (const rule of [
    hourly,
    { ...hourly, cron: "* * * * *", durationMs: 60_000 },
    { ...hourly, cron: "0 0 * * *", durationMs: DAY },
    { ...hourly, cron: "0 0 1 * *", durationMs: 31 * DAY },
  ])
    assert.throws(
      () => requireWindows(rule, 0),
      (error: PrismError) => {
        assert.deepEqual(
          [error.code, error.details?.[0]?.path],
          ["VALIDATION_FAILED", "recurrence.durationMs"],
          rule.cron,
        );
        return true;
      },
    );
  const untilNext = { cron: "0 6 * * *", until: "06:00", timezone: "UTC" };
  assert.throws(() => requireWindows(untilNext, 0), { code: "VALIDATION_FAILED" });
  assert.throws(() => requireWindows({ cron: "0 6 * * *", timezone: "UTC" }, 0), { code: "VALIDATION_FAILED" });
  assert.throws(() => requireWindows({ ...untilNext, durationMs: HOUR }, 0), { code: "VALIDATION_FAILED" });
  assert.equal(stateAt(nightly("2026-06-01T00:00:00Z", { recurrence: hourly }), at("2026-06-09T00:00:00Z")), "active");
  assert.throws(() => requireWindows({ ...hourly, cron: "0 0 31 2 *" }, 0), { code: "INVALID_CRON" });
});

test("a long silence warns a day and an hour before its end, a short one does not", () => {
  const long = single("2026-06-01T00:00:00Z", "2026-06-05T00:00:00Z");
  assert.deepEqual(kinds(long, at("2026-05-31T00:00:00Z"), at("2026-06-06T00:00:00Z")), [
    "started 2026-06-01T00:00:00.000Z",
    "expiring 2026-06-04T00:00:00.000Z",
    "expiring 2026-06-04T23:00:00.000Z",
    "ended 2026-06-05T00:00:00.000Z",
  ]);
  const hours = single("2026-06-01T00:00:00Z", "2026-06-01T05:00:00Z");
  assert.deepEqual(kinds(hours, at("2026-06-01T00:00:00Z"), at("2026-06-01T04:00:00Z")), [
    "expiring 2026-06-01T04:00:00.000Z",
  ]);
  assert.deepEqual(kinds(single("2026-06-01T00:00:00Z", "2026-06-01T04:00:00Z"), 0, NO_END), [
    "started 2026-06-01T00:00:00.000Z",
    "ended 2026-06-01T04:00:00.000Z",
  ]);
});

test("each border is due once: the next one comes strictly after the last reported", () => {
  const times = single("2026-06-01T00:00:00Z", "2026-06-05T00:00:00Z");
  const due: string[] = [];
  for (let next = nextBorderAt(times, 0); next !== null; next = nextBorderAt(times, next))
    due.push(...kinds(times, next - 1, next));
  assert.equal(due.length, 4);
  assert.equal(nextBorderAt(times, times.endsAt), null);
  const night = nightly("2026-06-01T00:00:00Z");
  assert.equal(nextBorderAt(night, at("2026-06-02T04:00:00Z")), at("2026-06-02T20:00:00Z"));
});

test("after a down time the window that was active ends, and of the missed ones the last is reported", () => {
  const night = nightly("2026-06-01T00:00:00Z");
  assert.deepEqual(kinds(night, at("2026-06-01T21:00:00Z"), at("2026-06-05T21:00:00Z")), [
    "ended 2026-06-02T04:00:00.000Z",
    "started 2026-06-05T20:00:00.000Z",
  ]);
  assert.deepEqual(kinds(night, at("2026-06-01T12:00:00Z"), at("2026-06-05T12:00:00Z")), [
    "started 2026-06-04T20:00:00.000Z",
    "ended 2026-06-05T04:00:00.000Z",
  ]);
  assert.deepEqual(kinds(night, at("2026-06-01T12:00:00Z"), at("2026-06-01T13:00:00Z")), []);
});

function* take<T>(values: Iterable<T>, count: number): Generator<T> {
  let taken = 0;
  for (const value of values) {
    if (taken++ === count) return;
    yield value;
  }
}
