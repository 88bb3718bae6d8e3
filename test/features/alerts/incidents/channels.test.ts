import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { answered } from "../../../helpers/prism.ts";
import { rowsWith } from "../../../helpers/values.ts";
import { pagerdutyEvents } from "../../channels/presets/pagerduty.ts";
import { telegramBot } from "../../channels/presets/telegram.ts";
import { type Service, type StandIn, startStandIn } from "../../channels/support/stand-in.ts";
import { IncidentWorld, MINUTE } from "./support.ts";

const SETTINGS = { "webhooks.allowPrivateCidrs": "127.0.0.0/8", publicUrl: "http://localhost:4321/base" };
const FORM = { "Content-Type": "application/x-www-form-urlencoded" };

interface Room extends StandIn {
  readonly id: string;
}

/** A channel of the default project to a stand-in. */
async function roomOf(t: TestContext, world: IncidentWorld, service: Service): Promise<Room> {
  const standIn = await startStandIn(t, service);
  const { projectId } = world;
  const body = { name: service.preset, preset: service.preset, fields: service.fields(standIn.url), projectId };
  const made = await answered(201, world.prism.post<{ id: string }>("/api/v1/channels", body));
  return { ...standIn, id: made.body.id };
}

async function setSteps(world: IncidentWorld, steps: readonly object[], more: object = {}): Promise<void> {
  const path = `/api/v1/policies/${world.projectId}`;
  const current = await world.prism.get<{ version: number }>(path);
  const headers = { "If-Match": `"${current.body.version}"` };
  await answered(200, world.prism.put(path, { steps, ...more }, { headers }));
}

test("a message in a room follows its incident: firing, acknowledged by its link, resolved", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const room = await roomOf(t, world, telegramBot());
  const ann = await world.member("ann");
  await setSteps(world, [{ type: "channel", id: room.id }]);
  await world.fire("A");
  await eventually("it arrives", () => room.seen.length === 1);
  const [first] = room.seen;
  assert.match(first?.text ?? "", /Firing: A/);
  const { id } = await world.only();
  const request = JSON.stringify(room.requests[0]?.json);
  assert.ok(request.includes(`http://localhost:4321/base/dashboard/incidents/${id}`), request);
  const [, token] = /account\/acknowledge\?token=(channel-[\w.-]+)/.exec(request) ?? [];
  assert.ok(token, request);

  const url = `${world.prism.url}/account/acknowledge?token=${token}`;
  for (const method of ["GET", "HEAD", "GET"]) assert.equal((await fetch(url, { method })).status, 200);
  assert.match(await (await fetch(url)).text(), /A[\s\S]*<form method="post">/);
  assert.equal((await world.only()).state, "open", "a preview of the link changes nothing");
  const press = () => fetch(url, { method: "POST", headers: FORM, body: "acknowledge=yes" });
  assert.match(await (await press()).text(), /You have acknowledged incident 1/);
  assert.equal((await world.only()).state, "acknowledged");
  assert.match(await (await press()).text(), /Acknowledged already/);
  await eventually("the message changes", () => first?.edits === 1 && /Acknowledged/.test(first.text));
  const acks = await world.db.read.selectFrom("incident_acks").selectAll().execute();
  assert.deepEqual(rowsWith(acks, "userId", "via"), [[`channel:${room.id}`, "channel"]]);

  const headers = { token: ann.token };
  assert.equal((await world.prism.post(`/api/v1/incidents/${id}/unacknowledge`, {}, headers)).status, 200);
  await eventually("it is open again", () => first?.edits === 2 && /Firing: A/.test(first.text));
  assert.equal((await world.prism.post(`/api/v1/incidents/${id}/acknowledge`, {}, headers)).status, 200);
  await eventually("who acknowledged is shown", () => /Acknowledged by ann/i.test(first?.text ?? ""));
  await world.resolveAlert("A");
  await world.pass(MINUTE);
  await eventually("it ends", () => /Resolved/.test(first?.text ?? ""));
  assert.equal(room.seen.length, 1, "one message for the whole life");
  assert.match(await (await press()).text(), /Resolved already/);
  const explained = await world.prism.get<{ timeline: { text: string }[] }>(`/api/v1/explain/incident/${id}`);
  assert.match(explained.text, /Step 1, its channel: delivered at /);
  assert.match(explained.text, /A reader of a channel acknowledged it/);
});

