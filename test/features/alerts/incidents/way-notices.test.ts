import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { makeUser } from "../../../helpers/people.ts";
import { answered } from "../../../helpers/prism.ts";
import { rowsWith } from "../../../helpers/values.ts";
import { httpServer } from "../../channels/presets/http.ts";
import { type StandIn, startStandIn } from "../../channels/support/stand-in.ts";
import { IncidentWorld, MINUTE } from "./support.ts";

const SETTINGS = { "webhooks.allowPrivateCidrs": "127.0.0.0/8" };
const REFUSED = { status: 404, body: "no such hook" };

interface Room extends StandIn {
  readonly id: string;
  refuses: boolean;
}

type Place = Pick<IncidentWorld, "prism" | "projectId">;

async function roomOf(t: TestContext, { prism, projectId }: Place, name: string): Promise<Room> {
  const service = httpServer();
  const standIn = await startStandIn(t, {
    ...service,
    answer: (request, seen) => (room.refuses ? REFUSED : service.answer(request, seen)),
  });
  const room: Room = { ...standIn, id: "", refuses: true };
  const body = { name, preset: "http", fields: standIn.service.fields(standIn.url), projectId };
  const made = await answered(201, prism.post<{ id: string }>("/api/v1/channels", { ...body, eventTypes: ["none.x"] }));
  return Object.assign(room, { id: made.body.id });
}

/** Changes the default policy; its first change makes it the caller's. */
async function setSteps(world: Place, steps: readonly object[], token?: string): Promise<void> {
  const path = `/api/v1/policies/${world.projectId}`;
  const current = await world.prism.get<{ version: number }>(path);
  const headers = { "If-Match": `"${current.body.version}"` };
  await answered(200, world.prism.put(path, { steps }, { headers, ...(token === undefined ? {} : { token }) }));
}

interface Notice {
  readonly user: string;
  readonly title: string;
  readonly message: string;
  readonly channels: string;
}

/** Notices of failed ways, in order. */
function noticesOf({ db }: IncidentWorld): Promise<Notice[]> {
  return db.read
    .selectFrom("notifications as n")
    .innerJoin("notification_recipients as r", "r.notificationId", "n.id")
    .innerJoin("users as u", "u.id", "r.userId")
    .select(["u.username as user", "n.title", "n.message", "n.channels"])
    .where("n.kind", "=", "direct")
    .orderBy("r.seq")
    .$castTo<Notice>()
    .execute();
}

async function notices(world: IncidentWorld, count: number): Promise<Notice[]> {
  await eventually(`${count} notices`, async () => (await noticesOf(world)).length >= count);
  return noticesOf(world);
}

/** Time passes for incidents, pages and jobs. */
async function pass(world: IncidentWorld, ms: number): Promise<void> {
  await world.pass(ms);
  await world.prism.parts.offers.pages.check();
  await world.prism.parts.offers.pages.idle();
  world.prism.parts.offers.runner.enqueued([]);
}

