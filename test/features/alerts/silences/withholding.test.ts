import assert from "node:assert/strict";
import test from "node:test";
import { SteadyClock } from "../../../../src/core/time/due-times.ts";
import type { AlertView } from "../../../../src/features/alerts/index.ts";
import { parseMatchers } from "../../../../src/features/alerts/model/matchers.ts";
import { parseTimeIntervals } from "../../../../src/features/alerts/model/time-intervals.ts";
import { Withholding, type WithholdingRules } from "../../../../src/features/alerts/silences/withholding.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";

const NOON = Date.parse("2026-06-03T12:00:00Z");

interface World {
  readonly withholding: Withholding;
  readonly clock: FakeClock;
  readonly reconsidered: string[][];
  fire(id: string, labels: Readonly<Record<string, string>>): AlertView;
  resolve(alert: AlertView): void;
  inhibiting(alert: AlertView): string[];
  route(rules: Partial<WithholdingRules>): void;
}

function worldWith(rules: Partial<WithholdingRules>): World {
  const clock = new FakeClock(NOON);
  const firing = new Map<string, AlertView>();
  const reconsidered: string[][] = [];
  let routing: WithholdingRules = { inhibitRules: [], timeIntervals: new Map(), ...rules };
  const withholding = new Withholding({
    clock: new SteadyClock(clock),
    routingOf: () => routing,
    silencing: () => ["s1"],
    alertsOf: () => [...firing.values()],
    reconsider: (_projectId, ids) => reconsidered.push([...ids].sort()),
  });
  return {
    withholding,
    clock,
    reconsidered,
    fire(id, labels) {
      const alert = { id, projectId: "p", fingerprint: `fp-${id}`, label: (name: string) => labels[name] ?? "" };
      firing.set(id, alert as AlertView);
      withholding.fired(alert as AlertView);
      return alert as AlertView;
    },
    resolve(alert) {
      firing.delete(alert.id);
      withholding.resolved(alert);
    },
    inhibiting: (alert) => withholding.inhibiting("p", alert),
    route(next) {
      routing = { ...routing, ...next };
    },
  };
}

const inhibit = (source: string, target: string, ...equal: string[]) => ({
  sourceMatchers: parseMatchers(source),
  targetMatchers: parseMatchers(target),
  equal,
});

test("a firing source inhibits targets with equal labels until it resolves", () => {
  const world = worldWith({ inhibitRules: [inhibit('severity="critical"', 'severity="warning"', "instance", "job")] });
  const target = world.fire("t", { severity: "warning", instance: "i1", job: "a" });
  assert.deepEqual(world.inhibiting(target), []);
  const other = world.fire("o", { severity: "critical", instance: "i2", job: "a" });
  assert.deepEqual(world.inhibiting(target), [], "another instance");
  const source = world.fire("s", { severity: "critical", instance: "i1", job: "a" });
  assert.deepEqual(world.inhibiting(target), ["fp-s"]);
  assert.deepEqual(world.inhibiting(source), [], "it is no target");
  world.resolve(source);
  assert.deepEqual(world.inhibiting(target), []);
  assert.deepEqual(world.reconsidered, [["t"]], "what it inhibited is looked at again");
  world.resolve(other);
  assert.equal(world.reconsidered.length, 1, "it inhibited nothing");
});

test("labels that both lack are equal, and no values run into each other", () => {
  const world = worldWith({ inhibitRules: [inhibit('a="s"', 'a="t"', "x", "y")] });
  world.fire("s", { a: "s" });
  assert.deepEqual(world.inhibiting(world.fire("t1", { a: "t" })), ["fp-s"]);
  assert.deepEqual(world.inhibiting(world.fire("t2", { a: "t", x: "1" })), []);
  const two = worldWith({ inhibitRules: [inhibit('a="s"', 'a="t"', "x", "y")] });
  two.fire("s", { a: "s", x: "1", y: "1:1" });
  assert.deepEqual(two.inhibiting(two.fire("t", { a: "t", x: "11", y: ":1" })), []);
});

test("an alert that matches both sides is inhibited only by one that matches the source side alone", () => {
  const world = worldWith({ inhibitRules: [inhibit('a=~"s|b"', 'a=~"t|b"')] });
  const both = world.fire("b1", { a: "b" });
  assert.deepEqual(world.inhibiting(both), [], "it does not inhibit itself");
  const second = world.fire("b2", { a: "b" });
  assert.deepEqual([world.inhibiting(both), world.inhibiting(second)], [[], []]);
  const target = world.fire("t", { a: "t" });
  assert.equal(world.inhibiting(target).length, 1, "one side is inhibited by both-sided sources");
  const source = world.fire("s", { a: "s" });
  assert.deepEqual([world.inhibiting(both), world.inhibiting(second)], [["fp-s"], ["fp-s"]]);
  world.resolve(source);
  assert.deepEqual(world.inhibiting(both), []);
});

