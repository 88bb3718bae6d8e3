import assert from "node:assert/strict";
import { createServer, type IncomingMessage } from "node:http";
import test, { type TestContext } from "node:test";
import ICAL from "ical.js";
import { readCalendar } from "../../../src/features/oncall/calendar-read.ts";
import { calendarText } from "../../../src/features/oncall/links.ts";
import { runCli } from "../../cli/run-cli.ts";
import { eventually } from "../../helpers/eventually.ts";
import { listening } from "../../helpers/listening.ts";
import { makeUser } from "../../helpers/people.ts";
import { scalarOf } from "../../helpers/tables.ts";
import {
  calendar,
  DAY,
  finalTexts,
  HOUR,
  iso,
  local,
  made,
  makeSchedule,
  makeShift,
  noticesOf,
  type OnCallWorld,
  onCallWorld,
  PATH,
  read,
  SPAN,
} from "./support.ts";

const CASES: readonly { name: string; event: string; expected: readonly string[] }[] = [
  {
    name: "users and level of the summary, times in UTC",
    event: "DTSTART:20260105T080000Z\nDTEND:20260105T160000Z\nSUMMARY:[L2] ada\\, grace@example.com",
    expected: ["2 ada+grace@example.com 2026-01-05T08:00 8 h"],
  },
  {
    name: "a weekly recurrence in a zone without VTIMEZONE, over a clock change, with an exception",
    event: `DTSTART;TZID=Europe/Berlin:20260320T090000
      DURATION:PT8H
      RRULE:FREQ=WEEKLY;BYDAY=FR;UNTIL=20260410T070000Z
      EXDATE;TZID=Europe/Berlin:20260327T090000
      SUMMARY:ada`,
    expected: ["0 ada 2026-03-20T08:00 8 h", "0 ada 2026-04-03T07:00 8 h", "0 ada 2026-04-10T07:00 8 h"],
  },
  {
    name: "whole days in the schedule's zone; a day has 23 hours when clocks go forward",
    event: "DTSTART;VALUE=DATE:20260328\nRRULE:FREQ=DAILY;COUNT=3\nSUMMARY:ada",
    expected: ["0 ada 2026-03-27T23:00 24 h", "0 ada 2026-03-28T23:00 23 h", "0 ada 2026-03-29T22:00 24 h"],
  },
  {
    name: "a time without a zone is one of the schedule's zone",
    event: "DTSTART:20260701T090000\nDTEND:20260701T100000\nSUMMARY:ada",
    expected: ["0 ada 2026-07-01T07:00 1 h"],
  },
  {
    name: "a cancelled event and one without users put no user on call",
    event: "DTSTART:20260105T080000Z\nDTEND:20260105T160000Z\nSTATUS:CANCELLED\nSUMMARY:ada",
    expected: [],
  },
  {
    name: "a recurrence whose day never comes has no event, and the search ends",
    event: "DTSTART:20260105T080000Z\nDURATION:PT1H\nRRULE:FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=30\nSUMMARY:ada",
    expected: [],
  },
  {
    name: "a yearly recurrence by the last Sunday of a month",
    event: "DTSTART:20250330T080000Z\nDURATION:PT1H\nRRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU\nSUMMARY:ada",
    expected: ["0 ada 2026-03-29T08:00 1 h"],
  },
  {
    name: "BYSETPOS picks of the days that the rule names, in a month",
    event:
      "DTSTART:20260130T080000Z\nDURATION:PT1H\nRRULE:FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;COUNT=3\nSUMMARY:ada",
    expected: ["0 ada 2026-01-30T08:00 1 h", "0 ada 2026-02-27T08:00 1 h", "0 ada 2026-03-31T08:00 1 h"],
  },
  {
    name: "BYSETPOS in a month of each year, in the form of Outlook",
    event: "DTSTART:20250330T080000Z\nDURATION:PT1H\nRRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=SU;BYSETPOS=-1\nSUMMARY:ada",
    expected: ["0 ada 2026-03-29T08:00 1 h"],
  },
  {
    name: "BYSETPOS in a year, and in a week",
    event: `DTSTART:20250106T080000Z
      DURATION:PT1H
      RRULE:FREQ=YEARLY;BYDAY=MO;BYSETPOS=1,-1
      SUMMARY:ada
      END:VEVENT
      BEGIN:VEVENT
      DTSTART:20260105T100000Z
      DURATION:PT1H
      RRULE:FREQ=WEEKLY;BYDAY=MO,WE,FR;BYSETPOS=2;COUNT=2
      SUMMARY:grace`,
    expected: [
      "0 ada 2026-01-05T08:00 1 h",
      "0 ada 2026-12-28T08:00 1 h",
      "0 grace 2026-01-07T10:00 1 h",
      "0 grace 2026-01-14T10:00 1 h",
    ],
  },
  {
    name: "a weekday of a year, every second year, and days of several months",
    event: `DTSTART:20240513T080000Z
      DURATION:PT1H
      RRULE:FREQ=YEARLY;INTERVAL=2;BYDAY=20MO
      SUMMARY:ada
      END:VEVENT
      BEGIN:VEVENT
      DTSTART:20260101T080000Z
      DURATION:PT1H
      RRULE:FREQ=YEARLY;BYMONTH=2,7;BYMONTHDAY=1
      SUMMARY:grace`,
    expected: ["0 ada 2026-05-18T08:00 1 h", "0 grace 2026-02-01T08:00 1 h", "0 grace 2026-07-01T08:00 1 h"],
  },
  {
    name: "a zone by its name in Windows, also for the whole calendar",
    event: `DTSTART;TZID=Romance Standard Time:20260701T090000
      DURATION:PT1H
      SUMMARY:ada
      END:VEVENT
      X-WR-TIMEZONE:Tokyo Standard Time
      BEGIN:VEVENT
      DTSTART:20260701T090000
      DURATION:PT1H
      SUMMARY:grace`,
    expected: ["0 ada 2026-07-01T07:00 1 h", "0 grace 2026-07-01T00:00 1 h"],
  },
  {
    name: "a leading @ and PagerDuty's title",
    event: `DTSTART:20260105T080000Z
      DURATION:PT1H
      SUMMARY:@ada\\, @grace
      END:VEVENT
      BEGIN:VEVENT
      DTSTART:20260105T090000Z
      DURATION:PT1H
      SUMMARY:On Call - Ada - Night - Team`,
    expected: ["0 ada+grace 2026-01-05T08:00 1 h", "0 Ada 2026-01-05T09:00 1 h"],
  },
  { name: "an event of level only", event: "DTSTART:20260105T080000Z\nDURATION:P1D\nSUMMARY:[L1]", expected: [] },
];

