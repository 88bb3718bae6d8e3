import assert from "node:assert/strict";
import test from "node:test";
import { rowsWith } from "../../../helpers/values.ts";
import { DAY, HOUR, MINUTE, SECOND, START, scheduleWorld } from "./support.ts";

test("8.4 after a stop of hours: skip runs nothing, once runs one job, all runs each", async (t) => {
  const world = await scheduleWorld(t);
  const skip = await world.create({ name: "skip", cron: "0 * * * *", missed: "skip" });
  const once = await world.create({ name: "once", cron: "0 * * * *" });
  const all = await world.create({ name: "all", cron: "0 * * * *", missed: "all" });
  await world.downFor(3 * HOUR + 10 * MINUTE);
  assert.deepEqual(world.runs(skip.id), []);
  assert.deepEqual(world.runs(once.id), ["1h"]);
  assert.deepEqual(world.runs(all.id), ["1h", "2h", "3h"]);
  assert.deepEqual(await world.skipped(1), [
    { scheduleId: skip.id, name: "skip", nominalAt: "2026-06-01T11:00:00.000Z", reason: "missed", count: 3 },
  ]);
  await world.idle();
  await world.pass(50 * MINUTE);
  for (const { id } of [skip, once, all]) assert.equal(world.runs(id).at(-1), "4h");
});

test("8.4 a run that is late by half a minute is a normal one, by more it has been missed", async (t) => {
  const world = await scheduleWorld(t);
  const { id } = await world.create({ cron: "0 * * * *", missed: "skip" });
  await world.downFor(HOUR + 30 * SECOND);
  assert.deepEqual(world.runs(id), ["1h"]);
  await world.idle();
  await world.downFor(HOUR + SECOND);
  assert.deepEqual(world.runs(id), ["1h"]);
  assert.deepEqual(rowsWith(await world.skipped(1), "reason", "count"), [["missed", 1]]);
});

test("8.4 all catches up maxCatchUp runs, and reports the rest", async (t) => {
  const world = await scheduleWorld(t, { settings: { "schedules.maxCatchUp": "5" } });
  const { id } = await world.create({ cron: "*/10 * * * *", missed: "all" });
  await world.downFor(2 * HOUR + MINUTE);
  assert.deepEqual(world.runs(id), ["10m", "20m", "30m", "40m", "50m"]);
  const [event] = await world.skipped(1);
  assert.deepEqual([event?.reason, event?.count, event?.nominalAt], ["catch-up", 7, "2026-06-01T11:00:00.000Z"]);
});

test("8.4 more than one transaction can make up for is made up for all the same, and no more than asked", async (t) => {
  const world = await scheduleWorld(t, { settings: { "schedules.maxCatchUp": "450" } });
  const { id } = await world.create({ everyMs: MINUTE, missed: "all" });
  await world.downFor(10 * HOUR + 31 * SECOND);
  const runs = world.runs(id);
  assert.equal(runs.length, 450);
  assert.equal(new Set(runs).size, 450);
  assert.deepEqual(rowsWith(await world.skipped(1), "reason", "count"), [["catch-up", 150]]);
});

test("8.4 a year of missed seconds costs no more than a minute of them", async (t) => {
  const world = await scheduleWorld(t);
  const once = await world.create({ name: "once", cron: "* * * * * *" });
  const skip = await world.create({ name: "skip", everyMs: 1000, missed: "skip", overlap: "allow" });
  await world.downFor(365 * DAY);
  assert.equal(world.runs(once.id).length, 1);
  // The last half minute is late, not missed.
  assert.equal(world.runs(skip.id).length, 31);
  const events = await world.skipped(1);
  assert.deepEqual(rowsWith(events, "name", "reason", "count"), [["skip", "missed", 1000]]);
  for (const { id } of [once, skip]) assert.ok(((await world.schedules.find(id))?.nextRunAt ?? 0) > world.clock.now());
});

test("8.4 a run that was made up for keeps one that is due now from overlapping it, without a word", async (t) => {
  const world = await scheduleWorld(t);
  const { id } = await world.create({ cron: "*/10 * * * * *" });
  await world.downFor(HOUR);
  assert.equal(world.runs(id).length, 1);
  assert.deepEqual(await world.skipped(0), []);
});

test("8.4 a job that has not ended keeps missed runs from being made up for, if they may not overlap", async (t) => {
  const world = await scheduleWorld(t);
  const busy = await world.create({ name: "busy", cron: "0 * * * *", kind: "unknown to anybody" });
  const { db } = world.prism.services;
  await world.pass(HOUR);
  await world.idle();
  await db.write((trx) =>
    trx
      .updateTable("jobs")
      .set({ state: "scheduled", finishedAt: null, runAt: START + DAY })
      .execute(),
  );
  await world.downFor(2 * HOUR + MINUTE);
  assert.deepEqual(world.runs(busy.id), ["24h"]);
  assert.deepEqual(rowsWith(await world.skipped(1), "reason", "count"), [["overlap", 2]]);
});

test("8.4 after a day of sleep each schedule follows its `missed` setting", async (t) => {
  const world = await scheduleWorld(t);
  const cron = await world.create({ name: "cron", cron: "0 */6 * * *", missed: "all" });
  const interval = await world.create({ name: "interval", everyMs: 4 * HOUR });
  // Asleep: the wall clock advances, the monotonic clock of the process does not.
  world.clock.set(DAY + 5 * MINUTE);
  await world.look();
  assert.deepEqual(world.runs(cron.id), ["2h", "8h", "14h", "20h"]);
  assert.deepEqual(world.runs(interval.id), ["4h"]);
  await world.idle();
  await world.pass(4 * HOUR);
  assert.deepEqual([world.runs(cron.id).at(-1), world.runs(interval.id).at(-1)], ["26h", "28h"]);
});
