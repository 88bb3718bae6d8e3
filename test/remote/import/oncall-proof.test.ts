import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { ImportedFiles } from "../../../src/remote/import/files.ts";
import type { OldShift } from "../../../src/remote/import/oncall/read.ts";
import { addSchedule } from "../../../src/remote/import/oncall/schedules.ts";
import { TeamFiles } from "../../../src/remote/import/team-files.ts";
import { TEST_SEED } from "../../helpers/chance.ts";
import { finalShiftsOf, GONE, type ModelSchedule, type ModelShift, peopleOf } from "./oncall-model.ts";

const DAY = 86_400_000;
const NOW = Date.parse("2026-11-28T10:00:00Z");
/** Six changes of the clocks. */
const TO = Date.parse("2029-11-10T00:00:00Z");
const PEOPLE = ["Uada", "Uben", "Ucy", "Udara", "Ueli"];
const IN_TURNS = [...PEOPLE, GONE];
const ZONES = ["Europe/Berlin", "America/New_York", "Australia/Sydney", "Europe/Lisbon"];
const WEEK = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];
/** `endOnFailure`: each run is of three years, so nothing is made smaller. */
const RUNS = process.env["TEST_ALL_RUNS"] ? 200 : 20;
const local = (at: number) => new Date(at).toISOString().slice(0, 19);

const rolling = (type: ModelSchedule["type"]) =>
  fc
    .record({
      day: fc.integer({ min: -400, max: -1 }),
      hour: fc.integer({ min: 4, max: 22 }),
      hours: fc.constantFrom(3, 8, 9, 12, 16, 24, 48, 60, 168),
      zone: fc.option(fc.constantFrom(...ZONES)),
      level: fc.integer({ min: 0, max: 3 }),
      frequency: fc.constantFrom("hourly", "daily", "weekly", "weekly", "monthly"),
      interval: fc.integer({ min: 1, max: 3 }),
      weekStart: fc.constantFrom("MO", "SU"),
      days: fc.option(fc.subarray(WEEK, { minLength: 1 })),
      groups: fc.array(fc.subarray(IN_TURNS, { maxLength: 2 }), { minLength: 1, maxLength: 4 }),
      index: fc.nat(3),
      ends: fc.option(fc.integer({ min: 5, max: 600 })),
      began: fc.integer({ min: 0, max: 60 }),
    })
    .map((given): ModelShift => {
      const { frequency, hours, interval, groups } = given;
      const monthly = frequency === "monthly";
      const hourly = frequency === "hourly";
      const start = NOW + given.day * DAY - (NOW % DAY) + given.hour * 3_600_000;
      const isWeb = type === "web";
      const days = given.days !== null && (frequency === "daily" || frequency === "weekly") ? given.days : undefined;
      const every = days && frequency === "daily" ? Math.min(interval, days.length) : interval;
      return {
        ...{ id: "", name: "Rota", type: "rolling_users", level: given.level },
        time_zone: isWeb || hourly ? "UTC" : given.zone,
        start: local(monthly ? start - (new Date(start).getUTCDate() - 1) * DAY : start),
        duration: (hourly ? 6 * interval : hours) * 3600,
        rotation_start: local(isWeb ? start + given.began * 3_600_000 : start),
        ...{ frequency: frequency as "daily", interval: hourly ? 6 * interval : every },
        ...(frequency === "weekly" && { week_start: given.weekStart }),
        ...(days && { by_day: days }),
        ...(monthly && { by_monthday: isWeb ? [1, 12] : [1] }),
        ...(given.ends !== null && isWeb && { until: local(NOW + given.ends * DAY + 1_800_000) }),
        rolling_users: groups,
        start_rotation_from_user_index: given.index % groups.length,
      };
    })
    .map(
      (shift): ModelShift =>
        isWeb(shift) && shift.frequency === "monthly" ? { ...shift, rotation_start: shift.start } : shift,
    )
    .filter((shift) => !isSkipped(shift) && !isMerged(shift) && !isOverNight(shift));