test("events of calendar files", async (t) => {
  for (const { name, event, expected } of CASES)
    await t.test(name, async () => assert.deepEqual(await read(calendar(event)), expected));
  await t.test("a moved occurrence replaces the one of its series", async () => {
    const series = "DTSTART:20260105T080000Z\nDURATION:PT1H\nRRULE:FREQ=DAILY;COUNT=3\nSUMMARY:ada";
    const moved = "RECURRENCE-ID:20260106T080000Z\nDTSTART:20260106T120000Z\nDURATION:PT1H\nSUMMARY:grace";
    assert.deepEqual((await read(calendar(series, moved))).sort(), [
      "0 ada 2026-01-05T08:00 1 h",
      "0 ada 2026-01-07T08:00 1 h",
      "0 grace 2026-01-06T12:00 1 h",
    ]);
  });
  await t.test("a zone that the file defines", async () => {
    const zone = `BEGIN:VTIMEZONE\nTZID:Office\nBEGIN:STANDARD\nDTSTART:19700101T000000\nTZOFFSETFROM:+0300
TZOFFSETTO:+0300\nEND:STANDARD\nEND:VTIMEZONE`;
    const event = "DTSTART;TZID=Office:20260105T080000\nDURATION:PT1H\nSUMMARY:ada";
    const text = calendar(event).replace("BEGIN:VEVENT", `${zone.replaceAll("\n", "\r\n")}\r\nBEGIN:VEVENT`);
    assert.deepEqual(await read(text), ["0 ada 2026-01-05T05:00 1 h"]);
  });
});

