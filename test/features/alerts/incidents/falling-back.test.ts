import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { answered } from "../../../helpers/prism.ts";
import { httpServer } from "../../channels/presets/http.ts";
import { type StandIn, startStandIn } from "../../channels/support/stand-in.ts";
import { pusherPeer } from "../../delivery/support/pusher-peer.ts";
import { IncidentWorld, MINUTE } from "./support.ts";

const SETTINGS = { "webhooks.allowPrivateCidrs": "127.0.0.0/8" };
const REFUSALS = 200;

/** A channel of the project, or of the user of a token. @param refuses it answers 404 */
async function wayOf(
  t: TestContext,
  { prism, projectId }: IncidentWorld,
  owner: { readonly token?: string },
  refuses: boolean,
): Promise<StandIn & { readonly id: string }> {
  const standIn = await startStandIn(t, httpServer());
  if (refuses) for (let n = 0; n < REFUSALS; n += 1) standIn.next.push({ status: 404, body: "gone" });
  const fields = httpServer().fields(standIn.url);
  const body = { name: "Way", preset: "http", fields, ...(owner.token === undefined && { projectId }) };
  const made = await answered(201, prism.post<{ id: string }>("/api/v1/channels", body, owner));
  return { ...standIn, id: made.body.id };
}

async function makeOwner({ db, prism }: IncidentWorld, userId: string): Promise<void> {
  await db.write((trx) =>
    trx.updateTable("project_members").set({ role: "owner" }).where("userId", "=", userId).execute(),
  );
  prism.rightsChanged();
}

async function setPolicy({ prism, projectId }: IncidentWorld, steps: readonly object[]): Promise<void> {
  const path = `/api/v1/policies/${projectId}`;
  const { version } = (await prism.get<{ version: number }>(path)).body;
  await answered(200, prism.put(path, { steps }, { headers: { "If-Match": `"${version}"` } }));
}

async function usePolicy({ prism }: IncidentWorld, name: string, steps: readonly object[]): Promise<void> {
  await answered(201, prism.post("/api/v1/policies", { name, steps }));
  await answered(200, prism.put("/api/v1/routes", { route: { policy: name, groupWaitMs: 0 } }));
}

async function logHas(world: IncidentWorld, kind: string, times = 1): Promise<boolean> {
  const { id } = await world.only();
  return (await world.log(id)).filter((each) => each === kind).length >= times;
}

test("a last step whose way failed in an earlier step falls back", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const [ann, cas] = [await world.member("ann"), await world.member("cas")];
  await makeOwner(world, cas.id);
  await wayOf(t, world, ann, true);
  const phone = await wayOf(t, world, cas, false);
  const step = { type: "notify", users: ["ann"] };
  await setPolicy(world, [step, { type: "wait", ms: 10 * MINUTE }, step]);
  await world.fire("A");
  await eventually("the way has failed", () => logHas(world, "wait-shortened"));
  await world.pass(MINUTE / 2);
  await eventually("the owner has a page", () => phone.seen.length > 0);
});

for (const type of ["channel", "webhook"])
  test(`a fallback policy whose ${type} fails is followed by the owners`, async (t) => {
    const world = await IncidentWorld.start(t, SETTINGS);
    const [ann, cas] = [await world.member("ann"), await world.member("cas")];
    await makeOwner(world, cas.id);
    await wayOf(t, world, ann, true);
    const phone = await wayOf(t, world, cas, false);
    const room = await wayOf(t, world, {}, true);
    await setPolicy(world, [type === "channel" ? { type, id: room.id } : { type, url: room.url }]);
    await usePolicy(world, "Own", [{ type: "notify", users: ["ann"] }]);
    await world.fire("A");
    await eventually("both ways have failed", () => logHas(world, "page-failed", 2));
    await eventually("the owner has a page", () => phone.seen.length > 0);
    assert.ok(await logHas(world, "fallback", 2));
  });

test("a person whose contact rules have no way falls back when the last one has run", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const [ann, cas] = [await world.member("ann"), await world.member("cas")];
  await makeOwner(world, cas.id);
  const phone = await wayOf(t, world, cas, false);
  const high = [
    { afterMs: 0, channels: ["push"] },
    { afterMs: 5 * MINUTE, channels: ["email"] },
  ];
  await answered(200, world.prism.put("/api/v1/users/me/contact-rules", { high, low: [] }, { token: ann.token }));
  await setPolicy(world, [{ type: "notify", users: ["ann"] }]);
  await world.fire("A");
  await eventually("the owner has a page", () => phone.seen.length > 0);
});

test("a page of high urgency goes on although the person wants no later one of low urgency", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const ann = await world.member("ann");
  await answered(200, world.prism.put("/api/v1/users/me/preferences", { minPriority: 500 }, { token: ann.token }));
  const phone = await wayOf(t, world, ann, false);
  for (let n = 0; n < REFUSALS; n += 1) phone.next.push({ status: 503, body: "down" });
  await setPolicy(world, [
    { type: "notify", users: ["ann"] },
    { type: "wait", ms: MINUTE },
    { type: "notify", members: true, urgency: "low" },
  ]);
  await world.fire("A");
  await eventually("it was tried", () => phone.requests.length > 0);
  await world.pass(MINUTE);
  const { id } = await world.only();
  assert.equal((await world.log(id)).filter((kind) => kind === "notified").length, 2);
  phone.next.length = 0;
  await eventually("it is sent", async () => {
    world.clock.advance(MINUTE);
    await world.prism.parts.offers.pages.check();
    return phone.seen.length > 0;
  });
});

for (const isDown of [false, true])
  test(`a page by Pusher that ${isDown ? "waits" : "arrives"} keeps no later contact rule back`, async (t) => {
    const peer = await pusherPeer(t);
    if (isDown) peer.answer("slow");
    const world = await IncidentWorld.start(t, { ...SETTINGS, ...peer.settings });
    const ann = await world.member("ann");
    await wayOf(t, world, ann, true);
    const high = [
      { afterMs: 0, channels: ["in_app", "service"] },
      { afterMs: 5 * MINUTE, channels: ["email"] },
    ];
    await answered(200, world.prism.put("/api/v1/users/me/contact-rules", { high, low: [] }, { token: ann.token }));
    await setPolicy(world, [{ type: "notify", users: ["ann"] }]);
    await world.fire("A");
    await eventually("the way has failed", () => logHas(world, "page-failed"));
    const kinds = ["contact-notified", "contact-dropped"];
    await eventually("the next rule is used", async () => {
      const log = await world.log((await world.only()).id);
      return log.some((kind) => kinds.includes(kind));
    });
  });
