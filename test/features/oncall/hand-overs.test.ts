import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../helpers/eventually.ts";
import { makeUser } from "../../helpers/people.ts";
import { rowsOf, scalarOf } from "../../helpers/tables.ts";
import { valuesOf } from "../../helpers/values.ts";
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
} from "./support.ts";

interface Changed {
  readonly users: readonly { readonly username: string }[];
  readonly before: readonly { readonly username: string }[];
  readonly until: string | null;
}

/** Such as `ada > grace`, oldest first. */
function changes(world: OnCallWorld): string[] {
  const names = (users: Changed["users"]): string => users.map(({ username }) => username).join("+");
  return eventsOf<Changed>(world, "oncall.changed").map(({ users, before }) => `${names(before)} > ${names(users)}`);
}

/** Resolves when the schedule was looked at after this instant of the clock. */
async function looked({ prism, clock }: OnCallWorld, schedule: string): Promise<void> {
  const at = clock.now();
  await eventually("the schedule is looked at", () => {
    const checkedAt = scalarOf<number>(prism, `select checkedAt from oncall_schedules where id = '${schedule}'`);
    const dueAt = scalarOf<number>(prism, `select dueAt from oncall_schedules where id = '${schedule}'`);
    return Number(checkedAt) >= at || Number(dueAt) > at;
  });
}

const rotation = (world: OnCallWorld, more: object = {}) => ({
  start: local(world.clock.now()),
  durationMs: DAY,
  recurrence: { frequency: "daily" },
  turns: [["ada"], ["grace"]],
  ...more,
});

test("users are notified when their shift starts, and an event says who is on call", async (t) => {
  const world = await onCallWorld(t);
  const { clock, ada, grace } = world;
  const schedule = await makeSchedule(world, { notifiesOff: true });
  await makeShift(world, schedule, rotation(world));
  await eventually("ada is on call", () => changes(world).length === 1);
  assert.deepEqual(noticesOf(world, ada), ["On call now: Database"]);
  clock.advance(DAY);
  await eventually("grace is on call", () => changes(world).length === 2);
  assert.deepEqual(changes(world), [" > ada", "ada > grace"]);
  assert.deepEqual(noticesOf(world, grace), ["On call now: Database"]);
  assert.deepEqual(noticesOf(world, ada), ["On call now: Database", "Off call: Database"]);
  const { until } = eventsOf<Changed>(world, "oncall.changed")[1] ?? {};
  assert.equal(until, iso(clock.now() + DAY));
});

test("the lead of a notice is the user's own, otherwise that of the schedule; null sends none", async (t) => {
  const world = await onCallWorld(t);
  const { prism, clock, ada, grace } = world;
  await made(prism.put(`${PATH}/preferences`, { handoverLeadMs: 3 * HOUR }, { token: grace.token }));
  const schedule = await makeSchedule(world, { handoverLeadMs: HOUR });
  await makeShift(world, schedule, rotation(world, { start: local(clock.now() + 2 * HOUR) }));
  await looked(world, schedule);
  assert.deepEqual(noticesOf(world, ada), []);
  clock.advance(HOUR);
  await eventually("ada is notified", () => noticesOf(world, ada).length === 1);
  clock.advance(22 * HOUR);
  await eventually("grace is notified", () => noticesOf(world, grace).length === 1);
  clock.advance(4 * HOUR);
  await eventually("grace is on call", () => changes(world).length === 2);
  assert.deepEqual(noticesOf(world, ada), ["On call soon: Database"]);
  assert.deepEqual(noticesOf(world, grace), ["On call soon: Database"], "and once only");

  await made(prism.put(`${PATH}/schedules/${schedule}`, { handoverLeadMs: null }));
  clock.advance(DAY);
  await eventually("ada is on call again", () => changes(world).length === 3);
  assert.equal(noticesOf(world, ada).length, 1);
});

