import assert from "node:assert/strict";
import test from "node:test";
import { logIn, makeAccount } from "../features/access/sessions/support/auth-client.ts";
import { eventually } from "../helpers/eventually.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { makeProject, makeUser } from "../helpers/people.ts";
import { startPrism } from "../helpers/prism.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { PusherClient } from "./support/pusher-client.ts";
import { dataOf, endOf, establish, signByLibrary, subscribe } from "./support/raw-pusher.ts";

const CHEAP = { "auth.bcryptCost": "4" };

const SUCCEEDED = "pusher_internal:subscription_succeeded";

const REFUSED = "pusher:subscription_error";

test("S2-125, S2-126: the official client joins its user's channels by signature and is refused those of another user", async (t) => {
  keepsPromise(t, "S2-126");
  const prism = await startPrism(t);
  const [uma, vic] = [await makeUser(prism, "uma"), await makeUser(prism, "vic")];
  const client = await PusherClient.connect(t, prism, { token: uma.token });
  await client.join(`private-user-${uma.id}`);
  for (const channel of [`private-user-${vic.id}`, "private-orders", "presence-lobby", "private-encrypted-x"]) {
    await assert.rejects(client.join(channel), /"status":403/, channel);
  }
  assert.deepEqual(prism.parts.offers.pusherRegistry.channelsOf(uma.id), [`private-user-${uma.id}`]);
  const { body } = await prism.get<{ realtime: { connections: { pusher: number } } }>("/api/v1/status");
  assert.equal(body.realtime.connections.pusher, 1);
});

test("a signature is valid only for its connection and channel, and for the connection's own user", async (t) => {
  const prism = await startPrism(t);
  const [uma, vic] = [await makeUser(prism, "uma", ["Operator"]), await makeUser(prism, "vic", ["Operator"])];
  const [first, second] = [await establish(t, prism), await establish(t, prism)];
  const sign = (socketId: string, channel: string, { token } = uma) =>
    prism.post<{ auth: string; channel_data?: string }>(
      "/pusher/auth",
      { socket_id: socketId, channel_name: channel },
      { token },
    );
  const { body } = await sign(first.socketId, `private-user-${uma.id}`);
  const lobby = (await sign(first.socketId, "presence-lobby")).body;
  for (const { name, raw, channel, signed } of [
    { name: "another connection", raw: second, channel: `private-user-${uma.id}`, signed: body },
    { name: "another channel", raw: first, channel: "private-orders", signed: body },
    { name: "none", raw: first, channel: "private-orders", signed: {} },
    { name: "another app's key", raw: first, channel: `private-user-${uma.id}`, signed: { auth: `x${body.auth}` } },
    {
      name: "another member",
      raw: first,
      channel: "presence-lobby",
      signed: { ...lobby, channel_data: lobby.channel_data?.replace(uma.id, vic.id) ?? "" },
    },
    { name: "no member", raw: first, channel: "presence-lobby", signed: { auth: lobby.auth } },
  ]) {
    await t.test(name, async () => {
      const answer = await subscribe(raw, channel, signed);
      assert.equal(answer["event"], REFUSED);
      assert.deepEqual([dataOf(answer)["type"], dataOf(answer)["status"]], ["AuthError", 401]);
    });
  }
  await t.test("the connection stays with that user", async () => {
    const { status, body: refusal } = await sign(first.socketId, "private-orders", vic);
    assert.deepEqual([status, (refusal as { error?: { code: string } }).error?.code], [403, "CHANNEL_FORBIDDEN"]);
  });
  assert.equal((await subscribe(first, `private-user-${uma.id}`, body))["event"], SUCCEEDED);
  assert.equal((await subscribe(first, "presence-lobby", lobby))["event"], SUCCEEDED);
});

test("another backend with the secret admits its own users, but not to Prism's own channels", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const uma = await makeUser(prism, "uma");
  const raw = await establish(t, prism);
  const join = (channel: string) =>
    subscribe(
      raw,
      channel,
      signByLibrary(
        prism,
        raw.socketId,
        channel,
        channel.startsWith("presence-") ? { user_id: "7", user_info: { name: "Ann" } } : undefined,
      ),
    );
  for (const channel of [`private-user-${uma.id}`, `private-project-${shop.id}`])
    assert.equal((await join(channel))["event"], REFUSED);
  assert.equal((await join("private-room"))["event"], SUCCEEDED);
  const { presence } = dataOf<{ presence: unknown }>(await join("presence-room"));
  assert.deepEqual(presence, { count: 1, ids: ["7"], hash: { 7: { name: "Ann" } } });

  const channel_name = `private-user-${uma.id}`;
  const own = await prism.post("/pusher/auth", { socket_id: raw.socketId, channel_name }, { token: uma.token });
  assert.equal(own.status, 403, "she may not be where the connection is already");
  assert.equal(prism.services.realtime.isLive(uma.id), false);
  for (const channel of ["private-room", "presence-room"])
    raw.client.send({ event: "pusher:unsubscribe", data: { channel } });
  await eventually("it has left", () => [...prism.parts.offers.pusherRegistry.occupied()].length === 0);
  const again = await prism.post<{ auth: string }>(
    "/pusher/auth",
    { socket_id: raw.socketId, channel_name },
    { token: uma.token },
  );
  assert.equal((await subscribe(raw, channel_name, again.body))["event"], SUCCEEDED);
  assert.equal((await join("private-room"))["event"], REFUSED, "she is a user of Prism's, who lacks realtime:publish");
});

