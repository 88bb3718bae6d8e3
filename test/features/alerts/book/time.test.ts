import assert from "node:assert/strict";
import { test } from "node:test";
import { alertWorld, MINUTE } from "./support.ts";

const HOUR = 60 * MINUTE;

test("an alert that is not repeated until its end is resolved, with `timedOut`", async (t) => {
  const { alerts, input, events, clock, pass, prism } = await alertWorld(t);
  await alerts().submit([input("A", { endsAt: clock.now() + 4 * MINUTE })]);
  await pass(3 * MINUTE);
  await alerts().submit([input("A", { endsAt: clock.now() + 4 * MINUTE })]);
  await pass(4 * MINUTE - 1);
  assert.deepEqual(await events(), ["alert.opened api:A"], "the repetition has moved the end");
  await pass(1);
  assert.deepEqual(await events(), ["alert.opened api:A", "alert.resolved api:A"]);
  const row = await prism.services.db.read.selectFrom("alerts").selectAll().executeTakeFirstOrThrow();
  assert.deepEqual([row.state, row.timedOut, row.resolvedAt], ["resolved", 1, clock.now()]);
});

test("an alert without an end fires until it is resolved", async (t) => {
  const { alerts, input, events, pass } = await alertWorld(t);
  await alerts().submit([input("A")]);
  await pass(1000 * HOUR);
  assert.deepEqual(await events(), ["alert.opened api:A"]);
});

test("while spans overlap, the earliest start is kept, and a stated later end beats an earlier one", async (t) => {
  const { alerts, input, clock, projectId } = await alertWorld(t);
  const now = clock.now();
  const current = () => {
    const alert = alerts().byKey(projectId, "api:A");
    return alert && [alert.startsAt - now, (alert.endsAt ?? 0) - now];
  };
  await alerts().submit([input("A", { startsAt: now - 1000, endsAt: now + 60_000 })]);
  for (const { name, startsAt, endsAt, isTimeoutEnd = false, gives } of [
    { name: "an earlier stated end", startsAt: 0, endsAt: 50_000, gives: [-1000, 60_000] },
    { name: "an earlier end of a time-out", startsAt: 0, endsAt: 30_000, isTimeoutEnd: true, gives: [-1000, 60_000] },
    { name: "a later end", startsAt: 0, endsAt: 90_000, gives: [-1000, 90_000] },
    { name: "a later end of a time-out", startsAt: 0, endsAt: 95_000, isTimeoutEnd: true, gives: [-1000, 95_000] },
    { name: "an earlier end after one of a time-out", startsAt: 0, endsAt: 40_000, gives: [-1000, 40_000] },
    { name: "an earlier start with the same end", startsAt: -5000, endsAt: 40_000, gives: [-5000, 40_000] },
    { name: "spans that do not overlap", startsAt: 50_000, endsAt: 60_000, gives: [50_000, 60_000] },
  ]) {
    await alerts().submit([input("A", { startsAt: now + startsAt, endsAt: now + endsAt, isTimeoutEnd })]);
    assert.deepEqual(current(), gives, name);
  }
});

test("a rule's alert is pending for its holding time, then fires; resolved before, it leaves nothing", async (t) => {
  const { alerts, input, events, pass, clock, projectId, prism } = await alertWorld(t);
  const held = { holdMs: 5 * MINUTE };
  const [first] = await alerts().submit([input("A", held)]);
  await alerts().submit([input("B", held)]);
  assert.equal(first?.status, "pending");
  await pass(2 * MINUTE);
  const [again] = await alerts().submit([input("A", held)]);
  const [gone] = await alerts().submit([input("B", { endsAt: clock.now() })]);
  assert.deepEqual([again?.status, gone?.status], ["repeated", "resolved"]);
  assert.deepEqual([await events(), alerts().counts(projectId)], [[], { firing: 0, pending: 1 }]);
  await pass(3 * MINUTE);
  assert.deepEqual(await events(), ["alert.opened api:A"], "a repetition does not prolong the wait");
  assert.deepEqual(alerts().counts(), { firing: 1, pending: 0 });
  assert.equal(alerts().byKey(projectId, "api:A")?.startsAt, clock.now());
  const rows = await prism.services.db.read.selectFrom("alerts").select("key").execute();
  assert.deepEqual(rows, [{ key: "api:A" }]);
});

test("after a restart no alert times out before its sender could repeat it", async (t) => {
  const { prism, alerts, input, events, pass, clock } = await alertWorld(t);
  await alerts().submit([
    input("short", { endsAt: clock.now() + 2 * MINUTE }),
    input("long", { endsAt: clock.now() + 20 * MINUTE }),
  ]);
  await prism.stop();
  clock.advance(HOUR);
  await prism.restart();
  assert.deepEqual(alerts().counts(), { firing: 2, pending: 0 });
  await pass(5 * MINUTE - 1000);
  assert.equal((await events()).length, 2, "both still fire");
  await pass(1000);
  assert.deepEqual((await events()).slice(2), ["alert.resolved api:short"]);
  await alerts().submit([input("long", { endsAt: clock.now() + 20 * MINUTE })]);
  await pass(20 * MINUTE - 1);
  assert.equal((await events()).length, 3);
  await pass(1);
  assert.deepEqual((await events()).slice(3), ["alert.resolved api:long"]);
});

test("what waits keeps its length when the clock is set back, and a sender's end is read by its clock", async (t) => {
  const { alerts, input, events, pass, clock } = await alertWorld(t);
  await alerts().submit([input("A", { endsAt: clock.now() + 4 * MINUTE }), input("B", { holdMs: 4 * MINUTE })]);
  await pass(MINUTE);
  clock.set(-HOUR);
  await alerts().submit([input("C", { endsAt: clock.now() + 10 * MINUTE })]);
  await pass(3 * MINUTE);
  assert.deepEqual(
    (await events()).sort(),
    ["alert.opened api:A", "alert.opened api:B", "alert.opened api:C", "alert.resolved api:A"].sort(),
  );
  await pass(7 * MINUTE);
  assert.deepEqual((await events()).at(-1), "alert.resolved api:C");
});

test("a jump of the clock is a down time: nothing times out at once", async (t) => {
  const { alerts, input, events, pass, clock } = await alertWorld(t);
  await alerts().submit([input("A", { endsAt: clock.now() + 4 * MINUTE })]);
  clock.set(24 * HOUR);
  await pass(0);
  assert.equal((await events()).length, 1);
  await pass(4 * MINUTE);
  assert.equal((await events()).length, 1, "at least five minutes");
  await pass(MINUTE);
  assert.deepEqual((await events()).at(-1), "alert.resolved api:A");
});
