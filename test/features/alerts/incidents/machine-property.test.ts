import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  acknowledge,
  escalate,
  resolve,
  snooze,
  unacknowledge,
  unsnooze,
} from "../../../../src/features/alerts/incidents/acts.ts";
import type { Incident } from "../../../../src/features/alerts/incidents/incident.ts";
import { dueAt } from "../../../../src/features/alerts/incidents/machine.ts";
import type { StepSettings } from "../../../../src/features/alerts/policies/policy.ts";
import { MINUTE, notify, World, wait } from "./machine-world.ts";

/* A small model of what may be sent, written without the machine's own rules. */

type Input =
  | { readonly do: "fire" | "resolve" | "silence" | "unsilence"; readonly alert: number }
  | { readonly do: "ack"; readonly user: number }
  | { readonly do: "unack" | "unsnooze" | "escalate" | "close" | "restart" }
  | { readonly do: "snooze" | "pass"; readonly minutes: number };

const input: fc.Arbitrary<Input> = fc.oneof(
  fc.record({
    do: fc.constantFrom("fire" as const, "resolve" as const, "silence" as const, "unsilence" as const),
    alert: fc.integer({ min: 1, max: 4 }),
  }),
  fc.record({ do: fc.constant("ack" as const), user: fc.integer({ min: 1, max: 3 }) }),
  fc.record({
    do: fc.constantFrom(
      "unack" as const,
      "unsnooze" as const,
      "escalate" as const,
      "close" as const,
      "restart" as const,
    ),
  }),
  fc.record({
    do: fc.constantFrom("snooze" as const, "pass" as const, "pass" as const),
    minutes: fc.integer({ min: 0, max: 90 }),
  }),
);

const settings: fc.Arbitrary<Partial<StepSettings>> = fc.record({
  steps: fc.constantFrom(
    [notify()],
    [notify(), wait(2 * MINUTE), notify("low")],
    [wait(MINUTE), notify()],
    [notify(), wait(0), notify("low"), wait(10 * MINUTE)],
  ),
  repeat: fc.integer({ min: 0, max: 2 }),
  ackQuorum: fc.integer({ min: 1, max: 2 }),
  ackExpiresMs: fc.constantFrom(null, 20 * MINUTE),
  autoResolveMs: fc.constantFrom(null, 80 * MINUTE),
  groupWaitMs: fc.constantFrom(0, 30_000),
  repeatMs: fc.constantFrom(15 * MINUTE, 240 * MINUTE),
  sendResolved: fc.boolean(),
  renotifyOnNew: fc.boolean(),
});

test("whatever happens, nobody is paged while paused or withheld, and the end is sent exactly to those who were notified", () => {
  fc.assert(
    fc.property(settings, fc.array(input, { maxLength: 40 }), (given, inputs) => {
      const world = new World(given);
      const model = { isPaused: false, firing: new Set([1]), notified: false, ended: 0, ids: new Map([[1, "a1"]]) };
      const check = (): void => {
        const isHeld = [...model.firing].every((each) => world.withheld.has(model.ids.get(each) ?? ""));
        for (const each of world.take()) {
          if (each.startsWith("renotify resolved")) {
            // Without an earlier notification it has no recipients.
            if (model.notified) model.ended += 1;
          } else if (each.startsWith("page") || each.startsWith("renotify repeat")) {
            assert.equal(world.incident.state, "open", each);
            assert.equal(isHeld, false, `${each} while everything is withheld or resolved`);
            model.notified = true;
          } else if (each.startsWith("renotify new-alerts")) assert.equal(isHeld, false, each);
        }
      };
      const step = (each: Input): void => {
        const { incident, facts, settings: own, now } = world;
        if (each.do === "fire" && !model.firing.has(each.alert)) {
          const id = `a${each.alert}-${world.members.length}`;
          model.firing.add(each.alert);
          model.ids.set(each.alert, id);
          world.fire(id);
        } else if (each.do === "resolve" && model.firing.delete(each.alert)) {
          world.resolveAlert(model.ids.get(each.alert) ?? "");
        } else if (each.do === "silence") world.withheld.add(model.ids.get(each.alert) ?? "");
        else if (each.do === "unsilence") world.withheld.delete(model.ids.get(each.alert) ?? "");
        else if (each.do === "ack") world.apply(acknowledge(incident, `u${each.user}`, facts, own, now));
        else if (each.do === "unack") world.apply(unacknowledge(incident, facts, own, now));
        else if (each.do === "unsnooze") world.apply(unsnooze(incident, facts, own, now));
        else if (each.do === "escalate") world.apply(escalate(incident, facts, own, now));
        else if (each.do === "close") world.apply(resolve(incident, "u1", facts, own, now));
        else if (each.do === "snooze")
          world.apply(snooze(incident, now + (each.minutes + 1) * MINUTE, facts, own, now));
        else if (each.do === "restart") world.turn();
      };
      for (const each of inputs) {
        if (world.incident.state === "resolved") break;
        if (each.do === "pass") {
          const until = world.now + each.minutes * MINUTE;
          for (let at = dueAt(world.incident); at !== null && at <= until; at = dueAt(world.incident)) {
            const before = world.incident;
            world.now = Math.max(world.now, at);
            world.turn();
            check();
            const after = dueAt(world.incident);
            assert.ok(after === null || after > world.now, `still due: ${JSON.stringify([before, world.incident])}`);
          }
          world.now = until;
        } else step(each);
        check();
        const { state, snoozedUntil, stepAt, repeatAt } = world.incident as Incident;
        if (state !== "open" || snoozedUntil !== null) assert.deepEqual([stepAt, repeatAt], [null, null]);
        if (state === "acknowledged") assert.ok(world.acks.length >= world.settings.ackQuorum);
        // Anything that fires has a due time, or everyone was notified, or a person took over.
        const isQuiet = state === "resolved" || world.incident.notifiedAt !== null || dueAt(world.incident) !== null;
        assert.ok(isQuiet || state === "acknowledged", "an alert was lost");
      }
      if (world.incident.state === "resolved")
        assert.equal(model.ended, model.notified && world.settings.sendResolved ? 1 : 0);
    }),
    { numRuns: 2000 },
  );
});