test("a restart neither loses nor repeats a hand-over; only the current state is reported", async (t) => {
  const world = await onCallWorld(t);
  const { prism, clock, ada, grace } = world;
  const schedule = await makeSchedule(world);
  await makeShift(world, schedule, rotation(world));
  await eventually("ada is on call", () => changes(world).length === 1);
  await prism.restart();
  await prism.stop();
  // Two hand-overs during the down time lead back to ada, a third one to grace.
  clock.advance(3 * DAY);
  await prism.restart();
  await eventually("grace is on call", () => changes(world).length === 2);
  assert.deepEqual(changes(world), [" > ada", "ada > grace"]);
  assert.deepEqual([noticesOf(world, ada).length, noticesOf(world, grace).length], [1, 1]);
});

test("a notice names a date that is only the end of what is looked at as the least one", async (t) => {
  const world = await onCallWorld(t);
  const schedule = await makeSchedule(world);
  await makeShift(world, schedule, rotation(world, { turns: [["ada"]] }));
  await eventually("ada is notified", () => noticesOf(world, world.ada).length === 1);
  const message = scalarOf<string>(world.prism, "select message from notifications where kind = 'oncall'");
  assert.match(String(message), /^You are on call for Database at least until \w+, .* \(UTC\)\.$/m);
});

test("a clock that is set back repeats no hand-over", async (t) => {
  const world = await onCallWorld(t);
  const { prism, clock } = world;
  const schedule = await makeSchedule(world);
  await makeShift(world, schedule, rotation(world));
  await eventually("ada is on call", () => changes(world).length === 1);
  clock.advance(DAY + HOUR);
  await eventually("grace is on call", () => changes(world).length === 2);
  clock.set(-2 * HOUR);
  await prism.restart();
  await made(prism.put(`${PATH}/schedules/${schedule}`, { description: "looked at again" }));
  await looked(world, schedule);
  clock.advance(2 * HOUR);
  await made(prism.put(`${PATH}/schedules/${schedule}`, { description: "and again" }));
  await looked(world, schedule);
  assert.deepEqual(changes(world), [" > ada", "ada > grace"]);
});

test("after the clock was set back a hand-over is reported when its shift starts", async (t) => {
  const world = await onCallWorld(t);
  const { prism, clock } = world;
  const schedule = await makeSchedule(world);
  await makeShift(world, schedule, rotation(world));
  await eventually("ada is on call", () => changes(world).length === 1);
  clock.set(-2 * HOUR);
  clock.advance(DAY + HOUR);
  await made(prism.put(`${PATH}/schedules/${schedule}`, { description: "looked at again" }));
  await looked(world, schedule);
  assert.deepEqual(changes(world), [" > ada"]);
  clock.advance(HOUR);
  await eventually("grace is on call", () => changes(world).length === 2);
});

test("each gap of the next 14 days is reported once, to those who may change the schedule", async (t) => {
  const world = await onCallWorld(t);
  const { prism, clock, ada } = world;
  const now = clock.now();
  const schedule = await makeSchedule(world);
  await makeShift(world, schedule, rotation(world, { recurrence: { frequency: "daily", until: iso(now + 3 * DAY) } }));
  const admin = (await made<{ id: string }>(prism.get("/api/v1/users/me"))).id;
  const gaps = (): { start: string }[] => eventsOf(world, "oncall.gap");
  await looked(world, schedule);
  assert.deepEqual(gaps(), [], "not during an edit");
  clock.advance(600_000);
  await eventually("the gap is reported", () => gaps().length === 1);
  assert.equal(gaps()[0]?.start, iso(now + 4 * DAY));
  const titles = (user: { id: string }) => noticesOf(world, user).filter((title) => title.startsWith("Gap"));
  assert.deepEqual(titles({ id: admin }), ["Gap on call: Database"]);
  assert.deepEqual(titles(ada), [], "a viewer cannot fill it");
  for (const _day of [1, 2]) {
    clock.advance(DAY);
    await looked(world, schedule);
  }
  assert.equal(gaps().length, 1);

  const answer = await made<{ data: { start: string; end: string }[] }>(
    prism.get(`${PATH}/schedules/${schedule}/gaps?from=${iso(now)}&to=${iso(now + 5 * DAY)}`),
  );
  assert.deepEqual(answer.data, [{ start: iso(now + 4 * DAY), end: iso(now + 5 * DAY), durationMs: DAY }]);
});

