import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { makeUser } from "../helpers/people.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { backendOf, signedIn } from "./support/pusher-backend.ts";
import { PusherClient } from "./support/pusher-client.ts";
import { dataOf, endOf, establish, type RawPusher, signByLibrary, subscribe } from "./support/raw-pusher.ts";

const SUCCEEDED = "pusher_internal:subscription_succeeded";

/** A signature for a user, by Pusher's own library. */
function signUser(prism: TestPrism, { socketId }: RawPusher, user: { id: string; watchlist?: string[] }) {
  return backendOf(prism).authenticateUser(socketId, user);
}

/** Signs a plain connection in, and waits for the server's answer. */
async function signIn(prism: TestPrism, raw: RawPusher, user: { id: string; watchlist?: string[] }): Promise<void> {
  raw.client.send({ event: "pusher:signin", data: signUser(prism, raw, user) });
  await raw.client.expect({ event: "pusher:signin_success" });
}

test("users of another backend sign in; sendToUser reaches all their connections and no others", async (t) => {
  const prism = await startPrism(t);
  const ann = { id: "ann@example.org|1", user_info: { name: "Ann" } };
  const [phone, laptop, bob] = [
    await signedIn(t, prism, ann),
    await signedIn(t, prism, ann),
    await signedIn(t, prism, { id: "bob" }),
  ];
  const { pusherRegistry: registry } = prism.parts.offers;
  await eventually("all listen", () => registry.subscriptionCount("#server-to-user-bob") === 1);
  await eventually("both of hers", () => registry.subscriptionCount(`#server-to-user-${ann.id}`) === 2);
  await backendOf(prism).sendToUser(ann.id, "hello", { text: "Ann" });
  await backendOf(prism).sendToUser("bob", "hello", { text: "Bob" });
  for (const client of [phone, laptop, bob]) await client.expect("hello");
  assert.deepEqual(
    [phone, laptop, bob].map((client) => client.dataOf("hello")),
    [[{ text: "Ann" }], [{ text: "Ann" }], [{ text: "Bob" }]],
  );
  const { channels } = (await (await backendOf(prism).get({ path: "/channels" })).json()) as { channels: object };
  assert.deepEqual(channels, {}, "the channels of users are not listed");
});

test("terminateUserConnections closes the user's signed-in connections, which do not reconnect", async (t) => {
  const prism = await startPrism(t);
  const [ann, bob] = [await signedIn(t, prism, { id: "ann" }), await signedIn(t, prism, { id: "bob" })];
  await backendOf(prism).terminateUserConnections("ann");
  await ann.becomes("disconnected");
  assert.deepEqual([...new Set(ann.codes)], [4009]);
  assert.equal(bob.pusher.connection.state, "connected");
});

test("a client signs in as its user of Prism over the auth route, and its session ends the sign-in", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma");
  const headers = { Authorization: `Bearer ${uma.token}` };
  const endpoint = `${prism.url}/pusher/user-auth`;
  const options = { userAuthentication: { transport: "ajax" as const, endpoint, headers } };
  const client = await PusherClient.connect(t, prism, { token: uma.token, options });
  client.pusher.user.bind_global((event: string, data: unknown) => client.heard.push({ channel: "", event, data }));
  client.pusher.signin();
  await client.pusher.user.signinDonePromise;
  const { pusherRegistry: registry } = prism.parts.offers;
  await eventually("it listens", () => registry.subscriptionCount(`#server-to-user-${uma.id}`) === 1);
  assert.equal(prism.services.realtime.isLive(uma.id), true);
  await backendOf(prism).sendToUser(uma.id, "hello", "you");
  assert.equal(await client.expect("hello"), "you");
  await prism.delete(`/api/v1/users/${uma.id}`);
  await client.becomes("disconnected");
  assert.deepEqual([...new Set(client.codes)], [4009]);
  assert.deepEqual(registry.socketsOf(uma.id), []);
});

test("a refused sign-in closes the connection with 4009", async (t) => {
  const prism = await startPrism(t);
  const raw = await establish(t, prism);
  const other = await establish(t, prism);
  for (const [name, dataFor] of [
    ["no data", () => undefined],
    ["another connection's signature", () => signUser(prism, other, { id: "ann" })],
    ["other user_data", (own: RawPusher) => ({ ...signUser(prism, own, { id: "ann" }), user_data: '{"id":"bob"}' })],
    [
      "the signature of a channel",
      ({ socketId }: RawPusher) => ({ ...signByLibrary(prism, socketId, "private-a"), user_data: '{"id":"a"}' }),
    ],
    ["an empty id", (own: RawPusher) => signUserData(prism, own, '{"id":""}')],
    ["an id that is neither text nor number", (own: RawPusher) => signUserData(prism, own, '{"id":[1]}')],
    ["an id of 129 characters", (own: RawPusher) => signUserData(prism, own, JSON.stringify({ id: "x".repeat(129) }))],
    ["no JSON", (own: RawPusher) => signUserData(prism, own, "ann")],
    ["101 ids to watch", (own: RawPusher) => signUser(prism, own, { id: "a", watchlist: ids(101) })],
    [
      "user_data of more than 10 KiB",
      (own: RawPusher) => signUserData(prism, own, JSON.stringify({ id: "a", text: "x".repeat(10_240) })),
    ],
  ] as const)
    await t.test(name, async () => {
      const own = await establish(t, prism);
      own.client.send({ event: "pusher:signin", data: dataFor(own) });
      assert.deepEqual(await endOf(own.client), [4009, 4009]);
    });
  await signIn(prism, raw, { id: "ann" });
  raw.client.send({ event: "pusher:signin", data: signUser(prism, raw, { id: "bob" }) });
  assert.deepEqual(await endOf(raw.client), [4009, 4009]);
});

