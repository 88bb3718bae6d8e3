import assert from "node:assert/strict";
import test from "node:test";
import type { OnCallConflict as Conflict, OnCallDaysOff as DaysOff } from "../../../src/client/api-types.gen.ts";
import { eventually } from "../../helpers/eventually.ts";
import { makeUser } from "../../helpers/people.ts";
import type { Reply } from "../../helpers/prism.ts";
import { rowsOf, scalarOf } from "../../helpers/tables.ts";
import { rowsWith, valuesOf } from "../../helpers/values.ts";
import {
  DAY,
  eventsOf,
  HOUR,
  iso,
  join,
  local,
  made,
  makeSchedule,
  makeShift,
  noticesOf,
  type OnCallWorld,
  onCallWorld,
  PATH,
  type Person,
} from "./support.ts";

/** Such as `403 UNAUTHORIZED_ROLE`. */
async function refusal(reply: Promise<Reply>): Promise<string> {
  const { status, body } = await reply;
  return `${status} ${(body as { error?: { code: string } }).error?.code}`;
}

const DAYS_OFF = `${PATH}/days-off`;
/** The day of an instant in UTC, the zone of the users here. */
const day = (at: number): string => iso(at).slice(0, 10);
const midnight = (at: number): number => Math.ceil(at / DAY) * DAY;

function addDaysOff({ prism }: OnCallWorld, by: Person, body: object): Promise<DaysOff> {
  return made<DaysOff>(prism.post(DAYS_OFF, body, { token: by.token }));
}

/** Ada is on call for the next 100 days by day from midnight in UTC on, or in turns with Grace. */
async function daily(world: OnCallWorld, turns: readonly (readonly string[])[] = [["ada"]]) {
  const start = midnight(world.clock.now());
  const schedule = await makeSchedule(world);
  const recurrence = { frequency: "daily" };
  const shift = await makeShift(world, schedule, { start: local(start), durationMs: DAY, recurrence, turns });
  return { schedule, shift, start };
}

/** Such as `ada 24-48`: hours since an instant. */
async function conflictTexts({ prism }: OnCallWorld, from: number, query = "", token?: string): Promise<string[]> {
  const reply = prism.get(`${PATH}/conflicts?${query}`, token === undefined ? {} : { token });
  const { data } = await made<{ data: readonly Conflict[] }>(reply);
  const hour = (text: string): number => (Date.parse(text) - from) / HOUR;
  return data.map(({ user, start, end }) => `${user.username} ${hour(start)}-${hour(end)}`);
}

test("a user enters, lists, changes and deletes days off; the answer names the shifts on them", async (t) => {
  const world = await onCallWorld(t);
  const { prism, ada } = world;
  const { start } = await daily(world);
  const entry = { firstDay: day(start + DAY), lastDay: day(start + 2 * DAY), note: "Family" };
  const off = await addDaysOff(world, ada, entry);
  assert.deepEqual(
    [off.user.username, off.firstDay, off.lastDay, off.note, off.timezone, off.start, off.end],
    ["ada", entry.firstDay, entry.lastDay, "Family", "UTC", iso(start + DAY), iso(start + 3 * DAY)],
  );
  assert.deepEqual(
    off.warnings?.map(({ name, start: from, end }) => [name, from, end]),
    [["Database", off.start, off.end]],
  );
  assert.match(
    off.warnings?.[0]?.message ?? "",
    /^ada is away from .* and on call for Database from .*no swap or override/,
  );
  const list = async () => (await made<{ data: DaysOff[] }>(prism.get(DAYS_OFF, { token: ada.token }))).data;
  assert.deepEqual(rowsWith(await list(), "id", "note"), [[off.id, "Family"]]);

  const stale = prism.put(`${DAYS_OFF}/${off.id}`, { note: "x" }, { token: ada.token, headers: { "If-Match": '"9"' } });
  assert.equal(await refusal(stale), "412 VERSION_CONFLICT");
  const changed = await made<DaysOff>(
    prism.put(`${DAYS_OFF}/${off.id}`, { lastDay: entry.firstDay }, { token: ada.token }),
  );
  assert.deepEqual([changed.version, changed.end, changed.note], [2, iso(start + 2 * DAY), "Family"]);
  assert.equal((await prism.get(`${DAYS_OFF}/${off.id}`, { token: ada.token })).status, 200);
  assert.equal((await prism.delete(`${DAYS_OFF}/${off.id}`, { token: ada.token })).status, 204);
  assert.deepEqual(await list(), []);
  const actions = rowsOf<{ action: string; metadata: string }>(
    prism,
    "select action, metadata from audit_log where action like 'oncall_days_off%' order by seq",
  );
  assert.deepEqual(valuesOf(actions, "action"), [
    "oncall_days_off.create",
    "oncall_days_off.update",
    "oncall_days_off.delete",
  ]);
  assert.ok(
    actions.every(({ metadata }) => !metadata.includes("Family")),
    "the note is private",
  );
});

