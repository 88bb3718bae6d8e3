import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";

test("timers that store an event wait while the disk is low, lose no attempt, and fire when there is room", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const { timer } = prism.services;
  const { storage } = prism.parts.base;
  const { runner } = prism.parts.offers;
  let isFull = false;
  t.mock.getter(storage, "problem", () => (isFull ? "disk" : null));
  const action = { type: "event", event: "door.closed", payload: {}, persist: true } as const;
  for (let i = 0; i < 20; i++) await timer.after(`timer ${i}`, 5000, action);
  isFull = true;
  const jobs = () =>
    rowsOf<{ state: string; attempts: number; fence: number }>(prism, "select state, attempts, fence from jobs");
  const pass = (ms: number): void => {
    clock.advance(ms);
    runner.enqueued([]);
  };
  // Twice as many tries as a timer has attempts.
  for (let round = 1; round <= 10; round++) {
    pass(10_000);
    await eventually(`all wait again after try ${round}`, () =>
      jobs().every(({ state, fence }) => state === "scheduled" && fence === round),
    );
  }
  assert.deepEqual([...new Set(jobs().map(({ attempts }) => attempts))], [0]);
  assert.equal(scalarOf(prism, "select count(*) from job_attempts"), 0);
  isFull = false;
  pass(10_000);
  await eventually("all have fired", () => jobs().every(({ state }) => state === "succeeded"));
  assert.equal(scalarOf(prism, "select count(*) from events where type = 'door.closed'"), 20);
});
