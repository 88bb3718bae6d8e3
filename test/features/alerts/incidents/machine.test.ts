import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { acknowledge, snooze } from "../../../../src/features/alerts/incidents/acts.ts";
import { dueAt, lookAgain, type Turn } from "../../../../src/features/alerts/incidents/machine.ts";
import type { StepSettings } from "../../../../src/features/alerts/policies/policy.ts";
import { MINUTE, notify, SETTINGS, START, World, wait } from "./machine-world.ts";

test("the first notification waits for groupWait from the alert's start, and not longer", () => {
  const world = new World();
  world.pass(29_999);
  assert.deepEqual(world.sent(), []);
  world.pass(1);
  assert.deepEqual(world.sent(), ["page 0.0 high"]);
  const late = new World({}, START - MINUTE);
  late.pass(0);
  assert.deepEqual(late.sent(), ["page 0.0 high"]);
  const future = new World({}, START + 60 * MINUTE);
  future.pass(30_000);
  assert.deepEqual(future.sent(), ["page 0.0 high"]);
});

test("steps run in order with their waits; the last round ends with incident.exhausted, once", () => {
  const world = new World({ groupWaitMs: 0, repeat: 1 });
  world.pass(0);
  assert.deepEqual(world.take(), ["page 0.0 high"]);
  world.pass(5 * MINUTE - 1);
  assert.deepEqual(world.take(), []);
  world.pass(1);
  assert.deepEqual(world.take(), ["page 0.2 low"]);
  world.pass(MINUTE);
  assert.deepEqual(world.take(), ["page 1.0 high"]);
  world.pass(5 * MINUTE);
  assert.deepEqual(world.take(), ["page 1.2 low"]);
  world.pass(60 * MINUTE);
  assert.deepEqual(world.take(), ["log exhausted", "incident.exhausted"]);
});

test("a policy without steps notifies no one, reaches no one, and is never exhausted", () => {
  const world = new World({ steps: [], groupWaitMs: 0 });
  world.pass(12 * MINUTE);
  assert.deepEqual(world.take(), ["log looked-again", "log looked-again"]);
  assert.equal(world.incident.reachedAt, null);
});

test("the audience is notified again when nobody acknowledged for the repeat interval", () => {
  const world = new World({ steps: [notify()], groupWaitMs: 0, repeatMs: 60 * MINUTE });
  world.pass(0);
  world.take();
  world.pass(60 * MINUTE - 1);
  assert.deepEqual(world.sent(), []);
  world.pass(1);
  assert.deepEqual(world.sent(), ["renotify repeat high", "webhooks repeat"]);
  world.apply(acknowledge(world.incident, "u1", world.facts, world.settings, world.now));
  world.pass(300 * MINUTE);
  assert.deepEqual(world.sent(), []);
});

test("alerts that join later are notified after the group interval, once for all of them", () => {
  const world = new World({ steps: [notify()], groupWaitMs: 0 });
  world.pass(MINUTE);
  world.take();
  world.fire("a2");
  world.pass(MINUTE);
  world.fire("a3");
  world.pass(3 * MINUTE - 1);
  assert.deepEqual(world.sent(), []);
  world.pass(1);
  assert.deepEqual(world.sent(), ["renotify new-alerts high", "webhooks new-alerts"]);
  world.pass(10 * MINUTE);
  assert.deepEqual(world.sent(), []);
  const quiet = new World({ steps: [notify()], groupWaitMs: 0, renotifyOnNew: false });
  quiet.pass(MINUTE);
  quiet.take();
  quiet.fire("a2");
  quiet.pass(10 * MINUTE);
  assert.deepEqual(quiet.take(), ["log not-notified"]);
});

test("alerts that join between two steps are notified to those who were notified before", () => {
  const world = new World({
    groupWaitMs: 0,
    steps: [notify(), wait(2 * MINUTE), { type: "webhook", url: "http://x/", format: "prism" }],
  });
  world.pass(MINUTE);
  world.take();
  world.incident = { ...world.incident, reachedAt: world.now };
  world.fire("a2");
  world.pass(4 * MINUTE);
  assert.deepEqual(world.sent(), ["webhook 2", "renotify new-alerts high", "webhooks new-alerts"]);
  const single = new World({ groupWaitMs: 0, steps: [notify()] });
  single.pass(0);
  single.take();
  single.fire("a2");
  single.pass(5 * MINUTE);
  assert.deepEqual(single.sent(), ["renotify new-alerts high", "webhooks new-alerts"]);
});

