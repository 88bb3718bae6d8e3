import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { calendarOf, localTime } from "../../../src/core/time/local-clock.ts";
import { loadOf } from "../../../src/features/reports/local-days.ts";
import { type Arrived, countDays } from "../../../src/features/reports/person-days.ts";
import { temporaryDir } from "../../helpers/store.ts";
import { rowsOf } from "../../helpers/tables.ts";
import { DAY, IncidentWorld, Maker, MINUTE } from "./support.ts";

const NIGHT = calendarOf("22:00-07:00", new Set(["2026-12-25"]));
const HOUR = 60 * MINUTE;

test("nights, weekends and holidays are those of the person's clock, also when clocks change", () => {
  const at = (time: string, zone: string) => localTime(Date.parse(time), zone, NIGHT);
  const rows = [
    ["2026-01-05T21:59:59Z", "UTC", "2026-01-05 day"],
    ["2026-01-05T22:00:00Z", "UTC", "2026-01-05 night"],
    ["2026-01-06T06:59:59Z", "UTC", "2026-01-06 night"],
    ["2026-01-06T07:00:00Z", "UTC", "2026-01-06 day"],
    ["2026-01-05T21:30:00Z", "Europe/Berlin", "2026-01-05 night"],
    ["2026-01-05T23:30:00Z", "Europe/Berlin", "2026-01-06 night"],
    ["2026-01-06T01:30:00Z", "Asia/Kathmandu", "2026-01-06 day"],
    ["2026-01-06T01:00:00Z", "Asia/Kathmandu", "2026-01-06 night"],
    // Clocks go forward at 1:00 UTC: 4:59 UTC is 6:59, 5:00 is 7:00.
    ["2026-03-29T04:59:00Z", "Europe/Berlin", "2026-03-29 night weekend"],
    ["2026-03-29T05:00:00Z", "Europe/Berlin", "2026-03-29 day weekend"],
    // And back at 1:00 UTC: 5:59 UTC is 6:59, 6:00 is 7:00.
    ["2026-10-25T05:59:00Z", "Europe/Berlin", "2026-10-25 night weekend"],
    ["2026-10-25T06:00:00Z", "Europe/Berlin", "2026-10-25 day weekend"],
    ["2026-12-25T12:00:00Z", "UTC", "2026-12-25 day weekend"],
    ["2026-12-25T00:30:00Z", "America/New_York", "2026-12-24 day"],
  ] as const;
  for (const [time, zone, expected] of rows) {
    const { day, isNight, isWeekend } = at(time, zone);
    assert.equal(`${day} ${isNight ? "night" : "day"}${isWeekend ? " weekend" : ""}`, expected, `${time} ${zone}`);
  }
  const noon = calendarOf("12:00-13:00", new Set());
  assert.deepEqual(
    ["11:59", "12:00", "12:59", "13:00"].map(
      (time) => localTime(Date.parse(`2026-01-05T${time}:00Z`), "UTC", noon).isNight,
    ),
    [false, true, true, false],
  );
});

test("a night on call counts once, and the night in which clocks change is shorter or longer", async () => {
  const load = (start: string, end: string, zone: string) =>
    loadOf([{ start: Date.parse(start), end: Date.parse(end) }], zone, NIGHT);
  assert.deepEqual(await load("2026-01-05T20:00:00Z", "2026-01-06T08:00:00Z", "UTC"), {
    ms: 12 * HOUR,
    nights: 1,
    weekendDays: 0,
  });
  assert.deepEqual(await load("2026-01-05T00:00:00Z", "2026-01-12T00:00:00Z", "UTC"), {
    ms: 7 * DAY,
    nights: 8,
    weekendDays: 2,
  });
  // From 22:00 to 7:00 in Berlin, and from 7:00 to 22:00.
  assert.deepEqual(await load("2026-03-28T21:00:00Z", "2026-03-29T05:00:00Z", "Europe/Berlin"), {
    ms: 8 * HOUR,
    nights: 1,
    weekendDays: 2,
  });
  assert.deepEqual(await load("2026-10-24T20:00:00Z", "2026-10-25T06:00:00Z", "Europe/Berlin"), {
    ms: 10 * HOUR,
    nights: 1,
    weekendDays: 2,
  });
  assert.equal((await load("2026-10-25T06:00:00Z", "2026-10-25T21:00:00Z", "Europe/Berlin")).nights, 0);
});

