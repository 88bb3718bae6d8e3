import assert from "node:assert/strict";
import test from "node:test";
import type { PresenceChannel } from "pusher-js";
import { eventually } from "../helpers/eventually.ts";
import { makeProject, makeUser } from "../helpers/people.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { scalarOf } from "../helpers/tables.ts";
import { eventsOf, PusherClient } from "./support/pusher-client.ts";

async function notify(prism: TestPrism, userId: string, title: string, data: unknown = {}): Promise<string> {
  const { body, status, text } = await prism.post<{ id: string }>("/api/v1/notifications", {
    recipients: [userId],
    title,
    message: "m",
    data,
  });
  assert.ok(status < 300, text);
  return body.id;
}

function trigger(prism: TestPrism, channel: string, event: string, data: string): Promise<unknown> {
  return prism.parts.offers.realtime.publish({ kind: "pusher", channel }, event, data);
}

test("S2-03: a client with the key follows a public channel and receives only events triggered on it", async (t) => {
  const prism = await startPrism(t);
  const client = await PusherClient.connect(t, prism);
  assert.match(client.socketId, /^\d+\.\d+$/);
  await client.join("news");
  await trigger(prism, "sports", "goal", '{"n":0}');
  await trigger(prism, "news", "flash", '{"n":1}');
  await trigger(prism, "news", "flash", "no JSON");
  await eventually("both", () => client.dataOf("flash").length === 2);
  assert.deepEqual(eventsOf(client, "news"), [
    ["flash", { n: 1 }],
    ["flash", "no JSON"],
  ]);
  client.pusher.unsubscribe("news");
  await client.join("sports");
  await trigger(prism, "news", "flash", '{"n":2}');
  await trigger(prism, "sports", "goal", '{"n":3}');
  await client.expect("goal");
  assert.equal(client.dataOf("flash").length, 2);
  assert.equal([...prism.parts.offers.pusherRegistry.occupied()].join(), "sports");
});

test("S2-125, S2-10: private-user-{id} carries the user's notifications and their changes; they count as delivered", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma");
  const vic = await makeUser(prism, "vic");
  const client = await PusherClient.connect(t, prism, { token: uma.token });
  assert.equal(prism.parts.offers.realtime.isLive(uma.id), false);
  const channel = `private-user-${uma.id}`;
  await client.join(channel);
  assert.equal(prism.parts.offers.realtime.isLive(uma.id), true);
  const [succeeded] = client.dataOf("pusher:subscription_succeeded");
  assert.deepEqual(succeeded, { offset: 0, resumes: false, missed: "/api/v1/notifications/missed" });

  await notify(prism, vic.id, "not hers");
  const id = await notify(prism, uma.id, "hers");
  const told = await client.expect<{ id: string; title: string; offset: number }>("notification");
  assert.deepEqual([told.id, told.title, client.dataOf("notification").length], [id, "hers", 1]);
  await eventually("it counts as delivered", () => {
    return scalarOf(prism, "select delivered from notification_recipients where seq = ?", told.offset) === 1;
  });
  const { body } = await prism.get(`/api/v1/notifications/${id}`, { token: uma.token });
  assert.deepEqual([body["delivered"], body["pusherEventSent"]], [true, true]);
  await prism.patch(`/api/v1/notifications/${id}/read`, undefined, { token: uma.token });
  const { count, offset } = await client.expect<{ count: number; offset: number }>("unread-count");
  assert.equal(count, 0);
  assert.ok(offset > told.offset);
  await prism.put(`/api/v1/notifications/${id}/acknowledge`, undefined, { token: uma.token });
  await prism.delete(`/api/v1/notifications/${id}`, { token: uma.token });
  await client.expect("notification.deleted");
  assert.deepEqual(
    eventsOf(client, channel).map(([event]) => event),
    ["notification", "notification.read", "unread-count", "notification.acknowledged", "notification.deleted"],
  );
  await trigger(prism, channel, "by-hand", '{"a":1}');
  assert.deepEqual(await client.expect("by-hand"), { a: 1 });
});

test("a notification beyond 10 KiB is replaced by its address", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma");
  const client = await PusherClient.connect(t, prism, { token: uma.token });
  await client.join(`private-user-${uma.id}`);
  const id = await notify(prism, uma.id, "large", { text: "ü".repeat(6000) });
  const told = await client.expect<{ fetch: string; offset: number }>("notification");
  const fetch = `/api/v1/notifications/${id}`;
  assert.deepEqual(told, { id, truncated: true, fetch, offset: told.offset });
  const { status, body } = await prism.get(fetch, { token: uma.token });
  assert.deepEqual([status, body["offset"]], [200, told.offset]);
});

test("private-project-{id} carries the project's events to its members, in order and with their offsets", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const uma = await makeUser(prism, "uma");
  await prism.post(`/api/v1/projects/${shop.id}/members`, { userId: uma.id, role: "viewer" });
  const client = await PusherClient.connect(t, prism, { token: uma.token });
  await client.join(`private-project-${shop.id}`);
  for (const n of [1, 2, 3]) {
    await prism.post("/api/v1/events", { type: "order.made", payload: { n } }, { apiKey: shop.apiKey });
  }
  await eventually("all", () => client.dataOf("event").length === 3);
  const events = client.dataOf<{ offset: number; payload: { n: number } }>("event");
  assert.deepEqual(
    events.map(({ offset, payload }) => [offset, payload.n]),
    [
      [1, 1],
      [2, 2],
      [3, 3],
    ],
  );
});

test("a presence channel shows each member once, and reports joins and leaves", async (t) => {
  const prism = await startPrism(t);
  const [uma, vic] = [await makeUser(prism, "uma", ["Operator"]), await makeUser(prism, "vic", ["Operator"])];
  const first = await PusherClient.connect(t, prism, { token: uma.token });
  const lobby = await first.join<PresenceChannel>("presence-lobby");
  assert.deepEqual([lobby.members.count, lobby.members.myID], [1, uma.id]);

  const phone = await PusherClient.connect(t, prism, { token: vic.token });
  const theirs = await phone.join<PresenceChannel>("presence-lobby");
  assert.deepEqual(Object.keys(theirs.members.members as object).sort(), [uma.id, vic.id].sort());
  assert.equal((theirs.members.get(uma.id) as { info: { name: string } }).info.name, "uma");
  const laptop = await PusherClient.connect(t, prism, { token: vic.token });
  const both = await laptop.join<PresenceChannel>("presence-lobby");
  assert.equal(both.members.count, 2);

  phone.pusher.disconnect();
  await trigger(prism, "presence-lobby", "hello", "{}");
  await first.expect("hello");
  assert.equal(lobby.members.count, 2, "vic's laptop is still there");
  laptop.pusher.unsubscribe("presence-lobby");
  await first.expect("pusher:member_removed");
  assert.deepEqual(
    eventsOf(first, "presence-lobby").map(([event, data]) => [event, (data as { id?: string }).id]),
    [
      ["pusher:member_added", vic.id],
      ["hello", undefined],
      ["pusher:member_removed", vic.id],
    ],
  );
  assert.equal(lobby.members.count, 1);
  assert.deepEqual(prism.parts.offers.pusherRegistry.channelsOf(uma.id), ["presence-lobby"]);
  assert.deepEqual(prism.parts.offers.pusherRegistry.channelsOf(vic.id), []);
});
