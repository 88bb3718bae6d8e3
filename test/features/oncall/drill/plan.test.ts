import assert from "node:assert/strict";
import test from "node:test";
import { nextSlot } from "../../../../src/features/oncall/drill/plan.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { makeUser } from "../../../helpers/people.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { rowsWith, valuesOf } from "../../../helpers/values.ts";
import { local, makeSchedule, makeShift, noticesOf } from "../support.ts";
import { type DrillWorld, drillWorld, mailLink, manager, PATH, tap } from "./support.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const BERLIN = "Europe/Berlin";

for (const row of [
  { name: "the next one of the week", day: 3, hour: 11, after: "2026-01-12T00:00:00Z", at: "2026-01-14T10:00:00.000Z" },
  { name: "later on the same day", day: 3, hour: 11, after: "2026-01-14T09:59:59Z", at: "2026-01-14T10:00:00.000Z" },
  {
    name: "a week after the last one",
    day: 3,
    hour: 11,
    after: "2026-01-14T10:00:00Z",
    at: "2026-01-21T10:00:00.000Z",
  },
  {
    name: "in summer an hour earlier",
    day: 0,
    hour: 11,
    after: "2026-03-28T00:00:00Z",
    at: "2026-03-29T09:00:00.000Z",
  },
  {
    name: "an hour that a change of clocks skips",
    day: 0,
    hour: 2,
    after: "2026-03-28T12:00:00Z",
    at: "2026-03-29T01:00:00.000Z",
  },
  {
    name: "the first of an hour that comes twice",
    day: 0,
    hour: 2,
    after: "2026-10-24T12:00:00Z",
    at: "2026-10-25T00:00:00.000Z",
  },
  {
    name: "once only, if it comes twice",
    day: 0,
    hour: 2,
    after: "2026-10-25T00:00:00Z",
    at: "2026-11-01T01:00:00.000Z",
  },
  { name: "any day", day: null, hour: 11, after: "2026-01-14T10:00:00Z", at: "2026-01-15T10:00:00.000Z" },
])
  test(`the hour of a drill: ${row.name}`, () =>
    assert.equal(new Date(nextSlot(row, BERLIN, Date.parse(row.after))).toISOString(), row.at));

/** Ada is on call in UTC from a time on, and has chosen noon of the day after tomorrow. */
async function planned(world: DrillWorld, { inDays = 3 } = {}): Promise<number> {
  const { prism, clock, ada } = world;
  const schedule = await makeSchedule(world);
  const start = local(clock.now() + inDays * DAY);
  await makeShift(world, schedule, { start, durationMs: DAY, turns: [["ada"]] });
  const at = Math.floor(clock.now() / DAY) * DAY + 2 * DAY + 12 * HOUR;
  const day = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"][new Date(at).getUTCDay()];
  await eventually("ada has a plan", () => scalarOf(prism, "select plannedAfter from drill_people") !== undefined);
  const set = await prism.put<{ nextAt: string }>(`${PATH}/preferences`, { day, hour: 12 }, { token: ada.token });
  assert.equal(set.body.nextAt, new Date(at).toISOString());
  return at;
}

async function goTo({ clock, prism }: DrillWorld, at: number): Promise<void> {
  clock.advance(at - clock.now());
  await prism.parts.offers.drills.plan.due.check();
}

const drills = ({ prism }: DrillWorld): number =>
  Number(scalarOf(prism, "select count(*) from drills where startedBy is null"));

async function nextAt({ prism, ada }: DrillWorld): Promise<number> {
  const { body } = await prism.get<{ nextAt: string }>(`${PATH}/preferences`, { token: ada.token });
  return Date.parse(body.nextAt);
}

test("who is on call within 7 days has a drill at the chosen hour, once a week", async (t) => {
  const world = await drillWorld(t);
  const at = await planned(world);
  await goTo(world, at - 1000);
  assert.equal(drills(world), 0);
  await goTo(world, at);
  assert.equal(drills(world), 1);
  assert.equal(await nextAt(world), at + 7 * DAY);
  const listed = await world.prism.get<{ data: { startedBy: unknown }[] }>(PATH, { token: world.ada.token });
  assert.deepEqual(valuesOf(listed.body.data, "startedBy"), [null]);
  // By then the shift is over.
  await goTo(world, at + 7 * DAY);
  assert.equal(drills(world), 1);
});