/** A zone that changes its clocks each hour since 1601. */
function hourlyZone(): string {
  const part = "BEGIN:STANDARD\nDTSTART:16010101T000000\nRRULE:FREQ=HOURLY\nTZOFFSETFROM:+0300\nTZOFFSETTO:+0300";
  const zone = `BEGIN:VTIMEZONE\nTZID:Office\n${part}\nEND:STANDARD\nEND:VTIMEZONE\n`.replaceAll("\n", "\r\n");
  return calendar("DTSTART;TZID=Office:20260105T080000\nSUMMARY:ada").replace("BEGIN:VEVENT", `${zone}BEGIN:VEVENT`);
}

test("calendars that cannot be read are refused with a reason, and soon", async () => {
  const hourly = "DTSTART:16010105T080000Z\nDURATION:PT1H\nSUMMARY:ada\nRRULE:FREQ=HOURLY";
  for (const [text, reason] of [
    ["<html>not a calendar</html>", /not an iCalendar file/],
    ["", /not an iCalendar file/],
    [calendar("SUMMARY:ada").replace("END:VCALENDAR", "no line of a calendar"), /not an iCalendar file/],
    [calendar(hourly, hourly), /repeat too often/],
  ] as const)
    await assert.rejects(readCalendar(text, SPAN), reason, text);
});

const START = "DTSTART:20260105T080000Z\nDURATION:PT1H\nSUMMARY:ada";
const UNREADABLE: readonly { event: string; reason: RegExp }[] = [
  { event: `${START}\nRRULE:FREQ=MINUTELY`, reason: /the shortest is hourly/ },
  { event: `${START}\nRRULE:FREQ=YEARLY;BYYEARDAY=359`, reason: /recurrences with BYYEARDAY/ },
  { event: `${START}\nRRULE:FREQ=DAILY;BYSETPOS=1`, reason: /recurrences with BYSETPOS/ },
  { event: "DTSTART;TZID=Mars/Olympus:20260105T080000\nSUMMARY:ada", reason: /time zone Mars\/Olympus is not known/ },
  { event: "DTSTART;TZID=constructor:20260105T080000\nSUMMARY:ada", reason: /time zone constructor is not known/ },
  { event: `${START}\nEXDATE;TZID=Mars/Olympus:20260105T080000`, reason: /time zone Mars\/Olympus/ },
  { event: `${START}\nRECURRENCE-ID;TZID=Mars/Olympus:20260105T080000`, reason: /time zone Mars\/Olympus/ },
  { event: `${START}\nRRULE:FREQ=MONTHLY;INTERVAL=100000000`, reason: /an interval is at most 1000/ },
  { event: `${START}\nRRULE:FREQ=YEARLY;INTERVAL=10000000`, reason: /an interval is at most 1000/ },
  { event: `${START}\nRRULE:FREQ=HOURLY`.replace("20260105T", "16010105T"), reason: /it repeats too often/ },
  { event: START.replace("ada", Array(51).fill("ada").join(",")), reason: /more than 50 users/ },
  { event: `${START}\nRRULE:FREQ=SOMETIMES`, reason: /it is not valid/ },
  { event: `${START}\nRRULE:FREQ=MONTHLY;BYDAY=XX`, reason: /it is not valid/ },
  { event: `${START}\na line without a colon`, reason: /it is not valid/ },
  { event: `${START}\nBEGIN:VALARM\nTRIGGER`, reason: /it is not valid/ },
  { event: START.replace("20260105T080000Z", "soon"), reason: /it is not valid/ },
  { event: "SUMMARY:ada\nDURATION:PT1H", reason: /it has no start/ },
];