test("a connection of a Prism user signs in as that user only, with any signature, and cannot be assigned to another", async (t) => {
  const prism = await startPrism(t);
  const [uma, vic] = [await makeUser(prism, "uma", ["Operator"]), await makeUser(prism, "vic", ["Operator"])];
  const auth = (raw: RawPusher, token: string) =>
    prism.post<{ auth: string }>("/pusher/auth", { socket_id: raw.socketId, channel_name: "private-a" }, { token });
  const hers = await establish(t, prism);
  assert.equal((await auth(hers, uma.token)).status, 200);
  hers.client.send({ event: "pusher:signin", data: signUser(prism, hers, { id: vic.id }) });
  assert.deepEqual(await endOf(hers.client), [4009, 4009]);
  const signedInFirst = await establish(t, prism);
  await signIn(prism, signedInFirst, { id: vic.id });
  assert.equal((await auth(signedInFirst, uma.token)).status, 403);
  assert.equal((await auth(signedInFirst, vic.token)).status, 200);
});

test("#server-to-user channels are for connections that have signed in as that user", async (t) => {
  const prism = await startPrism(t);
  const raw = await establish(t, prism);
  const refused = async (channel: string, signed = {}) =>
    assert.equal((await subscribe(raw, channel, signed))["event"], "pusher:subscription_error", channel);
  await refused("#server-to-user-ann");
  await refused("#server-to-user-ann", { auth: `${prism.parts.offers.pusher.key}:00` });
  await signIn(prism, raw, { id: 'an"n' });
  await refused("#server-to-user-ann");
  assert.equal((await subscribe(raw, '#server-to-user-an"n'))["event"], SUCCEEDED);
  await backendOf(prism).sendToUser('an"n', "hello", "x");
  assert.equal((await raw.client.expect({ event: "hello" }))["channel"], '#server-to-user-an"n');
  raw.client.send({ event: "client-x", channel: '#server-to-user-an"n', data: {} });
  await raw.client.expect({ event: "pusher:error" });
});

test("a user who signed in with a numeric id receives events for that id, before subscribing", async (t) => {
  const prism = await startPrism(t);
  const raw = await establish(t, prism);
  raw.client.send({ event: "pusher:signin", data: signUserData(prism, raw, '{"id":1}') });
  await raw.client.expect({ event: "pusher:signin_success" });
  await backendOf(prism).sendToUser("1", "hello", "x");
  assert.equal((await raw.client.expect({ event: "hello" }))["channel"], "#server-to-user-1");
});

test("a signed-in client joins presence channels as its user, without channel_data", async (t) => {
  const prism = await startPrism(t);
  const raw = await establish(t, prism);
  const auth = signByLibrary(prism, raw.socketId, "presence-a");
  assert.equal((await subscribe(raw, "presence-a", auth))["event"], "pusher:subscription_error");
  const user = { id: "ann", user_info: { name: "Ann" } };
  await signIn(prism, raw, user);
  const answer = await subscribe(raw, "presence-a", auth);
  assert.deepEqual(dataOf(answer)["presence"], { count: 1, ids: ["ann"], hash: { ann: { name: "Ann" } } });
});

test("a watchlist reports users online at sign-in, their first connection and their last disconnect", async (t) => {
  const prism = await startPrism(t);
  const bob = await signedIn(t, prism, { id: "bob" });
  const ann = await signedIn(t, prism, { id: "ann", watchlist: ["bob", "carl", "dora"] });
  const changes = () => ann.heard.filter(({ channel }) => channel === "#watchlist").map(({ data }) => data);
  await eventually("the first status", () => changes().length === 2);
  const carl = [await signedIn(t, prism, { id: "carl" }), await signedIn(t, prism, { id: "carl" })];
  carl[0]?.pusher.disconnect();
  bob.pusher.disconnect();
  await eventually("bob is gone", () => changes().length === 4);
  carl[1]?.pusher.disconnect();
  await eventually("carl is gone", () => changes().length === 5);
  assert.deepEqual(changes(), [
    { name: "online", user_ids: ["bob"] },
    { name: "offline", user_ids: ["carl", "dora"] },
    { name: "online", user_ids: ["carl"] },
    { name: "offline", user_ids: ["bob"] },
    { name: "offline", user_ids: ["carl"] },
  ]);
  assert.deepEqual(
    bob.heard.filter(({ channel }) => channel === "#watchlist"),
    [],
    "a user without a watchlist receives nothing",
  );
});