test("a schedule that reports no gaps sends no notice of them", async (t) => {
  const world = await onCallWorld(t);
  const { clock } = world;
  const schedule = await makeSchedule(world, { reportsGaps: false });
  await makeShift(world, schedule, { start: local(clock.now()), durationMs: HOUR, turns: [["ada"]] });
  clock.advance(2 * HOUR);
  await eventually("the shift is over", () => changes(world).includes("ada > "));
  clock.advance(DAY);
  await looked(world, schedule);
  assert.deepEqual(eventsOf(world, "oncall.gap"), []);
});

test("when the user on call is disabled, the next level is reported at once", async (t) => {
  const world = await onCallWorld(t);
  const { prism, clock, ada } = world;
  const schedule = await makeSchedule(world);
  await makeShift(world, schedule, rotation(world, { turns: [["grace"]] }));
  await makeShift(world, schedule, { start: local(clock.now()), durationMs: DAY, level: 1, turns: [["ada"]] });
  await eventually("ada is on call", () => changes(world).at(-1)?.endsWith("> ada"));
  await made(prism.patch(`/api/v1/users/${ada.id}`, { status: "disabled" }));
  await eventually("grace is on call", () => changes(world).at(-1) === "ada > grace");
});

test("a deleted project leaves no schedule", async (t) => {
  const world = await onCallWorld(t);
  const { prism, clock, projectId } = world;
  const schedule = await makeSchedule(world);
  await makeShift(world, schedule, { start: local(clock.now()), durationMs: DAY, turns: [["ada"]] });
  assert.ok((await prism.delete(`/api/v1/projects/${projectId}`)).status < 300);
  for (const table of ["oncall_schedules", "oncall_shifts"])
    assert.equal(scalarOf(prism, `select count(*) from ${table}`), 0, table);
});

test("every change is in the audit trail", async (t) => {
  const world = await onCallWorld(t);
  const { prism, clock, ada, grace } = world;
  const now = clock.now();
  const schedule = await makeSchedule(world);
  const path = `${PATH}/schedules/${schedule}`;
  await made(prism.put(path, { description: "d" }));
  const shift = await makeShift(world, schedule, { start: local(now + DAY), durationMs: DAY, turns: [["ada"]] });
  await made(prism.put(`${path}/shifts/${shift}`, { level: 1 }));
  await prism.delete(`${path}/shifts/${shift}`);
  const span = { start: iso(now + DAY), end: iso(now + 2 * DAY) };
  const swap = await made(prism.post(`${path}/swaps`, span, { token: ada.token }));
  await made(prism.post(`${path}/swaps/${swap.id}/take`, {}, { token: grace.token }));
  await made(prism.post(`${path}/calendar-link`));
  await prism.delete(`${path}/calendar-link`);
  await made(prism.put(`${PATH}/preferences`, { handoverLeadMs: 0 }));
  await prism.delete(path);
  const actions = rowsOf<{ action: string }>(
    prism,
    "select action from audit_log where action like 'oncall%' order by seq",
  );
  assert.deepEqual(valuesOf(actions, "action"), [
    ...["oncall_schedule.create", "oncall_schedule.update"],
    ...["oncall_shift.create", "oncall_shift.update", "oncall_shift.delete", "oncall_shift.create"],
    ...["oncall_shift.take", "oncall_schedule.link", "oncall_schedule.unlink", "oncall_user.update"],
    "oncall_schedule.delete",
  ]);
});

test("the calendar link of a schedule ends when the member who made it leaves the project", async (t) => {
  const world = await onCallWorld(t);
  const { prism, projectId } = world;
  const olga = await makeUser(prism, "olga", ["User"]);
  await join(prism, projectId, olga.id, "owner");
  const path = `${PATH}/schedules/${await makeSchedule(world)}/calendar-link`;
  const opens = async (url: string): Promise<number> => {
    const { pathname, search } = new URL(url);
    return (await prism.get(pathname + search, { token: null })).status;
  };
  const { url } = await made<{ url: string }>(prism.post(path, {}, { token: olga.token }));
  assert.equal(await opens(url), 200);
  await prism.delete(`/api/v1/projects/${projectId}/members/${olga.id}`);
  assert.equal(await opens(url), 404);
  const next = await made<{ url: string }>(prism.post(path));
  assert.deepEqual([await opens(next.url), await opens(url)], [200, 404]);
});
