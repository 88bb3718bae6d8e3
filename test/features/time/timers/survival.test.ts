import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { crashImage } from "../../../helpers/crash-image.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { steadyJitter } from "../../../helpers/steady-jitter.ts";
import { openBeside } from "../../../helpers/store.ts";
import { rowsOf } from "../../../helpers/tables.ts";

const PATH = "/api/v1/time/trigger";
const notify = (title: string) => ({ type: "notify", payload: { userId: "me", title, body: "b" } });
const event = (name: string) => ({ type: "event", event: name, persist: true });

/** A server with timers that are due in an hour, by a fake clock. */
async function withTimers(t: TestContext): Promise<{ prism: TestPrism; clock: FakeClock }> {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  for (const [label, action] of [
    ["a", notify("note")],
    ["b", event("kept.event")],
  ] as const)
    assert.equal((await prism.post(PATH, { label, delayMs: 3_600_000, action })).status, 201);
  return { prism, clock };
}

async function assertFiredOnce(prism: TestPrism): Promise<void> {
  await eventually("both have fired", () => rowsOf(prism, "select 1 from jobs where state = 'succeeded'").length === 2);
  assert.deepEqual(rowsOf(prism, "select title from notifications"), [{ title: "note" }]);
  assert.deepEqual(rowsOf(prism, "select type from events"), [{ type: "kept.event" }]);
  assert.equal(rowsOf(prism, "select 1 from notification_recipients").length, 1);
}

test("timers that wait are there after a restart and fire once, at their time", async (t) => {
  const { prism, clock } = await withTimers(t);
  await prism.restart();
  assert.deepEqual(rowsOf(prism, "select state from jobs"), [{ state: "scheduled" }, { state: "scheduled" }]);
  clock.advance(3_600_000);
  prism.parts.offers.runner.enqueued([]);
  await assertFiredOnce(prism);
  await prism.restart();
  await assertFiredOnce(prism);
});

test("pending timers survive a kill; those due meanwhile fire at the start, once", async (t) => {
  const { prism, clock } = await withTimers(t);
  const dir = await crashImage(t, prism);
  clock.advance(3_600_000);
  const next = await startPrism(t, { clock, dir });
  await assertFiredOnce(next);
  const after = await startPrism(t, { clock, dir: await crashImage(t, next) });
  await assertFiredOnce(after);
});

test("a kill while a timer fires leaves all of its effect or none, and it is there once in the end", async (t) => {
  const { prism, clock } = await withTimers(t);
  // What a kill between the claim and the effect leaves: a job that runs in a process that is gone.
  await prism.parts.base.database.write((trx) =>
    trx.updateTable("jobs").set({ state: "running", workerId: "gone", attempts: 1, fence: 1, startedAt: 1 }).execute(),
  );
  const next = await startPrism(t, { clock, dir: await crashImage(t, prism) });
  await assertFiredOnce(next);
  // Whether the timer had begun is not known, so the kill costs it no attempt.
  assert.deepEqual(rowsOf(next, "select attempts, fence from jobs"), [
    { attempts: 1, fence: 2 },
    { attempts: 1, fence: 2 },
  ]);
});

test("a timer that fails is tried again: a full database holds its notification up and loses nothing", async (t) => {
  steadyJitter(t);
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const beside = openBeside(t, prism.parts.base.config.databaseFile);
  beside.exec("create trigger refuse before insert on notifications begin select raise(abort, 'no'); end");
  await prism.post(PATH, { label: "a", delayMs: 0, action: notify("note") });
  await eventually(
    "it waits for another attempt",
    () => rowsOf(prism, "select 1 from jobs where state = 'retrying'")[0],
  );
  beside.exec("drop trigger refuse");
  clock.advance(900_000);
  prism.parts.offers.runner.enqueued([]);
  await eventually("it has fired", () => rowsOf(prism, "select 1 from jobs where state = 'succeeded'")[0]);
  assert.deepEqual(rowsOf(prism, "select title from notifications"), [{ title: "note" }]);
});
