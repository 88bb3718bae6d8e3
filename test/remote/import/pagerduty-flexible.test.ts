import assert from "node:assert/strict";
import test from "node:test";
import { parse } from "yaml";
import { HttpSource } from "../../../src/remote/import/http-source.ts";
import { recurrenceOf } from "../../../src/remote/import/pagerduty/flexible.ts";
import { readPagerDuty } from "../../../src/remote/import/pagerduty/read.ts";
import { writePagerDuty } from "../../../src/remote/import/pagerduty/write.ts";
import { fakeApi } from "./fake-api.ts";
import { DAY, HOUR, type OldLayer, type OldSpan, peopleAt, rendered } from "./old-schedules.ts";
import { pagerDutyAccount } from "./pagerduty-account.ts";

/* Schedules of the API v3, as its published description has them. */

const NOW = Date.parse("2027-02-10T18:00:00Z");
const zone = "Europe/Berlin";
const ids: Readonly<Record<string, string>> = { ada: "PU1", ben: "PU2", cy: "PU3" };
const iso = (at: number) => new Date(at).toISOString();
const member = (name: string) => ({ type: "user_member", user_id: ids[name] ?? name });

const weeks: OldLayer = {
  ...{ hand: Date.UTC(2026, 0, 5, 9), unitHours: 168, length: 1, people: ["ada", "ben"] },
  ...{ windows: [], fromDays: 0, untilDays: null },
};
const office: OldLayer = {
  ...{ ...weeks, people: ["ben", "cy"] },
  windows: [0, 1, 2, 3, 4].map((day) => ({ day, startHour: 9, hours: 8 })),
};

const event = (name: string, hours: number, rule: readonly string[], people: readonly string[], shifts: number) => ({
  ...{ id: name, type: "schedule_event", name, recurrence: rule },
  start_time: { date_time: "2026-01-05T09:00:00Z", time_zone: zone },
  end_time: { date_time: iso(Date.UTC(2026, 0, 5, 9) + hours * HOUR), time_zone: zone },
  ...{ effective_since: "2026-01-05T08:00:00Z", effective_until: null },
  assignment_strategy: {
    ...{ type: "rotating_member_assignment_strategy", shifts_per_member: shifts, members: people.map(member) },
  },
});
const shown = (at: (instant: number) => readonly string[]) => rendered(at, NOW - DAY, NOW + 91 * DAY);
const schedule = (id: string, name: string, events: readonly object[], spans: readonly OldSpan[]) => ({
  ...{ id, type: "schedule_v3", name, time_zone: zone, teams: [{ id: "PT1", summary: "Data" }] },
  ...{ http_cal_url: `https://example.pagerduty.com/private/${id}`, rotations: [{ id: `R${id}`, events }] },
  final_schedule: {
    computed_shift_assignments: spans.flatMap(({ start, end, people }) =>
      people.map((each) => ({ start_time: iso(start), end_time: iso(end), member: member(each) })),
    ),
  },
});

async function written(t: test.TestContext, more: Readonly<Record<string, unknown>>) {
  const api = await fakeApi(t, () => ({ ...pagerDutyAccount(NOW), ...more }));
  const source = new HttpSource({ base: api.url, headers: {} }, NOW);
  const options = { project: "pagerduty", teams: null, untilMs: 90 * DAY, accept: [] };
  return writePagerDuty(await readPagerDuty(source, options), options);
}

