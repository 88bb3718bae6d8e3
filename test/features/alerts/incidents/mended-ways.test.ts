import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { runAs, SYSTEM } from "../../../../src/core/caller.ts";
import { addEffect } from "../../../../src/store/database.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { makeProject, makeUser } from "../../../helpers/people.ts";
import { answered } from "../../../helpers/prism.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { startRecorder } from "../../../helpers/webhook-recorder.ts";
import { httpServer } from "../../channels/presets/http.ts";
import { pagerdutyEvents } from "../../channels/presets/pagerduty.ts";
import { type Service, type StandIn, startStandIn } from "../../channels/support/stand-in.ts";
import { IncidentWorld, MINUTE } from "./support.ts";

const SETTINGS = { "webhooks.allowPrivateCidrs": "127.0.0.0/8" };

interface Way extends StandIn {
  readonly id: string;
}

/** A channel of a project, or of the user of a token. */
async function wayOf(
  t: TestContext,
  { prism }: IncidentWorld,
  owner: { readonly projectId?: string; readonly token?: string },
  service: Service = httpServer(),
): Promise<Way> {
  const standIn = await startStandIn(t, service);
  const { projectId, token } = owner;
  const body = { name: "Pager", preset: service.preset, fields: service.fields(standIn.url), projectId };
  const made = await prism.post<{ id: string }>("/api/v1/channels", body, token === undefined ? {} : { token });
  assert.equal(made.status, 201, made.text);
  return { ...standIn, id: made.body.id };
}

async function setSteps({ prism }: IncidentWorld, projectId: string, steps: readonly object[]): Promise<void> {
  const path = `/api/v1/policies/${projectId}`;
  const { version } = (await prism.get<{ version: number }>(path)).body;
  await answered(200, prism.put(path, { steps }, { headers: { "If-Match": `"${version}"` } }));
}

async function change({ prism }: IncidentWorld, id: string, values: object, token?: string): Promise<void> {
  const path = `/api/v1/channels/${id}`;
  const given = token === undefined ? {} : { token };
  const { version } = (await prism.get<{ version: number }>(path, given)).body;
  await answered(200, prism.patch(path, values, { ...given, headers: { "If-Match": `"${version}"` } }));
}

interface Page {
  readonly outcome: string;
  readonly lastError: string | null;
}

function pagesOf({ prism }: IncidentWorld): Page[] {
  return rowsOf<Page>(prism, "select outcome, lastError from pages order by createdAt, id");
}

test("a channel that is disabled fails at once with these words, and is sent what still burns when it is enabled", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const room = await wayOf(t, world, world);
  await setSteps(world, world.projectId, [{ type: "channel", id: room.id }]);
  await change(world, room.id, { active: false });
  await world.fire("A");
  await eventually("it has failed", () => pagesOf(world)[0]?.outcome === "failed");
  assert.equal(pagesOf(world)[0]?.lastError, "the channel is disabled");
  assert.equal(room.requests.length, 0);
  await change(world, room.id, { active: true });
  await eventually("it is sent, and no time has passed", () => room.seen.length === 1);
});

test("a page that a service refused is tried again as soon as the channel is edited", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const room = await wayOf(t, world, world);
  await setSteps(world, world.projectId, [{ type: "channel", id: room.id }]);
  await change(world, room.id, { fields: { token: "a-key-that-was-revoked" } });
  await world.fire("A");
  await eventually("it has failed", () => pagesOf(world)[0]?.outcome === "failed");
  assert.match(pagesOf(world)[0]?.lastError ?? "", /401/);
  await change(world, room.id, { fields: { token: String(httpServer().fields("").token) } });
  await eventually("it is sent", () => room.seen.length === 1);
});

