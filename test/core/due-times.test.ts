import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { deferred } from "../../src/core/promises.ts";
import { DueTimes, SteadyClock } from "../../src/core/time/due-times.ts";
import { eventually } from "../helpers/eventually.ts";
import { FakeClock } from "../helpers/fake-clock.ts";

interface World {
  readonly wall: FakeClock;
  readonly clock: SteadyClock;
  readonly due: DueTimes<string>;
  /** Keys in the order in which they were handled. */
  readonly handled: string[];
}

function world(t: { after(fn: () => Promise<void>): void }, handle?: (world: World, key: string) => void): World {
  const wall = new FakeClock(1_000_000);
  const clock = new SteadyClock(wall);
  const handled: string[] = [];
  const due = new DueTimes<string>({
    clock,
    onError: () => undefined,
    async handle(keys) {
      for (const key of keys) {
        handled.push(key);
        if (handle) handle(made, key);
        else due.delete(key);
      }
    },
  });
  const made = { wall, clock, due, handled };
  t.after(() => due.stop());
  due.start();
  return made;
}

test("due keys are handled oldest first, once, and not before their time", async (t) => {
  const { wall, clock, due, handled } = world(t);
  const now = clock.now();
  due.set("c", now + 3000);
  due.set("a", now + 1000);
  due.set("b", now + 2000);
  await due.check();
  assert.deepEqual(handled, []);
  wall.advance(2000);
  await due.check();
  assert.deepEqual(handled, ["a", "b"]);
  wall.advance(10_000);
  await due.check();
  await due.check();
  assert.deepEqual([handled, due.size], [["a", "b", "c"], 0]);
});

test("a due time that is moved counts as moved: later, earlier, never", async (t) => {
  const { wall, clock, due, handled } = world(t);
  const now = clock.now();
  due.set("later", now + 1000);
  due.set("later", now + 5000);
  due.set("earlier", now + 5000);
  due.set("earlier", now + 1000);
  due.set("never", now + 1000);
  due.set("never", null);
  wall.advance(1000);
  await due.check();
  assert.deepEqual(handled, ["earlier"]);
  wall.advance(4000);
  await due.check();
  assert.deepEqual(handled, ["earlier", "later"]);
});

test("a key that its handler leaves unchanged is due again a second later", async (t) => {
  const { wall, clock, due, handled } = world(t, ({ due, handled }, key) => {
    if (handled.length === 2) due.delete(key);
    else throw new Error("not now");
  });
  due.set("a", clock.now());
  await due.check();
  await due.check();
  assert.deepEqual(handled, ["a"]);
  wall.advance(1000);
  await due.check();
  assert.deepEqual([handled, due.size], [["a", "a"], 0]);
});

test("a time that is moved while its key is handled counts, although it is the same again", async (t) => {
  const { clock, due, handled } = world(t, ({ due, handled }, key) => {
    if (handled.length === 2) return due.delete(key);
    const now = clock.now();
    due.set(key, now + 5000);
    // Another commit asks for it at once.
    due.set(key, now);
  });
  due.set("a", clock.now());
  await due.check();
  assert.deepEqual([handled, due.size], [["a", "a"], 0]);
});

test("one that fails does not hold the others of its call, and is handled again", async (t) => {
  const wall = new FakeClock(1_000_000);
  const clock = new SteadyClock(wall);
  const calls: string[][] = [];
  const failures: (readonly string[])[] = [];
  let isMended = false;
  const due = new DueTimes<string>({
    clock,
    read: () => ["d", "c", "b", "a"].map((key, at) => [key, at]),
    async handle(keys) {
      calls.push([...keys]);
      if (keys.includes("b") && !isMended) throw new Error("not b");
      for (const key of keys) due.delete(key);
    },
    onError: (error, keys) => failures.push([(error as Error).message, ...keys]),
    batch: 3,
    inOrder: true,
  });
  t.after(() => due.stop());
  due.load();
  await due.check();
  assert.deepEqual([calls, due.size], [[], 4], "one that is loaded handles nothing before it starts");
  due.start();
  await due.check();
  assert.deepEqual(calls, [["b", "c", "d"], ["b"], ["c"], ["d"], ["a"]]);
  assert.deepEqual([failures, due.size], [[["not b", "b"]], 1]);
  isMended = true;
  wall.advance(1000);
  await due.check();
  assert.deepEqual([calls.at(-1), due.size], [["b"], 0]);
});

test("thousands that are due at once are handled in parts, each once", async (t) => {
  const clock = new SteadyClock(new FakeClock(1_000_000));
  const sizes: number[] = [];
  const handled: number[] = [];
  const due = new DueTimes<number>({
    clock,
    read: () => Array.from({ length: 5000 }, (_, key) => [key, key]),
    async handle(keys) {
      sizes.push(keys.length);
      handled.push(...keys);
      for (const key of keys) due.delete(key);
    },
    onError: () => undefined,
  });
  t.after(() => due.stop());
  due.load();
  due.start();
  await due.check();
  assert.deepEqual(sizes, Array(25).fill(200));
  assert.deepEqual(handled, [...Array(5000).keys()]);
});