test("what is no span of days is refused, and so is an entry too many", async (t) => {
  const world = await onCallWorld(t);
  const { prism, clock, ada } = world;
  const today = midnight(clock.now());
  const span = (first: number, last: number) => ({
    firstDay: day(today + first * DAY),
    lastDay: day(today + last * DAY),
  });
  await addDaysOff(world, ada, span(10, 12));
  for (const [name, body, path, message] of [
    ["a day that the calendar does not have", { firstDay: "2027-02-30", lastDay: "2027-03-01" }, "firstDay", /no day/],
    ["an end before the start", span(3, 2), "lastDay", /before firstDay/],
    ["more than 366 days", span(20, 386), "lastDay", /at most 366 days, not 367/],
    ["a time that is over", span(-9, -3), "lastDay", /in the past/],
    ["days that are entered already", span(12, 13), "firstDay", /already away from .* to /],
    ["a time of day", { firstDay: "2027-03-01T08:00", lastDay: "2027-03-02" }, "firstDay", /must be a day/],
  ] as const) {
    const { status, body: answer } = await prism.post<{ error: { details: { path: string; message: string }[] } }>(
      DAYS_OFF,
      body,
      { token: ada.token },
    );
    assert.equal(status, 400, name);
    assert.equal(answer.error.details[0]?.path, path, name);
    assert.match(answer.error.details[0]?.message ?? "", message, name);
  }
  for (let at = 0; at < 99; at++) await addDaysOff(world, ada, span(20 + at, 20 + at));
  assert.equal(await refusal(prism.post(DAYS_OFF, span(200, 200), { token: ada.token })), "409 LIMIT_REACHED");
  clock.advance(15 * DAY);
  await addDaysOff(world, ada, span(200, 200));
});

test("those who may change schedules keep the days off of members; others see the days, not the note", async (t) => {
  const world = await onCallWorld(t);
  const { prism, ada, grace, projectId, apiKey } = world;
  const { schedule, start } = await daily(world);
  const entry = { userId: "ada", firstDay: day(start), lastDay: day(start), note: "Surgery" };
  const outsider = await makeUser(prism, "eve");
  assert.equal(await refusal(prism.post(DAYS_OFF, entry, { token: grace.token })), "403 UNAUTHORIZED_ROLE");
  const off = await made<DaysOff>(prism.post(DAYS_OFF, entry));
  assert.equal((await prism.get(`${DAYS_OFF}?userId=ada`, { token: grace.token })).status, 403);
  for (const method of ["get", "delete"] as const)
    assert.equal(
      await refusal(prism[method](`${DAYS_OFF}/${off.id}`, { token: grace.token })),
      "404 DAYS_OFF_NOT_FOUND",
    );
  assert.equal((await prism.get(DAYS_OFF, { apiKey })).status, 403);

  const listed = async (token?: string) =>
    (await made<{ data: DaysOff[] }>(prism.get(`${PATH}/schedules/${schedule}/days-off`, token ? { token } : {}))).data;
  assert.deepEqual(valuesOf(await listed(), "note"), ["Surgery"]);
  assert.deepEqual(valuesOf(await listed(ada.token), "note"), ["Surgery"]);
  assert.deepEqual(rowsWith(await listed(grace.token), "firstDay", "note"), [[entry.firstDay, null]]);
  assert.equal((await prism.get(`${PATH}/schedules/${schedule}/days-off`, { token: outsider.token })).status, 404);

  // An owner of a project keeps those of its members, and of no one else.
  const owner = await makeUser(prism, "owen");
  await join(prism, projectId, owner.id, "owner");
  assert.equal((await prism.delete(`${DAYS_OFF}/${off.id}`, { token: owner.token })).status, 204);
  const other = prism.post(DAYS_OFF, { ...entry, userId: "eve" }, { token: owner.token });
  assert.equal(await refusal(other), "404 USER_NOT_FOUND");
  await addDaysOff(world, grace, { firstDay: entry.firstDay, lastDay: entry.lastDay });
  assert.equal((await prism.delete(`/api/v1/projects/${projectId}/members/${grace.id}`)).status, 204);
  const gone = prism.get(`${DAYS_OFF}?userId=grace`, { token: owner.token });
  assert.equal(await refusal(gone), "404 USER_NOT_FOUND");
});