test("a channel that is deleted under a running incident is a failed way in these words", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const room = await wayOf(t, world, world);
  await setSteps(world, world.projectId, [{ type: "channel", id: room.id }]);
  for (let n = 0; n < 9; n++) room.next.push({ status: 500, body: "down" });
  await world.fire("A");
  await eventually("it was tried", () => pagesOf(world)[0]?.outcome === "trying");
  await setSteps(world, world.projectId, [{ type: "notify", members: true }]);
  await answered(204, world.prism.delete(`/api/v1/channels/${room.id}`));
  await eventually("it has failed", () => pagesOf(world)[0]?.lastError === "the channel has been deleted");
  const { id } = await world.only();
  await eventually("the timeline says so", async () => (await world.log(id)).includes("page-failed"));
});

test("a channel that failed counts no more in the status once it is deleted, by its project or its owner", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const ann = await world.member("ann");
  const [room, phone] = [await wayOf(t, world, world), await wayOf(t, world, ann)];
  for (const way of [room, phone]) for (let n = 0; n < 9; n++) way.next.push({ status: 404, body: "gone" });
  await setSteps(world, world.projectId, [
    { type: "channel", id: room.id },
    { type: "notify", users: ["ann"] },
  ]);
  const ways = async () => {
    const { body } = await answered(200, world.prism.get<{ ways: { name: string }[] }>("/api/v1/status"));
    return body.ways.map(({ name }) => name).sort();
  };
  await world.fire("A");
  await eventually("both have failed", async () => (await ways()).length === 2);
  assert.deepEqual(await ways(), ["channel Pager", "channel Pager of ann"]);
  await setSteps(world, world.projectId, [{ type: "notify", users: ["ann"] }]);
  await answered(204, world.prism.delete(`/api/v1/channels/${room.id}`));
  await answered(204, world.prism.delete(`/api/v1/channels/${phone.id}`, { token: ann.token }));
  await eventually("none of them counts", async () => (await ways()).length === 0);
});

test("a person's channel that is disabled and enabled again is sent what still burns", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const ann = await world.member("ann");
  const phone = await wayOf(t, world, ann);
  await setSteps(world, world.projectId, [{ type: "notify", users: ["ann"] }]);
  phone.next.push({ status: 500, body: "down" });
  await world.fire("A");
  await eventually("it was tried", () => pagesOf(world)[0]?.outcome === "trying");
  await change(world, phone.id, { active: false }, ann.token);
  await eventually("it has failed", () =>
    pagesOf(world).some(({ lastError }) => lastError === "the channel is disabled"),
  );
  await change(world, phone.id, { active: true }, ann.token);
  await eventually("it is sent", () => phone.seen.length >= 1);
});

test("a person's webhook that is disabled and enabled again is sent what still burns", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const ann = await makeUser(world.prism, "ann", ["Admin"]);
  const member = { userId: ann.id, role: "viewer" };
  await answered(201, world.prism.post(`/api/v1/projects/${world.projectId}/members`, member));
  const hook = await startRecorder(t);
  hook.status = 500;
  const made = world.prism.post<{ id: string }>("/api/v1/webhooks", { url: hook.url }, { token: ann.token });
  const path = `/api/v1/webhooks/${(await answered(201, made)).body.id}`;
  const setActive = async (active: boolean, version: number): Promise<void> => {
    const options = { token: ann.token, headers: { "If-Match": `"${version}"` } };
    await answered(200, world.prism.put(path, { active }, options));
  };
  await setSteps(world, world.projectId, [{ type: "notify", users: ["ann"] }]);
  await world.fire("A");
  await eventually("it was tried", () => pagesOf(world)[0]?.outcome === "trying");
  await setActive(false, 1);
  await eventually("it has failed", () =>
    pagesOf(world).some(({ lastError }) => lastError === "the webhook is disabled"),
  );
  hook.status = 200;
  await setActive(true, 2);
  await eventually("it is sent", () => hook.posts.length > 0);
});