test("who made the policy has one notice in 15 minutes of its failed ways, and one when they work again", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const [first, second] = [await roomOf(t, world, "Pager"), await roomOf(t, world, "Room")];
  const ann = await makeUser(world.prism, "ann", ["Admin"]);
  await world.member("bob");
  const steps = [
    { type: "channel", id: first.id },
    { type: "channel", id: second.id },
  ];
  await setSteps(world, steps, ann.token);
  second.refuses = false;
  await world.fire("A");
  const [one] = await notices(world, 1);
  assert.equal(one?.user, "ann");
  assert.match(one?.title ?? "", /^Pages of .* do not arrive: channel Pager$/);
  assert.match(one?.message ?? "", /- channel Pager, since \S+: .*404/);
  assert.ok(!one?.message.includes("http:"), one?.message);

  await pass(world, MINUTE);
  second.refuses = true;
  await world.fire("B");
  await eventually("the notice names both", async () => /2 ways fail/.test((await noticesOf(world))[0]?.title ?? ""));
  const [changed, ...others] = await noticesOf(world);
  assert.match(changed?.message ?? "", /channel Pager[\s\S]*channel Room/);
  assert.equal(others.length, 0, "the limit of 15 minutes holds");

  await pass(world, 15 * MINUTE);
  const [, later] = await notices(world, 2);
  assert.match(later?.title ?? "", /2 ways fail$/);

  second.refuses = false;
  await eventually("one is left", async () => {
    await pass(world, MINUTE);
    return /channel Pager$/.test((await noticesOf(world))[1]?.title ?? "");
  });
  first.refuses = false;
  await eventually("none is left", async () => {
    await pass(world, MINUTE);
    return (await noticesOf(world)).length > 2;
  });
  const [, , end, ...rest] = await notices(world, 3);
  assert.deepEqual([end?.user, rest.length], ["ann", 0]);
  assert.match(end?.title ?? "", /arrive again$/);
  assert.match(end?.message ?? "", /channel Pager/);
});

test("a way that fails again soon after it worked is reported when the 15 minutes are over, also after a restart", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const room = await roomOf(t, world, "Pager");
  await makeUser(world.prism, "ann", ["Admin"]);
  await setSteps(world, [{ type: "channel", id: room.id }]);
  // A policy of a maker who is no user, in a project without owners.
  await world.db.write((trx) => trx.updateTable("policies").set({ createdBy: null }).execute());
  await world.fire("A");
  await eventually("administrators have a notice", async () =>
    (await noticesOf(world)).some(({ user, title }) => user === "ann" && /do not arrive/.test(title)),
  );
  const users = new Set((await noticesOf(world)).map(({ user }) => user)).size;
  room.refuses = false;
  await pass(world, 6 * MINUTE);
  await notices(world, 2 * users);
  room.refuses = true;
  await world.fire("B");
  await eventually(
    "the failure is stored",
    async () => (await world.db.read.selectFrom("failed_ways").selectAll().execute()).length === 1,
  );
  assert.equal((await noticesOf(world)).length, 2 * users);
  await world.prism.restart();
  await pass(world.of(world.prism, world.clock), 10 * MINUTE);
  const all = await notices(world, 3 * users);
  assert.match(all.at(-1)?.title ?? "", /^Pages of .* do not arrive: channel Pager$/);
});

test("a person's way that fails is not used for the notice to that person; owners follow a maker who is gone", async (t) => {
  const world = await IncidentWorld.start(t, {
    ...SETTINGS,
    "smtp.url": "smtp://127.0.0.1:1",
    "smtp.from": "p@example.com",
  });
  const ann = await makeUser(world.prism, "ann", ["Admin"]);
  const oli = await world.member("oli");
  const room = await roomOf(t, world, "Pager");
  await setSteps(world, [{ type: "channel", id: room.id }], ann.token);
  await world.db.write(async (trx) => {
    await trx.updateTable("users").set({ status: "disabled" }).where("id", "=", ann.id).execute();
    await trx.updateTable("project_members").set({ role: "owner" }).where("userId", "=", oli.id).execute();
    const way = { target: `email ${oli.id} `, provider: "email", kind: "delivery", error: "mailbox full" } as const;
    const times = { since: world.clock.now(), failedAt: world.clock.now() };
    const where = { projectId: world.projectId, policyId: world.projectId };
    await trx
      .insertInto("failed_ways")
      .values({ ...way, ...times, ...where })
      .execute();
  });
  world.prism.rightsChanged();
  await world.fire("A");
  const [notice, ...others] = await notices(world, 1);
  assert.deepEqual([notice?.user, others.length], ["oli", 0]);
  assert.match(notice?.title ?? "", /2 ways fail$/);
  assert.match(notice?.message ?? "", /- mail of oli, since \S+: mailbox full/);
  assert.deepEqual(JSON.parse(notice?.channels ?? "[]"), ["in_app", "pusher", "fcm", "apns", "webpush"]);
});

