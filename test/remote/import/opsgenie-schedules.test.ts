import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import type { OldOpsgenie, OpsgenieSchedule } from "../../../src/remote/import/opsgenie/read.ts";
import { writeOpsgenie } from "../../../src/remote/import/opsgenie/write.ts";
import { TEST_SEED } from "../../helpers/chance.ts";
import {
  CLOCK_CHANGES,
  clockOf,
  DAY,
  HOUR,
  instantAt,
  isSameCalendar,
  layerOf,
  type OldCalendar,
  type OldSpan,
  peopleAt,
  rendered,
  seed,
  seeded,
  zone,
} from "./old-schedules.ts";

const DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const SPAN = 8 * DAY;
const RUNS = process.env["TEST_ALL_RUNS"] ? 200 : 20;
const iso = (at: number) => new Date(at).toISOString();

const ref = (name: string) => ({ type: "user", id: `id-${name}`, name: `${name}@example.com`, username: null });

function timeline(spans: readonly OldSpan[]): NonNullable<OpsgenieSchedule["timeline"]> {
  const periods = spans.flatMap(({ start, end, people }) =>
    people.map((name) => ({
      ...{ startDate: iso(start), endDate: iso(end), recipient: ref(name), responder: null },
      ...{ flattenedRecipients: [], flattenedResponders: [] },
    })),
  );
  return { endDate: null, finalTimeline: { rotations: [{ name: "all", deleted: null, periods }] } };
}

/** An account whose only schedule is this one, with a timeline. */
function account(
  { zone: timezone, layers }: OldCalendar,
  now: number,
  shown: readonly OldSpan[],
  overrides: OpsgenieSchedule["overrides"] = [],
): OldOpsgenie {
  const names = ["ada", "ben", "cy", "dara", "eli"];
  const users = names.map((name) => ({
    ...{ id: `id-${name}`, username: `${name}@example.com`, fullName: name, timeZone: null, blocked: null },
    ...{ role: null, contacts: [], rules: [] },
  }));
  const rotations = layers.map((layer, at) => {
    const isDaily = layer.windows.every(({ day }) => day === null);
    const restrictions = layer.windows.map(({ day, startHour, hours }) => {
      const end = (day ?? 0) * 24 + startHour + hours;
      return {
        ...{ startDay: day === null ? null : (DAYS[day] ?? null), endDay: DAYS[Math.floor(end / 24) % 7] ?? null },
        ...{ startHour, startMin: 0, endHour: end % 24, endMin: 0 },
      };
    });
    const type = { 168: "weekly", 24: "daily", 1: "hourly" }[layer.unitHours] ?? "";
    return {
      ...{ id: `r${at}`, name: `Rotation ${at}`, type, length: layer.length, endDate: null },
      startDate: iso(instantAt(layer.hand, timezone)),
      participants: layer.people.map(ref),
      timeRestriction:
        layer.windows.length === 0
          ? null
          : isDaily
            ? { type: "time-of-day", restriction: restrictions[0] ?? null, restrictions: [] }
            : { type: "weekday-and-time-of-day", restriction: null, restrictions },
    };
  });
  const schedule: OpsgenieSchedule = {
    ...{ id: "s", name: "Duty", description: null, timezone, enabled: true, ownerTeam: null, teamId: null },
    ...{ rotations, timeline: timeline(shown), overrides },
  };
  return {
    ...{ now, users, teams: [], escalations: [], schedules: [schedule], integrations: [], heartbeats: [] },
    ...{ maintenance: [], forwarding: [], services: [], policies: [], unread: [], missing: [] },
  };
}

function proofOf(old: OldOpsgenie) {
  const options = { project: "opsgenie", teams: null, untilMs: SPAN, accept: [] };
  const files = writeOpsgenie(old, options);
  return { proof: files.proofs[0], rows: files.rows, text: files.texts().get("opsgenie.yaml")?.text ?? "" };
}

