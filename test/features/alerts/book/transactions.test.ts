import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { deferred } from "../../../../src/core/promises.ts";
import type { AlertInput } from "../../../../src/features/alerts/index.ts";
import { crashImage } from "../../../helpers/crash-image.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { type AlertWorld, alertWorld, MINUTE, worldOf } from "./support.ts";

test("inputs of one alert are applied in their order, however they arrive", async (t) => {
  const { alerts, input, events, clock, projectId } = await alertWorld(t);
  const over = { endsAt: clock.now() };
  // Nothing is awaited between them: the later ones wait for the transaction of the first.
  const outcomes = await Promise.all(
    [input("A"), input("A"), input("A", over), input("A"), input("A", over), input("A")].map(async (each) => {
      const [outcome] = await alerts().submit([each]);
      return outcome?.status;
    }),
  );
  assert.deepEqual(outcomes, ["opened", "repeated", "resolved", "opened", "resolved", "opened"]);
  const types = (await events()).map((each) => each.split(" ")[0]?.slice("alert.".length));
  assert.deepEqual(types, ["opened", "resolved", "opened", "resolved", "opened"]);
  assert.ok(alerts().byKey(projectId, "api:A"));
});

test("a repetition that arrives while the time-out is stored opens the alert again", async (t) => {
  const { prism, alerts, input, clock } = await alertWorld(t);
  await alerts().submit([input("A", { endsAt: clock.now() + MINUTE })]);
  clock.advance(MINUTE);
  const release = deferred<void>();
  const holder = prism.services.db.write(() => release.promise);
  const timedOut = alerts().flush();
  // The transaction of the time-out waits for the writer.
  await setImmediate();
  const repeated = alerts().submit([input("A", { endsAt: clock.now() + MINUTE })]);
  release.resolve();
  await Promise.all([holder, timedOut]);
  const [outcome] = await repeated;
  assert.equal(outcome?.status, "opened");
  assert.deepEqual(alerts().counts(), { firing: 1, pending: 0 });
});

test("one call takes the valid inputs and refuses the others", async (t) => {
  const { alerts, input, clock } = await alertWorld(t);
  const long = { labels: { a: "x".repeat(20_000) } };
  const many = { labels: Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`l${i}`, "x"])) };
  const outcomes = await alerts().submit([
    input("A"),
    input("none", { labels: { empty: "" } }),
    input("long", long),
    input("many", many),
    input("before", { startsAt: clock.now(), endsAt: clock.now() - 1 }),
    input("unknown", { labels: {}, endsAt: clock.now() }),
    input("B", { labels: { alertname: "B", empty: "" } }),
  ]);
  const shown = outcomes.map((outcome) => (outcome.status === "refused" ? outcome.error.message : outcome.status));
  assert.deepEqual(shown, [
    "opened",
    "at least one label pair required",
    "labels have at most 16384 characters in all",
    "an alert has at most 100 labels",
    "start time must be before end time",
    "unchanged",
    "opened",
  ]);
  assert.deepEqual(outcomes[6]?.alert?.labels, { alertname: "B" }, "a label without a value is none");
});

test("inputs of a caller's transaction are committed and rolled back with it", async (t) => {
  const { prism, alerts, input, events, clock } = await alertWorld(t);
  const { db } = prism.services;
  const failed = db.write(async (trx) => {
    const [opened] = await alerts().submit([input("A")], { trx });
    assert.equal(opened?.status, "opened");
    const [repeated] = await alerts().submit([input("A", { annotations: { n: "2" } })], { trx });
    assert.equal(repeated?.status, "repeated", "the transaction sees its own alerts");
    throw new Error("rolled back");
  });
  await assert.rejects(failed, /rolled back/);
  assert.deepEqual([alerts().counts().firing, await events()], [0, []]);
  await db.write(async (trx) => {
    await alerts().submit([input("A"), input("B")], { trx });
    await alerts().submit([input("A", { endsAt: clock.now() }), input("B", { annotations: { n: "2" } })], { trx });
  });
  assert.deepEqual(await events(), ["alert.opened api:A", "alert.opened api:B", "alert.resolved api:A"]);
  const rows = await db.read
    .selectFrom("alerts")
    .select(["key", "state", "annotations", "count"])
    .orderBy("key")
    .execute();
  assert.deepEqual(rows, [
    { key: "api:A", state: "resolved", annotations: "{}", count: 2 },
    { key: "api:B", state: "firing", annotations: '{"n":"2"}', count: 2 },
  ]);
});

test("other labels under the same key are stored at once, routed again, and are no event", async (t) => {
  const { alerts, input, events, projectId, prism } = await alertWorld(t);
  const [opened] = await alerts().submit([input("A", { labels: { alertname: "A", severity: "warning" } })]);
  const [changed] = await alerts().submit([input("A", { labels: { alertname: "A", severity: "critical" } })]);
  assert.deepEqual([changed?.status, changed?.alert?.id], ["changed", opened?.alert?.id]);
  const live = alerts().byKey(projectId, "api:A");
  assert.deepEqual([live?.severity, live?.label("severity")], ["critical", "critical"]);
  assert.notEqual(live?.fingerprint, opened?.alert?.fingerprint);
  assert.deepEqual(await events(), ["alert.opened api:A"]);
  const row = await prism.services.db.read.selectFrom("alerts").select(["severity", "fingerprint"]).executeTakeFirst();
  assert.deepEqual(row, { severity: "critical", fingerprint: live?.fingerprint });
});

