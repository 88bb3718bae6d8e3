import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { deferred } from "../../../../src/core/promises.ts";
import { answered } from "../../../helpers/prism.ts";
import { refuseWrites } from "../../../helpers/refuse-writes.ts";
import { IncidentWorld, MINUTE } from "./support.ts";

async function setSteps({ prism, projectId }: IncidentWorld, steps: readonly object[]): Promise<void> {
  await answered(200, prism.patch(`/api/v1/policies/${projectId}`, { steps }));
}

async function broken(t: TestContext): Promise<IncidentWorld> {
  const world = await IncidentWorld.start(t);
  await world.member("ann");
  await setSteps(world, [
    { type: "notify", users: ["ann"] },
    { type: "wait", ms: 10 * MINUTE },
    { type: "notify", users: ["ann"] },
  ]);
  await world.fire("A");
  const { id } = await world.only();
  const spoil = (route: string) =>
    world.db.write((trx) => trx.updateTable("incidents").set({ route }).where("id", "=", id).execute());
  const { route } = await world.only();
  await spoil("null");
  world.clock.advance(10 * MINUTE);
  await world.incidents.check();
  world.clock.advance(MINUTE);
  assert.ok(world.incidents.failingMs > 0, "its turn fails");
  await spoil(route);
  return world;
}

for (const action of ["resolve", "acknowledge"])
  test(`an incident with an error in its last turn does not count as failing after ${action} by a person`, async (t) => {
    const world = await broken(t);
    const { id } = await world.only();
    await answered(200, world.prism.post(`/api/v1/incidents/${id}/${action}`, {}));
    assert.equal(world.incidents.failingMs, 0);
  });

test("the end of a silence counts although the turn after it could not be stored at first", async (t) => {
  const world = await IncidentWorld.start(t);
  await world.member("ann");
  const body = { matchers: ['team="db"'], durationMs: 60 * MINUTE, comment: "disks" };
  const { id } = (await answered(201, world.prism.post<{ id: string }>("/api/v1/silences", body))).body;
  await world.fire("A", { labels: { alertname: "A", team: "db" } });
  assert.deepEqual(await world.notified(), []);
  const mend = refuseWrites(world.prism, 1);
  await answered(204, world.prism.delete(`/api/v1/silences/${id}`));
  await world.prism.parts.offers.silences.flush();
  await world.incidents.check();
  assert.deepEqual(await world.notified(), []);
  mend();
  world.clock.advance(2000);
  await world.incidents.check();
  assert.deepEqual(await world.notified(), ["step ann"]);
});

test("the end of a silence counts although a turn of the incident waits for the writer meanwhile", async (t) => {
  const world = await IncidentWorld.start(t);
  await world.member("ann");
  const labels = { alertname: "A", team: "db" };
  const body = { matchers: ['team="db"'], durationMs: 60 * MINUTE, comment: "disks" };
  const { id } = (await answered(201, world.prism.post<{ id: string }>("/api/v1/silences", body))).body;
  await world.fire("A", { labels });
  const { database } = world.prism.parts.base;
  const { write } = database;
  // The turn has begun, and its write comes after that of the silence.
  const mayWrite = deferred<void>();
  const hasBegun = deferred<void>();
  const held: typeof write = async (fn, options) => {
    Object.defineProperty(database, "write", { configurable: true, value: write });
    hasBegun.resolve();
    await mayWrite.promise;
    return write.call(database, fn, options) as ReturnType<typeof fn>;
  };
  world.clock.advance(5 * MINUTE);
  Object.defineProperty(database, "write", { configurable: true, value: held });
  const checked = world.incidents.check();
  await hasBegun.promise;
  await world.db.write((trx) =>
    trx
      .updateTable("incidents")
      .set({ flushAt: world.clock.now() + 5 * MINUTE })
      .execute(),
  );
  await answered(204, world.prism.delete(`/api/v1/silences/${id}`));
  await world.prism.parts.offers.silences.flush();
  mayWrite.resolve();
  await checked;
  await world.incidents.check();
  assert.deepEqual(await world.notified(), ["step ann"]);
});

test("ifCount counts an alert that flaps within a tick of its group", async (t) => {
  const world = await IncidentWorld.start(t);
  await world.member("ann");
  await setSteps(world, [
    { type: "ifCount", alerts: 2, windowMs: 60 * MINUTE },
    { type: "notify", users: ["ann"] },
  ]);
  await world.fire("A");
  await world.fire("B");
  await world.resolveAlert("B");
  await world.resolveAlert("A");
  await world.fire("A");
  await world.pass(10 * MINUTE);
  assert.deepEqual(await world.notified(), ["step ann"]);
});
