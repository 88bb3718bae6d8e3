import assert from "node:assert/strict";
import { test } from "node:test";
import { rowsWith, valuesOf } from "../../../helpers/values.ts";
import { IncidentWorld, MINUTE } from "./support.ts";

const INSTANT = /\d{4}-\d\d-\d\dT[\d:.]+Z/g;

test("a first alert reaches the members of a project that configured nothing, at once", async (t) => {
  const world = await IncidentWorld.start(t);
  await world.member("ann");
  await world.member("bob");
  await world.fire("DiskFull", {
    labels: { alertname: "DiskFull", host: "a" },
    annotations: { summary: "Disk is full" },
  });
  const row = await world.only();
  assert.deepEqual(
    [row.number, row.title, row.state, row.groupKey],
    [1, "DiskFull", "open", '{}:{alertname="DiskFull"}'],
  );
  assert.deepEqual([row.alerts, row.firing], [1, 1]);
  assert.deepEqual(await world.notified(), ["step ann, bob"]);
  assert.deepEqual(await world.log(row.id), ["opened", "notified"]);
  assert.deepEqual(await world.events(), ["incident.opened", "incident.escalated"]);
  const notification = await world.db.read.selectFrom("notifications").selectAll().executeTakeFirstOrThrow();
  assert.equal(notification.incidentId, row.id);
  assert.equal(notification.priority, 800);
  assert.equal(notification.title, "Firing: DiskFull (a)");
  assert.deepEqual(notification.message.replaceAll(INSTANT, "<at>").split("\n\n"), [
    "Disk is full",
    "host=a",
    "Firing since <at>.",
    "Incident 1. Acknowledge this notification if you take care of it.",
  ]);
});

test("texts of notifications begin with the reason; then differing labels, since when, number", async (t) => {
  const world = await IncidentWorld.start(t, { publicUrl: "https://prism.example/base/" });
  const ann = await world.member("ann");
  for (const host of ["a", "b"])
    await world.fire(host, {
      labels: { alertname: "DiskFull", host, severity: "critical" },
      annotations: { summary: `Disk of ${host} is full`, description: "Free space is below 2 %" },
    });
  await world.pass(MINUTE);
  await world.incidents.resolve((await world.only()).id, { id: ann.id, via: "api" });
  const rows = await world.db.read.selectFrom("notifications").selectAll().orderBy("createdAt").execute();
  assert.deepEqual(valuesOf(rows, "title"), [
    "Critical: DiskFull (a)",
    "Critical: DiskFull, 2 alerts",
    "Resolved: DiskFull",
  ]);
  const { id } = await world.only();
  assert.deepEqual(JSON.parse(rows[0]?.action ?? ""), {
    type: "open",
    label: "Open the incident",
    url: `https://prism.example/base/dashboard/incidents/${id}`,
  });
  const texts = rows.map(({ message }) => message.replaceAll(INSTANT, "<at>").split("\n\n"));
  assert.deepEqual(texts[0], [
    "Disk of a is full\nFree space is below 2 %",
    "host=a",
    "Firing since <at>.",
    "Incident 1. Acknowledge this notification if you take care of it.",
  ]);
  assert.deepEqual(texts[1], [
    "- Disk of b is full (host=b), since <at>\n- Disk of a is full (host=a), since <at>",
    "Further alerts have joined. 2 alerts fire, the first since <at>.",
    "Incident 1. Acknowledge this notification if you take care of it.",
  ]);
  assert.equal(texts[2]?.[0], "Resolved by ann at <at>, after 1 min.");
  assert.equal(texts[2]?.at(-1), "Incident 1.");
});

test("alerts of a group share an incident; another group is another one", async (t) => {
  const world = await IncidentWorld.start(t);
  await world.member("ann");
  await world.fire("A1", { labels: { alertname: "A", host: "1" } });
  await world.fire("A2", { labels: { alertname: "A", host: "2" } });
  await world.fire("B");
  const rows = await world.rows();
  assert.deepEqual(rowsWith(rows, "number", "alerts", "title"), [
    [1, 2, "A"],
    [2, 1, "B"],
  ]);
  await world.pass(MINUTE);
  assert.deepEqual(await world.notified(), ["step ann", "step ann", "new-alerts ann"]);
});