test("an event that cannot be read is left out and named, and the others are in effect", async (t) => {
  const other = "DTSTART:20260106T080000Z\nDURATION:PT1H\nSUMMARY:grace";
  for (const { event, reason } of UNREADABLE)
    await t.test(event, async () => {
      for (const text of [calendar(event, other), calendar(other, event)]) {
        const { events, leftOut } = await readCalendar(text, SPAN);
        assert.deepEqual(
          events.map(({ names }) => names),
          [["grace"]],
        );
        assert.equal(leftOut.length, 1);
        assert.match(leftOut[0]?.reason ?? "", reason);
        assert.match(leftOut[0]?.summary ?? "", /^ada/);
        assert.deepEqual(leftOut[0]?.names[0], "ada");
      }
    });
  await t.test("a zone that takes too long", async () => {
    const { events, leftOut } = await readCalendar(hourlyZone(), SPAN);
    assert.deepEqual([events, leftOut[0]?.reason], [[], "it repeats too often"]);
  });
  await t.test("a part that is no event", async () => {
    const text = calendar(other).replace(
      "BEGIN:VEVENT",
      "BEGIN:VTODO\r\nRRULE:FREQ=NEVER\r\nEND:VTODO\r\nBEGIN:VEVENT",
    );
    const { events, leftOut } = await readCalendar(text, SPAN);
    assert.deepEqual([events.length, leftOut], [1, []]);
  });
  await t.test("a moved occurrence that cannot be read leaves the occurrence in its place", async () => {
    const moved = "RECURRENCE-ID:20260106T080000Z\nDTSTART;TZID=Mars/Olympus:20260106T120000\nSUMMARY:ada";
    const { events, leftOut } = await readCalendar(calendar(other, moved), SPAN);
    assert.deepEqual([events.length, leftOut.length], [1, 1]);
  });
});

test("written calendars fold lines at 75 octets and escape texts, and are read as written", () => {
  const summary = `Zoë; a, b \\ and\nmore ${"ä".repeat(60)} 😀😀😀😀😀😀😀😀😀😀😀`;
  const text = calendarText({
    name: "On, call",
    timezone: "UTC",
    changedAt: 0,
    events: [{ uid: "1", start: 1_767_600_000_000, end: 1_767_603_600_000, summary }],
  });
  for (const line of text.split("\r\n")) assert.ok(Buffer.byteLength(line) <= 75, line);
  const [component] = new ICAL.Component(ICAL.parse(text) as never).getAllSubcomponents("vevent");
  const event = new ICAL.Event(component);
  assert.equal(event.summary, summary);
  assert.equal(event.startDate.toUnixTime(), 1_767_600_000);
  assert.equal(event.duration.toSeconds(), 3600);
});

test("a calendar link shows the final shifts until it is revoked, and the library reads it", async (t) => {
  const world = await onCallWorld(t);
  const { prism, clock, ada } = world;
  const now = clock.now();
  const schedule = await makeSchedule(world);
  await makeShift(world, schedule, { start: local(now), durationMs: 2 * HOUR, turns: [["ada"]] });
  const open = (url: string, headers = {}) => {
    const { pathname, search } = new URL(url);
    return prism.get(pathname + search, { token: null, headers });
  };
  const links = [
    [`${PATH}/schedules/${schedule}/calendar-link`, {}, "ada"],
    [`${PATH}/preferences/calendar-link`, { token: ada.token }, "On call: Database"],
  ] as const;
  for (const [path, options, summary] of links) {
    const { url, token } = await made<{ url: string; token: string }>(prism.post(path, undefined, options));
    const reply = await open(url);
    assert.equal(reply.headers.get("content-type"), "text/calendar; charset=utf-8");
    const [event] = new ICAL.Component(ICAL.parse(reply.text) as never)
      .getAllSubcomponents("vevent")
      .map((each) => new ICAL.Event(each));
    assert.deepEqual(
      [event?.summary, event?.startDate.toUnixTime(), event?.endDate.toUnixTime()],
      [summary, now / 1000, now / 1000 + 7200],
    );
    const again = await open(url, { "If-None-Match": reply.headers.get("etag") ?? "" });
    assert.equal(again.status, 304);
    assert.equal((await open(url.replace(token, `${token.slice(0, -1)}x`))).status, 404);
    assert.equal(
      JSON.stringify(await world.prism.services.db.read.selectFrom("oncall_schedules").selectAll().execute()).includes(
        token,
      ),
      false,
    );
    assert.equal((await prism.delete(path, options)).status, 204);
    assert.equal((await open(url)).status, 404);
  }
});

