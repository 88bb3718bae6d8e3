import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { answered } from "../../../helpers/prism.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { rowsWith, valuesOf } from "../../../helpers/values.ts";
import { httpServer } from "../../channels/presets/http.ts";
import { type StandIn, startStandIn } from "../../channels/support/stand-in.ts";
import { IncidentWorld, MINUTE } from "./support.ts";

const SETTINGS = { "webhooks.allowPrivateCidrs": "127.0.0.0/8", "auth.accessExpires": "30d" };
const PATH = "/api/v1/policies";
const HOUR = 60 * MINUTE;

interface Warned {
  readonly id: string;
  readonly version: number;
  readonly warnings: readonly { readonly code: string; readonly message: string }[];
}

interface Way extends StandIn {
  readonly channel: Warned;
}

async function wayOf(
  t: TestContext,
  { prism }: IncidentWorld,
  owner: { readonly projectId?: string; readonly token?: string },
): Promise<Way> {
  const standIn = await startStandIn(t, httpServer());
  const { projectId, token } = owner;
  const body = { name: "Pager", preset: "http", fields: standIn.service.fields(standIn.url), projectId };
  const made = await answered(201, prism.post<Warned>("/api/v1/channels", body, token === undefined ? {} : { token }));
  return { ...standIn, channel: made.body };
}

const codesOf = ({ warnings }: Warned): string[] => warnings.map(({ code }) => code);

async function listed({ prism }: IncidentWorld): Promise<string[]> {
  const { body } = await prism.get<{ data: readonly { code: string }[] }>(`${PATH}/warnings`);
  return body.data.map(({ code }) => code);
}

async function policy({ prism }: IncidentWorld, body: object, token?: string): Promise<Warned> {
  const made = await answered(201, prism.post<Warned>(PATH, body, token === undefined ? {} : { token }));
  return made.body;
}

async function changed({ prism }: IncidentWorld, path: string, method: "put" | "patch", body: object, token?: string) {
  const given = token === undefined ? {} : { token };
  const { version } = (await prism.get<{ version: number }>(path, given)).body;
  const reply = await prism[method]<Warned>(path, body, { ...given, headers: { "If-Match": `"${version}"` } });
  assert.equal(reply.status, 200, reply.text);
  return reply.body;
}

test("a policy without a step that reaches anyone is warned of when it is saved, and not refused", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const made = await policy(world, { name: "Empty", steps: [{ type: "wait", ms: MINUTE }] });
  assert.deepEqual(codesOf(made), ["no-steps"]);
  assert.deepEqual(await listed(world), ["no-steps"]);
  assert.deepEqual(codesOf(await policy(world, { name: "Listed", steps: [], opensIncidents: false })), []);
});

test("a channel counts as untested until it accepts a message, and again after its fields change", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const { prism, projectId } = world;
  const room = await wayOf(t, world, { projectId });
  const path = `/api/v1/channels/${room.channel.id}`;
  assert.deepEqual(codesOf(room.channel), ["channel-untested"]);
  assert.deepEqual(codesOf(await policy(world, { name: "Room", steps: [{ type: "channel", id: room.channel.id }] })), [
    "channel-untested",
  ]);
  room.next.push({ status: 500, body: "down" });
  assert.equal((await prism.post(`${path}/test`, {})).status, 200);
  assert.deepEqual(await listed(world), ["channel-untested"], "a test that fails is none");
  assert.equal((await prism.post(`${path}/test`, {})).status, 200);
  assert.deepEqual(await listed(world), []);
  assert.deepEqual(codesOf(await changed(world, path, "patch", { name: "Pager 2" })), []);
  const { token } = httpServer().fields("");
  assert.deepEqual(codesOf(await changed(world, path, "patch", { fields: { token: String(token) } })), [
    "channel-untested",
  ]);
  const steps = [{ type: "channel", id: room.channel.id }];
  await changed(world, `${PATH}/${projectId}`, "put", { steps });
  await world.fire("A");
  await eventually("a page is as good as a test", async () => (await listed(world)).length === 0);
  assert.deepEqual(codesOf(await changed(world, path, "patch", { active: false })), ["channel-disabled"]);
  assert.ok((await listed(world)).includes("channel-disabled"));
});