test("while the queue of deliveries is full the outcome of a page has all that follows, and the notice of the way comes later", async (t) => {
  const settings = { "smtp.host": "127.0.0.1", "smtp.port": "9" };
  const world = await IncidentWorld.start(t, { ...SETTINGS, ...settings });
  const { prism, projectId } = world;
  const [pager, room] = [await roomOf(t, world, "Pager"), await roomOf(t, world, "Room")];
  room.refuses = false;
  const ann = await makeUser(prism, "ann", ["Admin"]);
  await answered(201, prism.post("/api/v1/policies", { name: "Own", steps: [{ type: "channel", id: pager.id }] }));
  await answered(200, prism.put("/api/v1/routes", { route: { policy: "Own", groupWaitMs: 0 } }));
  await setSteps(world, [{ type: "channel", id: room.id }], ann.token);
  await world.db.write((trx) => trx.updateTable("policies").set({ createdBy: ann.id }).execute());
  const full = t.mock.method(
    prism.parts.offers.runner,
    "isFull",
    (queue: string): boolean => queue === "notification-delivery",
  );
  await world.fire("A");
  await eventually("the default policy is used", () => room.seen.length === 1);
  await eventually("someone is reached", async () => (await world.only()).reachedAt !== null);
  assert.deepEqual(await noticesOf(world), []);

  pager.refuses = false;
  await world.resolveAlert("A");
  await pass(world, 6 * MINUTE);
  const ways = () => world.db.read.selectFrom("failed_ways").select("projectId").execute();
  await eventually("the end arrives", async () => (await ways()).length === 0);
  pager.refuses = true;
  await world.fire("B");
  await eventually("the way has failed", async () => (await ways()).length === 1);
  assert.deepEqual(await ways(), [{ projectId }]);
  full.mock.restore();
  await pass(world, MINUTE);
  const [notice] = await notices(world, 1);
  assert.deepEqual([notice?.user, notice?.title.slice(-13)], ["ann", "channel Pager"]);
});

test("attention and status name ways that accept nothing, and incidents that reach no one; events count notices", async (t) => {
  const settings = { "smtp.host": "127.0.0.1", "smtp.port": "9" };
  const world = await IncidentWorld.start(t, { ...SETTINGS, ...settings });
  const { prism } = world;
  const room = await roomOf(t, world, "Pager");
  await setSteps(world, [{ type: "channel", id: room.id }]);
  await world.fire("A");
  await eventually("it fails", async () => (await noticesOf(world)).length > 0);
  interface Shown {
    items: { kind: string; severity: string; title: string; detail: string; counts: object }[];
  }
  const attention = async () => (await prism.get<Shown>("/api/v1/attention")).body.items;
  const [incident] = (await attention()).filter(({ kind }) => kind === "incident");
  assert.equal(incident?.detail, "1 alert is firing; no one has been reached yet");
  const [way] = (await attention()).filter(({ kind }) => kind === "way");
  assert.equal(way?.title, "Incidents do not reach the channel Pager");
  assert.match(way?.detail ?? "", /404.* · 1 page waits$/);
  interface State {
    ways: { name: string; waiting: number; isFailed: boolean; since: string; error: string }[];
    pages: { waiting: number; incidentsUnreached: number };
  }
  const { body: status } = await prism.get<State>("/api/v1/status");
  assert.deepEqual(rowsWith(status.ways, "name", "waiting", "isFailed"), [["channel Pager", 1, true]]);
  assert.deepEqual(status.pages, { waiting: 1, incidentsUnreached: 1 });

  room.refuses = false;
  await eventually("it works", async () => {
    await pass(world, MINUTE);
    return (await world.only()).reachedAt !== null;
  });
  assert.deepEqual((await attention()).filter(({ kind }) => kind === "way").length, 0);
  const { id } = await world.only();
  assert.equal((await prism.post(`/api/v1/incidents/${id}/acknowledge`, {})).status, 200);
  const event = await world.db.read
    .selectFrom("events")
    .select("payload")
    .where("type", "=", "incident.acknowledged")
    .executeTakeFirstOrThrow();
  const { notices: counted } = JSON.parse(event.payload) as { notices: { delivered: number; failed: number } };
  // On a slow machine the minutes that pass bring a repetition.
  assert.ok(counted.delivered >= 1, event.payload);
  assert.equal(counted.failed, 0);
});

