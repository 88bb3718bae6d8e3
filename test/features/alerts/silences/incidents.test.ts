import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { crashImage } from "../../../helpers/crash-image.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { answered, startPrism } from "../../../helpers/prism.ts";
import { rowsWith } from "../../../helpers/values.ts";
import { IncidentWorld, MINUTE } from "../incidents/support.ts";
import { PATH, type SilenceBody } from "./support.ts";

const HOUR = 60 * MINUTE;
const DB = { labels: { alertname: "A", team: "db" } };

/** A server with one member, who is notified by the built-in policy. */
async function worldWith(t: TestContext) {
  const world = await IncidentWorld.start(t, { "auth.accessExpires": "30d" });
  await world.member("ann");
  const { prism } = world;
  const { silences } = prism.parts.offers;
  return {
    world,
    async silence(more: object = {}): Promise<SilenceBody> {
      const body = { matchers: ['team="db"'], durationMs: HOUR, comment: "disks", ...more };
      const reply = await answered(201, prism.post<SilenceBody>(PATH, body));
      return reply.body;
    },
    get: async (id: string) => (await prism.get<SilenceBody>(`${PATH}/${id}`)).body,
    async route(document: object): Promise<void> {
      await answered(200, prism.put("/api/v1/routes", document));
    },
    /** What was withheld is looked at again without a wait. */
    async isNotified(expected: readonly string[]): Promise<void> {
      await silences.flush();
      await eventually(`notified: ${expected.join("; ")}`, async () => {
        await world.incidents.check();
        return (await world.notified()).join("; ") === expected.join("; ");
      });
    },
  };
}

test("a silenced alert notifies no user, is a hit of the silence, and is notified when the silence ends", async (t) => {
  const { world, silence, get, isNotified } = await worldWith(t);
  const { id } = await silence();
  await world.fire("A", DB);
  assert.deepEqual(await world.notified(), []);
  await world.pass(10 * MINUTE);
  assert.deepEqual(await world.notified(), []);
  const incident = await world.only();
  assert.deepEqual([incident.state, incident.notifiedAt], ["open", null]);
  const { hits, withheld } = await get(id);
  assert.equal(hits, 1, "however often it is looked at");
  assert.deepEqual(rowsWith(withheld as { labels: object; incidentId: string }[], "labels", "incidentId"), [
    [DB.labels, incident.id],
  ]);
  world.clock.advance(50 * MINUTE);
  await isNotified(["step ann"]);
});

test("a silence that is ended lets its alerts through at once", async (t) => {
  const { world, silence, isNotified } = await worldWith(t);
  const { id } = await silence();
  await world.fire("A", DB);
  await world.fire("B", { labels: { alertname: "B", team: "web" } });
  await isNotified(["step ann"]);
  assert.equal((await world.prism.delete(`${PATH}/${id}`)).status, 204);
  await isNotified(["step ann", "step ann"]);
});

test("after kill -9 right after a silence was ended, its alerts are let through at the start", async (t) => {
  const { world, silence } = await worldWith(t);
  const { id } = await silence();
  await world.fire("A", DB);
  await world.fire("B", { labels: { alertname: "B", team: "db" } });
  await world.pass(MINUTE);
  assert.deepEqual(await world.notified(), []);
  // The rows of the ended silence are stored; no incident has been looked at since.
  await world.prism.services.db.write((trx) =>
    trx.updateTable("silences").set({ endsAt: world.clock.now() }).where("id", "=", id).execute(),
  );
  const dir = await crashImage(t, world.prism);
  const clock = new FakeClock(world.clock.now() + 1);
  const again = world.of(await startPrism(t, { dir, clock }), clock);
  await eventually("both incidents are notified", async () => {
    await again.incidents.check();
    return (await again.notified()).length === 2;
  });
  assert.deepEqual(await again.notified(), ["step ann", "step ann"]);
});

test("a repetition that a silence withheld is sent at the start if the silence was ended before kill -9", async (t) => {
  const { world, silence, isNotified } = await worldWith(t);
  await world.fire("A", DB);
  await isNotified(["step ann"]);
  const { id } = await silence({ durationMs: 10 * HOUR });
  await world.pass(4 * HOUR);
  const [row] = await world.rows();
  assert.equal((await world.log(row?.id ?? "")).at(-1), "withheld");
  await world.prism.services.db.write((trx) =>
    trx.updateTable("silences").set({ endsAt: world.clock.now() }).where("id", "=", id).execute(),
  );
  const dir = await crashImage(t, world.prism);
  const clock = new FakeClock(world.clock.now() + 1);
  const again = world.of(await startPrism(t, { dir, clock }), clock);
  await eventually("the repetition is sent", async () => {
    await again.incidents.check();
    return (await again.notified()).length === 2;
  });
  assert.deepEqual(await again.notified(), ["step ann", "repeat ann"]);
});