test("each rule that inhibits names one source", () => {
  const world = worldWith({ inhibitRules: [inhibit('a="s"', 'a="t"'), inhibit('b="s"', 'a="t"')] });
  world.fire("s1", { a: "s" });
  world.fire("s2", { a: "s" });
  world.fire("s3", { b: "s" });
  assert.deepEqual(world.inhibiting(world.fire("t", { a: "t" })), ["fp-s1", "fp-s3"]);
});

test("a changed routing counts for alerts that already fire, and changed labels for their alert", () => {
  const world = worldWith({});
  world.fire("s", { a: "s" });
  const target = world.fire("t", { a: "t" });
  assert.deepEqual(world.inhibiting(target), []);
  world.route({ inhibitRules: [inhibit('a="s"', 'a="t"')] });
  assert.deepEqual(world.inhibiting(target), ["fp-s"]);
  world.fire("s", { a: "other" });
  assert.deepEqual(world.inhibiting(target), []);
  assert.deepEqual(world.reconsidered, [["t"]]);
});

test("mute intervals withhold while they last, active intervals while none of them does", () => {
  const noon = parseTimeIntervals([{ times: [{ start_time: "12:00", end_time: "13:00" }] }]);
  const weekend = parseTimeIntervals([{ weekdays: ["saturday", "sunday"] }]);
  const world = worldWith({
    timeIntervals: new Map([
      ["noon", noon],
      ["weekend", weekend],
    ]),
  });
  const muting = (muteIntervals: string[], activeIntervals: string[]) =>
    world.withholding.muting({ projectId: "p", muteIntervals, activeIntervals }, world.clock.now());
  assert.deepEqual(muting([], []), []);
  assert.deepEqual(muting(["noon", "weekend"], []), ["noon"]);
  assert.deepEqual(muting([], ["noon"]), []);
  assert.deepEqual(muting([], ["weekend"]), ["weekend"]);
  assert.deepEqual(muting(["noon"], ["weekend"]), ["noon", "weekend"]);
  assert.deepEqual(muting(["gone"], ["weekend", "noon"]), [], "one active interval is enough");
  world.clock.advance(3_599_999);
  assert.deepEqual(muting(["noon"], []), ["noon"]);
  world.clock.advance(1);
  assert.deepEqual([muting(["noon"], []), muting([], ["noon"])], [[], ["noon"]], "the end is exclusive");
});

test("the end of a mute is found behind others that touch it; one without an end costs one search", () => {
  let searched = 0;
  const always = parseTimeIntervals([{}]);
  const counted = new Proxy(always, {
    get(items, name, receiver) {
      searched += 1;
      return Reflect.get(items, name, receiver) as unknown;
    },
  });
  const hour = (from: number) =>
    parseTimeIntervals([{ times: [{ start_time: `${from}:00`, end_time: `${from + 1}:00` }] }]);
  const world = worldWith({
    timeIntervals: new Map([
      ["noon", hour(12)],
      ["later", hour(13)],
      ["always", counted],
    ]),
  });
  const now = new SteadyClock(world.clock).now();
  const unmutedAt = (...muteIntervals: string[]) =>
    world.withholding.unmutedAt({ projectId: "p", muteIntervals, activeIntervals: [] }, now);
  assert.equal(unmutedAt("noon", "later"), now + 2 * 3_600_000);
  assert.equal(unmutedAt("later"), null);
  assert.equal(unmutedAt("always"), null);
  // A search looks at each of 400 days.
  assert.ok(searched < 400 * 20, `${searched} looks`);
});

test("all reasons are named, and intervals follow the wall clock after it was set back", () => {
  const world = worldWith({
    inhibitRules: [inhibit('a="s"', 'a="t"')],
    timeIntervals: new Map([["noon", parseTimeIntervals([{ times: [{ start_time: "12:00", end_time: "13:00" }] }])]]),
  });
  world.fire("s", { a: "s" });
  const target = world.fire("t", { a: "t" });
  const steady = new SteadyClock(world.clock);
  const route = { projectId: "p", muteIntervals: ["noon"], activeIntervals: [] };
  assert.deepEqual(world.withholding.withheldBy(target, route, steady.now()), {
    silencedBy: ["s1"],
    inhibitedBy: ["fp-s"],
    mutedBy: ["noon"],
  });
  world.clock.set(-3_600_000);
  assert.deepEqual(world.withholding.withheldBy(target, route, steady.now()).mutedBy, [], "it is eleven again");
});
