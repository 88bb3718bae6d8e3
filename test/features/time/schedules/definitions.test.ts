import assert from "node:assert/strict";
import test from "node:test";
import { countOf } from "../../../helpers/tables.ts";
import { DAY, HOUR, MINUTE, START, scheduleWorld } from "./support.ts";

const INPUT = { name: "nightly", queue: "retention", kind: "tick" } as const;

test("a schedule has what it was given, and the rest by default", async (t) => {
  const world = await scheduleWorld(t, { settings: { timezone: "Europe/Berlin" } });
  const made = await world.schedules.create({ ...INPUT, cron: "0 3 * * *" });
  const { id, ...rest } = made;
  assert.deepEqual(rest, {
    ...INPUT,
    cron: "0 3 * * *",
    everyMs: null,
    timezone: "Europe/Berlin",
    payload: {},
    label: null,
    missed: "once",
    overlap: "skip",
    active: true,
    maxAttempts: null,
    module: null,
    createdBy: null,
    lastRunAt: null,
    nextRunAt: Date.parse("2026-06-02T01:00:00Z"),
    version: 1,
    createdAt: START,
    updatedAt: START,
  });
  assert.deepEqual(await world.schedules.find(id), made);
  assert.deepEqual(await world.schedules.findByName("nightly"), made);
  assert.equal(await world.schedules.find("nightly"), undefined);
});

test("what cannot be is refused, and nothing of it stays", async (t) => {
  const { schedules, prism } = await scheduleWorld(t);
  await schedules.create({ ...INPUT, name: "taken", cron: "@daily" });
  for (const [input, code] of [
    [{}, "VALIDATION_FAILED"],
    [{ cron: "@daily", everyMs: 1000 }, "VALIDATION_FAILED"],
    [{ everyMs: 999 }, "VALIDATION_FAILED"],
    [{ everyMs: 1000.5 }, "VALIDATION_FAILED"],
    [{ everyMs: Number.POSITIVE_INFINITY }, "VALIDATION_FAILED"],
    [{ cron: "0 0 30 2 *" }, "INVALID_CRON"],
    [{ cron: "0,30 2 * 3 +SUN#2", timezone: "America/New_York" }, "INVALID_CRON"],
    [{ cron: "@daily", timezone: "Mars/Olympus" }, "INVALID_TIMEZONE"],
    [{ cron: "@daily", timezone: "+02:00" }, "INVALID_TIMEZONE"],
    [{ cron: "@daily", name: "taken" }, "NAME_TAKEN"],
    [{ cron: "@daily", payload: { x: "x".repeat(262_144) } }, "PAYLOAD_TOO_LARGE"],
  ] as const)
    await assert.rejects(schedules.create({ ...INPUT, ...input }), { code }, JSON.stringify(input).slice(0, 80));
  assert.equal(countOf(prism, "schedules"), 1);
});

test("put keeps what is unchanged, its next time included, and makes what was missed in between", async (t) => {
  const world = await scheduleWorld(t);
  const input = { ...INPUT, cron: "0 * * * *", module: "clockwork" };
  const first = await world.schedules.put(input);
  await world.downFor(2 * HOUR + 10 * MINUTE);
  const again = await world.schedules.put(input);
  assert.deepEqual([again.id, again.version], [first.id, 1]);
  assert.deepEqual(world.runs(), ["1h"]);
  const other = await world.schedules.put({ ...input, cron: "30 * * * *" });
  assert.deepEqual([other.id, other.version, other.nextRunAt], [first.id, 2, START + 2.5 * HOUR]);
  await world.schedules.update(first.id, { active: false });
  assert.equal((await world.schedules.put(input)).active, false, "what an operator has stopped stays so");
  assert.equal((await world.schedules.put({ ...input, active: true })).active, true);
});

test("put leaves the schedules of others alone", async (t) => {
  const { schedules } = await scheduleWorld(t);
  await schedules.put({ ...INPUT, cron: "@daily", module: "one" });
  await assert.rejects(schedules.put({ ...INPUT, cron: "@hourly", module: "two" }), { code: "NAME_TAKEN" });
  await assert.rejects(schedules.put({ ...INPUT, cron: "@hourly" }), { code: "NAME_TAKEN" });
  assert.equal((await schedules.findByName("nightly"))?.cron, "@daily");
});

