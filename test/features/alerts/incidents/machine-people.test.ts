import assert from "node:assert/strict";
import { test } from "node:test";
import {
  acknowledge,
  escalate,
  resolve,
  snooze,
  unacknowledge,
  unsnooze,
} from "../../../../src/features/alerts/incidents/acts.ts";
import { dueAt } from "../../../../src/features/alerts/incidents/machine.ts";
import type { PolicyStep } from "../../../../src/features/alerts/policies/policy.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { MINUTE, notify, START, World, wait } from "./machine-world.ts";

test("acknowledging stops steps and repeats; with a quorum only the last needed acknowledgement does", () => {
  const world = new World({ groupWaitMs: 0, ackQuorum: 2 });
  world.pass(0);
  world.take();
  world.apply(acknowledge(world.incident, "u1", world.facts, world.settings, world.now));
  assert.equal(world.incident.state, "open");
  world.apply(acknowledge(world.incident, "u1", world.facts, world.settings, world.now));
  assert.deepEqual([world.incident.state, world.acks.length], ["open", 1]);
  assert.deepEqual(world.take(), ["log acknowledged"]);
  world.pass(5 * MINUTE);
  assert.deepEqual(world.sent(), ["page 0.2 low"]);
  world.apply(acknowledge(world.incident, "u2", world.facts, world.settings, world.now));
  assert.equal(world.incident.state, "acknowledged");
  assert.deepEqual(world.take(), ["log acknowledged", "incident.acknowledged"]);
  world.pass(24 * 60 * MINUTE);
  assert.deepEqual(world.sent(), []);
});

test("a new alert of an acknowledged incident is notified with low urgency; it stays acknowledged", () => {
  const world = new World({ groupWaitMs: 0 });
  world.pass(0);
  world.apply(acknowledge(world.incident, "u1", world.facts, world.settings, world.now));
  world.take();
  world.fire("a2");
  world.pass(60 * MINUTE);
  assert.deepEqual(world.sent(), ["renotify new-alerts low", "webhooks new-alerts"]);
  assert.equal(world.incident.state, "acknowledged");
});

test("unacknowledging starts the steps again from the first", () => {
  const world = new World({ groupWaitMs: 0 });
  world.pass(6 * MINUTE);
  world.apply(acknowledge(world.incident, "u1", world.facts, world.settings, world.now));
  world.take();
  world.apply(unacknowledge(world.incident, world.facts, world.settings, world.now));
  world.pass(0);
  assert.deepEqual(world.take(), ["log unacknowledged", "incident.unacknowledged", "page 0.0 high"]);
  assert.deepEqual(world.acks, []);
});

test("an acknowledgement expires, and the steps start again once fewer than the quorum are left", () => {
  const world = new World({ groupWaitMs: 0, ackExpiresMs: 60 * MINUTE, ackQuorum: 2 });
  world.pass(0);
  world.apply(acknowledge(world.incident, "u1", world.facts, world.settings, world.now));
  world.pass(MINUTE);
  world.apply(acknowledge(world.incident, "u2", world.facts, world.settings, world.now));
  world.take();
  world.pass(59 * MINUTE - 1);
  assert.deepEqual(world.take(), []);
  world.pass(1);
  assert.deepEqual(world.take(), ["log ack-expired", "incident.unacknowledged", "page 0.0 high"]);
  assert.deepEqual(valuesOf(world.acks, "userId"), ["u2"]);
});

test("a snooze stops steps until its end, which opens the incident and starts them again", () => {
  const world = new World({ groupWaitMs: 0 });
  world.pass(0);
  world.apply(acknowledge(world.incident, "u1", world.facts, world.settings, world.now));
  world.apply(snooze(world.incident, world.now + 30 * MINUTE, world.facts, world.settings, world.now));
  world.take();
  world.fire("a2");
  world.pass(30 * MINUTE - 1);
  assert.deepEqual(world.take(), ["log not-notified"]);
  world.pass(1);
  assert.deepEqual(world.take(), ["log snooze-ended", "page 0.0 high"]);
  assert.equal(world.incident.state, "open");
  world.apply(snooze(world.incident, world.now + 30 * MINUTE, world.facts, world.settings, world.now));
  world.apply(unsnooze(world.incident, world.facts, world.settings, world.now));
  world.take();
  world.pass(0);
  assert.deepEqual(world.sent(), ["page 0.0 high"]);
});

