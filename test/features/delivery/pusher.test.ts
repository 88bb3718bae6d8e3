import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import test from "node:test";
import { PusherClient } from "../../../src/features/channels/pusher/client.ts";
import { OutsideHosts, outsideRulesOf } from "../../../src/features/channels/webhook/safe-fetch.ts";
import { eventually } from "../../helpers/eventually.ts";
import { keepsPromise } from "../../helpers/promise.ts";
import { rowsOf } from "../../helpers/tables.ts";
import { DeliveryWorld } from "./support/delivery-world.ts";
import { APP, pusherPeer } from "./support/pusher-peer.ts";

test("S2-03, S2-33, S2-127: in remote mode a notification is the event `notification` on each recipient's private channel", async (t) => {
  keepsPromise(t, ["S2-127", "S2-33"]);
  const peer = await pusherPeer(t);
  const world = await DeliveryWorld.open(t, { settings: peer.settings });
  const ann = await world.person("ann");
  const id = await world.notify([ann.id], ["pusher"], { title: "Fire", message: "Leave now", data: { floor: 3 } });
  await world.until(id, "delivered");
  const [[event] = []] = peer.batches;
  assert.deepEqual([event?.channel, event?.name], [`private-user-${ann.id}`, "notification"]);
  const data = JSON.parse(event?.data ?? "") as Record<string, unknown>;
  assert.deepEqual([data["id"], data["title"], data["message"], data["data"]], [id, "Fire", "Leave now", { floor: 3 }]);
  assert.deepEqual([data["userId"], data["recipients"]], [ann.id, [ann.id]]);
  assert.deepEqual(rowsOf(world.prism, "select pusherEventSent from notifications where id = ?", id), [
    { pusherEventSent: 1 },
  ]);
  const { body } = await world.prism.get<{ pusherEventSent: boolean }>(`/api/v1/notifications/${id}`);
  assert.equal(body.pusherEventSent, true);
});

test("S2-114: events that come together go in batches of at most ten, each recipient once", async (t) => {
  keepsPromise(t, "S2-114");
  const peer = await pusherPeer(t);
  const world = await DeliveryWorld.open(t, { settings: peer.settings });
  const people: string[] = [];
  for (let i = 0; i < 25; i++) people.push((await world.person(`person${i}`)).id);
  const id = await world.notify(people, ["pusher"]);
  await eventually(
    "all are delivered",
    () => world.deliveries(id).filter(({ state }) => state === "delivered").length === 25,
  );
  assert.ok(peer.batches.every((batch) => batch.length <= 10));
  assert.ok(peer.batches.length < 25, `${peer.batches.length} batches`);
  const channels = peer.batches.flat().map(({ channel }) => channel);
  assert.deepEqual(channels.sort(), people.map((each) => `private-user-${each}`).sort());
});

test("a notification that is too large for Pusher is sent as the URL to fetch it from", async (t) => {
  const peer = await pusherPeer(t);
  const world = await DeliveryWorld.open(t, { settings: peer.settings });
  const { id: ann } = await world.person("ann");
  const id = await world.notify([ann], ["pusher"], { data: { text: "ü".repeat(6000) } });
  await world.until(id, "delivered");
  const fetched = { id, truncated: true, fetch: `/api/v1/notifications/${id}` };
  assert.deepEqual(JSON.parse(peer.batches[0]?.[0]?.data ?? ""), fetched);
});

test("a redirect leads nowhere, and an error says nothing of the signature", async (t) => {
  let visits = 0;
  const elsewhere = createServer((_request, response) => {
    visits++;
    response.end("{}");
  });
  await new Promise<void>((resolve) => elsewhere.listen(0, "127.0.0.2", resolve));
  t.after(() => elsewhere.close());
  const peer = await pusherPeer(t);
  const world = await DeliveryWorld.open(t, { settings: peer.settings });
  const { id: ann } = await world.person("ann");
  peer.redirect(`http://127.0.0.2:${(elsewhere.address() as AddressInfo).port}/`);
  const id = await world.notify([ann], ["pusher"]);
  const failed = await world.only(id, "failed");
  assert.match(failed.lastError ?? "", /^Pusher: no answer/);
  assert.doesNotMatch(failed.lastError ?? "", new RegExp(`auth_signature|${APP.key}|${APP.secret}`));
  assert.equal(visits, 0);
  assert.deepEqual(rowsOf(world.prism, "select pusherEventSent from notifications where id = ?", id), [
    { pusherEventSent: 0 },
  ]);
});

/** As doctor reaches the app. */
function clientOf({ prism }: DeliveryWorld): PusherClient {
  const { config } = prism.parts.base;
  const { appId = "", key = "", secret = "" } = config.pusher;
  return new PusherClient({ config, app: { appId, key, secret }, hosts: new OutsideHosts(outsideRulesOf(config)) });
}

test("the app can be checked without notifying a client, as doctor does", async (t) => {
  const peer = await pusherPeer(t);
  const world = await DeliveryWorld.open(t, { settings: peer.settings });
  await clientOf(world).check();
  assert.deepEqual(peer.seen, []);
  const wrong = { ...peer.settings, "pusher.secret": "another" };
  const other = await DeliveryWorld.open(t, { settings: wrong });
  await assert.rejects(clientOf(other).check(), {
    name: "ProviderDown",
  });
});

test("a private address that the operator has not allowed is not called", async (t) => {
  const peer = await pusherPeer(t);
  const { "webhooks.allowPrivateCidrs": _, ...settings } = peer.settings;
  const world = await DeliveryWorld.open(t, { settings });
  await assert.rejects(clientOf(world).check(), {
    name: "ProviderDown",
    message: /not public/,
  });
});

test("in embedded mode nothing is planned for the channel", async (t) => {
  const world = await DeliveryWorld.open(t);
  assert.equal(world.prism.parts.offers.channels.get("pusher"), undefined);
  const { id: ann } = await world.person("ann");
  assert.deepEqual(world.deliveries(await world.notify([ann], ["pusher"])), []);
});