test("a person on call whose preferences refuse pages counts as without a way, and is warned when saving them", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const { prism } = world;
  const ann = await world.member("ann");
  await wayOf(t, world, { token: (await world.member("cas")).token });
  const steps = [{ type: "notify", users: ["ann"] }];
  const made = await policy(world, { name: "Ann", steps });
  assert.deepEqual(codesOf(made), ["person-without-way"]);
  assert.match(made.warnings[0]?.message ?? "", /^ann has no way .* with high urgency .*\(Ann\)$/i);
  await wayOf(t, world, ann);
  assert.deepEqual(await listed(world), []);

  const prefs = async (body: object): Promise<string[]> => {
    const reply = await answered(200, prism.put<Warned>("/api/v1/users/me/preferences", body, { token: ann.token }));
    return codesOf(reply.body);
  };
  for (const [body, codes, found] of [
    [{ minPriority: 801 }, ["below-minimum"], ["person-without-way"]],
    [{ minPriority: 800 }, [], []],
    [{ channels: { incident: ["in_app"] } }, ["no-outside-way"], ["person-without-way"]],
    [{ quietHours: { from: "00:00", to: "23:59" } }, [], []],
    [{}, [], []],
  ] as const) {
    assert.deepEqual(await prefs(body), codes, JSON.stringify(body));
    assert.deepEqual(await listed(world), found, JSON.stringify(body));
  }

  const rules = { low: [], high: [{ afterMs: 0, channels: ["in_app"] }] };
  const kept = await prism.put<Warned>("/api/v1/users/me/contact-rules", rules, { token: ann.token });
  assert.deepEqual(codesOf(kept.body), ["no-outside-way"]);
  assert.deepEqual(await listed(world), ["person-without-way"]);
});

test("the built-in policy is warned of while none of the members has a way, and no longer when one has", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  assert.deepEqual(await listed(world), [], "a server without ways reaches people in the app");
  const ann = await world.member("ann");
  const cas = await makeUser(world.prism, "cas");
  await wayOf(t, world, { token: cas.token });
  assert.deepEqual(await listed(world), ["members-without-way"]);
  await wayOf(t, world, ann);
  assert.deepEqual(await listed(world), []);
});

test("quiet hours hold pages of low urgency only, and held is not failed", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const { prism, projectId } = world;
  const ann = await world.member("ann");
  const phone = await wayOf(t, world, ann);
  const quiet = { quietHours: { from: "00:00", to: "23:59" } };
  assert.equal((await prism.put("/api/v1/users/me/preferences", quiet, { token: ann.token })).status, 200);
  const steps = (urgency: string) => [{ type: "notify", users: ["ann"], urgency }];
  await changed(world, `${PATH}/${projectId}`, "put", { steps: steps("low") });
  await world.fire("Low");
  const pages = () =>
    rowsOf<{ outcome: string }>(prism, "select outcome from pages order by createdAt").map(({ outcome }) => outcome);
  await eventually("it is held", () => pages()[0] === "held");
  const [low] = await world.rows();
  await world.pass(30 * MINUTE);
  const kinds = await world.log(low?.id ?? "");
  for (const kind of ["page-failed", "fallback", "unreachable"]) assert.ok(!kinds.includes(kind), kinds.join());
  assert.equal(rowsOf(prism, "select 1 from failed_ways").length, 0);
  assert.equal(phone.seen.length, 0);
  await changed(world, `${PATH}/${projectId}`, "put", { steps: steps("high") });
  await world.fire("High");
  await eventually("high urgency is sent", () => phone.seen.length === 1);
});

test("a gap of a schedule within a day is warned of unless another target of the step covers it", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const { prism } = world;
  const ann = await world.member("ann");
  await wayOf(t, world, ann);
  const schedule = (await prism.post<{ id: string }>("/api/v1/oncall/schedules", { name: "Night" })).body.id;
  const ofNight = { type: "notify", schedules: [{ id: schedule }] };
  const made = await policy(world, { name: "Night", steps: [ofNight] });
  assert.deepEqual(codesOf(made), ["schedule-gap"]);
  assert.match(made.warnings[0]?.message ?? "", /^No one is on call on Night now, and the step has no other target$/);
  const covered = { ...ofNight, users: ["ann"] };
  assert.deepEqual(codesOf(await changed(world, `${PATH}/${made.id}`, "put", { steps: [covered] })), []);
  const shift = { start: "2020-01-01T00:00:00", durationMs: 86_400_000, recurrence: { frequency: "daily" } };
  const path = `/api/v1/oncall/schedules/${schedule}/shifts`;
  assert.equal((await prism.post(path, { ...shift, turns: [["ann"]] })).status, 201);
  assert.deepEqual(codesOf(await changed(world, `${PATH}/${made.id}`, "put", { steps: [ofNight] })), []);
});