test("who is on call later than in 7 days has none yet", async (t) => {
  const world = await drillWorld(t);
  const { prism, clock } = world;
  const schedule = await makeSchedule(world);
  await makeShift(world, schedule, { start: local(clock.now() + 20 * DAY), durationMs: DAY, turns: [["ada"]] });
  await prism.parts.offers.drills.plan.changed();
  assert.deepEqual(rowsOf(prism, "select * from drill_people"), []);
});

test("a drill is never in quiet hours: it waits for their end", async (t) => {
  const world = await drillWorld(t);
  const at = await planned(world);
  const prefs = { quietHours: { from: "11:30", to: "13:15" } };
  await world.prism.put("/api/v1/users/me/preferences", prefs, { token: world.ada.token });
  await goTo(world, at);
  assert.equal(drills(world), 0);
  assert.equal(await nextAt(world), at + 1.25 * HOUR);
  await goTo(world, at + 1.25 * HOUR);
  assert.equal(drills(world), 1);
});

test("during an incident of high urgency that paged the person it waits for an hour", async (t) => {
  const world = await drillWorld(t);
  const { prism, projectId, ada } = world;
  const at = await planned(world);
  await goTo(world, at - 1000);
  const paged = await prism.post<{ id: string }>("/api/v1/incidents", { projectId, title: "Slow", users: ["ada"] });
  assert.equal(paged.status, 201, paged.text);
  const hasPages = `select count(*) from pages where userId = '${ada.id}'`;
  await eventually("ada is paged", () => Number(scalarOf(prism, hasPages)) > 0);
  await goTo(world, at);
  assert.equal(drills(world), 0);
  assert.equal(await nextAt(world), at + HOUR);
  assert.equal((await prism.post(`/api/v1/incidents/${paged.body.id}/resolve`, {})).status, 200);
  await goTo(world, at + HOUR);
  assert.equal(drills(world), 1);
});

test("a drill that no server could start waits for the hour of the next day", async (t) => {
  const world = await drillWorld(t);
  const { prism, clock } = world;
  const at = await planned(world);
  await goTo(world, at - HOUR);
  await prism.restart(() => clock.advance(15 * HOUR));
  await prism.parts.offers.drills.plan.due.check();
  await eventually("it is planned again", async () => (await nextAt(world)) === at + DAY);
  assert.equal(drills(world), 0, "not at three in the morning");
  await goTo(world, at + DAY);
  assert.equal(drills(world), 1);
  assert.equal((await nextAt(world)) > at + 6 * DAY, true);
});

test("a restart in a drill neither repeats nor loses it", async (t) => {
  const world = await drillWorld(t);
  const { prism, mail } = world;
  const at = await planned(world);
  await prism.parts.offers.pages.stop();
  await goTo(world, at);
  assert.equal(drills(world), 1);
  await prism.restart();
  await eventually("the mail arrives", () => mail.accepted.length === 1);
  await prism.parts.offers.drills.plan.due.check();
  assert.equal(drills(world), 1);
  assert.equal(mail.accepted.length, 1);
});

test("who takes no part, and a server with drill.enabled false, have none", async (t) => {
  const world = await drillWorld(t);
  const { prism, ada } = world;
  const at = await planned(world);
  const off = await prism.put(`${PATH}/preferences`, { takesPart: false }, { token: ada.token });
  assert.deepEqual([off.body["takesPart"], off.body["nextAt"]], [false, null]);
  await goTo(world, at);
  assert.equal(drills(world), 0);
  const proofs = await prism.get<{ data: { takesPart: boolean; isProven: boolean }[] }>("/api/v1/oncall/proofs");
  assert.deepEqual(rowsWith(proofs.body.data, "takesPart", "isProven"), [[false, false]]);
  const other = await drillWorld(t, { "drill.enabled": "false" });
  const schedule = await makeSchedule(other);
  await makeShift(other, schedule, { start: local(other.clock.now() + DAY), durationMs: DAY, turns: [["ada"]] });
  await other.prism.parts.offers.drills.plan.changed();
  assert.deepEqual(rowsOf(other.prism, "select * from drill_people"), []);
});

test("drills are removed after 60 days with their ways and pages", async (t) => {
  const world = await drillWorld(t);
  const { prism, clock, ada } = world;
  assert.equal((await prism.post(PATH, {}, { token: ada.token })).status, 202);
  await eventually("accepted", () => scalarOf(prism, "select count(*) from pages where outcome = 'delivered'") === 2);
  const { DRILL_SWEEPS } = await import("../../../../src/features/oncall/drill/retention.ts");
  const counts = () =>
    ["drills", "drill_ways", "pages"].map((table) => scalarOf<number>(prism, `select count(*) from ${table}`));
  const sweep = () => DRILL_SWEEPS[0]?.sweep(prism.parts.base.database, clock.now(), () => false);
  clock.advance(59 * DAY);
  await sweep();
  assert.deepEqual(counts(), [1, 2, 2]);
  clock.advance(2 * DAY);
  await sweep();
  assert.deepEqual(counts(), [0, 0, 0]);
});