for (const failures of [1, 2])
  test(`a page that waited for the server leaves first, and its incident asks again if it fails (${failures} failures)`, async (t) => {
    const world = await IncidentWorld.start(t, SETTINGS);
    const phone = await wayOf(t, world, await world.member("ann"));
    await setSteps(world, world.projectId, [{ type: "notify", users: ["ann"] }]);
    for (let count = 0; count < failures; count++) phone.next.push({ status: 500, body: "down" });
    await world.fire("A");
    const { id } = await world.only();
    const looks = async (): Promise<number> => (await world.log(id)).filter((kind) => kind === "looked-again").length;
    await eventually("it was tried", () => phone.requests.length === 1);

    await world.prism.restart(() => world.clock.advance(10 * MINUTE));
    await world.incidents.check();
    assert.equal(await looks(), 0);
    await eventually("it is tried again", () => phone.requests.length === 2);
    const isReached = async (): Promise<boolean> => (await world.only()).reachedAt !== null;
    if (failures === 1) await eventually("the incident is reached", isReached);
    world.clock.advance(MINUTE / 2);
    await world.incidents.check();
    assert.equal(await looks(), failures - 1);
    await eventually("the incident is reached", isReached);
  });

test("an incident that reaches no one asks again when a person gets a way, is active again, or is on call", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const { prism, projectId } = world;
  const [ann, bob] = [await world.member("ann"), await world.member("bob")];
  // Another person's way: without any on the server the rule is off.
  await wayOf(t, world, { token: (await world.member("cas")).token });
  const schedule = await answered(201, prism.post<{ id: string }>("/api/v1/oncall/schedules", { name: "Night" }));
  const steps = [{ type: "notify", users: ["ann"], schedules: [{ id: schedule.body.id }] }];
  await setSteps(world, projectId, steps);
  await world.fire("A");
  const { id } = await world.only();
  const looks = async (): Promise<number> => (await world.log(id)).filter((kind) => kind === "looked-again").length;
  assert.equal(await looks(), 0);
  const again = async (what: string, wanted: number): Promise<void> => {
    world.clock.advance(MINUTE / 2);
    await eventually(what, async () => {
      await world.incidents.check();
      return (await looks()) >= wanted;
    });
  };
  const shift = { start: "2020-01-01T00:00:00", durationMs: 86_400_000, recurrence: { frequency: "daily" } };
  const shifts = `/api/v1/oncall/schedules/${schedule.body.id}/shifts`;
  assert.equal((await prism.post(shifts, { ...shift, turns: [["bob"]] })).status, 201);
  await again("a shift starts", 1);
  assert.ok((await world.notified()).some((each) => each.includes("bob")));

  const lock = (status: string) => prism.patch(`/api/v1/users/${bob.id}`, { status });
  assert.equal((await lock("disabled")).status, 200);
  assert.equal((await lock("active")).status, 200);
  await again("a person is active again", 2);

  const phone = await wayOf(t, world, ann);
  await again("a person has a way", 3);
  await eventually("it is sent", () => phone.seen.length >= 1);
  await eventually("the incident is reached", async () => (await world.only()).reachedAt !== null);
});

test("an incident that reaches no one asks again although the client of the change has disconnected", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const { services } = world.prism;
  const ann = await world.member("ann");
  await wayOf(t, world, { token: (await world.member("cas")).token });
  await setSteps(world, world.projectId, [{ type: "notify", users: ["ann"] }]);
  await world.fire("A");
  const { id } = await world.only();
  const gone = { ...SYSTEM, process: "request" as const, ip: "192.0.2.1", isGone: () => true };
  await runAs(gone, () => services.db.write(async (trx) => addEffect(trx, { type: "ways-changed", userId: ann.id })));
  world.clock.advance(MINUTE / 2);
  await eventually("it asks again", async () => {
    await world.incidents.check();
    return (await world.log(id)).includes("looked-again");
  });
});

