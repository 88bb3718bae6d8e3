import assert from "node:assert/strict";
import test from "node:test";
import { Presence } from "../../src/live/presence.ts";
import { FcmServer } from "../features/delivery/support/fcm-server.ts";
import { eventually } from "../helpers/eventually.ts";
import { makeUser } from "../helpers/people.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { rowsOf } from "../helpers/tables.ts";
import type { LiveClient, LiveProtocol } from "./support/live-client.ts";
import { LiveServer, PROTOCOLS } from "./support/live-server.ts";
import { nativeProtocol } from "./support/native-protocol.ts";

interface Follower {
  readonly protocol: LiveProtocol;
  readonly userId: string;
  readonly client: LiveClient;
}

/** A user of each protocol, with a phone. */
async function connectAll(server: LiveServer): Promise<Follower[]> {
  const followers: Follower[] = [];
  for (const [i, protocol] of PROTOCOLS.entries()) {
    const { id, token } = await makeUser(server.prism, `user${i}`, ["Admin"]);
    await server.prism.put("/api/v1/users/me/push-tokens", { fcm: `phone-of-user-${i}` }, { token });
    assert.equal(server.prism.services.realtime.isLive(id), false);
    followers.push({ protocol, userId: id, client: await server.connect(protocol, { token }) });
  }
  return followers;
}

test("S2-63, S3-11: a user is live while a connection of any kind is open, and /status counts it under its transport; an API key makes no user present", async (t) => {
  keepsPromise(t, "S2-63");
  const server = await LiveServer.start(t);
  const { prism } = server;
  const followers = await connectAll(server);
  for (const { protocol, userId } of followers) assert.ok(prism.services.realtime.isLive(userId), protocol.name);
  const wanted: Record<string, number> = { ntfy: 0, gotify: 0 };
  for (const { transport } of PROTOCOLS) wanted[transport] = (wanted[transport] ?? 0) + 1;
  const status = await prism.get<{ realtime: { connections: Record<string, number> } }>("/api/v1/status");
  assert.deepEqual(status.body.realtime.connections, wanted);

  const bystander = await makeUser(prism, "bystander");
  await server.connect(nativeProtocol, { token: server.apiKey });
  assert.equal(prism.services.realtime.isLive(bystander.id), false);
});

test("S2-64, S2-65, S2-69: push waits while its user is connected by any transport, and is sent 5 s after the last disconnect", async (t) => {
  keepsPromise(t, "S2-64");
  const fcm = await FcmServer.start(t);
  const { credentials, endpoint = "", tokenEndpoint = "" } = fcm.options;
  const server = await LiveServer.start(t, {
    settings: { "fcm.credentials": credentials, "fcm.endpoint": endpoint, "fcm.tokenEndpoint": tokenEndpoint },
  });
  const { prism } = server;
  const notify = async (userId: string): Promise<string> => {
    const sent = { userId, title: "1", message: "m", channels: ["in_app", "fcm"] };
    return (await prism.post<{ id: string }>("/api/v1/notifications", sent)).body.id;
  };
  const stateOf = (notificationId: string): string | undefined => {
    const query = "select state, reason from deliveries where notificationId = ?";
    const [row] = rowsOf<{ state: string; reason: string | null }>(prism, query, notificationId);
    return row && `${row.state}, ${row.reason}`;
  };
  const followers = await connectAll(server);
  for (const { protocol, userId } of followers) {
    const id = await notify(userId);
    await eventually(`${protocol.name}: push waits`, () => stateOf(id) === "queued, connected");
  }

  const closedFrom = performance.now();
  for (const { client } of followers) await client.close();
  const { connections } = prism.parts.core;
  await eventually("all have gone", () => Object.values(connections.counts).every((count) => count === 0));
  for (const { protocol, userId } of followers) {
    const isLive = prism.services.realtime.isLive(userId);
    const isOverdue = performance.now() - closedFrom >= Presence.GRACE_MS;
    assert.ok(isLive || isOverdue, `${protocol.name}: a page that reloads is not gone`);
  }
  for (const { protocol, userId } of followers) {
    await eventually(`${protocol.name}: offline`, () => !prism.services.realtime.isLive(userId));
    const id = await notify(userId);
    await eventually(`${protocol.name}: pushed`, () => stateOf(id) === "delivered, null");
  }
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