test("the user stays on call, and is paged, until a swap or an override is taken", async (t) => {
  const world = await onCallWorld(t);
  const { prism, clock, projectId, ada, grace } = world;
  const { schedule, start } = await daily(world);
  await addDaysOff(world, ada, { firstDay: day(start), lastDay: day(start + DAY) });
  clock.advance(start + HOUR - clock.now());
  interface Named {
    readonly username: string;
    readonly away: { readonly firstDay: string; readonly lastDay: string } | null;
  }
  const names = (users: readonly Named[]) =>
    users.map(({ username, away }) => `${username} ${away?.lastDay ?? ""}`.trim());
  const onCallNow = async () => {
    const { data } = await made<{ data: { current: Named[] }[] }>(prism.get(`${PATH}/now?scheduleId=${schedule}`));
    return data.flatMap(({ current }) => names(current));
  };
  assert.deepEqual(await onCallNow(), [`ada ${day(start + DAY)}`]);
  const steps = [{ type: "notify", schedules: [{ id: schedule }] }];
  const policy = await made<{ id: string }>(prism.post("/api/v1/policies", { projectId, name: "Night", steps }));
  assert.ok(policy.id);
  await made(prism.put(`/api/v1/routes?projectId=${projectId}`, { route: { policy: "Night", groupWaitMs: 0 } }));
  await made(prism.post("/api/v1/alerts", { projectId, alerts: [{ labels: { alertname: "DiskFull" } }] }));
  const paged = () =>
    rowsOf<{ userId: string }>(
      prism,
      "select r.userId from notification_recipients r join notifications n on n.id = r.notificationId where n.kind = 'incident'",
    ).map(({ userId }) => userId);
  await eventually("ada is paged", () => paged().includes(ada.id));

  const path = `${PATH}/schedules/${schedule}`;
  const now = clock.now();
  const swap = await made<{ id: string }>(
    prism.post(`${path}/swaps`, { start: iso(now), end: iso(now + 12 * HOUR) }, { token: ada.token }),
  );
  assert.deepEqual(await onCallNow(), [`ada ${day(start + DAY)}`], "a request changes nothing");
  const { data } = await made<{ data: Conflict[] }>(prism.get(`${PATH}/conflicts?userId=me`, { token: ada.token }));
  assert.deepEqual(valuesOf(data, "swapId"), [swap.id]);
  await made(prism.post(`${path}/swaps/${swap.id}/take`, {}, { token: grace.token }));
  assert.deepEqual(await onCallNow(), ["grace"]);
  assert.deepEqual(await conflictTexts(world, start, `scheduleId=${schedule}`), ["ada 13-48"]);
  const cover = { start: iso(start + 13 * HOUR), end: iso(start + 2 * DAY), users: ["grace"], replaces: "ada" };
  await made(prism.post(`${path}/overrides`, cover));
  assert.deepEqual(await conflictTexts(world, start), []);

  interface Final {
    readonly data: readonly { readonly users: readonly Named[] }[];
  }
  const final = async (from: number) =>
    (await made<Final>(prism.get(`${path}/final-shifts?from=${iso(from)}&to=${iso(from + DAY)}`))).data.flatMap(
      ({ users }) => names(users),
    );
  assert.deepEqual(await final(start), [`ada ${day(start + DAY)}`, "grace", "grace"], "what was is shown as it was");
  assert.deepEqual(await final(start + 2 * DAY), ["ada"]);
});