test("an alert that is snoozed before its first notification is notified at the end of the snooze", () => {
  const world = new World();
  world.apply(snooze(world.incident, world.now + 60 * MINUTE, world.facts, world.settings, world.now));
  world.pass(60 * MINUTE - 1);
  assert.deepEqual(world.sent(), []);
  world.pass(1);
  assert.deepEqual(world.sent(), ["page 0.0 high"]);
});

test("a person resolves: the audience is notified, nothing is due any more", () => {
  const world = new World({ groupWaitMs: 0 });
  world.pass(0);
  world.take();
  world.apply(resolve(world.incident, "u1", world.facts, world.settings, world.now));
  assert.deepEqual(world.take(), ["log resolved", "incident.resolved", "renotify resolved high", "webhooks resolved"]);
  assert.deepEqual([world.incident.resolvedBy, dueAt(world.incident)], ["u1", null]);
  world.apply(resolve(world.incident, "u2", world.facts, world.settings, world.now));
  world.apply(acknowledge(world.incident, "u2", world.facts, world.settings, world.now));
  world.apply(snooze(world.incident, world.now + 1, world.facts, world.settings, world.now));
  assert.deepEqual([world.take(), world.acks], [[], []]);
});

test("escalating runs the next notifying step now, and the first one after the last", () => {
  const world = new World({ groupWaitMs: 0 });
  world.pass(0);
  world.apply(acknowledge(world.incident, "u1", world.facts, world.settings, world.now));
  world.take();
  world.apply(escalate(world.incident, world.facts, world.settings, world.now));
  world.pass(0);
  assert.deepEqual(world.take(), ["log escalated", "page 0.2 low"]);
  world.apply(escalate(world.incident, world.facts, world.settings, world.now));
  world.pass(0);
  assert.deepEqual(world.take(), ["log escalated", "page 1.0 high"]);
});

test("autoResolveMs after the last alert the incident resolves", () => {
  const world = new World({ groupWaitMs: 0, autoResolveMs: 60 * MINUTE });
  world.pass(30 * MINUTE);
  world.fire("a2");
  world.pass(60 * MINUTE - 1);
  assert.equal(world.incident.state, "open");
  world.pass(1);
  assert.deepEqual([world.incident.state, world.incident.resolvedBy], ["resolved", "auto"]);
});

test("onlyIn passes over the next step or waits until the interval opens", () => {
  const onlyIn = (otherwise: "skip" | "hold"): PolicyStep => ({ type: "onlyIn", interval: "office", otherwise });
  const skipping = new World({ groupWaitMs: 0, steps: [onlyIn("skip"), notify(), notify("low")] });
  skipping.isOpenInterval = false;
  skipping.pass(0);
  assert.deepEqual(skipping.take(), ["log outside-interval", "page 0.2 low"]);
  const holding = new World({ groupWaitMs: 0, steps: [onlyIn("hold"), notify()] });
  holding.isOpenInterval = false;
  holding.opensAt = START + 20 * MINUTE;
  holding.pass(20 * MINUTE - 1);
  assert.deepEqual(holding.sent(), []);
  holding.isOpenInterval = true;
  holding.pass(1);
  assert.deepEqual(holding.sent(), ["page 0.1 high"]);
});

test("ifCount stops the steps until enough alerts have joined within the window", () => {
  const steps: PolicyStep[] = [{ type: "ifCount", alerts: 2, windowMs: 10 * MINUTE }, notify()];
  const world = new World({ groupWaitMs: 0, steps });
  world.pass(0);
  assert.deepEqual(world.take(), ["log too-few-alerts"]);
  world.pass(6 * MINUTE);
  world.fire("a2");
  world.pass(0);
  assert.deepEqual(world.sent(), ["renotify new-alerts high", "webhooks new-alerts", "page 0.1 high"]);
});

test("a resolve step ends the incident, a webhook step is called", () => {
  const steps: PolicyStep[] = [
    { type: "webhook", url: "https://example.com/", format: "prism" },
    wait(MINUTE),
    { type: "resolve" },
  ];
  const world = new World({ groupWaitMs: 0, steps });
  world.pass(0);
  assert.deepEqual(world.take(), ["webhook 0"]);
  world.pass(MINUTE);
  assert.equal(world.incident.resolvedBy, "policy");
});

test("steps that became due during a down time run once", () => {
  const world = new World({ groupWaitMs: 0 });
  world.pass(0);
  world.take();
  world.now += 24 * 60 * MINUTE;
  world.turn();
  world.turn();
  assert.deepEqual(world.sent(), ["page 0.2 low"]);
});
