import assert from "node:assert/strict";
import test from "node:test";
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

test("windows that touch by a clock change are one; those that always touch are refused", () => {
  const daily = { cron: "0 12 * * *", durationMs: DAY - 30 * 60_000, timezone: "Europe/Berlin" };
  requireWindows(daily, at("2026-06-01T00:00:00Z"));
  assert.throws(() => requireWindows(daily, at("2026-03-01T00:00:00Z")), { code: "VALIDATION_FAILED" });
  const times = nightly("2026-03-27T00:00:00Z", { recurrence: daily });
  assert.deepEqual(shown(spanAt(times, at("2026-03-28T12:00:00Z"))), [
    "2026-03-28T11:00:00.000Z",
    "2026-03-30T09:30:00.000Z",
  ]);
  const hourly = { cron: "0 * * * *", durationMs: HOUR, timezone: "UTC" };
  assert.throws(() => requireWindows(hourly, 0), { code: "VALIDATION_FAILED" });
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