test("a stop waits for the call that runs, and nothing is handled after it", async () => {
  const clock = new SteadyClock(new FakeClock(1_000_000));
  const handled: string[] = [];
  const [hasBegun, isHeld] = [deferred<void>(), deferred<void>()];
  const due = new DueTimes<string>({
    clock,
    async handle(keys) {
      hasBegun.resolve();
      await isHeld.promise;
      for (const key of keys) due.delete(key);
      handled.push(...keys);
    },
    onError: () => undefined,
    batch: 1,
  });
  due.set("a", clock.now());
  due.set("b", clock.now());
  due.start();
  await hasBegun.promise;
  const stopped = due.stop().then(() => handled.push("stopped"));
  isHeld.resolve();
  await stopped;
  await due.check();
  assert.deepEqual([handled, due.size], [["a", "stopped"], 1]);
});

test("the timer wakes by itself", async (t) => {
  const { wall, clock, due, handled } = world(t);
  due.set("a", clock.now() + 50);
  wall.advance(50);
  await eventually("the key is handled", () => handled.length === 1);
});

test("after the clock was set back waits keep their length, for old and new due times", async (t) => {
  const { wall, clock, due, handled } = world(t);
  due.set("old", clock.now() + 60_000);
  wall.set(-3_600_000);
  due.set("new", clock.now() + 60_000);
  wall.advance(59_999);
  await due.check();
  assert.deepEqual(handled, []);
  wall.advance(1);
  await due.check();
  assert.deepEqual(handled, ["old", "new"]);
});

test("an instant of another machine is compared with the wall clock after a step", () => {
  const wall = new FakeClock(1_000_000);
  const clock = new SteadyClock(wall);
  wall.set(-500_000);
  assert.equal(clock.now(), 1_000_000);
  assert.equal(clock.fromWall(wall.now()) - clock.now(), 0);
  assert.equal(clock.toWall(clock.now()), wall.now());
  // The clock is corrected: nothing has jumped.
  let jumps = 0;
  clock.onJump(() => jumps++);
  wall.set(500_000);
  assert.deepEqual([clock.now(), clock.fromWall(1_000_000), jumps], [1_000_000, 1_000_000, 0]);
});

test("a step forward of over a minute is reported before anything is due by it", async (t) => {
  const { wall, clock, due, handled } = world(t);
  const now = clock.now();
  due.set("a", now + 120_000);
  const jumps: number[] = [];
  clock.onJump((ms) => {
    jumps.push(ms);
    due.set("a", clock.now() + 300_000);
  });
  wall.set(30_000);
  await due.check();
  assert.deepEqual(jumps, []);
  wall.set(3_600_000);
  await due.check();
  assert.deepEqual([jumps, handled], [[3_600_000], []]);
  wall.advance(300_000);
  await due.check();
  assert.deepEqual(handled, ["a"]);
});

test("any sequence of set, delete and time handles what a sorted list would, and the clock never goes back", async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("set" as const), key: fc.integer({ min: 0, max: 20 }), in: fc.nat(5000) }),
    fc.record({ kind: fc.constant("delete" as const), key: fc.integer({ min: 0, max: 20 }) }),
    fc.record({ kind: fc.constant("pass" as const), ms: fc.nat(3000) }),
    fc.record({ kind: fc.constant("setBack" as const), ms: fc.integer({ min: 2000, max: 1_000_000 }) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 200 }), async (steps) => {
      const wall = new FakeClock(10_000_000);
      const clock = new SteadyClock(wall);
      const model = new Map<number, number>();
      const handled: number[] = [];
      const due = new DueTimes<number>({
        clock,
        onError: () => undefined,
        async handle(keys) {
          for (const key of keys) due.delete(key);
          handled.push(...keys);
        },
      });
      due.start();
      let last = clock.now();
      for (const each of steps) {
        if (each.kind === "set") {
          model.set(each.key, clock.now() + each.in);
          due.set(each.key, clock.now() + each.in);
        } else if (each.kind === "delete") {
          model.delete(each.key);
          due.delete(each.key);
        } else if (each.kind === "pass") wall.advance(each.ms);
        else wall.set(-each.ms);
        const now = clock.now();
        assert.ok(now >= last);
        last = now;
        await due.check();
        const expected = [...model].filter(([, at]) => at <= now).map(([key]) => key);
        for (const key of expected) model.delete(key);
        assert.deepEqual(handled.splice(0).sort(), expected.sort());
      }
      await due.stop();
    }),
    { numRuns: 200 },
  );
});
