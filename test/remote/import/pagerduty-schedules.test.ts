import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import type { OldPagerDuty, PagerDutySchedule } from "../../../src/remote/import/pagerduty/read.ts";
import { writePagerDuty } from "../../../src/remote/import/pagerduty/write.ts";
import { TEST_SEED } from "../../helpers/chance.ts";
import {
  CLOCK_CHANGES,
  DAY,
  HOUR,
  instantAt,
  isSameCalendar,
  layerOf,
  type OldCalendar,
  type OldLayer,
  type OldSpan,
  peopleAt,
  rendered,
  seed,
  seeded,
  zone,
} from "./old-schedules.ts";

const SPAN = 8 * DAY;
const RUNS = process.env["TEST_ALL_RUNS"] ? 200 : 20;
const iso = (at: number) => new Date(at).toISOString();
const ref = (name: string) => ({ id: `P${name}`, type: "user_reference", summary: name });
const entries = (spans: readonly OldSpan[]) =>
  spans.flatMap(({ start, end, people }) =>
    people.map((name) => ({ start: iso(start), end: iso(end), user: ref(name) })),
  );

/** An account whose only schedule is this one, as PagerDuty renders it. */
function account(
  { zone: timezone, layers }: OldCalendar,
  now: number,
  shown: readonly OldSpan[],
  overrides: PagerDutySchedule["overrides"] = [],
): OldPagerDuty {
  const users = ["ada", "ben", "cy", "dara", "eli"].map((name) => ({
    ...{ id: `P${name}`, name, email: `${name}@example.com`, time_zone: null },
    ...{ contact_methods: [], notification_rules: [] },
  }));
  const at = (layer: OldLayer, days: number) => iso(instantAt(layer.hand + days * DAY, timezone));
  const schedule_layers = layers.map((layer, index) => ({
    ...{ name: `Layer ${layers.length - index}`, start: at(layer, layer.fromDays) },
    end: layer.untilDays === null ? null : at(layer, layer.untilDays),
    rotation_virtual_start: at(layer, 0),
    rotation_turn_length_seconds: layer.unitHours * layer.length * 3600,
    users: layer.people.map((name) => ({ user: ref(name) })),
    restrictions: layer.windows.map(({ day, startHour, hours }) => ({
      type: day === null ? "daily_restriction" : "weekly_restriction",
      start_time_of_day: `${String(startHour).padStart(2, "0")}:00:00`,
      ...{ duration_seconds: hours * 3600, start_day_of_week: day === null ? null : day + 1 },
    })),
  }));
  const schedule: PagerDutySchedule = {
    ...{ id: "S", name: "Duty", description: null, time_zone: timezone, http_cal_url: null, teams: [] },
    ...{ schedule_layers, final_schedule: { rendered_schedule_entries: entries(shown) }, isShown: true, overrides },
  };
  return {
    ...{
      now,
      shownTo: now + SPAN,
      users,
      teams: [],
      schedules: [schedule],
      flexible: [],
      escalations: [],
      services: [],
    },
    ...{ orchestrations: [], maintenance: [], missing: [] },
  };
}

function proofOf(old: OldPagerDuty) {
  const files = writePagerDuty(old, { project: "pagerduty", teams: null, untilMs: SPAN, accept: [] });
  return { proof: files.proofs[0], text: files.texts().get("pagerduty.yaml")?.text ?? "" };
}

/** The first layer is the highest; some begin or end inside of a turn, near a change of the clocks. */
const calendar = fc.record({
  zone,
  layers: fc.array(
    fc.record({ layer: layerOf(), from: fc.nat(700), length: fc.option(fc.integer({ min: 300, max: 700 })) }).map(
      ({ layer, from, length }): OldLayer => ({
        ...layer,
        ...{ fromDays: from, untilDays: length === null ? null : from + length },
      }),
    ),
    { minLength: 1, maxLength: 3 },
  ),
});

test("random schedules of PagerDuty have the same people over six changes of the clocks", () => {
  let compared = 0;
  fc.assert(
    fc.property(calendar, (old) => {
      for (const now of CLOCK_CHANGES) {
        const shown = rendered((at) => peopleAt(old, at, true), now, now + SPAN);
        const { proof } = proofOf(account(old, now, shown));
        if (!proof) continue;
        compared++;
        assert.deepEqual([proof.form, proof.differences], ["exact", []], JSON.stringify({ old, now }));
      }
    }),
    { numRuns: RUNS, seed: TEST_SEED },
  );
  assert.ok(compared > RUNS * 3, `${compared}`);
});

test("the proof finds each seeded difference of such schedules, and only those", () => {
  let found = 0;
  fc.assert(
    fc.property(calendar, seed, fc.nat(5), (old, kind, at) => {
      const now = CLOCK_CHANGES[at] ?? 0;
      const [shown, other] = [old, seeded(old, kind)].map((each) =>
        rendered((instant) => peopleAt(each, instant, true), now, now + SPAN),
      ) as [OldSpan[], OldSpan[]];
      const { proof, text } = proofOf(account(old, now, other));
      if (!proof) return;
      const isSame = isSameCalendar(shown, other);
      // A day's hand-over an hour later may be one that stands in UTC: that form is then written.
      assert.equal(
        proof.differences.length === 0 && proof.form === "exact",
        isSame,
        `${kind} ${JSON.stringify({ old, now })}`,
      );
      if (proof.differences.length === 0) return;
      found++;
      assert.match(text, /calendarUrl:\n\s+env: PRISM_SECRET_CALENDAR_DUTY[\s\S]*# The exact form of Duty/);
    }),
    { numRuns: RUNS, seed: TEST_SEED },
  );
  assert.ok(found > RUNS / 8, `${found}`);
});

test("overrides are taken, and a lost one is found", () => {
  fc.assert(
    fc.property(calendar, fc.nat(5), fc.nat(100), fc.integer({ min: 1, max: 40 }), (old, at, begin, hours) => {
      const now = CLOCK_CHANGES[at] ?? 0;
      const [start, end] = [now + begin * HOUR, now + (begin + hours) * HOUR];
      const isIn = (instant: number) => instant >= start && instant < end;
      const shown = rendered((each) => (isIn(each) ? ["eli"] : peopleAt(old, each, true)), now, now + SPAN);
      const override = { start: iso(start), end: iso(end), user: ref("eli") };
      const { proof } = proofOf(account(old, now, shown, [override]));
      if (!proof) return;
      assert.deepEqual(proof.differences, []);
      const without = rendered((each) => peopleAt(old, each, true), now, now + SPAN);
      const lost = proofOf(account(old, now, shown)).proof;
      assert.equal(lost?.differences.length === 0 && lost.form === "exact", isSameCalendar(shown, without));
    }),
    { numRuns: RUNS, seed: TEST_SEED },
  );
});
