import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type Ack,
  type Action,
  acknowledge,
  dueAt,
  escalate,
  type Facts,
  type Incident,
  joined,
  lookAgain,
  type Member,
  memberResolved,
  opened,
  resolve,
  snooze,
  type Turn,
  unacknowledge,
  unsnooze,
} from "../../../../src/features/alerts/incidents/machine.ts";
import { turn } from "../../../../src/features/alerts/incidents/turn.ts";
import { type PolicyStep, type StepSettings, UNSET } from "../../../../src/features/alerts/policies/policy.ts";

const MINUTE = 60_000;
const START = 1_000_000_000_000;

const notify = (urgency: "high" | "low" = "high"): PolicyStep => ({
  type: "notify",
  users: [],
  roles: [],
  schedules: [],
  members: true,
  urgency,
  roundRobin: false,
});
const wait = (ms: number): PolicyStep => ({ type: "wait", ms });

const SETTINGS: StepSettings = {
  ...UNSET,
  steps: [notify(), wait(5 * MINUTE), notify("low")],
  groupWaitMs: 30_000,
  groupIntervalMs: 5 * MINUTE,
  repeatMs: 4 * 60 * MINUTE,
};

/** An incident with its alerts, a clock in hand, and what it did. */
class World {
  now = START;
  incident: Incident;
  members: Member[] = [];
  acks: readonly Ack[] = [];
  withheld = new Set<string>();
  /** The alerts of the last entry `left-out`. */
  leftOut: readonly string[] = [];
  isOpenInterval = true;
  opensAt = START;
  readonly settings: StepSettings;
  did: string[] = [];

  constructor(settings: Partial<StepSettings> = {}, startsAt = START) {
    this.settings = { ...SETTINGS, ...settings };
    this.incident = opened(startsAt, this.settings, this.now);
    this.members.push(this.#member("a1"));
  }

  get facts(): Facts {
    return {
      members: this.members,
      acks: this.acks,
      hasWays: false,
      isWithheld: (id) => this.withheld.has(id),
      isWithin: () => this.isOpenInterval,
      opensAt: () => this.opensAt,
      leftOut: new Set(this.leftOut),
    };
  }

  #member(alertId: string): Member {
    const times = { addedAt: this.now, firingNotifiedAt: null, resolvedNotifiedAt: null };
    return { alertId, isFiring: true, hasTimedOut: false, ...times };
  }

  fire(id: string): void {
    this.members.push(this.#member(id));
    this.incident = joined(this.incident, this.settings, this.now);
  }

  resolveAlert(id: string, atOnce = false): void {
    this.members = this.members.map((each) => (each.alertId === id ? { ...each, isFiring: false } : each));
    const firing = this.members.filter(({ isFiring }) => isFiring).length;
    this.incident = memberResolved(this.incident, { firing, atOnce }, this.settings, this.now);
  }

  apply({ incident, acks, actions, firingNotified, resolvedNotified }: Turn): void {
    this.incident = incident;
    this.acks = acks;
    this.members = this.members.map((each) => ({
      ...each,
      firingNotifiedAt: each.firingNotifiedAt ?? (firingNotified.includes(each.alertId) ? this.now : null),
      resolvedNotifiedAt: each.resolvedNotifiedAt ?? (resolvedNotified.includes(each.alertId) ? this.now : null),
    }));
    for (const action of actions)
      if (action.kind === "log" && action.entry === "left-out") this.leftOut = action.data["alertIds"] as string[];
    this.did.push(...actions.map(textOf));
  }

  turn(): void {
    this.apply(turn(this.incident, this.facts, this.settings, this.now));
  }

  /** Moves the clock and handles each due time on the way. */
  pass(ms: number): void {
    const until = this.now + ms;
    for (let at = dueAt(this.incident); at !== null && at <= until; at = dueAt(this.incident)) {
      this.now = Math.max(this.now, at);
      this.turn();
    }
    this.now = until;
  }

  take(): string[] {
    const { did } = this;
    this.did = [];
    return did;
  }

  /** What went out to people and webhooks since the last call. */
  sent(): string[] {
    return this.take().filter((each) => /^(page|renotify|webhook)/.test(each));
  }
}

function textOf(action: Action): string {
  if (action.kind === "page") return `page ${action.round}.${action.step} ${action.notify.urgency}`;
  if (action.kind === "renotify") return `renotify ${action.reason} ${action.urgency}`;
  if (action.kind === "webhook" || action.kind === "channel") return `${action.kind} ${action.step}`;
  if (action.kind === "webhooks") return `webhooks ${action.reason}`;
  if (action.kind === "withheld") return `withheld ${action.holds} ${action.alertIds.join(",")}`;
  return action.kind === "log" ? `log ${action.entry}` : action.type;
}

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

test("a policy without steps notifies no one and is never exhausted", () => {
  const world = new World({ steps: [], groupWaitMs: 0 });
  world.pass(60 * MINUTE);
  assert.deepEqual(world.take(), []);
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
  assert.deepEqual(
    world.take().filter((each) => !each.includes("exhausted")),
    ["log some-resolved", "webhooks some-resolved"],
  );
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
  assert.deepEqual(
    world.acks.map(({ userId }) => userId),
    ["u2"],
  );
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
