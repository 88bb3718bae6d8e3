import assert from "node:assert/strict";
import { test } from "node:test";
import { crashImage } from "../../../helpers/crash-image.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { countOf, rowsOf } from "../../../helpers/tables.ts";
import { type AlertWorld, alertWorld, MINUTE, worldOf } from "./support.ts";

type Signal = readonly [seq: number, action: "fire" | "resolve", name: string, more?: object];

/** As rules leave them in the commit of an event. */
async function leave({ prism, input, clock }: AlertWorld, signals: readonly Signal[]): Promise<void> {
  await prism.services.db.write(async (trx) => {
    for (const [eventSeq, action, name, more] of signals) {
      const text = JSON.stringify({ ...input(name), ...(action === "resolve" && { labels: {} }), ...more });
      const row = { eventSeq, ruleId: `rule-${name}`, action, projectId: input(name).projectId, at: clock.now() };
      await trx
        .insertInto("alert_signals")
        .values({ ...row, input: text })
        .execute();
    }
  });
}

const taken = (prism: TestPrism) => eventually("all signals are taken", () => countOf(prism, "alert_signals") === 0);

test("signals of rules are applied in the order of their events, and removed with it", async (t) => {
  const world = await alertWorld(t);
  const { prism, alerts, events } = world;
  await leave(world, [
    [12, "fire", "A"],
    [11, "resolve", "A"],
    [10, "fire", "A"],
    [13, "fire", "B"],
    [14, "resolve", "B"],
  ]);
  alerts().signalled();
  await taken(prism);
  assert.deepEqual(await events(), [
    "alert.opened api:A",
    "alert.resolved api:A",
    "alert.opened api:A",
    "alert.opened api:B",
    "alert.resolved api:B",
  ]);
});

test("the next start applies signals that kill -9 has left, and an alert fires although its end has passed", async (t) => {
  const world = await alertWorld(t);
  const { prism, clock } = world;
  await leave(world, [[10, "fire", "A", { endsAt: clock.now() + MINUTE }]]);
  clock.advance(60 * MINUTE);
  const killed = await startPrism(t, { clock, dir: await crashImage(t, prism) });
  await taken(killed);
  const after = worldOf(killed, clock);
  assert.deepEqual(await after.events(), ["alert.opened api:A"]);
  await after.pass(MINUTE);
  assert.deepEqual((await after.events()).at(-1), "alert.resolved api:A");
});

test("a signal that is not valid does not stop the others", async (t) => {
  const world = await alertWorld(t);
  const { prism, alerts, events } = world;
  await leave(world, [
    [10, "fire", "none", { labels: {} }],
    [11, "fire", "B"],
  ]);
  alerts().signalled();
  await taken(prism);
  assert.deepEqual(await events(), ["alert.opened api:B"]);
});

test("resolved alerts are removed after `retention.alertDays`, but none that an incident lists", async (t) => {
  const settings = { "retention.alertDays": "10", "retention.trustClock": "true" };
  const { prism, alerts, input, clock } = await alertWorld(t, settings);
  const opened = await alerts().submit([input("old"), input("listed"), input("firing")]);
  await alerts().submit([input("old", { endsAt: clock.now() }), input("listed", { endsAt: clock.now() })]);
  const alertId = opened[1]?.alert?.id ?? "";
  await prism.services.db.write(async (trx) => {
    await trx.deleteFrom("incident_alerts").execute();
    await trx.insertInto("incident_alerts").values({ incidentId: "i", alertId, addedAt: 0 }).execute();
  });
  clock.advance(11 * 24 * 60 * MINUTE);
  await prism.restart();
  await prism.parts.offers.retention.begin();
  const keys = () => rowsOf<{ key: string }>(prism, "select key from alerts order by key").map(({ key }) => key);
  await eventually("the old alert is removed", () => keys().length < 3);
  assert.deepEqual(keys(), ["api:firing", "api:listed"]);
});
