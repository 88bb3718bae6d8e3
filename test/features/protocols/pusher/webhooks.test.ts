import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import Pusher from "pusher";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { LogLines } from "../../../helpers/log-lines.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { serverSdk } from "../../../helpers/pusher-rest.ts";
import { scalarOf } from "../../../helpers/tables.ts";
import { dataOf, establish, type RawPusher, signByLibrary, subscribe } from "../../../live/support/raw-pusher.ts";
import { silence, status, WebPeer } from "../../delivery/support/web-peer.ts";

const ALL = "channel_occupied,channel_vacated,member_added,member_removed,client_event,cache_miss,subscription_count";

interface World {
  readonly prism: TestPrism;
  readonly peer: WebPeer;
  readonly clock: FakeClock;
}

async function world(t: TestContext, events = ALL, more: Record<string, string> = {}, log?: LogLines): Promise<World> {
  const [peer, clock] = [await WebPeer.start(t), new FakeClock()];
  const settings = {
    "pusher.webhooks.urls": peer.url,
    "pusher.webhooks.events": events,
    "webhooks.allowPrivateCidrs": "127.0.0.0/8",
    ...more,
  };
  return { prism: await startPrism(t, { clock, settings, ...(log ? { log } : {}) }), peer, clock };
}

/** All events that the peer was sent, in order; each request is checked by Pusher's own library. */
function eventsAt({ prism, peer }: Omit<World, "clock">): Record<string, unknown>[] {
  const library = new Pusher({ ...prism.parts.offers.pusher, host: "127.0.0.1" });
  return peer.received.flatMap(({ headers, body }) => {
    const webhook = library.webhook({ headers: { ...headers } as Record<string, string>, rawBody: body });
    assert.ok(webhook.isValid(), "the signature");
    assert.equal(webhook.isContentTypeValid(), true);
    assert.ok(webhook.getData().time_ms > 0);
    return webhook.getEvents() as unknown as Record<string, unknown>[];
  });
}

const named = (world: World, name: string) => eventsAt(world).filter((each) => each["name"] === name);

function join(prism: TestPrism, raw: RawPusher, channel: string, user_id?: string) {
  const member = user_id === undefined ? undefined : { user_id };
  return subscribe(raw, channel, signByLibrary(prism, raw.socketId, channel, member));
}

test("webhooks get events of channels, members, client events, cache misses and counts, signed as Pusher signs", async (t) => {
  const all = await world(t);
  const { prism, clock } = all;
  const [first, second] = [await establish(t, prism), await establish(t, prism)];
  await subscribe(first, "cache-a");
  await join(prism, first, "presence-b", "ann");
  await join(prism, second, "presence-b", "bob");
  first.client.send({ event: "client-moved", channel: "presence-b", data: { x: 1 } });
  await eventually("so far", () => named(all, "client_event").length === 1);
  second.client.socket.close();
  await eventually("bob is gone", () => prism.parts.offers.pusherRegistry.members("presence-b").length === 1);
  first.client.send({ event: "pusher:unsubscribe", data: { channel: "cache-a" } });
  await eventually("the channel is empty", () => !prism.parts.offers.pusherRegistry.subscriptionCount("cache-a"));
  assert.deepEqual([named(all, "member_removed"), named(all, "channel_vacated")], [[], []]);
  clock.advance(3000);
  await eventually("those who left", () => named(all, "channel_vacated").length === 1);
  const events = eventsAt(all).filter(({ name }) => name !== "subscription_count");
  assert.deepEqual(events, [
    { name: "channel_occupied", channel: "cache-a" },
    { name: "cache_miss", channel: "cache-a" },
    { name: "channel_occupied", channel: "presence-b" },
    { name: "member_added", channel: "presence-b", user_id: "ann" },
    { name: "member_added", channel: "presence-b", user_id: "bob" },
    {
      name: "client_event",
      channel: "presence-b",
      event: "client-moved",
      socket_id: first.socketId,
      user_id: "ann",
      data: '{"x":1}',
    },
    { name: "member_removed", channel: "presence-b", user_id: "bob" },
    { name: "channel_vacated", channel: "cache-a" },
  ]);
  assert.deepEqual(named(all, "subscription_count").at(-1), {
    name: "subscription_count",
    channel: "cache-a",
    subscription_count: 0,
  });
  assert.equal(
    scalarOf(prism, "select count(*) from jobs where kind = 'pusher:webhook'"),
    0,
    "what is taken needs no job",
  );
});