/** A server of calendars on this machine, with its requests. */
async function calendarServer(t: TestContext, answer: (request: IncomingMessage) => { status: number; body?: string }) {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    const { status, body = "" } = answer(request);
    response.writeHead(status, { ETag: '"one"', "Content-Type": "text/calendar" }).end(body);
  });
  const port = await listening(t, server);
  return { requests, url: `http://127.0.0.1:${port}/team.ics` };
}

const PRIVATE = { "webhooks.allowPrivateCidrs": "127.0.0.0/8" };

function errorOf({ prism }: OnCallWorld, schedule: string): string | null {
  return scalarOf<string | null>(prism, `select error from oncall_calendars where scheduleId = '${schedule}'`) ?? null;
}

test("an imported calendar is read every ten minutes by its ETag, and each error is reported once", async (t) => {
  const world = await onCallWorld(t, PRIVATE);
  const { prism, clock } = world;
  const now = clock.now();
  const stamp = (at: number): string => `${iso(at).slice(0, 19).replaceAll(/[-:]/g, "")}Z`;
  const file = (names: string): string =>
    calendar(`DTSTART:${stamp(now)}\nDTEND:${stamp(now + DAY)}\nSUMMARY:[L1] ${names}`);
  let current: { status: number; body?: string } = { status: 200, body: file("ada") };
  const { requests, url } = await calendarServer(t, () => current);
  const schedule = await makeSchedule(world, { calendarUrl: url });
  await makeShift(world, schedule, { start: local(now), durationMs: 2 * DAY, turns: [["grace"]] });
  await eventually("the calendar is read", async () => (await finalTexts(world, schedule, now, 48)).length === 2);
  assert.deepEqual(await finalTexts(world, schedule, now, 48), ["ada 0-24", "grace 24-48"]);

  const next = async (answer: typeof current): Promise<void> => {
    const before = requests.length;
    current = answer;
    await eventually("the calendar is read again", () => {
      // Another read, which a change of the schedule caused, may still store a later time.
      const dueAt = scalarOf<number>(prism, "select dueAt from oncall_calendars") ?? 0;
      if (requests.length === before && dueAt > clock.now()) clock.advance(dueAt - clock.now());
      return requests.length > before;
    });
    const checkedAt = (): unknown => scalarOf(prism, "select checkedAt from oncall_calendars");
    await eventually("and stored", () => checkedAt() === clock.now());
  };
  await next({ status: 304 });
  assert.equal(requests.at(-1)?.headers["if-none-match"], '"one"');
  await next({ status: 500 });
  await next({ status: 500 });
  assert.equal(errorOf(world, schedule), "the server answered 500");
  const admin = await made<{ id: string }>(prism.get("/api/v1/users/me"));
  const errors = (): string[] => noticesOf(world, admin).filter((title) => title.startsWith("Calendar"));
  assert.equal(errors().length, 1);
  assert.deepEqual(await finalTexts(world, schedule, now, 48), ["ada 0-24", "grace 24-48"], "the last readable one");

  // The past stays: half an hour of ada before the calendar names another user.
  await next({ status: 200, body: file("grace, no-one") });
  assert.deepEqual(errorOf(world, schedule), "it names unknown users: no-one");
  const past = (clock.now() - now) / HOUR;
  assert.deepEqual(await finalTexts(world, schedule, now, 24), [`ada 0-${past}`, `grace ${past}-24`]);
  await made(prism.put(`${PATH}/schedules/${schedule}`, { calendarUrl: null }));
  assert.deepEqual(await finalTexts(world, schedule, now, 24), [`ada 0-${past}`, `grace ${past}-24`]);
});