test("who is on call without a proof is named by attention, status, doctor and the notice of the shift", async (t) => {
  const world = await drillWorld(t);
  const { prism, clock, ada, mail } = world;
  const at = await planned(world);
  const kinds = async (caller: { token?: string } = {}): Promise<string[]> => {
    const { body } = await prism.get<{ items: { kind: string; detail: string }[] }>("/api/v1/attention", caller);
    return body.items.filter(({ kind }) => kind === "unproven").map(({ detail }) => detail);
  };
  const named = async (caller: { token?: string } = {}) =>
    (await prism.get<{ unproven: unknown[] }>("/api/v1/status", caller)).body.unproven;
  const doctor = async () => {
    const { checkDrills } = await import("../../../../src/features/oncall/drill/doctor.ts");
    const [check] = await checkDrills(prism.services.db.read, prism.parts.base.config);
    return `${check?.severity} ${check?.text}`;
  };
  assert.deepEqual([await kinds(), await named()], [["ada"], [{ name: "ada", takesPart: true }]]);
  const rename = (name: string) => prism.patch(`/api/v1/users/${ada.id}`, { name });
  assert.equal((await rename("Ada Lovelace")).status, 200);
  assert.deepEqual(
    [await kinds(), await named()],
    [["Ada Lovelace"], [{ name: "ada", takesPart: true }]],
    "people read names, commands take usernames",
  );
  await rename("ada");
  const vera = await makeUser(prism, "vera", ["Viewer"]);
  assert.deepEqual(
    [await kinds(vera), await named(vera)],
    [["1 other user"], [{ name: "another user", takesPart: true }]],
    "who does not see all projects sees how many",
  );
  assert.match(await doctor(), /warn.*on call soon without proof within 14 days: ada/i);
  await goTo(world, at);
  assert.equal((await tap(await mailLink(world))).status, 200);
  assert.deepEqual([await kinds(), await named()], [[], []]);
  assert.match(await doctor(), /pages are known to reach/);
  const before = mail.accepted.length;
  clock.advance(12 * HOUR + DAY);
  await eventually("the notice of the shift", () => noticesOf(world, ada).includes("On call now: Database"));
  const text =
    scalarOf<string>(
      prism,
      "select message from notifications where kind = 'oncall' and title = 'On call now: Database'",
    ) ?? "";
  assert.match(
    text,
    /Pages reach you: mail proven \d+ (hours?|days?) ago, 0\.0 s; webhook accepted .* ago, not confirmed\.$/,
  );
  assert.ok(before > 0);
});

test("schedules of a mirror plan no drill; others are drilled by rights in other projects, oneself always", async (t) => {
  const world = await drillWorld(t);
  const { prism, ada } = world;
  const boss = await manager(world, "boss");
  const at = await planned(world);
  await setMirror(world, { from: "oncall" });
  await prism.parts.offers.drills.plan.changed();
  assert.equal(scalarOf(prism, "select count(*) from drill_people where plannedAfter is not null"), 0);
  await goTo(world, at);
  assert.equal(drills(world), 0);
  const ofAda = await prism.post<{ error: { code: string; message: string } }>(
    PATH,
    { users: ["ada"], now: true },
    { token: boss.token },
  );
  assert.deepEqual([ofAda.status, ofAda.body.error.code], [409, "INVALID_STATE"], ofAda.text);
  assert.match(ofAda.body.error.message, /mirrors/);
  assert.equal((await prism.post(PATH, {}, { token: ada.token })).status, 202);
  await setMirror(world, null);
  assert.equal((await prism.post(PATH, { users: ["ada"], now: true }, { token: boss.token })).status, 202);
});

async function setMirror({ prism, projectId }: DrillWorld, mirror: object | null): Promise<void> {
  const { body } = await prism.get<{ version: number }>(`/api/v1/projects/${projectId}`);
  const headers = { "If-Match": `"${body.version}"` };
  const changed = await prism.patch(`/api/v1/projects/${projectId}`, { settings: { mirror } }, { headers });
  assert.equal(changed.status, 200, changed.text);
}
