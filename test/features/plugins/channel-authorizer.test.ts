import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../helpers/eventually.ts";
import { makeUser } from "../../helpers/people.ts";
import { startPrism } from "../../helpers/prism.ts";
import { PusherClient } from "../../live/support/pusher-client.ts";
import { ModuleDir, moduleText } from "./support/module-dir.ts";

test("a module says who may subscribe to channels of its own; without it the permission does again", async (t) => {
  const modules = new ModuleDir(t);
  const text = `
    const rooms = { "presence-room-1": ["uma"] };
    services.realtime.authorizeChannel("presence-room-", (principal, channel) => {
      if (channel === "presence-room-broken") throw new Error("a defect");
      if (channel === "presence-room-later") return Promise.resolve(true);
      return (rooms[channel] ?? []).includes(principal.name);
    });
    server.post("/rooms/clear", { public: true }, () => { rooms["presence-room-1"] = []; });
  `;
  modules.put("rooms", moduleText("rooms", text));
  const prism = await startPrism(t, { settings: { modulesDir: modules.path, "modules.hotReload": "false" } });
  const { body } = await prism.get<{ data: { name: string; state: string }[] }>("/api/v1/modules");
  assert.equal(body.data.find(({ name }) => name === "rooms")?.state, "active");
  const [uma, vic] = [await makeUser(prism, "uma", ["User"]), await makeUser(prism, "vic", ["Operator"])];
  const ofUma = await PusherClient.connect(t, prism, { token: uma.token });
  const ofVic = await PusherClient.connect(t, prism, { token: vic.token });

  await ofUma.join("presence-room-1");
  await assert.rejects(ofVic.join("presence-room-1"), /403/, "in place of the permission, which vic has");
  for (const channel of ["presence-room-2", "presence-room-broken", "presence-room-later", "presence-lobby"])
    await assert.rejects(ofUma.join(channel), /403/, channel);
  await ofVic.join("presence-lobby");

  await prism.post("/rooms/clear", {}, { token: null });
  // Asked again when the rights of a connection change.
  assert.equal((await prism.patch(`/api/v1/users/${uma.id}`, { roles: ["User", "Viewer"] })).status, 200);
  await ofUma.becomes("disconnected");
  assert.equal(ofUma.codes.at(-1), 4009);

  await prism.post("/api/v1/modules/rooms/disable");
  ofVic.pusher.unsubscribe("presence-room-1");
  ofVic.heard.length = 0;
  await ofVic.join("presence-room-1");
  await eventually("vic alone", () => prism.parts.offers.pusherRegistry.subscriptionCount("presence-room-1") === 1);
});

test("a prefix is one module's, and none is Prism's own", async (t) => {
  const prism = await startPrism(t);
  const { realtime } = prism.services;
  const uma = await makeUser(prism, "uma", ["User"]);
  const client = await PusherClient.connect(t, prism, { token: uma.token });
  for (const prefix of [
    "",
    "room-",
    "private-",
    "presence-",
    "private-user-",
    "private-project-1",
    "private-encrypted-",
    "private-ü",
  ])
    assert.throws(() => realtime.authorizeChannel(prefix, () => true), TypeError, prefix);
  const end = realtime.authorizeChannel("private-room-", () => true);
  assert.throws(() => realtime.authorizeChannel("private-room-", () => true), TypeError);
  realtime.authorizeChannel("private-room-secret-", () => false);
  await client.join("private-room-1");
  await assert.rejects(client.join("private-room-secret-1"), /403/, "the longest decides");
  end();
  await assert.rejects(client.join("private-room-2"), /403/);
  realtime.authorizeChannel("private-room-", () => true);
});
