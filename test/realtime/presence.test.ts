import assert from "node:assert/strict";
import test from "node:test";
import { Presence } from "../../src/realtime/presence.ts";
import { makeUser } from "../helpers/people.ts";
import { LiveServer, PROTOCOLS } from "./support/live-server.ts";

test("S2-63: a user is live while a connection of any kind is open; an API key is nobody's presence", async (t) => {
  const server = await LiveServer.start(t);
  const { realtime } = server.prism.services;
  for (const [i, protocol] of PROTOCOLS.entries()) {
    const { id, token } = await makeUser(server.prism, `user${i}`, ["Admin"]);
    assert.equal(realtime.isLive(id), false);
    await server.connect(protocol, { token });
    assert.equal(realtime.isLive(id), true, protocol.name);
  }
  const { id } = await makeUser(server.prism, "bystander");
  await server.connect(PROTOCOLS[0] as (typeof PROTOCOLS)[number], { token: server.apiKey });
  assert.equal(realtime.isLive(id), false);
});

test("a user goes offline 5 s after the last connection closed, and not when one of several does or a page reloads", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const presence = new Presence();
  presence.joined("uma");
  presence.joined("uma");
  presence.left("uma");
  t.mock.timers.tick(60_000);
  assert.equal(presence.isLive("uma"), true, "the other connection is still there");
  presence.left("uma");
  t.mock.timers.tick(4999);
  assert.equal(presence.isLive("uma"), true);
  presence.joined("uma");
  t.mock.timers.tick(60_000);
  assert.equal(presence.isLive("uma"), true, "the page came back");
  presence.left("uma");
  t.mock.timers.tick(5000);
  assert.equal(presence.isLive("uma"), false);
});
