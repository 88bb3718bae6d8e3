import assert from "node:assert/strict";
import test from "node:test";
import { deferred } from "../../../../src/core/promises.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { rowsWith } from "../../../helpers/values.ts";
import { DAY, HOUR, MINUTE, SECOND, START, scheduleWorld } from "./support.ts";

test("S1-12 a cron pattern makes a job at each of its times, with what the schedule says of it", async (t) => {
  keepsPromise(t, "S1-12");
  const world = await scheduleWorld(t);
  const { id } = await world.create({
    cron: "*/15 * * * *",
    payload: { n: 1 },
    label: "quarters",
    maxAttempts: 2,
    createdBy: world.prism.parts.offers.devUserId,
    module: "clockwork",
  });
  await world.pass(14 * MINUTE);
  assert.deepEqual(world.runs(), []);
  await world.pass(MINUTE);
  await world.idle();
  await world.pass(15 * MINUTE);
  await world.idle();
  assert.deepEqual(world.runs(), ["15m", "30m"]);
  const jobs = rowsOf<Record<string, unknown>>(
    world.prism,
    "select queue, kind, payload, label, maxAttempts, createdBy, module, scheduleId, dedupeKey, state from jobs where scheduleId is not null",
  );
  assert.deepEqual(jobs[0], {
    queue: "retention",
    kind: "tick",
    payload: '{"n":1}',
    label: "quarters",
    maxAttempts: 2,
    createdBy: world.prism.parts.offers.devUserId,
    module: "clockwork",
    scheduleId: id,
    dedupeKey: `schedule:${id}:${START + 15 * MINUTE}`,
    state: "succeeded",
  });
  const schedule = await world.schedules.find(id);
  assert.deepEqual([schedule?.lastRunAt, schedule?.nextRunAt], [START + 30 * MINUTE, START + 45 * MINUTE]);
});

test("an interval counts from when the schedule was made, by elapsed time", async (t) => {
  const world = await scheduleWorld(t);
  await world.create({ everyMs: 90 * SECOND });
  for (let i = 0; i < 6; i++) {
    await world.pass(45 * SECOND);
    await world.idle();
  }
  assert.deepEqual(world.runs(), ["90s", "3m", "270s"]);
});

test("it fires by itself, without a request", async (t) => {
  const world = await scheduleWorld(t);
  await world.create({ everyMs: 1000 });
  world.clock.advance(1000);
  // What wakes it is any change, or its own timer.
  await world.create({ name: "other", everyMs: DAY });
  await eventually("it has fired", () => world.runs().length === 1);
});

test("many schedules that are due at one moment all fire, once", async (t) => {
  const world = await scheduleWorld(t);
  for (let i = 0; i < 45; i++) await world.create({ name: `s${i}`, cron: "0 * * * *", timezone: "Europe/Berlin" });
  await world.pass(HOUR);
  await world.look();
  assert.equal(world.runs().length, 45);
  assert.equal(
    new Set(rowsOf<{ s: string }>(world.prism, "select scheduleId as s from jobs").map(({ s }) => s)).size,
    45,
  );
});

test("a run is skipped while a job of the schedule has not ended, and an event says so; with overlap allow it is not", async (t) => {
  const world = await scheduleWorld(t);
  const gate = deferred<void>();
  world.prism.parts.offers.runner.handle("slow", () => gate.promise);
  const skip = await world.create({ name: "skips", kind: "slow", cron: "* * * * *" });
  const allow = await world.create({ name: "allows", kind: "slow", cron: "* * * * *", overlap: "allow" });
  for (let i = 0; i < 3; i++) await world.pass(MINUTE);
  assert.deepEqual(world.runs(skip.id), ["1m"]);
  assert.deepEqual(world.runs(allow.id), ["1m", "2m", "3m"]);
  const events = await world.skipped(2);
  const expected = [2, 3].map((minute) => ({
    scheduleId: skip.id,
    name: "skips",
    nominalAt: new Date(START + minute * MINUTE).toISOString(),
    reason: "overlap",
    count: 1,
  }));
  assert.deepEqual(events, expected);
  gate.resolve();
  await world.idle();
  await world.pass(MINUTE);
  assert.deepEqual(world.runs(skip.id), ["1m", "4m"]);
});

test("a gap of the clock that skips times is notified, once, when it comes", async (t) => {
  const world = await scheduleWorld(t, { at: Date.parse("2026-03-07T12:00:00Z") });
  const { id } = await world.create({ cron: "15,45 2 * * *", timezone: "America/New_York" });
  assert.equal((await world.schedules.find(id))?.nextRunAt, Date.parse("2026-03-08T07:00:00Z"));
  await world.pass(18 * HOUR);
  assert.equal(world.waitingNotes(), 0);
  await world.pass(HOUR);
  assert.deepEqual(await world.skipped(1), [
    { scheduleId: id, name: "ticker", nominalAt: "2026-03-08T07:00:00.000Z", reason: "dst", count: 2 },
  ]);
  assert.deepEqual(world.runs(), []);
  assert.equal((await world.schedules.find(id))?.nextRunAt, Date.parse("2026-03-09T06:15:00Z"));
});

test("a queue that is full makes the run a skipped one", async (t) => {
  const world = await scheduleWorld(t);
  t.mock.method(world.prism.parts.offers.runner, "isFull", (queue: string) => queue === "retention");
  await world.create({ cron: "* * * * *" });
  await world.pass(MINUTE);
  assert.deepEqual(world.runs(), []);
  assert.deepEqual(rowsWith(await world.skipped(1), "reason", "count"), [["overloaded", 1]]);
});

test("a schedule that cannot be read stops, and the others go on", async (t) => {
  const world = await scheduleWorld(t);
  const broken = await world.create({ name: "broken", cron: "* * * * *" });
  const whole = await world.create({ name: "whole", cron: "* * * * *" });
  await world.prism.services.db.write((trx) =>
    trx.updateTable("schedules").set({ cron: "from another version" }).where("id", "=", broken.id).execute(),
  );
  await world.pass(MINUTE);
  assert.deepEqual([world.runs(broken.id), world.runs(whole.id)], [[], ["1m"]]);
  assert.equal((await world.schedules.find(broken.id))?.nextRunAt, null);
  await world.prism.services.db.write((trx) =>
    trx
      .updateTable("schedules")
      .set({ nextRunAt: START + DAY })
      .execute(),
  );
  await world.downFor(MINUTE);
  assert.equal((await world.schedules.find(whole.id))?.nextRunAt, START + 3 * 60 * MINUTE + 3 * MINUTE, "it starts");
  const shown = await world.prism.get<{ nextRuns: unknown[] }>(`/api/v1/schedules/${broken.id}`);
  assert.deepEqual([shown.status, shown.body.nextRuns], [200, []]);
});

test("an inactive or deleted schedule makes nothing", async (t) => {
  const world = await scheduleWorld(t);
  const { id } = await world.create({ cron: "* * * * *" });
  await world.schedules.update(id, { active: false });
  const gone = await world.create({ name: "gone", cron: "* * * * *" });
  await world.schedules.delete(gone.id);
  await world.pass(10 * MINUTE);
  assert.deepEqual(world.runs(), []);
  await world.schedules.update(id, { active: true });
  await world.look();
  assert.deepEqual(world.runs(), [], "what it did not do while it was not active is not missed");
  await world.pass(MINUTE);
  assert.deepEqual(world.runs(), ["11m"]);
});