test("status and attention name failing ways of the caller and of projects that the caller sees; others are counted", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const { prism, clock } = world;
  const made = await prism.post<{ id: string }>("/api/v1/projects", { name: "shop" });
  const shop = { prism, projectId: made.body.id };
  const [vera, bob] = [await makeUser(prism, "vera", ["Viewer"]), await makeUser(prism, "bob", ["Viewer"])];
  const member = { userId: bob.id, role: "viewer" };
  assert.equal((await prism.post(`/api/v1/projects/${shop.projectId}/members`, member)).status, 201);
  const room = await roomOf(t, shop, "Pager");
  await setSteps(shop, [{ type: "channel", id: room.id }]);
  await world.fire("A", { projectId: shop.projectId });
  await eventually(
    "it fails",
    async () => (await world.db.read.selectFrom("failed_ways").selectAll().execute()).length === 1,
  );
  const times = { since: clock.now(), failedAt: clock.now() };
  const where = { projectId: shop.projectId, policyId: shop.projectId };
  const mails = [vera, bob].map(({ id }) => ({ target: `email ${id} `, provider: "email", kind: "delivery" as const }));
  await world.db.write(async (trx) => {
    await trx
      .insertInto("failed_ways")
      .values(mails.map((way) => ({ ...way, ...times, ...where, error: "mailbox full" })))
      .execute();
  });

  const shown = async (token?: string) => {
    const caller = token === undefined ? {} : { token };
    const status = await prism.get<{ ways: { name: string; error: string }[] }>("/api/v1/status", caller);
    const attention = await prism.get<{ items: { kind: string; title: string; detail: string }[] }>(
      "/api/v1/attention",
      caller,
    );
    const items = attention.body.items.filter(({ kind }) => kind === "way");
    assert.ok(status.body.ways.every((way) => Object.keys(way).sort().join() === KEYS));
    return {
      ways: status.body.ways.map(({ name, error }) => `${name}: ${error.includes("404") ? "404" : error}`).sort(),
      items: items.map(({ title, detail }) => `${title}: ${detail}`.replace(/: .*(404).*/, ": $1")).sort(),
    };
  };
  const all = ["channel Pager: 404", "mail of bob: mailbox full", "mail of vera: mailbox full"];
  for (const token of [undefined, bob.token]) assert.deepEqual((await shown(token)).ways, all);
  assert.deepEqual(await shown(vera.token), {
    ways: ["mail of vera: mailbox full", ...Array<string>(2).fill("way of another project: not shown")],
    items: [
      "Incidents do not reach 2 other targets: ",
      "Incidents do not reach the mail of vera: mailbox full · 0 pages wait",
    ],
  });

  const hidden = await prism.post<{ id: string }>("/api/v1/projects", { name: "hidden" });
  await world.db.write(async (trx) => {
    await trx.deleteFrom("failed_ways").where("kind", "=", "delivery").execute();
    await trx.updateTable("failed_ways").set({ projectId: hidden.body.id }).execute();
  });
  assert.deepEqual((await shown(bob.token)).ways, ["channel Pager: 404"], "a page of the project waits for it");
  assert.deepEqual((await shown(vera.token)).ways, ["way of another project: not shown"]);
  assert.deepEqual((await shown(vera.token)).items, ["Incidents do not reach 1 other target: "]);
});

const KEYS = "error,isFailed,kind,name,since,waiting";
