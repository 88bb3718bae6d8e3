import assert from "node:assert/strict";
import test from "node:test";
import { CALL_LIMITS } from "../../../src/features/delivery/calls/connect.ts";
import { DeliveryLimits } from "../../../src/features/delivery/circuits.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { keepsPromise } from "../../helpers/promise.ts";

const SETTINGS = {
  workers: [],
  ackTimeoutMs: 10_000,
  pushAlways: false,
  perUser: 60,
  perUserBurst: 30,
  global: 5000,
  timeouts: CALL_LIMITS,
};

function limits(settings: Partial<typeof SETTINGS> = {}) {
  const clock = new FakeClock();
  return { clock, limits: new DeliveryLimits(clock, () => ({ ...SETTINGS, ...settings })) };
}

function take(times: number, of: DeliveryLimits, user = (_: number): string => "ann"): (number | null)[] {
  return Array.from({ length: times }, (_, n) => of.take(user(n)));
}

test("S2-35 a user is sent 30 at once, then one a second, and no more than five minutes ahead", (t) => {
  keepsPromise(t, "S2-35");
  const { clock, limits: of } = limits();
  const waits = take(340, of);
  assert.deepEqual(waits.slice(0, 30), new Array(30).fill(0));
  assert.deepEqual(waits.slice(30, 33), [1000, 2000, 3000]);
  assert.deepEqual(waits.slice(328), [299_000, 300_000, ...new Array(10).fill(null)]);
  assert.equal(of.take("ben"), 0, "of others it says nothing");
  clock.advance(10_000);
  assert.deepEqual(take(11, of).slice(8), [299_000, 300_000, null], "each second gives one back");
  clock.advance(3_600_000);
  assert.deepEqual(take(31, of).slice(29), [0, 1000], "a bucket is never fuller than full");
});

test("S2-35 all users together are sent 5000 a minute", (t) => {
  keepsPromise(t, "S2-35");
  const { limits: of } = limits();
  const user = (n: number): string => `user-${n}`;
  const waits = take(30_002, of, user);
  assert.equal(waits[4999], 0);
  assert.equal(waits[5000], 12);
  assert.equal(waits[29_999], 300_000);
  assert.deepEqual(waits.slice(30_000), [null, null]);
});

test("who is refused by the global limit loses no token of his own", () => {
  const { clock, limits: of } = limits({ global: 1 });
  assert.deepEqual(take(8, of), [0, 60_000, 120_000, 180_000, 240_000, 300_000, null, null]);
  clock.advance(600_000);
  assert.equal(of.take("ann"), 0);
});

test("a clock that is set back a day delays nothing by a day", () => {
  const { clock, limits: of } = limits();
  take(100, of);
  clock.set(-86_400_000);
  const wait = of.take("ann");
  assert.ok(wait === null || wait <= 300_000);
  clock.advance(600_000);
  assert.equal(of.take("ann"), 0);
});