function isWeb({ until, time_zone }: ModelShift): boolean {
  return time_zone === "UTC" || until !== undefined;
}

/** A start or an end in, or soon after, hours that a change of the clocks repeats or leaves out. */
function isSkipped({ start, duration }: ModelShift): boolean {
  const end = (Number(start.slice(11, 13)) + duration / 3600) % 24;
  return end >= 1 && end < 5;
}

/** OnCall makes one of occurrences that the begin of a rotation cuts at the same time. */
function isMerged({ rotation_start, duration, frequency, by_day }: ModelShift): boolean {
  return Date.parse(`${rotation_start}Z`) > NOW && duration > 86_400 && (frequency === "daily" || by_day !== undefined);
}

/** Over a change of the clocks these follow the old calendar: another day of the month, or a first turn of other length. */
function isOverNight({ frequency, start, duration, time_zone, by_day }: ModelShift): boolean {
  const isInDay = Number(start.slice(11, 13)) + duration / 3600 <= 24;
  const isWhole = duration % 86_400 === 0 && by_day === undefined;
  const isOne = frequency === "monthly" || (frequency === "daily" && by_day !== undefined);
  return isOne && time_zone !== "UTC" && !isInDay && !isWhole;
}

const override = fc
  .record({ at: fc.integer({ min: 0, max: 900 }), hours: fc.constantFrom(5, 24, 72), who: fc.constantFrom(...PEOPLE) })
  .map(
    ({ at, hours, who }): ModelShift => ({
      ...{ id: "", name: "Override", type: "override", time_zone: null, level: 99 },
      ...{ start: local(NOW + at * DAY), rotation_start: local(NOW + at * DAY), duration: hours * 3600, users: [who] },
    }),
  );

const schedule = fc.constantFrom("web" as const, "calendar" as const).chain((type) =>
  fc
    .record({
      shifts: fc.array(rolling(type), { minLength: 1, maxLength: 3 }),
      overrides: fc.array(override, { maxLength: type === "web" ? 2 : 0 }),
      zone: fc.constantFrom(...ZONES),
      swap: fc.option(
        fc.record({
          at: fc.integer({ min: 1, max: 300 }),
          from: fc.constantFrom(...PEOPLE),
          to: fc.constantFrom(...PEOPLE),
        }),
      ),
    })
    .map(({ shifts, overrides, zone, swap }): ModelSchedule => {
      const times = swap && {
        swap_start: `${local(NOW + swap.at * DAY)}Z`,
        swap_end: `${local(NOW + (swap.at + 9) * DAY)}Z`,
      };
      return {
        ...{ id: "S1", name: "Duty", type, time_zone: zone },
        shifts: [...shifts, ...overrides].map((shift, at) => ({ ...shift, id: `O${at}` })),
        swaps:
          swap && times && swap.from !== swap.to
            ? [{ id: "W1", schedule: "S1", ...times, beneficiary: swap.from, benefactor: swap.to }]
            : [],
      };
    }),
);

/** The proof of a schedule whose shifts the API tells like this, beside what OnCall says of the first. */
function proofOf(said: ModelSchedule, told: ModelSchedule) {
  const final = finalShiftsOf(said, NOW, TO).map((each) => ({
    ...each,
    shift_start: Date.parse(each.shift_start),
    shift_end: Date.parse(each.shift_end),
  }));
  const missing = {
    ...{
      frequency: null,
      interval: null,
      week_start: null,
      by_day: null,
      by_month: null,
      by_monthday: null,
      until: null,
    },
    ...{ schedule: null, users: null, rolling_users: null, start_rotation_from_user_index: null },
  };
  const shifts = told.shifts.map((shift) => ({ ...missing, ...shift }) as unknown as OldShift);
  const swaps = told.swaps.map((swap) => ({
    ...swap,
    swap_start: Date.parse(swap.swap_start),
    swap_end: Date.parse(swap.swap_end),
  }));
  const { id, name, type, time_zone } = told;
  const of = { id, name, type, time_zone, team_id: null, ical_url_primary: null, ical_url_overrides: null };
  const files = new ImportedFiles("oncall");
  const options = { project: "duty", teams: null, untilMs: TO - NOW, accept: [] };
  const team = new TeamFiles(files, { now: NOW, teams: [] }, options);
  const project = team.projectOf("schedule", name, []);
  assert.ok(project);
  const listed = { ...of, shifts: shifts.map((shift) => shift.id), final };
  addSchedule(team, project, { now: NOW, shifts, swaps }, listed, {
    ...{ name, hasLocalTimes: false, isNotified: () => true },
    nameOf: (user) => (user === GONE ? undefined : user.toLowerCase()),
  });
  const [proof] = files.proofs;
  assert.ok(proof);
  return proof;
}

