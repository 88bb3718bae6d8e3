import assert from "node:assert/strict";
import test from "node:test";
import {
  isBlocked,
  LEASE_MS,
  Lease,
  newAccepted,
  noteAccepted,
  noteTurn,
  sentNow,
} from "../../src/cluster/lead/lease.ts";
import { limitActing, untilMayAct } from "../../src/core/runtime.ts";
import { callWithin } from "../../src/features/delivery/channel.ts";

/** A second less than the next leader waits: a shorter suspension is not seen. */
const ACTING_MS = LEASE_MS - 1000;

function leaseWith() {
  const accepted = newAccepted();
  const clocks = { elapsedMs: 0, nowMs: 1_000_000 };
  const both = { elapsed: () => clocks.elapsedMs, now: () => clocks.nowMs };
  const lease = new Lease(accepted, both);
  noteAccepted(accepted, sentNow(both));
  return {
    lease,
    pass(ms: number) {
      clocks.elapsedMs += ms;
      clocks.nowMs += ms;
    },
    /** The machine is suspended: its monotonic clock stands still. */
    suspend(ms: number) {
      clocks.nowMs += ms;
    },
    send: () => sentNow(both),
    accept: (sent = sentNow(both)) => noteAccepted(accepted, sent),
  };
}

test("a leader may act for 5 s after its last accepted record was sent", () => {
  const { lease, pass, accept } = leaseWith();
  pass(ACTING_MS - 1);
  assert.equal(lease.isOver, false);
  pass(1);
  assert.equal(lease.isOver, true);
  accept();
  assert.equal(lease.isOver, false);
});

test("the lease ends when the machine was suspended, until a record is accepted", () => {
  const { lease, pass, suspend, accept } = leaseWith();
  suspend(30_000);
  assert.equal(lease.isOver, true);
  pass(10);
  assert.equal(lease.isOver, true);
  accept();
  assert.equal(lease.isOver, false);
});

test("a record that was sent before the machine was suspended does not hold the lease when it is accepted after it", () => {
  const { lease, suspend, send, accept } = leaseWith();
  const sent = send();
  suspend(30_000);
  accept(sent);
  assert.equal(lease.isOver, true);
});

test("without the lease no call to a service begins; it begins when a record is accepted", async (t) => {
  const { lease, pass, accept } = leaseWith();
  limitActing(() => lease.untilHeld());
  t.after(() => limitActing(null));
  let calls = 0;
  const call = () => callWithin(async () => ++calls, new AbortController().signal);
  assert.equal(await call(), 1);
  pass(LEASE_MS);
  const held = call();
  await new Promise((resolve) => setTimeout(resolve, 250));
  assert.equal(calls, 1);
  accept();
  assert.equal(await held, 2);
  pass(LEASE_MS);
  const stopping = new AbortController();
  const stopped = callWithin(async () => ++calls, stopping.signal);
  stopping.abort(new Error("the server stops"));
  await assert.rejects(stopped, /the server stops/);
  accept();
  limitActing(null);
  assert.equal(untilMayAct(), null);
});

test("a leader whose loop does not turn for 5 s is blocked; it has 20 s to load", () => {
  const clock = { now: 1000 };
  const clocks = { elapsed: () => clock.now, now: () => clock.now };
  const accepted = newAccepted(clocks);
  clock.now += 19_999;
  assert.equal(isBlocked(accepted, clocks), false);
  noteTurn(accepted, clocks);
  clock.now += 5000;
  assert.equal(isBlocked(accepted, clocks), false);
  clock.now += 1;
  assert.equal(isBlocked(accepted, clocks), true);
});