test("a watchlist of a Prism user stops once the user may no longer list users", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma", ["Operator"]);
  const raw = await establish(t, prism);
  const path = "/pusher/user-auth";
  const signed = await prism.post(path, { socket_id: raw.socketId, watchlist: ["bob", "carl"] }, { token: uma.token });
  raw.client.send({ event: "pusher:signin", data: signed.body });
  const changes = () => raw.client.all({ event: "pusher_internal:watchlist_events" }).map((each) => dataOf(each));
  await eventually("the first status", () => changes().length === 1);
  const [bob, carl] = [await establish(t, prism), await establish(t, prism)];
  await signIn(prism, bob, { id: "bob" });
  await eventually("bob", () => changes().length === 2);
  await prism.patch(`/api/v1/users/${uma.id}`, { roles: ["User"] });
  const { pusherRegistry: registry } = prism.parts.offers;
  const hers = registry.find(raw.socketId);
  await eventually("the right is gone", () => hers?.principal?.permissions.has("users:read") === false);
  await signIn(prism, carl, { id: "carl" });
  raw.client.send({ event: "pusher:ping" });
  await raw.client.expect({ event: "pusher:pong" });
  assert.equal(changes().length, 2);
});

test("a watchlist of a hundred UUIDs fits into the first message; the auth route signs one for holders of users:read", async (t) => {
  const prism = await startPrism(t);
  const raw = await establish(t, prism);
  await signIn(prism, raw, { id: "ann", watchlist: ids(100) });
  const { data } = await raw.client.expect({ event: "pusher_internal:watchlist_events" });
  const { events } = JSON.parse(String(data)) as { events: { name: string; user_ids: string[] }[] };
  assert.deepEqual(
    events.map(({ name, user_ids }) => [name, user_ids.length]),
    [["offline", 100]],
  );
  const path = "/api/v1/users/me/pusher-user-auth";
  const user = await makeUser(prism, "plain", ["User"]);
  const plain = await prism.post<{ error?: { code: string } }>(
    path,
    { socket_id: "1.2", watchlist: ["a"] },
    { token: user.token },
  );
  assert.deepEqual([plain.status, plain.body.error?.code], [403, "UNAUTHORIZED_ROLE"]);
  assert.equal((await prism.post(path, { socket_id: "1.2", watchlist: ids(101) })).status, 400);
  const form = new URLSearchParams({ socket_id: "1.2", watchlist: "a,b" }).toString();
  const headers = { "Content-Type": "application/x-www-form-urlencoded" };
  const signed = await prism.post<{ user_data: string }>("/pusher/user-auth", form, { headers });
  assert.deepEqual((JSON.parse(signed.body.user_data) as { watchlist: unknown }).watchlist, ["a", "b"]);
});

test("a presence member with a number for an id stays a number for the others", async (t) => {
  const prism = await startPrism(t);
  const [first, second] = [await establish(t, prism), await establish(t, prism)];
  const join = (raw: RawPusher, user_id: number) => {
    const channel_data = JSON.stringify({ user_id });
    const member = JSON.parse(channel_data) as { user_id: string };
    return subscribe(raw, "presence-a", signByLibrary(prism, raw.socketId, "presence-a", member));
  };
  await join(first, 1);
  const answer = dataOf<{ presence: unknown }>(await join(second, 2));
  assert.deepEqual(answer.presence, { count: 2, ids: [1, 2], hash: { "1": null, "2": null } });
  assert.deepEqual(dataOf(await first.client.expect({ event: "pusher_internal:member_added" })), { user_id: 2 });
  second.client.send({ event: "client-x", channel: "presence-a", data: {} });
  assert.equal((await first.client.expect({ event: "client-x" }))["user_id"], 2);
  second.client.socket.close();
  assert.deepEqual(dataOf(await first.client.expect({ event: "pusher_internal:member_removed" })), { user_id: 2 });
});

function ids(count: number): string[] {
  return Array.from({ length: count }, () => crypto.randomUUID());
}

/** A rightly signed sign-in with any text for `user_data`. */
function signUserData(prism: TestPrism, { socketId }: RawPusher, userData: string) {
  const { key, secret } = prism.parts.offers.pusher;
  const signature = createHmac("sha256", secret).update(`${socketId}::user::${userData}`).digest("hex");
  return { auth: `${key}:${signature}`, user_data: userData };
}