const shown = (each: ModelSchedule) => JSON.stringify(peopleOf(each, NOW, TO));

test("a schedule of OnCall is the same people in Prism, over six changes of the clocks", (t) => {
  t.diagnostic(`TEST_SEED=${TEST_SEED}`);
  fc.assert(
    fc.property(schedule, (given) => {
      const { differences, form } = proofOf(given, given);
      assert.deepEqual(differences.slice(0, 3), [], form);
    }),
    { numRuns: RUNS, seed: TEST_SEED, endOnFailure: true },
  );
});

type Change = (given: ModelSchedule) => ModelSchedule;
const inFirst =
  (change: (shift: ModelShift) => ModelShift): Change =>
  (given) => ({
    ...given,
    shifts: given.shifts.map((shift, at) => (at === 0 ? change(shift) : shift)),
  });
const later = (text: string) => local(Date.parse(`${text}Z`) + 3_600_000);
const CHANGES: Readonly<Record<string, Change>> = {
  "a shift an hour off": inFirst((shift) => ({
    ...shift,
    start: later(shift.start),
    rotation_start: shift.rotation_start === shift.start ? later(shift.start) : shift.rotation_start,
  })),
  "a swapped person": inFirst((shift) => ({
    ...shift,
    rolling_users: (shift.rolling_users ?? []).map((turn, at) => (at === 0 ? ["Ufay"] : turn)),
  })),
  "a lost override": (given) => ({ ...given, shifts: given.shifts.filter(({ type }) => type !== "override") }),
  "a lost swap": (given) => ({ ...given, swaps: [] }),
  "a zone": (given) => {
    const other = ZONES[(ZONES.indexOf(given.time_zone) + 1) % ZONES.length] ?? "UTC";
    return { ...given, time_zone: other, shifts: given.shifts.map((shift) => ({ ...shift, time_zone: other })) };
  },
};

test("the proof finds each seeded difference, and only where it changes who is on call", (t) => {
  t.diagnostic(`TEST_SEED=${TEST_SEED}`);
  let found = 0;
  fc.assert(
    fc.property(schedule, fc.constantFrom(...Object.keys(CHANGES)), (given, what) => {
      const told = CHANGES[what]?.(given) ?? given;
      const after = shownOrNull(told);
      // In UTC is one of the forms that are tried; and a zone may not have these hours.
      fc.pre(what !== "a zone" || (after !== null && given.shifts.every(({ time_zone }) => time_zone !== "UTC")));
      const isDifferent = after !== shown(given);
      const [known, proof] = [proofOf(given, given), proofOf(given, told)];
      // Another form may be what OnCall shows, such as in a zone where an hour off is right.
      if (isDifferent) assert.ok(proof.differences.length > 0 || proof.form !== known.form, what);
      else assert.equal(proof.differences.length > 0, known.differences.length > 0, what);
      if (isDifferent) found++;
    }),
    { numRuns: RUNS, seed: TEST_SEED, endOnFailure: true },
  );
  assert.ok(found > 0);
});

/** Null: clocks of that zone leave such a time out. */
function shownOrNull(given: ModelSchedule): string | null {
  try {
    return shown(given);
  } catch {
    return null;
  }
}