test("a pager opens, acknowledges and closes its own alert; a later round is sent again", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const pager = await roomOf(t, world, pagerdutyEvents());
  const room = await roomOf(t, world, telegramBot());
  const ann = await world.member("ann");
  await setSteps(world, [
    { type: "channel", id: room.id },
    { type: "wait", ms: MINUTE },
    { type: "channel", id: pager.id },
  ]);
  await world.fire("A");
  await eventually("the room has it", () => room.seen.length === 1);
  assert.equal(pager.seen.length, 0);
  await world.pass(MINUTE);
  await eventually("the pager has it", () => pager.seen.length === 1);
  const { id } = await world.only();
  assert.equal((await world.prism.post(`/api/v1/incidents/${id}/acknowledge`, {}, { token: ann.token })).status, 200);
  await eventually("both show it", () => pager.seen[0]?.state === "acknowledged" && room.seen[0]?.edits === 1);
  await world.resolveAlert("A");
  await world.pass(MINUTE);
  await eventually("both show the end", () => pager.seen[0]?.state === "resolved" && room.seen[0]?.edits === 2);
  assert.deepEqual([pager.seen.length, room.seen.length], [1, 1]);
});

test("while a service is down, the changes of an incident become one message", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const room = await roomOf(t, world, telegramBot());
  const headers = { token: (await world.member("ann")).token };
  await setSteps(world, [{ type: "channel", id: room.id }]);
  room.next.push({ status: 502, body: "down" });
  await world.fire("A");
  await eventually("it was tried", () => room.requests.length === 1);
  const { id } = await world.only();
  for (const action of ["acknowledge", "unacknowledge"]) {
    await answered(200, world.prism.post(`/api/v1/incidents/${id}/${action}`, {}, headers));
  }
  await eventually("it arrives at last", () => {
    world.clock.advance(MINUTE);
    world.prism.parts.offers.runner.enqueued([]);
    return room.seen.length === 1;
  });
  assert.match(room.seen[0]?.text ?? "", /Firing: A/);
  assert.equal(room.requests.length, 2);
});

test("a policy that ends incidents silently still changes the message", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const room = await roomOf(t, world, telegramBot());
  await setSteps(world, [{ type: "channel", id: room.id }], { sendResolved: false });
  await world.fire("A");
  await eventually("it arrives", () => room.seen.length === 1);
  await world.resolveAlert("A");
  await world.pass(MINUTE);
  await eventually("it shows the end", () => /Resolved/.test(room.seen[0]?.text ?? ""));
});

test("steps name active channels of their project; a named channel cannot be deleted", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const room = await roomOf(t, world, telegramBot());
  const own = await world.prism.post<{ id: string }>("/api/v1/channels", {
    name: "own",
    preset: "telegram",
    fields: telegramBot().fields(room.url),
  });
  for (const id of [own.body.id, "0198c0de-0000-7000-8000-000000000000"]) {
    const refused = await world.prism.post("/api/v1/policies", { name: "x", steps: [{ type: "channel", id }] });
    assert.deepEqual([refused.status, /RECIPIENT_NOT_FOUND/.test(refused.text)], [422, true], refused.text);
  }
  await setSteps(world, [{ type: "channel", id: room.id }]);
  const kept = await world.prism.delete(`/api/v1/channels/${room.id}`);
  assert.deepEqual([kept.status, /CHANNEL_IN_USE/.test(kept.text)], [409, true], kept.text);

  const { body } = await world.prism.get<{ version: number }>(`/api/v1/channels/${room.id}`);
  const headers = { "If-Match": `"${body.version}"` };
  await answered(200, world.prism.patch(`/api/v1/channels/${room.id}`, { active: false }, { headers }));
  await world.fire("A");
  const { id } = await world.only();
  await eventually("the step counts as failed", async () => {
    const { text } = await world.prism.get(`/api/v1/explain/incident/${id}`);
    return /Step 1, its channel: failed after 1 attempt, last failure: the channel is disabled/.test(text);
  });
});

test("a channel may have no links; a link ends with its channel, and is of its project only", async (t) => {
  const world = await IncidentWorld.start(t, SETTINGS);
  const room = await roomOf(t, world, telegramBot());
  await setSteps(world, [{ type: "channel", id: room.id }]);
  await world.fire("A");
  await eventually("it arrives", () => room.seen.length === 1);
  const [, token] = /token=(channel-[\w.-]+)/.exec(JSON.stringify(room.requests[0]?.json)) ?? [];
  const url = `${world.prism.url}/account/acknowledge?token=${token}`;
  const press = (to: string) => fetch(to, { method: "POST", headers: FORM, body: "acknowledge=yes" });
  const { body } = await world.prism.get<{ version: number }>(`/api/v1/channels/${room.id}`);
  const headers = { "If-Match": `"${body.version}"` };
  await answered(200, world.prism.patch(`/api/v1/channels/${room.id}`, { acknowledgeLink: false }, { headers }));
  assert.equal((await press(url)).status, 401);
  assert.equal((await press(url.replace("token=channel-", "token=mail-"))).status, 401);
  assert.equal((await world.only()).state, "open");
  await world.fire("B");
  await eventually("another arrives", () => room.seen.length === 2);
  assert.ok(!JSON.stringify(room.requests.at(-1)?.json).includes("acknowledge?token"));
});