test("a display name that one member alone has puts that member on call, after usernames", async (t) => {
  const world = await onCallWorld(t, PRIVATE);
  const { prism, clock } = world;
  const now = clock.now();
  const named = (username: string, name: string): Promise<unknown> =>
    prism.services.db.write((trx) => trx.updateTable("users").set({ name }).where("username", "=", username).execute());
  const stamp = (at: number): string => `${iso(at).slice(0, 19).replaceAll(/[-:]/g, "")}Z`;
  const event = (from: number, summary: string): string =>
    `DTSTART:${stamp(now + from * HOUR)}\nDTEND:${stamp(now + (from + 2) * HOUR)}\nSUMMARY:${summary}`;
  await named("ada", "Ada Lovelace");
  // A display name is no way to another one's turns.
  await named("grace", "ada");
  const body = calendar(event(0, "ada lovelace"), event(2, "ada"), event(4, "Nobody Known"));
  const { url } = await calendarServer(t, () => ({ status: 200, body }));
  const schedule = await makeSchedule(world, { calendarUrl: url });
  await eventually("the calendar is read", async () => (await finalTexts(world, schedule, now, 8)).length > 0);
  assert.deepEqual(await finalTexts(world, schedule, now, 8), ["ada 0-4"]);
  assert.equal(errorOf(world, schedule), "it names unknown users: Nobody Known");
  const env = { PRISM_URL: prism.url, PRISM_TOKEN: prism.adminToken };
  for (const command of ["shifts", "show"]) {
    const { stdout } = await runCli(["oncall", command, schedule], { cwd: prism.dir, env });
    assert.match(stdout, /^warning: the calendar has a problem: it names unknown users: Nobody Known$/m, command);
  }
  await named("grace", "Ada Lovelace");
  const other = await makeSchedule(world, { name: "Other", calendarUrl: url });
  await eventually(
    "the calendar is read again",
    () => errorOf(world, other) !== undefined && errorOf(world, other) !== null,
  );
  assert.equal(errorOf(world, other), "it names unknown users: ada lovelace, Nobody Known");
});

test("people by their addresses as attendees, and events that are left out, in what the schedule says", async (t) => {
  const world = await onCallWorld(t, PRIVATE);
  const { prism, clock } = world;
  const now = clock.now();
  const stamp = (at: number): string => `${iso(at).slice(0, 19).replaceAll(/[-:]/g, "")}Z`;
  const hours = (from: number, to: number): string =>
    `DTSTART:${stamp(now + from * HOUR)}\nDTEND:${stamp(now + to * HOUR)}`;
  const odd = "RRULE:FREQ=YEARLY;BYYEARDAY=359";
  for (const username of ["ada", "grace"])
    await prism.services.db.write((trx) =>
      trx
        .updateTable("users")
        .set({ email: `${username}@example.com`, isEmailVerified: 1 })
        .where("username", "=", username)
        .execute(),
    );
  const { url } = await calendarServer(t, () => ({
    status: 200,
    body: calendar(
      `${hours(0, 2)}\nSUMMARY:On Call - Ada L. - Team\nATTENDEE:mailto:ADA@example.com`,
      `${hours(2, 4)}\nSUMMARY:Duty\nATTENDEE;CN=Grace:mailto:grace@example.com\nATTENDEE:mailto:guest@example.com`,
      `${hours(4, 6)}\nSUMMARY:Duty\nATTENDEE;PARTSTAT=DECLINED:mailto:grace@example.com`,
      `${hours(6, 8)}\nSUMMARY:@grace\nATTENDEE:mailto:ada@example.com`,
      `${hours(8, 10)}\nSUMMARY:[L2] ada\n${odd}`,
      `${hours(8, 10)}\nSUMMARY:Party\nATTENDEE:mailto:grace@example.com\n${odd}`,
      `${hours(8, 10)}\nSUMMARY:Christmas\n${odd}`,
      `${hours(8, 10)}\nSUMMARY:Payroll\nRRULE:FREQ=NEVER`,
    ),
  }));
  const schedule = await makeSchedule(world, { calendarUrl: url });
  await eventually("the calendar is read", () => errorOf(world, schedule) !== null);
  assert.deepEqual(await finalTexts(world, schedule, now, 48), ["ada 0-2", "grace 2-4", "grace 6-8"]);
  const start = iso(now + 8 * HOUR).slice(0, 19);
  const reason = "(recurrences with BYYEARDAY are not supported)";
  assert.equal(
    errorOf(world, schedule),
    `it names unknown users: Duty; events are left out: "[L2] ada" from ${start}Z ${reason}, "Party" from ${start}Z ${reason}`,
  );
  const shown = await made<{ calendar: { error: string } }>(prism.get(`${PATH}/schedules/${schedule}`));
  assert.match(shown.calendar.error, /events are left out/);
});