test("who made a policy has one notice of each cause, which says when it is mended", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const { prism, clock } = world;
  const ann = await makeUser(prism, "ann", ["Admin"]);
  const room = await wayOf(t, world, { projectId: world.projectId });
  // The channel is tested now: the notice itself goes to it too, and would be its test.
  assert.equal((await prism.post(`/api/v1/channels/${room.channel.id}/test`, {})).status, 200);
  const made = await policy(world, { name: "Room", steps: [{ type: "wait", ms: MINUTE }] }, ann.token);
  const { warningNotices } = prism.parts.offers;
  const notices = () =>
    rowsOf<{ username: string; title: string; message: string }>(
      prism,
      `select u.username, n.title, n.message from notifications n join notification_recipients r on r.notificationId = n.id
        join users u on u.id = r.userId where n.kind = 'oncall'`,
    );
  await warningNotices.due.check();
  assert.equal(notices().length, 0, "there is time for more changes");
  for (let n = 0; n < 3; n++) {
    clock.advance(HOUR);
    await warningNotices.due.check();
  }
  assert.deepEqual(rowsWith(notices(), "username", "title"), [["ann", "Pages may not arrive"]]);
  assert.match(notices()[0]?.message ?? "", /^The policy Room has no step that reaches anyone$/);
  await changed(world, `${PATH}/${made.id}`, "put", { steps: [{ type: "channel", id: room.channel.id }] }, ann.token);
  clock.advance(HOUR);
  await warningNotices.due.check();
  assert.deepEqual(valuesOf(notices(), "title"), ["Fixed: pages may not arrive"]);
});

test("all that is found at a time is one notice for a person, whose title says what is left", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const { prism, clock } = world;
  const ann = await makeUser(prism, "ann", ["Admin"]);
  const ben = await makeUser(prism, "ben", ["Admin"]);
  const room = await wayOf(t, world, { projectId: world.projectId });
  assert.equal((await prism.post(`/api/v1/channels/${room.channel.id}/test`, {})).status, 200);
  const empty = { steps: [{ type: "wait", ms: MINUTE }] };
  const made = [];
  for (let n = 0; n < 24; n++) made.push(await policy(world, { name: `Ann ${n}`, ...empty }, ann.token));
  await policy(world, { name: "Ben", ...empty }, ben.token);
  clock.advance(HOUR);
  const { warningNotices } = prism.parts.offers;
  await warningNotices.due.check();
  const notices = () =>
    rowsOf<{ username: string; title: string; message: string }>(
      prism,
      `select u.username, n.title, n.message from notifications n join notification_recipients r on r.notificationId = n.id
        join users u on u.id = r.userId where n.kind = 'oncall' order by u.username`,
    );
  assert.deepEqual(rowsWith(notices(), "username", "title"), [
    ["ann", "Pages may not arrive: 24 problems"],
    ["ben", "Pages may not arrive"],
  ]);
  assert.match(notices()[0]?.message ?? "", /^- The policy Ann \d+ has no step(?:.*\n){20}and 4 more\nThe list is on /);
  const steps = [{ type: "channel", id: room.channel.id }];
  await changed(world, `${PATH}/${made[0]?.id}`, "put", { steps }, ann.token);
  clock.advance(HOUR);
  await warningNotices.due.check();
  assert.deepEqual(valuesOf(notices(), "title"), ["Pages may not arrive: 23 problems left", "Pages may not arrive"]);
  for (const { id } of made.slice(1)) await changed(world, `${PATH}/${id}`, "put", { steps }, ann.token);
  clock.advance(HOUR);
  await warningNotices.due.check();
  assert.deepEqual(valuesOf(notices(), "title"), ["Fixed: pages may not arrive", "Pages may not arrive"]);
});

test("a gap is reported a day ahead to who made the policy, once", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const { prism, clock } = world;
  const ann = await makeUser(prism, "ann", ["Admin"]);
  await wayOf(t, world, { token: ann.token });
  const schedule = (await prism.post<{ id: string }>("/api/v1/oncall/schedules", { name: "Night", reportsGaps: false }))
    .body.id;
  // It ends in two days.
  const start = new Date(clock.now() - HOUR).toISOString().slice(0, 19);
  const shift = { start, timezone: "UTC", durationMs: 49 * HOUR, turns: [["ann"]] };
  await answered(201, prism.post(`/api/v1/oncall/schedules/${schedule}/shifts`, shift));
  const steps = [{ type: "notify", schedules: [{ id: schedule }] }];
  assert.deepEqual(codesOf(await policy(world, { name: "Night", steps }, ann.token)), []);
  const gaps = () =>
    rowsOf<{ message: string }>(prism, "select message from notifications where message like 'No one is on call%'");
  const { warningNotices } = prism.parts.offers;
  const hours = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n++) {
      clock.advance(HOUR);
      await warningNotices.due.check();
    }
  };
  await hours(23);
  assert.equal(gaps().length, 0);
  await hours(3);
  assert.equal(gaps().length, 1);
  assert.match(gaps()[0]?.message ?? "", /^No one is on call on Night from \S+, and the step has no other target$/);
  await hours(26);
  assert.equal(gaps().length, 1, "a gap has one notice, also once it has begun");
});

