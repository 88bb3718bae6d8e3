import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { lastingPort } from "../helpers/free-ports.ts";
import { makeUser } from "../helpers/people.ts";
import { startPrism } from "../helpers/prism.ts";
import { scalarOf } from "../helpers/tables.ts";
import { PusherClient } from "./support/pusher-client.ts";
import { dataOf, establish, type RawPusher, signByLibrary, subscribe } from "./support/raw-pusher.ts";

test("client events reach the others in the channel, on every port, never the sender and never the disk", async (t) => {
  const second = await lastingPort();
  const prism = await startPrism(t, { settings: { extraPorts: String(second) } });
  const [uma, vic] = [await makeUser(prism, "uma", ["Operator"]), await makeUser(prism, "vic", ["Operator"])];
  const sender = await PusherClient.connect(t, prism, { token: uma.token });
  const other = await PusherClient.connect(t, prism, { token: vic.token, options: { wsPort: second } });
  const bystander = await PusherClient.connect(t, prism, { token: vic.token });
  const rows = () => scalarOf<number>(prism, "select count(*) from stream_log");
  for (const channel of ["private-orders", "presence-lobby"]) {
    const theirs = await sender.join(channel);
    const senders: unknown[] = [];
    const channelOfOther = await other.join(channel);
    channelOfOther.bind("client-moved", (_data: unknown, meta: { user_id?: string }) => senders.push(meta.user_id));
    await bystander.join(`${channel}2`);
    const before = rows();
    theirs.trigger("client-moved", { x: 1 });
    theirs.trigger("client-said", "plain text");
    await eventually("both", () => other.dataOf("client-said").length > 0);
    const heard = other.heard.splice(0).filter(({ event }) => event.startsWith("client-"));
    assert.deepEqual(heard, [
      { channel, event: "client-moved", data: { x: 1 } },
      { channel, event: "client-said", data: "plain text" },
    ]);
    assert.deepEqual(senders, [channel.startsWith("presence-") ? uma.id : undefined]);
    assert.equal(rows(), before);
  }
  assert.deepEqual(
    [sender, bystander].flatMap(({ heard }) => heard.filter(({ event }) => event.startsWith("client-"))),
    [],
  );
});

test("only subscribers of a private or presence channel send to it, up to 10 KiB and ten times a second", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const [sender, other] = [await establish(t, prism), await establish(t, prism)];
  const join = (raw: RawPusher, channel: string) =>
    subscribe(raw, channel, signByLibrary(prism, raw.socketId, channel));
  for (const raw of [sender, other]) for (const channel of ["private-a", "news"]) await join(raw, channel);
  await join(other, "private-b");
  const send = (channel: string, data: unknown = {}, event = "client-x") =>
    sender.client.send({ event, channel, data });
  const errors = async (count: number) => {
    const all = () => sender.client.all({ event: "pusher:error" });
    await eventually(`${count} errors`, () => all().length === count);
    return all().map((error) => dataOf(error)["code"]);
  };
  send("news");
  send("private-b");
  sender.client.send({ event: "client-x", data: {} });
  send("private-a", "x".repeat(10_241));
  send("private-a", "ü".repeat(5121));
  send("private-a", "x".repeat(10_240));
  assert.deepEqual(await errors(5), [4300, 4300, 4300, 4300, 4300]);
  const told = await other.client.expect({ event: "client-x" });
  assert.deepEqual([told["channel"], String(told["data"]).length], ["private-a", 10_240]);
  clock.advance(1000);
  for (let n = 0; n < 12; n++) send("private-a", { n });
  assert.deepEqual((await errors(7)).slice(5), [4301, 4301]);
  clock.advance(100);
  send("private-a", { n: 12 });
  await eventually("eleven more", () => other.client.all({ event: "client-x" }).length === 12);
  const numbers = other.client
    .all({ event: "client-x" })
    .slice(1)
    .map((message) => dataOf(message)["n"]);
  assert.deepEqual(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12]);
  sender.client.send({ event: "pusher:unsubscribe", data: { channel: "private-a" } });
  clock.advance(1000);
  send("private-a");
  await errors(8);
  assert.equal(sender.client.all({ event: "client-x" }).length, 0);
});

test("a presence channel has up to 100 members, however many connections each has", async (t) => {
  const prism = await startPrism(t);
  const channel = "presence-hall";
  const join = async (user_id: string, user_info?: Record<string, unknown>) => {
    const raw = await establish(t, prism);
    const member = { user_id, ...(user_info ? { user_info } : {}) };
    return { raw, answer: await subscribe(raw, channel, signByLibrary(prism, raw.socketId, channel, member)) };
  };
  const first = await join("__proto__", { name: "Ann" });
  assert.deepEqual(
    String(first.answer["data"]),
    '{"presence":{"count":1,"ids":["__proto__"],"hash":{"__proto__":{"name":"Ann"}}}}',
  );
  for (let n = 2; n <= 100; n++) await join(`u${n}`);
  const { answer, raw } = await join("u101");
  assert.equal(answer["event"], "pusher:subscription_error");
  assert.match(String(answer["data"]), /100 members/);
  const again = await join("u100");
  assert.equal(dataOf<{ presence: { count: number } }>(again.answer).presence.count, 100);
  first.raw.client.socket.close();
  await again.raw.client.expect({ event: "pusher_internal:member_removed", channel, data: '{"user_id":"__proto__"}' });
  const signed = signByLibrary(prism, raw.socketId, channel, { user_id: "u101" });
  assert.equal((await subscribe(raw, channel, signed))["event"], "pusher_internal:subscription_succeeded");
  const huge = await join("u102", { text: "x".repeat(2100) });
  assert.match(String(huge.answer["data"]), /2048 characters/);
});