const KILLS = ["opened", "repeated", "flushed", "pending", "held", "resolved", "timed out"] as const;

test("kill -9 after each step loses no answered transition and makes none twice", async (t) => {
  const { prism, clock, ...world } = await alertWorld(t);
  const { alerts, input, pass } = world;
  const ends = (): Partial<AlertInput> => ({ endsAt: clock.now() + 10 * MINUTE });
  const steps: Record<(typeof KILLS)[number], () => Promise<unknown>> = {
    opened: () => alerts().submit([input("A", ends()), input("T", { endsAt: clock.now() + 6 * MINUTE })]),
    repeated: () => alerts().submit([input("A", { ...ends(), annotations: { n: "2" } })]),
    flushed: () => pass(0),
    pending: () => alerts().submit([input("P", { holdMs: MINUTE })]),
    held: () => pass(MINUTE),
    resolved: () => alerts().submit([input("A", { endsAt: clock.now() })]),
    "timed out": () => pass(6 * MINUTE),
  };
  for (const name of KILLS) {
    await steps[name]();
    const before = await factsOf({ prism, clock, ...world });
    const killed = await startPrism(t, { clock, dir: await crashImage(t, prism) });
    const after = worldOf(killed, clock);
    assert.deepEqual(await factsOf(after), before, name);
    // What is reported next is a repetition, not a second opening.
    if (name === "opened") {
      const [again] = await after.alerts().submit([after.input("A", ends())]);
      assert.equal(again?.status, "repeated", name);
    }
    await killed.stop();
  }
});

/** What a start must find again: live alerts, rows and events. */
async function factsOf({ prism, alerts, projectId, events }: AlertWorld) {
  const live = [...alerts().list(projectId), ...alerts().pending(projectId)];
  const rows = await prism.services.db.read.selectFrom("alerts").select(["key", "state", "timedOut"]).execute();
  return { live: live.map(({ key, state }) => `${key} ${state}`).sort(), rows, events: await events() };
}

test("repetitions are stored within some seconds, and at a stop", async (t) => {
  const { prism, alerts, input, projectId } = await alertWorld(t);
  await alerts().submit([input("A")]);
  await alerts().submit([input("A", { annotations: { n: "2" } })]);
  const stored = () => prism.services.db.read.selectFrom("alerts").select(["annotations", "count"]).executeTakeFirst();
  await eventually("the repetition is stored", async () => (await stored())?.count === 2);
  await alerts().submit([input("A", { annotations: { n: "3" } })]);
  await prism.restart();
  assert.deepEqual(await stored(), { annotations: '{"n":"3"}', count: 3 });
  assert.deepEqual(alerts().byKey(projectId, "api:A")?.annotations, { n: "3" });
});

test("a project has at most limits.alertsPerProject live alerts; a repetition is taken", async (t) => {
  const { alerts, input, clock } = await alertWorld(t, { "limits.alertsPerProject": "2" });
  const statuses = async (...names: string[]) =>
    (await alerts().submit(names.map((name) => input(name)))).map(({ status }) => status);
  assert.deepEqual(await statuses("A"), ["opened"]);
  assert.deepEqual(await statuses("B"), ["opened"]);
  assert.deepEqual(await statuses("C", "A"), ["refused", "repeated"]);
  await alerts().submit([input("A", { endsAt: clock.now() })]);
  assert.deepEqual(await statuses("C"), ["opened"]);
});

test("the alerts of a deleted project are over, also if the server was killed before", async (t) => {
  const { prism, alerts, input, clock } = await alertWorld(t);
  const { body } = await prism.post<{ id: string }>("/api/v1/projects", { name: "shop" });
  const ofShop = { projectId: body.id };
  await alerts().submit([input("A", ofShop), input("B", { ...ofShop, holdMs: MINUTE }), input("C")]);
  const killed = await startPrism(t, { clock, dir: await crashImage(t, prism) });
  await killed.services.db.write((trx) =>
    trx.updateTable("projects").set({ deletedAt: 1 }).where("id", "=", body.id).execute(),
  );
  const image = await crashImage(t, killed);
  await killed.stop();
  const again = worldOf(await startPrism(t, { clock, dir: image }), clock);
  await eventually("the start ends them", () => again.alerts().counts(body.id).firing === 0);
  assert.equal((await prism.delete("/api/v1/projects/shop")).status, 204);
  await eventually("the deletion ends them", () => alerts().counts(body.id).firing === 0);
  for (const world of [again.alerts(), alerts()]) {
    assert.deepEqual(world.counts(body.id), { firing: 0, pending: 0 });
    assert.equal(world.counts().firing, 1, "other projects keep theirs");
  }
});