test("urgent pages at night that are half an hour apart are sleep breaks, over midnight and projects", () => {
  const page = (time: string, more: Partial<Arrived> = {}): Arrived => ({
    ...{ userId: "ann", projectId: "a", at: Date.parse(time), timezone: "UTC", isUrgent: 1, ...more },
  });
  const days = countDays(
    [
      page("2026-01-05T21:59:00Z"),
      page("2026-01-05T23:50:00Z"),
      page("2026-01-06T00:10:00Z", { projectId: "b" }),
      page("2026-01-06T00:30:00Z", { isUrgent: 0 }),
      page("2026-01-06T00:40:00Z"),
      page("2026-01-06T00:45:00Z", { userId: "bob" }),
      page("2026-01-06T08:00:00Z"),
    ],
    NIGHT,
  );
  assert.deepEqual(
    days.map(({ userId, projectId, day, ...n }) => [userId, projectId, day, n.pagesDay, n.pagesNight, n.sleepBreaks]),
    [
      ["ann", "a", "2026-01-05", 1, 1, 1],
      ["ann", "b", "2026-01-06", 0, 1, 0],
      ["ann", "a", "2026-01-06", 1, 2, 1],
      ["bob", "a", "2026-01-06", 0, 1, 1],
    ],
  );
});

test("days of people are counted from what is there, go on with each page, and go with the account", async (t) => {
  const file = join(temporaryDir(t), "holidays.ics");
  writeFileSync(file, CALENDAR);
  const world = await IncidentWorld.start(t, { "reports.holidays": file, "reports.night": "21:00-06:00" });
  const { prism, clock } = world;
  const ann = await world.member("ann");
  const bob = await world.member("bob");
  await world.db.write((trx) =>
    trx.updateTable("users").set({ timezone: "Europe/Berlin" }).where("id", "=", ann.id).execute(),
  );
  const maker = await Maker.of(world);
  const midnight = Math.floor(clock.now() / DAY) * DAY - 3 * DAY;
  const incident = maker.incident({ openedAt: midnight, resolvedAt: midnight + HOUR });
  const arrives = (userId: string, at: number, more: object = {}) =>
    maker.page({
      incidentId: String(incident["id"]),
      projectId: world.projectId,
      userId,
      createdAt: at,
      deliveredAt: at,
      ...more,
    });
  await maker.store([
    {
      incident,
      log: [],
      pages: [
        arrives(ann.id, midnight + 20 * HOUR),
        arrives(ann.id, midnight + 20 * HOUR + 10 * MINUTE),
        arrives(ann.id, midnight + 23 * HOUR),
        arrives(bob.id, midnight + 20 * HOUR),
        arrives(bob.id, midnight + 20 * HOUR, { reason: "drill" }),
        arrives(bob.id, midnight + 20 * HOUR, { isEnd: 1 }),
        arrives(bob.id, midnight + 20 * HOUR, { outcome: "failed" }),
      ],
    },
  ]);
  const { reports } = prism.parts.offers;
  const days = () =>
    rowsOf<Record<string, unknown>>(
      prism,
      "select u.username, d.day, pagesDay, pagesNight, sleepBreaks from person_days d join users u on u.id = d.userId order by 1, 2",
    ).map((row) => Object.values(row).join(" "));
  await reports.collect();
  const date = (at: number): string => new Date(at).toISOString().slice(0, 10);
  const [today, tomorrow] = [date(midnight), date(midnight + DAY)];
  assert.deepEqual(days(), [`ann ${today} 0 2 1`, `ann ${tomorrow} 0 1 1`, `bob ${today} 1 0 0`]);

  const later = clock.now() - 2 * MINUTE;
  await maker.store([{ incident: maker.incident({}), log: [], pages: [arrives(bob.id, later)] }]);
  await reports.collect();
  await reports.collect();
  assert.equal(days().filter((day) => day.startsWith("bob")).length, 2);
  const holidays = (await reports.calendar()).holidays;
  assert.deepEqual(
    [...holidays].filter((day) => day.startsWith("2026")),
    ["2026-12-25", "2026-12-26"],
  );

  await world.db.write((trx) => prism.parts.offers.deletions.user(trx, ann.id, clock.now()));
  assert.ok(days().every((day) => day.startsWith("bob")));
});

const CALENDAR = `BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//test//test//EN\r
X-WR-TIMEZONE:Europe/Berlin\r
BEGIN:VEVENT\r
UID:1\r
SUMMARY:Christmas\r
DTSTART;VALUE=DATE:20251225\r
DTEND;VALUE=DATE:20251227\r
RRULE:FREQ=YEARLY;COUNT=5\r
END:VEVENT\r
END:VCALENDAR\r
`;