test("without any way outside of the app a policy that notifies people is warned of, as its incidents stay in the app", async (t) => {
  const world = await IncidentWorld.start(t);
  await world.member("ann");
  assert.deepEqual(await listed(world), [], "the built-in policy of a server for the app alone is well");
  assert.deepEqual(codesOf(await policy(world, { name: "Ann", steps: [{ type: "notify", users: ["ann"] }] })), [
    "no-outside-way",
  ]);
});

test("sample data and tests of channels never fall back, and administrators read the project, number and link only", async (t) => {
  const world = await IncidentWorld.start(t, { ...SETTINGS, publicUrl: "http://localhost:4321" });
  const { prism, db } = world;
  const admin = await makeUser(prism, "root2", ["Admin"]);
  const phone = await wayOf(t, world, admin);
  const { id: projectId } = await makeProject(prism, "Shop");
  await db.write((trx) => trx.deleteFrom("project_members").where("projectId", "=", projectId).execute());
  prism.rightsChanged();
  await world.fire("Demo", { projectId, labels: { alertname: "Demo", prism_demo: "true" } });
  const [demo] = await world.rows();
  const kinds = await world.log(demo?.id ?? "");
  assert.ok(!kinds.includes("fallback") && !kinds.includes("unreachable"), kinds.join());
  assert.equal((await prism.post(`/api/v1/channels/${phone.channel.id}/test`, {}, { token: admin.token })).status, 200);
  assert.equal((await world.rows()).length, 1, "a test opens no incident");
  assert.equal(phone.seen.length, 1);

  await world.fire("SecretName", { projectId, labels: { alertname: "SecretName", customer: "acme" } });
  await eventually("the administrator is paged", () => phone.seen.length === 2);
  const [, real] = await world.rows();
  const text = JSON.stringify(phone.requests[1]?.json);
  assert.ok(text.includes(`Incident ${real?.number} of Shop has reached no one`), text);
  assert.ok(text.includes(`/dashboard/incidents/${real?.id}`), text);
  for (const hidden of ["SecretName", "acme"]) assert.ok(!text.includes(hidden), text);
});

test("a policy, a schedule, an override and a rule that name a disabled or deleted person are warned of", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const { prism } = world;
  const [bob, eve, ann] = [await world.member("bob"), await world.member("eve"), await world.member("ann")];
  for (const person of [bob, ann]) await wayOf(t, world, person);
  const { id } = await policy(world, { name: "Duty", steps: [{ type: "notify", users: ["bob", "ann"] }] });
  const schedule = await prism.post<{ id: string }>("/api/v1/oncall/schedules", { name: "Office" });
  const [start, end] = [world.clock.now() - HOUR, world.clock.now() + HOUR].map((at) => new Date(at).toISOString());
  const path = `/api/v1/oncall/schedules/${schedule.body.id}`;
  const daily = { start: start?.slice(0, 19), durationMs: HOUR, timezone: "UTC", recurrence: { frequency: "daily" } };
  for (const [kind, body] of [
    ["shifts", { ...daily, turns: [["bob"], ["ann"]] }],
    ["overrides", { start, end, users: ["eve"] }],
  ] as const) {
    await answered(201, prism.post(`${path}/${kind}`, body));
  }
  const condition = "event.type == 'disk.full'";
  const rule = await prism.post<Warned>("/api/v1/rules", { name: "Disk", condition, targetUsers: [eve.id, ann.id] });
  assert.deepEqual(codesOf(rule.body), []);
  assert.deepEqual(await listed(world), []);

  assert.equal((await prism.patch(`/api/v1/users/${bob.id}`, { status: "disabled" })).status, 200);
  assert.equal((await prism.delete(`/api/v1/users/${eve.id}`)).status, 204);
  const found = await prism.get<{ data: readonly { message: string; project: string; policyId: string | null }[] }>(
    `${PATH}/warnings`,
  );
  assert.deepEqual(rowsWith(found.body.data, "message", "policyId"), [
    ["The policy Duty names bob, whose account is disabled", id],
    ["The on-call schedule Office names bob, whose account is disabled, in a shift", null],
    ["The on-call schedule Office names eve, whose account is deleted, in an override", null],
    ["The rule Disk names eve, whose account is deleted", null],
  ]);
  assert.deepEqual([...new Set(found.body.data.map(({ project }) => project))], ["default"]);
  assert.deepEqual(codesOf(await changed(world, `${PATH}/${id}`, "patch", { repeat: 1 })), ["person-inactive"]);
  const read = await prism.get<Warned>(`/api/v1/rules/${rule.body.id}`);
  assert.deepEqual(codesOf(read.body), ["RECIPIENT_INACTIVE"]);

  world.clock.advance(2 * HOUR);
  const later = await prism.get<{ data: readonly { message: string }[] }>(`${PATH}/warnings`);
  assert.ok(!later.body.data.some(({ message }) => message.includes("override")), "the override is over");
});