test("a list shows what the first alert of each incident says", async (t) => {
  const world = await IncidentWorld.start(t);
  const labels = { alertname: "A" };
  await world.fire("A1", { labels: { ...labels, host: "1" }, annotations: { summary: "Disk of 1 is full" } });
  await world.fire("A2", { labels: { ...labels, host: "2" }, annotations: { summary: "Disk of 2 is full" } });
  await world.fire("B", { annotations: { summary: "", message: "m".repeat(400) } });
  await world.fire("C");
  const { body } = await world.prism.get<{ data: { summary: string | null }[] }>("/api/v1/incidents");
  assert.deepEqual(valuesOf(body.data, "summary"), [null, "m".repeat(300), "Disk of 1 is full"]);
});

test("everyone who received firing receives resolved, after the group interval", async (t) => {
  const world = await IncidentWorld.start(t);
  await world.member("ann");
  const bob = await world.member("bob");
  await world.fire("A");
  // Who leaves the project meanwhile is notified all the same.
  await world.db.write((trx) => trx.deleteFrom("project_members").where("userId", "=", bob.id).execute());
  await world.resolveAlert("A");
  assert.equal((await world.only()).state, "open");
  await world.pass(MINUTE);
  const row = await world.only();
  assert.deepEqual([row.state, row.resolvedBy, row.firing], ["resolved", "alerts", 0]);
  assert.deepEqual(await world.notified(), ["step ann, bob", "resolved ann, bob"]);
  assert.deepEqual(await world.events(), ["incident.opened", "incident.escalated", "incident.resolved"]);
  await world.fire("A");
  assert.equal((await world.rows()).length, 2, "the key is free again");
});

test("an alert that fires again before its end was sent continues, without a notification", async (t) => {
  const world = await IncidentWorld.start(t);
  await world.member("ann");
  await world.fire("A");
  await world.pass(10 * MINUTE);
  await world.resolveAlert("A");
  await world.pass(MINUTE / 2);
  await world.fire("A");
  await world.pass(10 * MINUTE);
  const row = await world.only();
  assert.deepEqual([row.state, row.alerts, row.firing], ["open", 2, 1]);
  assert.deepEqual(await world.notified(), ["step ann"]);
});

test("acknowledging a notification acknowledges its incident as that user, in one step", async (t) => {
  const world = await IncidentWorld.start(t);
  const ann = await world.member("ann");
  await world.fire("A");
  const { id } = await world.db.read.selectFrom("notifications").select("id").executeTakeFirstOrThrow();
  const reply = await world.prism.put(`/api/v1/notifications/${id}/acknowledge`, {}, { token: ann.token });
  assert.equal(reply.status, 200, reply.text);
  const row = await world.only();
  assert.equal(row.state, "acknowledged");
  const acks = await world.db.read.selectFrom("incident_acks").selectAll().execute();
  assert.deepEqual(rowsWith(acks, "userId", "via"), [[ann.id, "notification"]]);
  await world.pass(24 * 60 * MINUTE);
  assert.deepEqual(await world.notified(), ["step ann"]);
});

test("what is due survives a restart, and runs once", async (t) => {
  const world = await IncidentWorld.start(t);
  await world.member("ann");
  await world.fire("A1", { labels: { alertname: "A", host: "1" } });
  await world.fire("A2", { labels: { alertname: "A", host: "2" } });
  world.clock.advance(30 * MINUTE);
  await world.prism.restart();
  await world.incidents.check();
  await world.incidents.check();
  assert.deepEqual(await world.notified(), ["step ann", "new-alerts ann"]);
  const row = await world.only();
  assert.ok((await world.log(row.id)).includes("late"));
});