test("a shift, an override or a swap that puts a user on call on days off warns, and is stored", async (t) => {
  const world = await onCallWorld(t);
  const { prism, ada, grace } = world;
  const { schedule, shift, start } = await daily(world, [["grace"]]);
  await addDaysOff(world, ada, { firstDay: day(start + DAY), lastDay: day(start + 2 * DAY) });
  const path = `${PATH}/schedules/${schedule}`;
  interface Answer {
    readonly id: string;
    readonly warnings: readonly Conflict[];
  }
  const texts = ({ warnings }: Answer) =>
    warnings.map(
      (each) =>
        `${each.user.username} ${(Date.parse(each.start) - start) / HOUR}-${(Date.parse(each.end) - start) / HOUR}`,
    );
  const span = (from: number, to: number) => ({ start: iso(start + from * HOUR), end: iso(start + to * HOUR) });
  const override = await made<Answer>(prism.post(`${path}/overrides`, { ...span(12, 30), users: ["ada"] }));
  assert.deepEqual(texts(override), ["ada 24-30"]);
  const moved = await made<Answer>(prism.put(`${path}/overrides/${override.id}`, span(2, 12)));
  assert.deepEqual(texts(moved), []);
  const swap = await made<Answer>(prism.post(`${path}/swaps`, span(26, 28), { token: grace.token }));
  assert.deepEqual(texts(swap), []);
  assert.deepEqual(texts(await made<Answer>(prism.post(`${path}/swaps/${swap.id}/take`, {}, { token: ada.token }))), [
    "ada 26-28",
  ]);
  const turns = await made<Answer>(prism.put(`${path}/shifts/${shift}`, { turns: [["grace"], ["ada"]] }));
  assert.deepEqual(texts(turns), ["ada 24-48"]);
  const single = { start: local(start + 2 * DAY), durationMs: HOUR, level: 5, turns: [["ada"]] };
  assert.deepEqual(texts(await made<Answer>(prism.post(`${path}/shifts`, single))), ["ada 48-49"]);
});

/** Texts of the on-call notifications of a user, oldest first. */
function messagesOf({ prism }: OnCallWorld, { id }: { readonly id: string }): string[] {
  return rowsOf<{ message: string; userId: string }>(
    prism,
    `select n.message, r.userId from notifications n join notification_recipients r on r.notificationId = n.id
     where n.kind = 'oncall' order by n.createdAt, r.seq`,
  ).flatMap(({ message, userId }) => (userId === id ? [message] : []));
}

const TITLE = "On call while away: Database";
const away = (world: OnCallWorld, user: { readonly id: string }) =>
  noticesOf(world, user).filter((title) => title.includes("while away"));

/** Resolves when gaps and conflicts of all schedules were searched after this instant of the clock. */
async function searched({ prism, clock }: OnCallWorld): Promise<void> {
  await eventually("schedules are searched", () => {
    const waiting = `select count(*) from oncall_schedules where gapsAt is null or gapsAt <= ${clock.now()}`;
    return scalarOf<number>(prism, waiting) === 0;
  });
}

