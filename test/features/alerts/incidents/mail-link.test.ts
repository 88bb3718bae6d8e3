import assert from "node:assert/strict";
import { test } from "node:test";
import { acknowledgeLink } from "../../../../src/features/channels/mail/acknowledge.ts";
import { IncidentWorld } from "./support.ts";

const FORM = { "Content-Type": "application/x-www-form-urlencoded" };

test("the link of a mail acknowledges without a login by its button; following it changes nothing", async (t) => {
  const world = await IncidentWorld.start(t);
  const ann = await world.member("ann");
  await world.fire("A");
  const { id } = await world.db.read.selectFrom("notifications").select("id").executeTakeFirstOrThrow();
  const config = { ...world.prism.parts.base.config, publicUrl: "https://prism.example/base/" };
  const link = acknowledgeLink(config, { userId: ann.id, notificationId: id }, world.clock.now()) ?? "";
  assert.match(link, /^https:\/\/prism\.example\/base\/account\/acknowledge\?token=mail-/);
  const url = link.replace("https://prism.example/base", world.prism.url);
  for (const method of ["GET", "HEAD", "GET"]) assert.equal((await fetch(url, { method })).status, 200);
  assert.match(await (await fetch(url)).text(), /Firing: A[\s\S]*<form method="post">/);
  assert.equal((await fetch(url, { method: "POST", headers: FORM, body: "" })).status, 200);
  assert.equal((await world.only()).state, "open", "nothing was clicked");
  const press = (to: string) => fetch(to, { method: "POST", headers: FORM, body: "acknowledge=yes" });
  const bob = await world.member("bob");
  const forged = `${url.slice(0, -2)}xx`;
  assert.equal((await press(url.replace(ann.id, bob.id))).status, 401, "another user");
  assert.equal((await press(forged)).status, 401, "another signature");
  for (const reply of [await fetch(forged), await fetch(url.replace(/token=.*/, "token=x"))]) {
    assert.equal(reply.status, 401, "another signature");
    assert.match(reply.headers.get("content-type") ?? "", /^text\/html/);
    assert.match(await reply.text(), /<h1>This link does not work<\/h1>/);
  }
  const done = await press(url);
  assert.deepEqual([done.status, /Acknowledged/.test(await done.text())], [200, true]);
  assert.equal((await world.only()).state, "acknowledged");
  const [ack] = await world.db.read.selectFrom("incident_acks").selectAll().execute();
  assert.deepEqual([ack?.userId, ack?.via], [ann.id, "mail"]);
  const token = new URL(url).searchParams.get("token");
  assert.equal((await world.prism.post("/api/v1/push/acknowledge", { token }, { token: null })).status, 401);
  world.clock.advance(8 * 86_400_000);
  assert.equal((await press(url)).status, 401, "expired");
});

test("the link of a mail says of an incident that has ended that it was resolved before", async (t) => {
  const world = await IncidentWorld.start(t);
  const ann = await world.member("ann");
  await world.fire("A");
  const { id } = await world.db.read.selectFrom("notifications").select("id").executeTakeFirstOrThrow();
  const config = { ...world.prism.parts.base.config, publicUrl: world.prism.url };
  const url = acknowledgeLink(config, { userId: ann.id, notificationId: id }, world.clock.now()) ?? "";
  const { id: incidentId } = await world.only();
  const resolved = await world.prism.post(`/api/v1/incidents/${incidentId}/resolve`, {});
  assert.equal(resolved.status, 200, resolved.text);
  const reply = await fetch(url, { method: "POST", headers: FORM, body: "acknowledge=yes" });
  assert.equal(reply.status, 200);
  assert.match(await reply.text(), /Incident 1 was resolved before/);
  assert.equal((await world.only()).state, "resolved");
});

test("a snooze ends within a year, by its end as by its length", async (t) => {
  const world = await IncidentWorld.start(t);
  await world.fire("A");
  const { id } = await world.only();
  const snooze = (body: object) => world.prism.post(`/api/v1/incidents/${id}/snooze`, body);
  const inDays = (days: number) => new Date(world.clock.now() + days * 86_400_000).toISOString();
  assert.equal((await snooze({ until: inDays(366) })).status, 400);
  assert.equal((await snooze({ durationMs: 366 * 86_400_000 })).status, 400);
  assert.equal((await snooze({ until: inDays(364) })).status, 200);
});