test("an alert that resolves while it is silenced is notified as resolved to those who know that it fires", async (t) => {
  const { world, silence, isNotified } = await worldWith(t);
  await world.fire("A", DB);
  await isNotified(["step ann"]);
  await silence();
  await world.resolveAlert("A", DB);
  await world.pass(MINUTE);
  assert.equal((await world.only()).state, "resolved");
  assert.deepEqual((await world.notified()).at(-1)?.split(" ")[1], "ann");
  assert.equal((await world.notified()).length, 2);
});

test("an alert that fires and resolves within a maintenance window notifies no user", async (t) => {
  const { world, silence } = await worldWith(t);
  world.clock.advance(24 * HOUR - (world.clock.now() % (24 * HOUR)) + 21 * HOUR);
  const recurrence = { cron: "0 22 * * *", durationMs: 8 * HOUR, timezone: "UTC" };
  await silence({ durationMs: undefined, recurrence });
  world.clock.advance(2 * HOUR);
  await world.fire("A", DB);
  await world.resolveAlert("A", DB);
  await world.pass(MINUTE);
  assert.deepEqual([(await world.only()).state, await world.notified()], ["resolved", []]);
});

test("an inhibited alert is notified when its source resolves", async (t) => {
  const { world, route, isNotified } = await worldWith(t);
  await route({
    route: { policy: "default", groupBy: ["alertname"], groupWaitMs: 0 },
    inhibitRules: [
      { sourceMatchers: ['severity="critical"'], targetMatchers: ['severity="warning"'], equal: ["instance"] },
    ],
  });
  const source = { labels: { alertname: "Down", severity: "critical", instance: "i" } };
  await world.fire("Down", source);
  await isNotified(["step ann"]);
  await world.fire("Slow", { labels: { alertname: "Slow", severity: "warning", instance: "i" } });
  await world.pass(MINUTE);
  await isNotified(["step ann"]);
  await world.resolveAlert("Down", source);
  await eventually("the target is notified", async () => {
    await world.incidents.check();
    return (await world.notified()).filter((each) => each.startsWith("step")).length === 2;
  });
});

/** Times of day from the next full hour on, by minutes. */
function hoursFrom(world: IncidentWorld) {
  world.clock.advance(HOUR - (world.clock.now() % HOUR));
  const from = world.clock.now();
  return (minutes: number): string => new Date(from + minutes * MINUTE).toISOString().slice(11, 16);
}

test("an alert in a mute interval is notified when it ends, whatever the group interval", async (t) => {
  const { world, route } = await worldWith(t);
  const at = hoursFrom(world);
  const busy = [10, 14, 18, 22].map((minute) => ({ start_time: at(minute), end_time: at(minute + 2) }));
  await route({
    route: {
      policy: "default",
      groupBy: ["alertname"],
      groupWaitMs: 0,
      groupIntervalMs: 24 * HOUR,
      routes: [
        { matchers: ['team="db"'], muteIntervals: ["early", "later"] },
        { matchers: ['team="web"'], activeIntervals: ["open"] },
        { matchers: ['team="busy"'], muteIntervals: ["busy"], groupIntervalMs: 4 * MINUTE },
      ],
    },
    timeIntervals: [
      { name: "early", intervals: [{ times: [{ start_time: at(0), end_time: at(20) }] }] },
      { name: "later", intervals: [{ times: [{ start_time: at(15), end_time: at(30) }] }] },
      { name: "open", intervals: [{ times: [{ start_time: at(40), end_time: at(50) }] }] },
      { name: "busy", intervals: [{ times: busy }] },
    ],
  });
  await world.fire("A", DB);
  await world.fire("B", { labels: { alertname: "B", team: "web" } });
  await world.pass(11 * MINUTE);
  // Its looks, every four minutes, fall into the muted ones.
  await world.fire("C", { labels: { alertname: "C", team: "busy" } });
  await world.pass(MINUTE - 1);
  assert.deepEqual(await world.notified(), []);
  await world.pass(1);
  assert.deepEqual(await world.notified(), ["step ann"], "C, two minutes after its interval began");
  await world.pass(18 * MINUTE - 1);
  assert.deepEqual((await world.notified()).length, 1);
  await world.pass(1);
  assert.deepEqual((await world.notified()).length, 2, "A, at the end of the second of two intervals");
  await world.pass(10 * MINUTE - 1);
  assert.deepEqual((await world.notified()).length, 2);
  await world.pass(1);
  assert.deepEqual((await world.notified()).length, 3, "B, when the active interval begins");
});

test("a repetition in a mute interval is sent when it ends", async (t) => {
  const { world, route } = await worldWith(t);
  const at = hoursFrom(world);
  await route({
    route: {
      policy: "default",
      groupBy: [],
      groupWaitMs: 0,
      groupIntervalMs: HOUR,
      repeatMs: HOUR,
      routes: [{ matchers: ['team="db"'], muteIntervals: ["now"] }],
    },
    timeIntervals: [{ name: "now", intervals: [{ times: [{ start_time: at(50), end_time: at(70) }] }] }],
  });
  await world.fire("A", DB);
  await world.pass(70 * MINUTE - 1);
  assert.deepEqual(await world.notified(), ["step ann"]);
  await world.pass(1);
  assert.deepEqual(await world.notified(), ["step ann", "repeat ann"]);
});