test("changes within 30 seconds make an incident that reaches no one ask its people once", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const { database } = world.prism.parts.base;
  const ann = await world.member("ann");
  await wayOf(t, world, { token: (await world.member("cas")).token });
  await setSteps(world, world.projectId, [{ type: "notify", users: ["ann"] }]);
  await world.fire("A");
  const { id, steppedAt } = await world.only();
  const handled = async (): Promise<void> => {
    // Answered after the search for incidents that reach no one.
    await database.scan.selectFrom("incidents").select("id").execute();
    await world.incidents.check();
  };
  const looks = async (): Promise<number> => (await world.log(id)).filter((kind) => kind === "looked-again").length;
  for (let n = 0; n < 3; n++) {
    await database.write(async (trx) => addEffect(trx, { type: "ways-changed", userId: ann.id }));
    await handled();
    assert.equal(await looks(), 0, `change ${n}`);
    assert.equal((await world.only()).repeatAt, (steppedAt ?? 0) + MINUTE / 2);
  }
  world.clock.advance(MINUTE / 2);
  await handled();
  assert.equal(await looks(), 1);
});

test("a deleted project sends the end to its pager first, then its channels and the rows of its pages go", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const { prism } = world;
  const { id: projectId } = await makeProject(prism);
  const pager = await wayOf(t, world, { projectId }, pagerdutyEvents());
  await setSteps(world, projectId, [{ type: "channel", id: pager.id }]);
  await world.fire("A", { projectId });
  await eventually("the pager has it", () => pager.seen.length === 1);
  pager.next.push({ status: 500, body: "down" });
  await answered(204, prism.delete(`/api/v1/projects/${projectId}`));
  await eventually("the end was refused", () => pager.requests.length === 2);
  assert.equal(rowsOf(prism, "select id from channels").length, 1, "it waits for the end");
  await eventually("the pager has the end", async () => {
    world.clock.advance(MINUTE);
    await world.incidents.check();
    await prism.parts.offers.pages.check();
    prism.parts.offers.runner.enqueued([]);
    return pager.seen[0]?.state === "resolved";
  });
  await eventually("the rows are gone", () => {
    world.clock.advance(MINUTE);
    prism.parts.offers.runner.enqueued([]);
    const tables = ["channels", "channel_messages", "pages", "failed_ways", "way_notices"];
    return tables.every((table) => rowsOf(prism, `select 1 from ${table}`).length === 0);
  });
  assert.deepEqual(valuesOf(await world.rows(), "state"), ["resolved"]);
});

test("of a person who is deleted no failed way is left, and nothing more is sent", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const { prism } = world;
  const ann = await world.member("ann");
  const phone = await wayOf(t, world, ann);
  await setSteps(world, world.projectId, [{ type: "notify", users: ["ann"] }]);
  phone.next.push({ status: 404, body: "gone" });
  await world.fire("A");
  await eventually("it has failed", () => rowsOf(prism, "select 1 from failed_ways").length === 1);
  await answered(204, prism.delete(`/api/v1/users/${ann.id}`));
  assert.equal(rowsOf(prism, "select 1 from failed_ways").length, 0);
  await eventually("nothing more is sent", () =>
    pagesOf(world).every(({ outcome }) => outcome === "skipped" || outcome === "overtaken" || outcome === "failed"),
  );
});

/** The project's alerts go to a policy without steps, and the server has no way outside of the app. */
async function withoutSteps(t: TestContext): Promise<IncidentWorld> {
  const world = await IncidentWorld.start(t);
  const { prism } = world;
  assert.equal((await prism.post("/api/v1/policies", { name: "Empty", steps: [] })).status, 201);
  await answered(200, prism.put("/api/v1/routes", { route: { policy: "Empty", groupWaitMs: 0 } }));
  return world;
}

test("a policy without steps reaches no one: the default policy asks people in the app on a server without other ways", async (t) => {
  const world = await withoutSteps(t);
  await world.member("ann");
  await world.fire("A");
  await world.pass(0);
  assert.deepEqual(await world.notified(), ["step ann"]);
  const { id, reachedAt, repeatAt } = await world.only();
  assert.deepEqual([reachedAt, (repeatAt ?? 0) - world.clock.now()], [world.clock.now(), 240 * MINUTE]);
  assert.ok((await world.log(id)).includes("fallback"));
  const refused = await world.prism.post<{ error: { code: string } }>(`/api/v1/incidents/${id}/escalate`, {});
  assert.deepEqual([refused.status, refused.body.error.code], [409, "INVALID_STATE"]);
});