test("the user and those who may change the schedule get one notice 14 days ahead, taken back when covered", async (t) => {
  const world = await onCallWorld(t);
  const { prism, clock, ada, grace } = world;
  const { schedule, start } = await daily(world);
  await addDaysOff(world, ada, { firstDay: day(start + 20 * DAY), lastDay: day(start + 50 * DAY) });
  const admin = await made<{ id: string }>(prism.get("/api/v1/users/me"));
  clock.advance(600_000);
  await searched(world);
  assert.deepEqual(away(world, ada), [], "too early");
  for (let at = 0; at < 9; at++) {
    clock.advance(DAY);
    await searched(world);
  }
  assert.deepEqual([away(world, ada), away(world, admin), away(world, grace)], [[TITLE], [TITLE], []]);
  const text = messagesOf(world, admin).at(-1) ?? "";
  assert.match(
    text,
    /^ada is away from .* to .* and on call for Database:\n- .* until .*\nNo swap or override covers it\./,
  );
  assert.deepEqual(rowsWith(eventsOf<{ start: string; end: string }>(world, "oncall.conflict"), "start", "end"), [
    [iso(start + 20 * DAY), iso(start + 51 * DAY)],
  ]);
  await prism.restart();
  clock.advance(2 * DAY);
  await searched(world);
  assert.deepEqual(away(world, ada), [TITLE], "a long absence has one notice");

  const path = `${PATH}/schedules/${schedule}/overrides`;
  const cover = (from: number, to: number) =>
    made(
      prism.post(path, {
        start: iso(start + from * DAY),
        end: iso(start + to * DAY),
        users: ["grace"],
        replaces: "ada",
      }),
    );
  await cover(20, 30);
  await eventually("the notice follows", () => messagesOf(world, admin).at(-1) !== text);
  assert.deepEqual(away(world, ada), [TITLE]);
  await cover(30, 51);
  const settled = "No longer on call while away: Database";
  await eventually("the notice is taken back", () => away(world, ada)[0] === settled);
  assert.deepEqual([away(world, ada), away(world, admin)], [[settled], [settled]]);
  assert.equal(scalarOf(prism, "select count(*) from oncall_conflicts"), 0);
});

test("an edit of 10 minutes causes no notice, and days off that are deleted end it", async (t) => {
  const world = await onCallWorld(t);
  const { prism, clock, ada } = world;
  const { start } = await daily(world);
  const entry = { firstDay: day(start + DAY), lastDay: day(start + DAY) };
  const off = await addDaysOff(world, ada, entry);
  clock.advance(500_000);
  assert.equal((await prism.delete(`${DAYS_OFF}/${off.id}`, { token: ada.token })).status, 204);
  clock.advance(600_000);
  await searched(world);
  assert.deepEqual(away(world, ada), []);
  const again = await addDaysOff(world, ada, entry);
  clock.advance(600_000);
  await eventually("the notice", () => away(world, ada).length === 1);
  assert.equal((await prism.delete(`${DAYS_OFF}/${again.id}`, { token: ada.token })).status, 204);
  await eventually("it is taken back", () => away(world, ada)[0]?.startsWith("No longer") === true);
});

test("the notices of a hand-over name the days off", async (t) => {
  const world = await onCallWorld(t);
  const { prism, clock, ada, grace } = world;
  const { schedule, start } = await daily(world, [["grace"], ["ada"]]);
  await made(prism.put(`${PATH}/schedules/${schedule}`, { notifiesOff: true }));
  await addDaysOff(world, ada, { firstDay: day(start + DAY), lastDay: day(start + DAY) });
  clock.advance(start - clock.now());
  await eventually("grace is on call", () => noticesOf(world, grace).length === 1);
  clock.advance(DAY);
  await eventually("ada is on call", () => noticesOf(world, ada).includes("On call now: Database"));
  const last = (user: Person) => messagesOf(world, user).at(-1) ?? "";
  assert.match(last(ada), /You are away on .*: no swap or override is taken, so you stay on call/);
  await eventually("grace is off call", () => last(grace).startsWith("Your shift"));
  assert.match(last(grace), /Now on call: ada \(away on .*; no swap is taken\)/);
});

/** Midnight in UTC of the next last Sunday of March or October, when the clocks change in Berlin. */
function lastSunday(after: number, month: number): number {
  for (let year = new Date(after).getUTCFullYear(); ; year++) {
    const last = Date.UTC(year, month, 31);
    const sunday = last - new Date(last).getUTCDay() * DAY;
    if (sunday > after + 2 * DAY) return sunday;
  }
}

