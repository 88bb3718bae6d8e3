import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../../helpers/eventually.ts";
import { IncidentWorld, MINUTE } from "../alerts/incidents/support.ts";
import { httpServer } from "../channels/presets/http.ts";
import { telegramBot } from "../channels/presets/telegram.ts";
import { startStandIn } from "../channels/support/stand-in.ts";

const SETTINGS = { "webhooks.allowPrivateCidrs": "127.0.0.0/8", publicUrl: "http://localhost:4321" };
const COUNT = 80;

async function submit(world: IncidentWorld, count: number): Promise<void> {
  const { projectId, prism } = world;
  const route = { policy: "default", groupBy: ["..."], groupWaitMs: 0, groupIntervalMs: 5 * MINUTE };
  assert.equal((await prism.put("/api/v1/routes", { route })).status, 200);
  await prism.parts.offers.alerts.submit(
    Array.from({ length: count }, (_, n) => ({
      ...{ projectId, source: "api" as const, sourceId: null, key: `api:${n}` },
      labels: { alertname: `A${n}`, severity: n === count - 1 ? "critical" : "warning" },
    })),
  );
  await world.incidents.check();
}

test("more incidents than a room takes in a minute are one summary, which the timeline of each names", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const room = await startStandIn(t, telegramBot());
  const made = await world.prism.post<{ id: string }>("/api/v1/channels", {
    ...{ name: "room", preset: "telegram", projectId: world.projectId, fields: room.service.fields(room.url) },
  });
  assert.equal(made.status, 201, made.text);
  const steps = [{ type: "channel", id: made.body.id }];
  assert.equal((await world.prism.patch(`/api/v1/policies/${world.projectId}`, { steps })).status, 200);
  await submit(world, COUNT);
  await eventually("all are delivered", async () => {
    world.clock.advance(1000);
    await world.prism.parts.offers.pages.check();
    const rows = await world.db.read.selectFrom("pages").select("outcome").execute();
    return rows.length === COUNT && rows.every(({ outcome }) => outcome === "delivered");
  });
  const summaries = room.seen.filter(({ text }) => /further incidents/.test(text));
  assert.ok(summaries.length > 0);
  assert.ok(room.seen.length < COUNT / 2, `${room.seen.length} messages`);
  assert.ok(!JSON.stringify(room.requests.at(-1)?.json).includes("acknowledge?token"));
  const answers = await world.db.read.selectFrom("pages").select("answer").execute();
  assert.ok(answers.some(({ answer }) => /^in a summary of \d+/.test(answer ?? "")));
});

test("after an outage of a person's way the oldest message and one summary arrive", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const phone = await startStandIn(t, httpServer());
  const ann = await world.member("ann");
  const made = await world.prism.post(
    "/api/v1/channels",
    { name: "phone", preset: "http", fields: phone.service.fields(phone.url) },
    { token: ann.token },
  );
  assert.equal(made.status, 201, made.text);
  const steps = [{ type: "notify", users: ["ann"] }];
  assert.equal((await world.prism.patch(`/api/v1/policies/${world.projectId}`, { steps })).status, 200);
  phone.next.push({ status: 503, body: "down" });
  await submit(world, 12);
  await eventually("it is tried", () => phone.requests.length === 1);
  await eventually("all are delivered", async () => {
    world.clock.advance(1000);
    await world.prism.parts.offers.pages.check();
    const rows = await world.db.read.selectFrom("pages").select("outcome").execute();
    return rows.length === 12 && rows.every(({ outcome }) => outcome === "delivered");
  });
  assert.equal(phone.seen.length, 2);
  assert.match(phone.seen[1]?.text ?? "", /11 incidents/);
});