test("a partial resolution is logged and sent to webhooks only", () => {
  const world = new World({ steps: [notify()], groupWaitMs: 0 });
  world.fire("a2");
  world.pass(0);
  world.take();
  world.resolveAlert("a1");
  world.pass(5 * MINUTE);
  const found = world.take().filter((each) => !each.includes("exhausted"));
  assert.deepEqual(found, ["log some-resolved", "webhooks some-resolved"]);
  assert.equal(world.incident.state, "open");
});

test("the incident resolves a group interval after its last alert, and those who were notified are notified", () => {
  const world = new World({ steps: [notify()], groupWaitMs: 0 });
  world.pass(60 * MINUTE);
  world.take();
  world.resolveAlert("a1");
  world.pass(5 * MINUTE - 1);
  assert.deepEqual(world.take(), []);
  world.pass(1);
  assert.deepEqual(world.take(), ["log resolved", "incident.resolved", "renotify resolved high", "webhooks resolved"]);
  assert.equal(dueAt(world.incident), null);
});

test("looks have the rhythm of the first one: what changes late in it is not sent a whole interval later", () => {
  const world = new World({ steps: [notify()], groupWaitMs: 0 });
  world.pass(7 * MINUTE);
  world.take();
  world.fire("a2");
  world.pass(0);
  assert.deepEqual(world.sent(), ["renotify new-alerts high", "webhooks new-alerts"], "the last look is long ago");
  world.resolveAlert("a1");
  world.pass(3 * MINUTE - 1);
  assert.deepEqual(world.sent(), []);
  world.pass(1);
  assert.deepEqual(world.sent(), ["webhooks some-resolved"]);
  world.pass(4 * MINUTE);
  world.resolveAlert("a2");
  world.pass(MINUTE);
  assert.deepEqual(world.sent(), ["renotify resolved high", "webhooks resolved"]);
});

/** When Alertmanager sends the end: with the next flush. It flushes each interval from the first one on. */
function endOfAlertmanager(firstFlush: number, lastEnd: number): number {
  const { groupIntervalMs } = SETTINGS;
  return firstFlush + groupIntervalMs * (Math.floor((lastEnd - firstFlush) / groupIntervalMs) + 1);
}

test("no end is sent later than Alertmanager sends it, whatever joined and ended before", () => {
  const second = fc.integer({ min: 1, max: 20 * 60 }).map((s) => s * 1000);
  const changes = fc.array(fc.record({ afterMs: second, isEnd: fc.boolean() }), { maxLength: 12 });
  fc.assert(
    fc.property(changes, second, fc.constantFrom(0, 30_000), (given, lastMs, groupWaitMs) => {
      const world = new World({ steps: [notify()], groupWaitMs, repeatMs: 24 * 60 * MINUTE });
      const firstFlush = START + groupWaitMs;
      world.pass(groupWaitMs);
      for (const [at, { afterMs, isEnd }] of given.entries()) {
        world.pass(afterMs);
        const firing = world.members.filter(({ isFiring }) => isFiring);
        if (isEnd && firing.length > 1) world.resolveAlert(firing[0]?.alertId ?? "");
        else world.fire(`b${at}`);
      }
      world.pass(lastMs);
      for (const { alertId, isFiring } of world.members) if (isFiring) world.resolveAlert(alertId);
      const due = endOfAlertmanager(firstFlush, world.now);
      world.pass(due - world.now);
      assert.equal(world.incident.state, "resolved", `an end at ${due - START} ms`);
    }),
  );
});

test("partial ends are sent to webhooks while acknowledged or snoozed, but not without sendResolved", () => {
  const ended = (settings: Partial<StepSettings>, act: (world: World) => Turn): string[] => {
    const world = new World({ steps: [notify()], groupWaitMs: 0, ...settings });
    world.fire("a2");
    world.pass(0);
    world.apply(act(world));
    world.take();
    world.resolveAlert("a1");
    world.pass(5 * MINUTE);
    return world.sent();
  };
  const ack = (world: World) => acknowledge(world.incident, "u1", world.facts, world.settings, world.now);
  const sleep = (world: World) =>
    snooze(world.incident, world.now + 60 * MINUTE, world.facts, world.settings, world.now);
  assert.deepEqual(ended({}, ack), ["webhooks some-resolved"]);
  assert.deepEqual(ended({}, sleep), ["webhooks some-resolved"]);
  assert.deepEqual(ended({ sendResolved: false }, ack), []);
});

