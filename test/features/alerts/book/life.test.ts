import assert from "node:assert/strict";
import { test } from "node:test";
import { alertWorld, MINUTE } from "./support.ts";

test("an alert opens, repeats and resolves", async (t) => {
  const { alerts, input, events, clock, prism, projectId } = await alertWorld(t);
  const [opened] = await alerts().submit([input("A")]);
  assert.equal(opened?.status, "opened");
  assert.equal(opened.alert?.fingerprint.length, 16);
  clock.advance(MINUTE);
  const [repeated] = await alerts().submit([input("A", { annotations: { summary: "still" } })]);
  assert.equal(repeated?.status, "repeated");
  assert.deepEqual(alerts().byKey(projectId, "api:A")?.annotations, { summary: "still" });
  assert.equal(alerts().find(opened.alert?.id ?? "")?.count, 2);
  assert.deepEqual(await events(), ["alert.opened api:A"], "a repetition is no event");
  const [resolved] = await alerts().submit([input("A", { endsAt: clock.now() })]);
  assert.deepEqual([resolved?.status, alerts().counts()], ["resolved", { firing: 0, pending: 0 }]);
  assert.deepEqual(await events(), ["alert.opened api:A", "alert.resolved api:A"]);
  const { read } = prism.services.db;
  const row = await read.selectFrom("alerts").selectAll().executeTakeFirstOrThrow();
  assert.deepEqual([row.state, row.count, row.timedOut], ["resolved", 3, 0]);
  const openEvent = read.selectFrom("events").select("id").where("type", "=", "alert.opened");
  assert.deepEqual(await openEvent.execute(), [{ id: row.id }]);
  const [again] = await alerts().submit([input("A")]);
  assert.notEqual(again?.alert?.id, opened.alert?.id, "the next occurrence is another alert");
});