test("a change without another time keeps the next time; another one counts from now on", async (t) => {
  const world = await scheduleWorld(t);
  const { id } = await world.create({ everyMs: HOUR });
  world.clock.advance(10 * MINUTE);
  const same = await world.schedules.update(id, { label: "hourly", payload: { a: 1 } });
  assert.deepEqual([same.version, same.nextRunAt, same.updatedAt], [2, START + HOUR, START + 10 * MINUTE]);
  assert.equal((await world.schedules.update(id, { label: "hourly" })).version, 2, "nothing has changed");
  const other = await world.schedules.update(id, { everyMs: DAY });
  assert.equal(other.nextRunAt, START + 10 * MINUTE + DAY);
  const pattern = await world.schedules.update(id, { cron: "30 * * * *" });
  assert.deepEqual([pattern.everyMs, pattern.nextRunAt], [null, START + 30 * MINUTE]);
  await assert.rejects(world.schedules.update(id, { cron: null }), { code: "VALIDATION_FAILED" });
  await world.create({ name: "other", everyMs: HOUR });
  await assert.rejects(world.schedules.update(id, { name: "other" }), { code: "NAME_TAKEN" });
  await assert.rejects(world.schedules.update(id, { name: "third" }, { ifMatch: '"3"' }), { code: "VERSION_CONFLICT" });
  assert.equal((await world.schedules.update(id, { name: "third" }, { ifMatch: '"4"' })).name, "third");
});

test("what happens to a schedule in a transaction that fails has not happened", async (t) => {
  const world = await scheduleWorld(t);
  const { db } = world.prism.services;
  await assert.rejects(
    db.write(async (trx) => {
      await world.schedules.create({ ...INPUT, cron: "* * * * *" }, { trx });
      throw new RangeError("changed its mind");
    }),
    RangeError,
  );
  await world.pass(MINUTE);
  assert.deepEqual([countOf(world.prism, "schedules"), world.runs()], [0, []]);
});

test("a schedule goes by id or by name, and its jobs stay", async (t) => {
  const world = await scheduleWorld(t);
  const { id } = await world.create({ cron: "* * * * *" });
  await world.pass(MINUTE);
  await world.schedules.delete(id);
  await assert.rejects(world.schedules.delete(id), { code: "SCHEDULE_NOT_FOUND" });
  await assert.rejects(world.schedules.run(id), { code: "SCHEDULE_NOT_FOUND" });
  await assert.rejects(world.schedules.update("none", { active: true }), { code: "SCHEDULE_NOT_FOUND" });
  await world.create({ name: "named", cron: "* * * * *" });
  assert.deepEqual([await world.schedules.remove("named"), await world.schedules.remove("named")], [true, false]);
  assert.deepEqual(world.runs(), ["1m"]);
});

test("run makes a job now; while one has not ended and they may not overlap it is refused", async (t) => {
  const world = await scheduleWorld(t);
  const { id } = await world.create({ cron: "@yearly", active: false });
  world.clock.advance(MINUTE);
  const { jobId, runAt } = await world.schedules.run(id);
  assert.equal(runAt, START + MINUTE);
  await world.idle();
  assert.notEqual((await world.schedules.run(id)).jobId, jobId);
  await world.idle();
  const slow = await world.create({ name: "slow", cron: "@yearly", kind: "nobody", queue: "messages-dead-letter" });
  await world.schedules.run(slow.id);
  await assert.rejects(world.schedules.run(slow.id), { code: "INVALID_STATE" });
  await world.schedules.update(slow.id, { overlap: "allow" });
  await world.schedules.run(slow.id);
  assert.equal(world.runs(slow.id).length, 2);
});

test("a schedule that is put as it is stored takes no transaction, and keeps its version", async (t) => {
  const { prism, schedules } = await scheduleWorld(t);
  const input = { ...INPUT, cron: "0 3 * * *" };
  const made = await schedules.put(input);
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  // While another transaction holds the writer, one more would wait.
  const holding = prism.services.db.write(() => held);
  assert.deepEqual(await schedules.put(input), made);
  release();
  await holding;
  assert.equal((await schedules.put({ ...input, cron: "0 4 * * *" })).version, made.version + 1);
});