test("a connection lives as long as its login, and longer than the access token", async (t) => {
  const clock = new FakeClock();
  const settings = { ...CHEAP, "auth.accessExpires": "60s", "auth.sessionMaxMs": "3m" };
  const prism = await startPrism(t, { clock, settings });
  const { id } = await makeAccount(prism, { username: "uma" }, { roles: ["Operator"] });
  const raw = await establish(t, prism);
  const { token } = await logIn(prism, "uma");
  const channel_name = `private-user-${id}`;
  const { body } = await prism.post<{ auth: string }>(
    "/pusher/auth",
    { socket_id: raw.socketId, channel_name },
    { token },
  );
  await subscribe(raw, channel_name, body);
  let pings = 0;
  raw.client.socket.on("ping", () => pings++);
  for (let times = 1; times <= 5; times++) {
    clock.advance(30_000);
    await eventually("the server has looked at it", () => pings === times);
    raw.client.send({ event: "pusher:ping" });
    await eventually("it still answers", () => raw.client.all({ event: "pusher:pong" }).length === times);
  }
  clock.advance(30_000);
  // The official client comes back after this code and asks its auth route again, which lets a
  // newer login in.
  assert.deepEqual(await endOf(raw.client), [4200, 4200]);
});

test("S2-126: logout, disable and the loss of a role end the connection, and the official client does not reconnect", async (t) => {
  keepsPromise(t, "S2-126");
  const prism = await startPrism(t, { settings: CHEAP });
  const { id } = await makeAccount(prism, { username: "uma" }, { roles: ["Operator"] });
  const [here, there] = [await logIn(prism, "uma"), await logIn(prism, "uma")];
  const open = async (token: string, channel: string): Promise<PusherClient> => {
    const client = await PusherClient.connect(t, prism, { token });
    await client.join(channel);
    return client;
  };
  const isEnded = async (client: PusherClient) => {
    await client.becomes("disconnected");
    assert.deepEqual(client.codes.at(-1), 4009);
    assert.equal(client.states.at(-1), "disconnected");
  };
  const [out, role] = [await open(here.token, `private-user-${id}`), await open(there.token, "presence-lobby")];
  const disabled = await open(there.token, `private-user-${id}`);
  await prism.post("/api/v1/auth/logout", undefined, { token: here.token });
  await isEnded(out);
  await prism.patch(`/api/v1/users/${id}`, { roles: ["User"] });
  await isEnded(role);
  assert.deepEqual([...prism.parts.offers.pusherRegistry.occupied("presence-")], []);
  assert.equal(disabled.pusher.connection.state, "connected", "what she follows is still hers");
  await prism.patch(`/api/v1/users/${id}`, { status: "disabled" });
  await isEnded(disabled);
  assert.deepEqual([...prism.parts.offers.pusherRegistry.occupied()], []);
});

test("S2-126: a connection ends with its first login, even if another login of the user signs for it later", async (t) => {
  keepsPromise(t, "S2-126");
  const prism = await startPrism(t, { settings: CHEAP });
  const { id } = await makeAccount(prism, { username: "uma" });
  const [here, there] = [await logIn(prism, "uma"), await logIn(prism, "uma")];
  const client = await PusherClient.connect(t, prism, { token: here.token });
  await client.join(`private-user-${id}`);
  const asked = { socket_id: client.pusher.connection.socket_id, channel_name: `private-user-${id}` };
  assert.equal((await prism.post("/pusher/auth", asked, { token: there.token })).status, 200);
  await prism.post("/api/v1/auth/logout", undefined, { token: here.token });
  await client.becomes("disconnected");
  assert.deepEqual(client.codes.at(-1), 4009);
});

test("the auth route refuses connections beyond the limit per user, and the existing ones stay", async (t) => {
  const prism = await startPrism(t, { settings: { "realtime.maxPerUser": "2" } });
  const uma = await makeUser(prism, "uma");
  const channel = `private-user-${uma.id}`;
  const clients: PusherClient[] = [];
  for (let i = 0; i < 3; i++) clients.push(await PusherClient.connect(t, prism, { token: uma.token }));
  const [first, second, third] = clients as [PusherClient, PusherClient, PusherClient];
  await first.join(channel);
  await second.join(channel);
  await assert.rejects(third.join(channel), /"status":429/);
  await third.join("news");
  second.pusher.disconnect();
  await eventually("one has gone", () => prism.parts.core.connections.counts.pusher === 2);
  third.pusher.unsubscribe(channel);
  third.heard.length = 0;
  await third.join(channel);
});
