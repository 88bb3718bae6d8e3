import assert from "node:assert/strict";
import test from "node:test";
import { DeliveryWorld } from "./support/delivery-world.ts";
import { mailPeer } from "./support/mail-peer.ts";

test("/status says that a provider is connected only after it answered", async (t) => {
  const peer = await mailPeer(t);
  const world = await DeliveryWorld.open(t, { settings: peer.settings });
  const smtp = async () => (await world.prism.get<{ smtp: unknown }>("/api/v1/status")).body.smtp;
  assert.deepEqual(await smtp(), { mode: "on", connected: null });
  const ann = await world.person("ann");
  await world.until(await world.notify([ann.id], ["email"], { title: "t", message: "m" }), "delivered");
  assert.deepEqual(await smtp(), { mode: "on", connected: true });
});