const calendar = fc.record({ zone, layers: fc.array(layerOf(), { minLength: 1, maxLength: 3 }) });

test("random schedules of Opsgenie have the same people over six changes of the clocks", () => {
  let compared = 0;
  fc.assert(
    fc.property(calendar, (old) => {
      for (const now of CLOCK_CHANGES) {
        const shown = rendered((at) => peopleAt(old, at, false), now, now + SPAN);
        const { proof, rows } = proofOf(account(old, now, shown));
        // A rotation with too many turns has no exact form, and its schedule follows the old calendar.
        if (!proof) {
          assert.ok(rows.some(({ text }) => /follows the calendar/.test(text)));
          continue;
        }
        compared++;
        assert.deepEqual([proof.form, proof.differences], ["exact", []], JSON.stringify(old));
        assert.ok(shown.length === 0 || proof.boundaries >= shown.length);
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
        rendered((instant) => peopleAt(each, instant, false), now, now + SPAN),
      ) as [OldSpan[], OldSpan[]];
      const { proof, text } = proofOf(account(old, now, other));
      if (!proof) return;
      const isSame = isSameCalendar(shown, other);
      // A day's hand-over an hour later may be one that stands in UTC: that form is then written.
      assert.equal(proof.differences.length === 0 && proof.form === "exact", isSame, `${kind} ${JSON.stringify(old)}`);
      if (proof.differences.length === 0) return;
      found++;
      assert.match(text, /calendarUrl:\n\s+env: PRISM_SECRET_CALENDAR_DUTY[\s\S]*# The exact form of Duty/);
    }),
    { numRuns: RUNS, seed: TEST_SEED },
  );
  assert.ok(found > RUNS / 4, `${found}`);
});

test("overrides of all and of some rotations are taken, and a lost one is found", () => {
  fc.assert(
    fc.property(calendar, fc.nat(5), fc.nat(100), fc.integer({ min: 1, max: 40 }), (old, at, begin, hours) => {
      const now = CLOCK_CHANGES[at] ?? 0;
      const [start, end] = [now + begin * HOUR, now + (begin + hours) * HOUR];
      const isIn = (instant: number) => instant >= start && instant < end;
      const shown = rendered((each) => (isIn(each) ? ["eli"] : peopleAt(old, each, false)), now, now + SPAN);
      const override = {
        ...{ alias: null, user: ref("eli"), responder: null, startDate: iso(start), endDate: iso(end), rotations: [] },
      };
      const taken = proofOf(account(old, now, shown, [override])).proof;
      if (!taken) return;
      assert.deepEqual(taken.differences, []);
      const lost = proofOf(account(old, now, shown)).proof;
      const without = rendered((each) => peopleAt(old, each, false), now, now + SPAN);
      assert.equal(lost?.differences.length === 0 && lost.form === "exact", isSameCalendar(shown, without));
    }),
    { numRuns: RUNS, seed: TEST_SEED },
  );
  // Of one of two rotations: only its person is replaced.
  const now = CLOCK_CHANGES[4] ?? 0;
  const layer = { hand: Date.UTC(2025, 0, 6, 8), unitHours: 168, length: 1, windows: [], fromDays: 0, untilDays: null };
  const old: OldCalendar = {
    zone: "Europe/Berlin",
    layers: [
      { ...layer, people: ["ada", "ben"] },
      { ...layer, people: ["cy"] },
    ],
  };
  const [start, end] = [now + 2 * DAY, now + 6 * DAY];
  const shown = rendered(
    (each) => (each >= start && each < end ? ["cy", "eli"] : peopleAt(old, each, false)),
    now,
    now + SPAN,
  );
  const rotations = [{ id: "r0", name: null }];
  const override = {
    ...{ alias: null, user: ref("eli"), responder: null, startDate: iso(start), endDate: iso(end), rotations },
  };
  assert.deepEqual(proofOf(account(old, now, shown, [override])).proof?.differences, []);
  assert.notEqual(clockOf(now, "Europe/Berlin"), now);
});