test("days off are whole days of the user's zone: also when the clocks change, and when the zone does", async (t) => {
  const world = await onCallWorld(t);
  const { prism, ada } = world;
  const zone = (timezone: string) => made(prism.patch(`/api/v1/users/${ada.id}`, { timezone }));
  await zone("Europe/Berlin");
  const [march, october] = [2, 9].map((month) => lastSunday(world.clock.now(), month)) as [number, number];
  const spring = await addDaysOff(world, ada, { firstDay: day(march), lastDay: day(march) });
  assert.deepEqual([spring.start, spring.end], [iso(march - HOUR), iso(march + 22 * HOUR)]);
  const autumn = await addDaysOff(world, ada, { firstDay: day(october), lastDay: day(october + DAY) });
  assert.deepEqual([autumn.start, autumn.end], [iso(october - 2 * HOUR), iso(october + 47 * HOUR)]);
  const schedule = await makeSchedule(world);
  const from = march - 2 * HOUR;
  const shift = { start: local(from), durationMs: 30 * HOUR, turns: [["ada"]] };
  await makeShift(world, schedule, shift);
  const range = `from=${iso(from)}&to=${iso(from + 3 * DAY)}`;
  assert.deepEqual(await conflictTexts(world, from, range), ["ada 1-24"]);
  await zone("America/New_York");
  assert.deepEqual(await conflictTexts(world, from, range), ["ada 6-30"]);
  const moved = await made<DaysOff>(prism.get(`${DAYS_OFF}/${spring.id}`, { token: ada.token }));
  assert.deepEqual([moved.timezone, moved.start, moved.version], ["America/New_York", iso(march + 4 * HOUR), 1]);
});

test("a deleted user has no days off; a user who leaves the project, or a deleted project, no conflict", async (t) => {
  const world = await onCallWorld(t);
  const { prism, clock, projectId, ada, grace } = world;
  const { start } = await daily(world, [["ada", "grace"]]);
  for (const user of [ada, grace]) await addDaysOff(world, user, { firstDay: day(start), lastDay: day(start) });
  clock.advance(600_000);
  await eventually("two notices", () => scalarOf(prism, "select count(*) from oncall_conflicts") === 2);
  assert.equal((await prism.delete(`/api/v1/projects/${projectId}/members/${grace.id}`)).status, 204);
  assert.deepEqual(await conflictTexts(world, start), ["ada 0-24"]);
  await eventually("hers is taken back", () => away(world, grace)[0]?.startsWith("No longer") === true);
  assert.equal((await prism.delete(`/api/v1/users/${ada.id}`)).status, 204);
  assert.equal(scalarOf(prism, `select count(*) from oncall_days_off where userId = '${ada.id}'`), 0);
  assert.deepEqual(await conflictTexts(world, start), []);
  assert.ok((await prism.delete(`/api/v1/projects/${projectId}`)).status < 300);
  assert.equal(scalarOf(prism, "select count(*) from oncall_conflicts"), 0);
  assert.equal(scalarOf(prism, "select count(*) from oncall_days_off"), 1, "those of grace are her own");
});

test("calendars have a note of days off, and keep the names of users", async (t) => {
  const world = await onCallWorld(t);
  const { prism, ada } = world;
  const { schedule, start } = await daily(world);
  await addDaysOff(world, ada, { firstDay: day(start + DAY), lastDay: day(start + DAY) });
  for (const link of [
    await made<{ url: string }>(prism.post(`${PATH}/schedules/${schedule}/calendar-link`)),
    await made<{ url: string }>(prism.post(`${PATH}/preferences/calendar-link`, undefined, { token: ada.token })),
  ]) {
    const { pathname, search } = new URL(link.url);
    const text = (await prism.get(pathname + search, { token: null })).text.replaceAll("\r\n ", "");
    assert.match(text, /SUMMARY:(ada|On call: Database)\r/);
    assert.match(text, /DESCRIPTION:.*ada is away on .*no swap or override covers it/);
  }
});
