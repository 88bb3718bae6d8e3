import assert from "node:assert/strict";
import test from "node:test";
import { FakeClock } from "../helpers/fake-clock.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { signedTarget } from "../helpers/pusher-rest.ts";
import { backendOf } from "./support/pusher-backend.ts";
import { PusherClient } from "./support/pusher-client.ts";
import { dataOf, establish, signByLibrary, subscribe } from "./support/raw-pusher.ts";

/** What a new client of a channel receives after the success of its subscription. */
async function firstHeard(prism: TestPrism, client: PusherClient, channel: string): Promise<[string, unknown][]> {
  await client.join(channel);
  await backendOf(prism).trigger(channel, "after", "x");
  await client.expect("after");
  return client.heard
    .filter((heard) => heard.channel === channel && heard.event !== "pusher:subscription_succeeded")
    .map(({ event, data }) => [event, data] as [string, unknown])
    .filter(([event]) => event !== "after");
}

for (const channel of ["cache-price", "private-cache-price", "presence-cache-price"])
  test(`${channel}: a new subscriber receives a cache miss or the last triggered event, also after a restart`, async (t) => {
    const prism = await startPrism(t);
    const first = await PusherClient.connect(t, prism);
    await first.join(channel);
    await first.expect("pusher:cache_miss");
    for (const n of [1, 2]) await backendOf(prism).trigger(channel, "price", { n });
    const second = await PusherClient.connect(t, prism);
    assert.deepEqual(await firstHeard(prism, second, channel), [["price", { n: 2 }]]);
    await backendOf(prism).trigger(channel, "price", { n: 3 });
    await prism.restart();
    const third = await PusherClient.connect(t, prism);
    assert.deepEqual(await firstHeard(prism, third, channel), [["price", { n: 3 }]]);
  });

test("client events are not cached, and other channels cache nothing", async (t) => {
  const prism = await startPrism(t);
  const sender = await PusherClient.connect(t, prism);
  const cached = await sender.join("private-cache-a");
  await backendOf(prism).trigger(["private-cache-a", "private-a", "cached-a"], "kept", "1");
  cached.trigger("client-moved", { x: 1 });
  for (const [channel, expected] of [
    ["private-cache-a", [["kept", 1]]],
    ["private-a", []],
    ["cached-a", []],
  ] as const) {
    const client = await PusherClient.connect(t, prism);
    assert.deepEqual(await firstHeard(prism, client, channel), expected, channel);
  }
});

test("a cached event expires after pusher.cacheTtlMs; the REST API shows it with its remaining seconds", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock, settings: { "pusher.cacheTtlMs": "10m" } });
  const trigger = () => prism.parts.offers.realtime.publish({ kind: "pusher", channel: "cache-a" }, "price", '{"n":1}');
  const cacheOf = async (channel: string) => {
    const app = prism.parts.offers.pusher;
    const path = `/apps/${app.appId}/channels/${channel}`;
    const target = signedTarget(app, path, { query: { info: "cache" }, at: clock.now() });
    const { body, status } = await prism.get<{ cache: unknown }>(target);
    return status === 200 ? body.cache : status;
  };
  assert.equal(await cacheOf("cache-a"), null);
  await trigger();
  clock.advance(60_000);
  assert.deepEqual(await cacheOf("cache-a"), { data: '{"n":1}', ttl: 540 });
  assert.equal(await cacheOf("news"), 400);
  // Opened now: a silent connection is asked for a pong when the clock advances.
  const raw = await establish(t, prism);
  await subscribe(raw, "cache-a");
  assert.deepEqual(dataOf(await raw.client.expect({ event: "price" })), { n: 1 });
  clock.advance(540_000);
  assert.equal(await cacheOf("cache-a"), null);
  const late = await establish(t, prism);
  await subscribe(late, "cache-a");
  const miss = await late.client.expect({ event: "pusher:cache_miss" });
  assert.deepEqual(miss, { event: "pusher:cache_miss", channel: "cache-a" });
  assert.equal(late.client.all({ event: "price" }).length, 0);
});

test("a client refused by a private cache channel does not receive its cached event", async (t) => {
  const prism = await startPrism(t);
  await backendOf(prism).trigger("private-cache-a", "price", "1");
  const raw = await establish(t, prism);
  const answer = await subscribe(raw, "private-cache-a", signByLibrary(prism, raw.socketId, "private-cache-b"));
  assert.equal(answer["event"], "pusher:subscription_error");
  await subscribe(raw, "news");
  assert.equal(raw.client.all({ event: "price" }).length, 0);
  assert.equal(raw.client.all({ event: "pusher:cache_miss" }).length, 0);
});