/** Hourly on a day that comes every four years, from 1900. */
const RARE = `DTSTART:19000101T000000Z
  DTEND:19000101T010000Z
  RRULE:FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=29
  SUMMARY:ada`;

test("S8: steps of recurrences count also without a hit, and a search without a hit ends", async () => {
  await assert.rejects(read(calendar(...Array.from({ length: 2000 }, () => RARE))), /its events repeat too often/);
  const never = RARE.replace("BYMONTHDAY=29", "BYMONTHDAY=31").replace("HOURLY", "DAILY");
  assert.deepEqual(await read(calendar(never)), []);
  const leapDay = RARE.replace("HOURLY", "DAILY").replace("19000101T00", "20240229T00").replace("19000101", "20240229");
  const { events } = await readCalendar(calendar(leapDay), { ...SPAN, to: Date.parse("2029-01-01T00:00:00Z") });
  const shown = events.map(({ start }) => iso(start).slice(0, 10));
  assert.deepEqual(shown, ["2028-02-29"]);
});

test("S8: a file that takes too long is read again an hour later, then each day", async (t) => {
  const world = await onCallWorld(t, PRIVATE);
  const { prism, clock } = world;
  const { requests, url } = await calendarServer(t, () => ({
    status: 200,
    body: calendar(...Array.from({ length: 100 }, () => RARE)),
  }));
  const schedule = await makeSchedule(world, { calendarUrl: url });
  const dueIn = (): number => (scalarOf<number>(prism, "select dueAt from oncall_calendars") ?? 0) - clock.now();
  await eventually("the first try", () => errorOf(world, schedule) === "its events repeat too often");
  assert.equal(dueIn(), HOUR);
  clock.advance(HOUR);
  await eventually("the second try", () => requests.length === 2 && dueIn() > 0);
  assert.equal(dueIn(), DAY);
});

test("after the clock was set back a calendar is read no more often", async (t) => {
  const world = await onCallWorld(t, PRIVATE);
  world.clock.set(-HOUR);
  const { requests, url } = await calendarServer(t, () => ({ status: 500 }));
  const schedule = await makeSchedule(world, { calendarUrl: url });
  await eventually("it is read", () => errorOf(world, schedule) !== null);
  // Another calendar is read meanwhile.
  const other = await makeSchedule(world, { name: "Other", calendarUrl: `${url}?other` });
  await eventually("the other one is read", () => errorOf(world, other) !== null);
  assert.deepEqual(
    requests.map(({ url: path }) => path),
    ["/team.ics", "/team.ics?other"],
  );
});

test("S8: calendars are read in turns by creator: many slow ones of one person do not delay those of another", async (t) => {
  const world = await onCallWorld(t, PRIVATE);
  const { prism } = world;
  const slow = createServer(() => requests++);
  let requests = 0;
  const port = await listening(t, slow);
  const eve = await makeUser(prism, "eve", ["User"]);
  for (const project of ["a", "b"]) {
    const { id } = await made(prism.post("/api/v1/projects", { name: project }, { token: eve.token }));
    for (let n = 0; n < 6; n++) {
      const body = { projectId: id, name: `s${n}`, calendarUrl: `http://127.0.0.1:${port}/${project}${n}.ics` };
      await made(prism.post(`${PATH}/schedules`, body, { token: eve.token }));
    }
  }
  await eventually("a slow one is asked for", () => requests > 0);
  const { url } = await calendarServer(t, () => ({ status: 500 }));
  const schedule = await makeSchedule(world, { calendarUrl: url });
  await eventually("another's is read", () => errorOf(world, schedule) === "the server answered 500");
  assert.equal(requests, 1, "one at a time of one creator");
});
