import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { answered } from "../../../helpers/prism.ts";
import { httpServer } from "../../channels/presets/http.ts";
import { startStandIn } from "../../channels/support/stand-in.ts";
import { IncidentWorld, MINUTE } from "./support.ts";

/** A server with a policy for each name: it pages a room that answers 404, and after ten minutes a person. */
async function worldWith(t: TestContext, names: readonly string[]): Promise<IncidentWorld> {
  const world = await IncidentWorld.start(t, { "webhooks.allowPrivateCidrs": "127.0.0.0/8" });
  const { prism, projectId } = world;
  await world.member("ann");
  for (const name of names) {
    // Each has a port of its own, so that it is a provider of its own.
    const room = await startStandIn(t, { ...httpServer(), answer: () => ({ status: 404, body: "gone" }) });
    const body = { name, preset: "http", fields: httpServer().fields(room.url), projectId };
    const { id } = (await answered(201, prism.post<{ id: string }>("/api/v1/channels", body))).body;
    const steps = [
      { type: "channel", id },
      { type: "wait", ms: 10 * MINUTE },
      { type: "notify", users: ["ann"] },
    ];
    await answered(201, prism.post("/api/v1/policies", { name, steps }));
  }
  const routes = names.map((policy) => ({ policy, matchers: [`way="${policy}"`] }));
  const route = { policy: names[0], groupBy: ["alertname"], groupWaitMs: 0, routes };
  await answered(200, prism.put("/api/v1/routes", { route }));
  return world;
}

/** When the next steps come, in seconds after the first ones. */
async function nextSteps(world: IncidentWorld): Promise<number[]> {
  const rows = await world.rows();
  return rows.map(({ stepAt, openedAt }) => ((stepAt ?? 0) - openedAt) / 1000);
}

async function failedPages(world: IncidentWorld): Promise<number> {
  const { db } = world;
  return (await db.read.selectFrom("incident_log").select("seq").where("kind", "=", "page-failed").execute()).length;
}

test("steps that different providers failed are shortened at the same time", async (t) => {
  const world = await worldWith(t, ["mail", "sms"]);
  await world.fire("A", { labels: { alertname: "A", way: "mail" } });
  await world.fire("B", { labels: { alertname: "B", way: "sms" } });
  await eventually("both have failed", async () => (await failedPages(world)) === 2);
  assert.deepEqual(await nextSteps(world), [30, 30]);
});

test("each step that a provider failed comes sooner, however many of a project do", async (t) => {
  const world = await worldWith(t, ["mail"]);
  const names = Array.from({ length: 12 }, (_, n) => `A${n}`);
  for (const name of names) await world.fire(name, { labels: { alertname: name, way: "mail" } });
  await eventually("all have failed", async () => (await failedPages(world)) === names.length);
  assert.deepEqual(new Set(await nextSteps(world)), new Set([30]));
});