test("who comes back within three seconds was never gone", async (t) => {
  const all = await world(t, "channel_vacated,member_removed");
  const { prism, clock } = all;
  const leaver = await establish(t, prism);
  await join(prism, leaver, "presence-a", "ann");
  leaver.client.socket.close();
  const { pusherRegistry: registry } = prism.parts.offers;
  await eventually("ann is gone", () => registry.subscriptionCount("presence-a") === 0);
  clock.advance(2000);
  const back = await establish(t, prism);
  await join(prism, back, "presence-a", "ann");
  const other = await establish(t, prism);
  await subscribe(other, "news");
  other.client.socket.close();
  await eventually("news is empty", () => registry.subscriptionCount("news") === 0);
  clock.advance(3000);
  await eventually("news is told", () => eventsAt(all).length > 0);
  assert.deepEqual(eventsAt(all), [{ name: "channel_vacated", channel: "news" }]);
});

test("events that come together go in batches of up to twenty; only what the setting names is sent, and nothing of sendToUser", async (t) => {
  const all = await world(t, "channel_occupied");
  const raw = await establish(t, all.prism);
  const data = serverSdk(all.prism).authenticateUser(raw.socketId, { id: "ann" });
  raw.client.send({ event: "pusher:signin", data });
  await raw.client.expect({ event: "pusher:signin_success" });
  await subscribe(raw, "#server-to-user-ann");
  for (let n = 0; n < 50; n++) raw.client.send({ event: "pusher:subscribe", data: { channel: `c${n}` } });
  await eventually("all", () => eventsAt(all).length === 50);
  assert.deepEqual(new Set(eventsAt(all).map(({ name }) => name)), new Set(["channel_occupied"]));
  assert.equal(new Set(eventsAt(all).map(({ channel }) => channel)).size, 50);
  const sizes = all.peer.received.map(({ body }) => (JSON.parse(body) as { events: unknown[] }).events.length);
  assert.ok(Math.max(...sizes) <= 20 && sizes.length <= 10, String(sizes));
});

test("a webhook that fails is tried again as a job, also after a restart; what is unanswered at a stop is kept", async (t) => {
  const all = await world(t, "channel_occupied,channel_vacated");
  const { prism, peer, clock } = all;
  peer.answer = status(500);
  const raw = await establish(t, prism);
  await subscribe(raw, "a");
  const jobs = () =>
    scalarOf<number>(prism, "select count(*) from jobs where kind = 'pusher:webhook' and finishedAt is null");
  await eventually("a job", () => jobs() === 1);
  peer.answer = silence;
  await subscribe(raw, "b");
  await eventually("the second call", () => peer.received.some(({ body }) => body.includes('"b"')));
  peer.received.length = 0;
  await prism.restart();
  assert.ok((jobs() ?? 0) >= 2);
  peer.answer = status(200);
  await eventually("everything", () => {
    clock.advance(60_000);
    const events = eventsAt({ prism, peer }).map(({ name, channel }) => `${name} ${channel}`);
    return ["channel_occupied a", "channel_occupied b", "channel_vacated a", "channel_vacated b"].every((each) =>
      events.includes(each),
    );
  });
  await eventually("no job is left", () => {
    clock.advance(60_000);
    return jobs() === 0;
  });
});

test("a URL that is refused is given up, and the log does not name it", async (t) => {
  const log = new LogLines();
  const all = await world(t, "channel_occupied", { "webhooks.allowPrivateCidrs": "10.0.0.0/8" }, log);
  await subscribe(await establish(t, all.prism), "a");
  const line = await eventually("a warning", () => log.lines.find(({ message }) => message.includes("dropped events")));
  assert.equal(line.fields["events"], 1);
  assert.equal(JSON.stringify(line).includes("/hook"), false);
  assert.equal(all.peer.connections, 0);
  assert.equal(scalarOf(all.prism, "select count(*) from jobs where kind = 'pusher:webhook'"), 0);
});

test("without a URL nothing is observed", async (t) => {
  const prism = await startPrism(t);
  const raw = await establish(t, prism);
  assert.deepEqual(dataOf(await subscribe(raw, "a")), {});
  assert.equal(scalarOf(prism, "select count(*) from jobs"), 0);
});
