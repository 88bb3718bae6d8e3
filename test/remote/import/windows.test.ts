import assert from "node:assert/strict";
import test from "node:test";
import { intervalsOf, isInWindows, type OldRotation, rotationShifts } from "../../../src/remote/import/windows.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const now = Date.parse("2026-11-28T18:00:00Z");
const zone = "Europe/Berlin";
const rotation: OldRotation = {
  ...{ name: "Weeks", handover: Date.parse("2026-11-23T08:00:00Z"), turnMs: 7 * DAY, windows: [] },
  turns: [["ada"], ["ben"]],
};
const shifts = (more: Partial<OldRotation>, isCut = true) =>
  rotationShifts({ ...rotation, ...more }, { timezone: zone, now, isCut });
const short = (more: Partial<OldRotation>, isCut?: boolean) =>
  shifts(more, isCut)?.map(({ start, durationMs, recurrence, turns, startTurn }) =>
    [
      ...[start, `${durationMs / HOUR}h`, recurrence?.frequency, recurrence?.interval, recurrence?.byDay?.join()],
      ...[turns.map((turn) => turn.join("+")).join(), startTurn],
    ].join(" "),
  );

test("rotations without windows are one shift", () => {
  assert.deepEqual(short({}), ["2026-11-23T09:00:00 168h weekly 1  ada,ben 0"]);
  assert.deepEqual(short({ turnMs: 14 * DAY }), ["2026-11-23T09:00:00 336h weekly 2  ada,ben 0"]);
  assert.deepEqual(short({ turnMs: 3 * DAY }), ["2026-11-23T09:00:00 72h daily 3  ada,ben 0"]);
  assert.deepEqual(short({ turnMs: 12 * HOUR }), ["2026-11-23T09:00:00 12h hourly 12  ada,ben 0"]);
  assert.equal(shifts({ turnMs: 90 * 60_000 }), null);
  assert.deepEqual(shifts({ turns: [] }), []);
  assert.deepEqual(shifts({ until: now - DAY }), []);
});

test("a hand-over inside of a window cuts it, and days with the same turns are one shift", () => {
  const day = (each: number) => ({ day: each, startMs: 8 * HOUR, durationMs: 10 * HOUR });
  assert.deepEqual(short({ windows: [0, 1, 2, 3, 4].map(day) }), [
    "2026-11-23T09:00:00 9h weekly 1 MO ada,ben 0",
    "2026-11-24T08:00:00 10h weekly 1 TU,WE,TH,FR ada,ben 0",
    "2026-11-30T08:00:00 1h weekly 1 MO ada,ben 0",
  ]);
  assert.deepEqual(short({ windows: [0, 1].map(day) }, false), [
    "2026-11-24T08:00:00 10h weekly 1 TU ada,ben 0",
    "2026-11-30T08:00:00 10h weekly 1 MO ada,ben 0",
  ]);
  // A turn of a day on weekdays alone: the wheel turns on Saturday and Sunday, too.
  assert.deepEqual(short({ turnMs: DAY, windows: [{ day: 4, startMs: 9 * HOUR, durationMs: 8 * HOUR }] }), [
    "2026-11-27T09:00:00 8h weekly 1 FR ada,ben 0",
  ]);
  const many = Array.from({ length: 101 }, (_, at) => [`p${at}`]);
  assert.equal(shifts({ turns: many, windows: [0].map(day) }), null);
});

test("a window in which the clocks may change is two shifts that overlap", () => {
  const night = { day: null, startMs: 22 * HOUR, durationMs: 8 * HOUR };
  assert.deepEqual(short({ turnMs: DAY, windows: [night] }), [
    "2026-11-23T22:00:00 6h daily 1  ada,ben 0",
    "2026-11-24T03:00:00 3h daily 1  ada,ben 0",
  ]);
});

test("what begins or ends inside of a turn is a shift of its own", () => {
  const from = Date.parse("2026-12-02T11:00:00Z");
  assert.deepEqual(short({ from }), [
    "2026-12-07T09:00:00 168h weekly 1  ada,ben 0",
    "2026-12-02T11:00:00 117h    ben ",
  ]);
  const until = Date.parse("2026-12-09T08:00:00Z");
  assert.deepEqual(short({ until }), [
    "2026-11-23T09:00:00 168h weekly 1  ada,ben 0",
    "2026-12-07T08:00:00 48h    ada ",
  ]);
});

test("windows are time intervals, cut at midnight", () => {
  const friday = { day: 4, startMs: 18 * HOUR, durationMs: 2 * DAY + 14 * HOUR };
  assert.deepEqual(intervalsOf([friday], zone), [
    { weekdays: ["friday"], times: [{ start_time: "18:00", end_time: "24:00" }], location: zone },
    { weekdays: ["saturday", "sunday"], times: [{ start_time: "00:00", end_time: "24:00" }], location: zone },
    { weekdays: ["monday"], times: [{ start_time: "00:00", end_time: "08:00" }], location: zone },
  ]);
  assert.ok(isInWindows([friday], zone, Date.parse("2026-11-30T06:59:00Z")));
  assert.ok(!isInWindows([friday], zone, Date.parse("2026-11-30T07:00:00Z")));
});
