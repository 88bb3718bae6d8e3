import assert from "node:assert/strict";
import test from "node:test";
import { rowsOf } from "../../../helpers/tables.ts";
import { DAY, HOUR, MINUTE, type ScheduleWorld, START, scheduleWorld } from "./support.ts";

/** Minutes pass one by one, each with its jobs done. */
async function minutes(world: ScheduleWorld, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    await world.pass(MINUTE);
    await world.idle();
  }
}

function keysOf(world: ScheduleWorld): string[] {
  return rowsOf<{ key: string }>(world.prism, "select dedupeKey as key from jobs where scheduleId is not null").map(
    ({ key }) => key,
  );
}

test("a clock that is set back an hour: no time of a pattern is repeated, and it continues from its position", async (t) => {
  const world = await scheduleWorld(t);
  const { id } = await world.create({ cron: "*/10 * * * *" });
  await minutes(world, 30);
  assert.deepEqual(world.runs(id), ["10m", "20m", "30m"]);
  world.clock.set(-HOUR);
  await minutes(world, 60);
  assert.deepEqual(world.runs(id), ["10m", "20m", "30m"], "that hour has been served");
  await minutes(world, 10);
  assert.deepEqual(world.runs(id), ["10m", "20m", "30m", "40m"]);
});

test("a clock that is set back an hour: an interval takes the time it takes, and each of its times is another one", async (t) => {
  const world = await scheduleWorld(t);
  const { id } = await world.create({ everyMs: 20 * MINUTE });
  await minutes(world, 50);
  world.clock.set(-HOUR);
  await minutes(world, 9);
  assert.equal(world.runs(id).length, 2);
  await minutes(world, 2);
  assert.equal(world.runs(id).length, 3, "twenty minutes behind the last");
  await minutes(world, 60);
  assert.equal(world.runs(id).length, 6);
  const keys = keysOf(world);
  assert.equal(new Set(keys).size, keys.length);
});

test("a clock that is set forward an hour: what lies between has been missed", async (t) => {
  const world = await scheduleWorld(t);
  const once = await world.create({ name: "once", cron: "*/10 * * * *" });
  const all = await world.create({ name: "all", cron: "*/10 * * * *", missed: "all" });
  const interval = await world.create({ name: "interval", everyMs: 10 * MINUTE, missed: "skip" });
  await minutes(world, 10);
  world.clock.set(HOUR);
  await minutes(world, 1);
  assert.deepEqual(world.runs(once.id), ["10m", "20m"]);
  assert.deepEqual(world.runs(all.id), ["10m", "20m", "30m", "40m", "50m", "1h", "70m"]);
  assert.deepEqual(world.runs(interval.id), ["10m"]);
  await minutes(world, 10);
  for (const { id } of [once, all, interval]) assert.equal(world.runs(id).at(-1), "80m");
});

test("an hour forward and back again: a pattern waits for that hour at most", async (t) => {
  const world = await scheduleWorld(t);
  const { id } = await world.create({ cron: "*/10 * * * *" });
  world.clock.set(HOUR);
  await minutes(world, 1);
  assert.deepEqual(world.runs(id), ["10m"]);
  world.clock.set(-HOUR);
  await minutes(world, 69);
  assert.deepEqual(world.runs(id), ["10m", "70m"]);
});

test("a clock that was years ahead leaves nothing that waits for years", async (t) => {
  const world = await scheduleWorld(t);
  const cron = await world.create({ name: "cron", cron: "*/10 * * * *" });
  const daily = await world.create({ name: "daily", cron: "0 9 * * *" });
  const interval = await world.create({ name: "interval", everyMs: HOUR });
  world.clock.set(1000 * DAY);
  await world.look();
  await world.idle();
  const before = [cron, daily, interval].map(({ id }) => world.runs(id).length);
  world.clock.set(-1000 * DAY);
  await world.look();
  const next = async (id: string) => ((await world.schedules.find(id))?.nextRunAt ?? 0) - START;
  // Times within three hours count as run, because it is unknown which of them ran.
  assert.equal(await next(cron.id), 3 * HOUR + 10 * MINUTE);
  assert.equal(await next(daily.id), 23 * HOUR);
  assert.ok((await next(interval.id)) <= HOUR);
  const lengths = [cron, daily, interval].map(({ id }) => world.runs(id).length);
  assert.deepEqual(lengths, before);
});

test("the clock is looked at once a minute, however far away the next time is", async (t) => {
  const world = await scheduleWorld(t);
  const waits: (number | undefined)[] = [];
  const { setTimeout } = globalThis;
  t.mock.method(globalThis, "setTimeout", ((fn: () => void, ms?: number) => {
    waits.push(ms);
    return setTimeout(fn, ms);
  }) as typeof setTimeout);
  await world.create({ cron: "@yearly" });
  assert.ok(waits.includes(MINUTE), waits.join());
  assert.ok(!waits.some((ms) => ms !== undefined && ms > DAY));
});

test("a clock that was set back while the server was down is noticed when it starts", async (t) => {
  const world = await scheduleWorld(t);
  const interval = await world.create({ name: "interval", everyMs: HOUR });
  const cron = await world.create({ name: "cron", cron: "30 * * * *" });
  await world.pass(90 * MINUTE);
  await world.idle();
  assert.deepEqual([world.runs(interval.id), world.runs(cron.id)], [["1h"], ["30m", "90m"].slice(0, 1)]);
  await world.downFor(-30 * DAY);
  const next = async (id: string) => ((await world.schedules.find(id))?.nextRunAt ?? 0) - world.clock.now();
  assert.equal(await next(interval.id), HOUR);
  assert.equal(await next(cron.id), 4 * HOUR);
});