test("webhooks name an alert again that they left out while it was withheld; people are not notified of it", () => {
  const world = new World({ steps: [notify()], groupWaitMs: 0 });
  world.fire("a2");
  world.pass(MINUTE);
  world.take();
  world.withheld.add("a1").add("a2");
  world.leftOut = ["a1", "a2"];
  world.incident = lookAgain(world.incident, world.settings, world.now);
  world.pass(4 * MINUTE);
  assert.deepEqual(world.take(), ["withheld flush a1,a2"]);
  world.withheld.delete("a2");
  world.pass(5 * MINUTE);
  assert.deepEqual(world.take(), ["withheld flush a1", "log left-out", "webhooks new-alerts"]);
  assert.deepEqual(world.leftOut, ["a1"]);
  world.resolveAlert("a2");
  world.resolveAlert("a1");
  world.pass(5 * MINUTE);
  assert.deepEqual(world.sent(), ["renotify resolved high", "webhooks resolved"]);
});

test("an alert that fires again meanwhile stays in its incident", () => {
  const world = new World({ steps: [notify()], groupWaitMs: 0 });
  world.pass(60 * MINUTE);
  world.resolveAlert("a1");
  world.pass(MINUTE);
  world.fire("a2");
  world.pass(60 * MINUTE);
  assert.equal(world.incident.state, "open");
});

test("a final resolution of the source does not wait", () => {
  const world = new World({ steps: [notify()], groupWaitMs: 0 });
  world.pass(0);
  world.take();
  world.resolveAlert("a1", true);
  world.pass(0);
  assert.equal(world.incident.state, "resolved");
  assert.deepEqual(world.sent(), ["renotify resolved high", "webhooks resolved"]);
});

test("an incident that ends before its first notification ends silently", () => {
  const world = new World();
  world.pass(10_000);
  world.resolveAlert("a1");
  world.pass(0);
  assert.equal(world.incident.state, "resolved");
  assert.deepEqual(world.sent(), []);
});

test("sendResolved false: no one is notified of the end", () => {
  const world = new World({ steps: [notify()], groupWaitMs: 0, sendResolved: false });
  world.pass(0);
  world.take();
  world.resolveAlert("a1", true);
  world.pass(0);
  assert.deepEqual(world.take(), ["log resolved", "incident.resolved"]);
});

test("withheld alerts are not notified, are checked again after the group interval, and notified when they are free", () => {
  const world = new World({ groupWaitMs: 0, steps: [notify()] });
  world.withheld.add("a1");
  world.pass(0);
  assert.deepEqual(world.take(), ["withheld flush a1"]);
  assert.equal(dueAt(world.incident), START + 5 * MINUTE);
  world.pass(5 * MINUTE);
  assert.deepEqual(world.take(), ["withheld flush a1"]);
  world.withheld.clear();
  world.pass(5 * MINUTE);
  assert.deepEqual(world.sent(), ["page 0.0 high"]);
});

test("steps and repeats wait while everything that fires is withheld; the resolution is sent all the same", () => {
  const world = new World({ groupWaitMs: 0, steps: [notify(), wait(MINUTE), notify("low")] });
  world.pass(0);
  world.take();
  world.withheld.add("a1");
  world.pass(MINUTE);
  assert.deepEqual(world.take(), ["withheld step a1"]);
  world.pass(MINUTE);
  world.resolveAlert("a1", true);
  world.pass(0);
  assert.deepEqual(world.sent(), ["renotify resolved high", "webhooks resolved"]);
});

test("steps wait while no alert fires, and continue when one fires again", () => {
  const world = new World({ groupWaitMs: 0, steps: [notify(), wait(4 * MINUTE), notify("low")] });
  world.pass(3 * MINUTE);
  world.take();
  world.resolveAlert("a1");
  world.pass(1.5 * MINUTE);
  assert.deepEqual(world.sent(), []);
  world.fire("a2");
  world.pass(5 * MINUTE);
  assert.deepEqual(world.sent(), [
    "webhooks some-resolved",
    "renotify new-alerts high",
    "webhooks new-alerts",
    "page 0.2 low",
  ]);
});