test("schedules of PagerDuty's API v3 with one rule are rotations; one with dates follows the calendar", async (t) => {
  const [begin, end] = [NOW + 10 * DAY, NOW + 12 * DAY];
  const onCall = (at: number) => {
    const [person = ""] = peopleAt({ zone, layers: [weeks] }, at, false);
    const isAway = at >= begin && at < end && person === "ada";
    const extra = at >= begin && at < begin + 5 * HOUR ? ["ben"] : [];
    const all = [isAway ? "cy" : person, ...extra, ...peopleAt({ zone, layers: [office] }, at, false)];
    return [...new Set(all)].sort();
  };
  const own = [
    event("Weeks", 168, ["RRULE:FREQ=WEEKLY"], ["ada", "ben"], 1),
    event("Office", 8, ["RRULE:FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"], ["ben", "cy"], 5),
  ];
  const dates = event("Dates", 168, ["RRULE:FREQ=WEEKLY", "EXDATE:20270301T090000"], ["ada"], 1);
  const [one, two] = [schedule("PF1", "Flexible", own, shown(onCall)), schedule("PF2", "Dates", [dates], [])];
  const override = { overridden_member: member("ada"), overriding_member: member("cy") };
  const lost = { overridden_member: member("ada"), overriding_member: member("PGONE") };
  const span = { start_time: iso(begin), end_time: iso(end) };
  const custom = { start_time: iso(begin), end_time: iso(begin + 5 * HOUR), assignments: [{ member: member("ben") }] };
  const files = await written(t, {
    "/v3/schedules": { schedules: [one, two].map(({ id, name }) => ({ id, summary: name })), more: false },
    // Rotations may come without their events.
    "/v3/schedules/PF1": { schedule: { ...one, rotations: [{ id: "RPF1" }] } },
    "/v3/schedules/PF1/rotations/RPF1/events": { events: own, more: false },
    "/v3/schedules/PF1/overrides": {
      overrides: [
        { ...span, ...override },
        { ...span, ...lost },
      ],
      more: false,
    },
    "/v3/schedules/PF1/custom_shifts": { custom_shifts: [custom], more: false },
    "/v3/schedules/PF2": { schedule: two },
    "/v3/schedules/PF2/overrides": { overrides: [], more: false },
    "/v3/schedules/PF2/custom_shifts": { custom_shifts: [], more: false },
  });
  const proof = files.proofs.find(({ name }) => name === "Flexible");
  assert.deepEqual([proof?.form, proof?.differences], ["exact", []]);
  const [project] = parse(files.texts().get("data.yaml")?.text ?? "").projects;
  const scheduleOf = (name: string) => project.oncall.find((each: { name: string }) => each.name === name);
  assert.deepEqual(
    scheduleOf("Flexible").shifts.map(({ name, recurrence }: { name: string; recurrence?: object }) => [
      name,
      recurrence,
    ]),
    [
      ["Weeks", { frequency: "weekly", weekStart: "MO" }],
      ["Office", { frequency: "weekly", weekStart: "MO", byDay: ["MO", "TU", "WE", "TH", "FR"] }],
      ["Custom shift", undefined],
    ],
  );
  assert.ok(scheduleOf("Dates").calendarUrl.env);
  const rows = files.rows.map(({ kind, name, outcome }) => `${outcome}: ${kind} ${name}`);
  for (const row of ["not taken: schedule Dates", "to do: schedule Dates", "not taken: override Flexible"])
    assert.ok(rows.includes(row), row);
});

test("an event that takes effect later, or counts its turns anew, has the form that the proof finds", async (t) => {
  const since = Date.UTC(2026, 0, 12, 8);
  const later = { ...event("Weeks", 168, ["RRULE:FREQ=WEEKLY"], ["ada", "ben"], 1), effective_since: iso(since) };
  const anew = { ...weeks, people: ["ben", "ada"] };
  for (const [layer, form] of [
    [weeks, "exact"],
    [anew, "turns from where an event takes effect"],
  ] as const) {
    const one = schedule(
      "PF1",
      "Flexible",
      [later],
      shown((at) => peopleAt({ zone, layers: [layer] }, at, false)),
    );
    const files = await written(t, {
      "/v3/schedules": { schedules: [{ id: "PF1", summary: "Flexible" }], more: false },
      "/v3/schedules/PF1": { schedule: one },
      "/v3/schedules/PF1/overrides": { overrides: [], more: false },
      "/v3/schedules/PF1/custom_shifts": { custom_shifts: [], more: false },
    });
    const proof = files.proofs.find(({ name }) => name === "Flexible");
    assert.deepEqual([proof?.form, proof?.differences], [form, []]);
  }
});

test("rules of iCalendar are those of shifts, or none", () => {
  const start = Date.parse("2026-01-07T09:00:00Z");
  assert.deepEqual(recurrenceOf(["RRULE:FREQ=DAILY;INTERVAL=2;UNTIL=20270101T000000Z"], start, null), {
    ...{ frequency: "daily", interval: 2, until: Date.parse("2027-01-01T00:00:00Z") },
  });
  assert.deepEqual(recurrenceOf(["RRULE:FREQ=WEEKLY;BYDAY=WE,TH"], start, 5), {
    ...{ frequency: "weekly", interval: 1, weekStart: "WE", byDay: ["WE", "TH"], until: 5 },
  });
  for (const lines of [
    ["RRULE:FREQ=WEEKLY", "RDATE:20270101T000000Z"],
    ["RRULE:FREQ=WEEKLY;COUNT=3"],
    ["RRULE:FREQ=MONTHLY;BYDAY=1MO"],
    ["RRULE:FREQ=WEEKLY;BYDAY=XX"],
    ["RRULE:FREQ=DAILY;INTERVAL=0"],
    ["RRULE:FREQ=DAILY;UNTIL=20270101"],
    ["RRULE:FREQ=YEARLY"],
    [],
  ])
    assert.equal(recurrenceOf(lines, start, null), null, lines.join());
});
