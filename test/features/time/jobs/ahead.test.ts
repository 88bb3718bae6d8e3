import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { TestRunner } from "./support/test-runner.ts";

test("a job that was claimed a moment before its time and has not begun is given back by a stop, and that was no attempt", async (t) => {
  const helper = new TestRunner(t);
  const runs: string[] = [];
  helper.runner.handle("test", async ({ id }) => void runs.push(id));
  helper.runner.start();
  const runAt = helper.clock.now() + 60_000;
  const id = await helper.add("held", { runAt });
  helper.clock.advance(59_995);
  // Something else wakes the runner, which then sees what is nearly due.
  const other = await helper.add("now");
  await eventually("the other has run and this one is claimed", () => {
    return runs.includes(other) && helper.stateOf(id) === "running";
  });
  assert.deepEqual(runs, [other]);
  await helper.runner.stop(1000);
  await eventually("it is back", () => helper.stateOf(id) === "ready");
  const line = helper.row(id);
  assert.deepEqual([line.attempts, line.workerId, runs], [0, null, [other]]);
});

test("a job that was claimed before its time has begun, by the table, when it was due", async (t) => {
  const helper = new TestRunner(t);
  let begun = 0;
  helper.runner.handle("test", async () => {
    begun = helper.clock.now();
  });
  helper.runner.start();
  const runAt = helper.clock.now() + 60_000;
  const id = await helper.add("held", { runAt });
  helper.clock.advance(59_995);
  await helper.runner.stop(0);
  const next = new TestRunner(t, { store: helper.store, clock: helper.clock });
  next.runner.handle("test", async () => {
    begun = next.clock.now();
  });
  next.runner.start();
  await eventually("it is claimed", () => next.stateOf(id) === "running");
  assert.equal(begun, 0);
  next.clock.advance(5);
  await eventually("it has run", () => next.stateOf(id) === "succeeded");
  assert.equal(begun, runAt);
  assert.equal(next.row(id).startedAt, runAt);
});

test("pausing a queue gives back what was claimed before its time", async (t) => {
  const helper = new TestRunner(t);
  helper.runner.handle("test", async () => undefined);
  helper.runner.start();
  const runAt = helper.clock.now() + 60_000;
  const id = await helper.add("held", { runAt });
  helper.clock.advance(59_995);
  await helper.add("now");
  await eventually("it is claimed", () => helper.stateOf(id) === "running");
  helper.runner.pause("timers");
  await eventually("it waits again", () => helper.stateOf(id) === "ready");
  helper.clock.advance(1000);
  helper.runner.resume("timers");
  await eventually("it has run", () => helper.stateOf(id) === "succeeded");
});
