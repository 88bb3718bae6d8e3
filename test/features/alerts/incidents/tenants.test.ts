import assert from "node:assert/strict";
import { createServer } from "node:http";
import { type TestContext, test } from "node:test";
import { Lanes } from "../../../../src/features/delivery/pages/page-queue.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { listening } from "../../../helpers/listening.ts";
import { answered } from "../../../helpers/prism.ts";
import { IncidentWorld, MINUTE } from "./support.ts";

const SETTINGS = { "webhooks.allowPrivateCidrs": "127.0.0.0/8" };

test("targets of one owner that answer slowly use a quarter of the sockets at most", () => {
  const lanes = new Lanes();
  const slots = Array.from({ length: 100 }, () => lanes.take("proven", "project a"));
  assert.equal(slots.filter((slot) => slot !== undefined).length, 64);
  assert.ok(lanes.take("proven", "project b"));
  const [first] = slots;
  if (first) lanes.release(first);
  assert.ok(lanes.take("proven", "project a"));
});

/** A host with a path that hangs and one that works. */
async function host(t: TestContext): Promise<{ readonly url: string; readonly fast: string[] }> {
  const fast: string[] = [];
  const server = createServer((request, response) => {
    if (request.url === "/hang") return;
    fast.push(request.url ?? "");
    response.end();
  });
  const port = await listening(t, server);
  return { url: `http://127.0.0.1:${port}`, fast };
}

async function page(world: IncidentWorld, steps: readonly object[]): Promise<void> {
  await answered(200, world.prism.patch(`/api/v1/policies/${world.projectId}`, { steps }));
}

test("a path of a host that hangs holds no page to another path of it", async (t) => {
  const world = await IncidentWorld.start(t, { ...SETTINGS, "delivery.timeouts.answerMs": "300" });
  const { url, fast } = await host(t);
  await page(world, [{ type: "webhook", url: `${url}/hang`, format: "prism" }]);
  await world.fire("A");
  const pages = () => world.db.read.selectFrom("pages").select("outcome").orderBy("createdAt").execute();
  await eventually("the first one was tried", async () => (await pages())[0]?.outcome === "trying");
  await page(world, [{ type: "webhook", url: `${url}/fast`, format: "prism" }]);
  await world.fire("B");
  // The clock stands still: no pause of the host ends.
  await eventually("the second one arrives", () => fast.length === 1);
});

test("where webhooks are the only ways, an incident that they do not accept has reached no one", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const { url } = await host(t);
  await page(world, [{ type: "webhook", url: `${url}/hang`, format: "prism" }]);
  await world.fire("A");
  assert.equal((await world.only()).reachedAt, null);
  await page(world, []);
  await world.fire("B");
  const [, second] = await world.rows();
  assert.notEqual(second?.reachedAt, null, "a server without ways counts the app");
});

test("a person who has left the project gets no further notices of its incidents", async (t) => {
  const world = await IncidentWorld.start(t);
  const { prism } = world;
  const { id: projectId } = (await prism.post<{ id: string }>("/api/v1/projects", { name: "shop" })).body;
  const eve = await world.member("eve");
  const ann = await world.member("ann");
  for (const { id: userId } of [eve, ann])
    await prism.post(`/api/v1/projects/${projectId}/members`, { userId, role: "viewer" });
  const steps = [{ type: "notify", users: ["eve", "ann"] }];
  await answered(200, prism.patch(`/api/v1/policies/${projectId}`, { steps }));
  await world.fire("A", { projectId });
  await world.pass(MINUTE);
  const left = await prism.delete(`/api/v1/projects/${projectId}/members/${eve.id}`);
  assert.ok(left.status < 300, left.text);
  await world.resolveAlert("A", { projectId });
  await world.pass(10 * MINUTE);
  assert.deepEqual(await world.notified(), ["step ann, eve", "resolved ann"]);
});
