import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { WebSocket } from "ws";
import { eventually } from "../../../helpers/eventually.ts";
import { makeUser } from "../../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { refusalOf, serverSdk } from "../../../helpers/pusher-rest.ts";
import { PusherClient } from "../../../live/support/pusher-client.ts";

interface Message {
  readonly event: string;
  readonly channel?: string;
  readonly data: string;
}

/** A WebSocket that speaks the Pusher protocol by hand. */
class PusherWs {
  readonly #socket: WebSocket;
  readonly heard: Message[] = [];
  closeCode: number | null = null;
  socketId = "";

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (text: Buffer) => this.heard.push(JSON.parse(text.toString()) as Message));
    socket.on("close", (code) => {
      this.closeCode = code;
    });
  }

  static async open(t: TestContext, prism: TestPrism): Promise<PusherWs> {
    const socket = new WebSocket(`${prism.wsUrl}/app/${prism.parts.offers.pusher.key}?protocol=7`);
    t.after(() => socket.terminate());
    const client = new PusherWs(socket);
    const { data } = await client.expect("pusher:connection_established");
    client.socketId = (JSON.parse(data) as { socket_id: string }).socket_id;
    return client;
  }

  expect(event: string): Promise<Message> {
    return eventually(`${event}; came: ${JSON.stringify(this.heard)}`, () =>
      this.heard.find((message) => message.event === event),
    );
  }

  /** The data of the events with this name, in their order. */
  dataOf(event: string): string[] {
    return this.heard.filter((message) => message.event === event).map(({ data }) => data);
  }

  /** Into a channel; the auth route is asked where there must be a signature. */
  async join(prism: TestPrism, channel: string, token?: string): Promise<void> {
    const auth = token === undefined ? {} : await signatureFor(prism, this.socketId, channel, token);
    this.#socket.send(JSON.stringify({ event: "pusher:subscribe", data: { channel, ...auth } }));
    await eventually(`${channel}; came: ${JSON.stringify(this.heard)}`, () =>
      this.heard.some((each) => each.event === "pusher_internal:subscription_succeeded" && each.channel === channel),
    );
  }

  leave(channel: string): void {
    this.#socket.send(JSON.stringify({ event: "pusher:unsubscribe", data: { channel } }));
  }

  close(): void {
    this.#socket.close();
  }
}

async function signatureFor(prism: TestPrism, socketId: string, channel: string, token: string): Promise<object> {
  const request = { socket_id: socketId, channel_name: channel };
  const { status, body, text } = await prism.post("/pusher/auth", request, { token });
  assert.equal(status, 200, text);
  return body;
}

async function asked(prism: TestPrism, path: string, params: Record<string, string> = {}): Promise<unknown> {
  return (await serverSdk(prism).get({ path, params })).json();
}

test("S2-03: what is triggered reaches who is in the channel, in order, but for the socket that is left out", async (t) => {
  keepsPromise(t, "S2-03");
  const prism = await startPrism(t);
  const sdk = serverSdk(prism);
  const [one, two, elsewhere] = await Promise.all([1, 2, 3].map(() => PusherWs.open(t, prism)));
  assert.ok(one && two && elsewhere);
  await one.join(prism, "news");
  await two.join(prism, "news");
  await elsewhere.join(prism, "other");
  await sdk.trigger(["news", "nobody-is-here"], "note", { n: 1 });
  await sdk.trigger("news", "note", { n: 2 }, { socket_id: two.socketId });
  await sdk.triggerBatch([
    { channel: "news", name: "note", data: "three" },
    { channel: "other", name: "note", data: "elsewhere" },
    { channel: "news", name: "note", data: "not to one", socket_id: one.socketId },
    { channel: "news", name: "last", data: "\ud800" },
  ]);
  await Promise.all([one.expect("last"), two.expect("last"), elsewhere.expect("note")]);
  assert.deepEqual(one.dataOf("note"), ['{"n":1}', '{"n":2}', "three"]);
  assert.deepEqual(two.dataOf("note"), ['{"n":1}', "three", "not to one"]);
  assert.deepEqual(elsewhere.dataOf("note"), ["elsewhere"]);
});

test("S2-03: the library reads the channels of a user, and their members", async (t) => {
  keepsPromise(t, "S2-03");
  const prism = await startPrism(t);
  const { token } = await makeUser(prism, "operator", ["Operator"]);
  const [first, second] = [await PusherWs.open(t, prism), await PusherWs.open(t, prism)];
  assert.deepEqual(await asked(prism, "/channels"), { channels: {} });
  await first.join(prism, "news");
  await first.join(prism, "presence-lobby", token);
  await second.join(prism, "presence-lobby", token);
  const { id } = (await prism.get<{ id: string }>("/api/v1/users/me", { token })).body;

  const info = "user_count,subscription_count";
  for (const [path, params, expected] of [
    ["/channels", {}, { channels: { news: {}, "presence-lobby": {} } }],
    ["/channels", { filter_by_prefix: "ne" }, { channels: { news: {} } }],
    ["/channels", { filter_by_prefix: "x" }, { channels: {} }],
    [
      "/channels",
      { filter_by_prefix: "presence-", info },
      { channels: { "presence-lobby": { user_count: 1, subscription_count: 2 } } },
    ],
    ["/channels/news", { info: "subscription_count" }, { occupied: true, subscription_count: 1 }],
    ["/channels/presence-lobby", { info }, { occupied: true, user_count: 1, subscription_count: 2 }],
    ["/channels/nobody", {}, { occupied: false }],
    ["/channels/presence-lobby/users", {}, { users: [{ id }] }],
    ["/channels/presence-empty/users", {}, { users: [] }],
  ] as const)
    await t.test(`${path} ${JSON.stringify(params)}`, async () =>
      assert.deepEqual(await asked(prism, path, params), expected),
    );
  for (const [path, params] of [
    ["/channels", { info: "user_count" }],
    ["/channels", { filter_by_prefix: "pres", info: "user_count" }],
    ["/channels", { info: "cost" }],
    ["/channels/news", { info: "user_count" }],
    ["/channels/news/users", {}],
    ["/channels/a:b", {}],
  ] as const)
    await t.test(`${path} ${JSON.stringify(params)} is refused`, async () =>
      assert.deepEqual(await refusalOf(asked(prism, path, params)), [400, "VALIDATION_FAILED"]),
    );
  await t.test("a trigger is answered with the same where it asks for it", async () => {
    const sdk = serverSdk(prism);
    const one = await sdk.trigger(["news", "presence-lobby"], "e", "x", { info });
    assert.deepEqual(await one.json(), {
      channels: { news: { subscription_count: 1 }, "presence-lobby": { user_count: 1, subscription_count: 2 } },
    });
    const batch = await sdk.triggerBatch([
      { channel: "presence-lobby", name: "e", data: "x", info: "user_count" },
      { channel: "news", name: "e", data: "x" },
    ]);
    assert.deepEqual(await batch.json(), { batch: [{ user_count: 1 }, {}] });
  });
  await t.test("a channel that a user has left is not listed any more", async () => {
    first.leave("news");
    second.close();
    await eventually("only the lobby, with one socket", async () => {
      const answer = await asked(prism, "/channels", { info: "subscription_count" });
      return JSON.stringify(answer) === '{"channels":{"presence-lobby":{"subscription_count":1}}}';
    });
  });
});

test("S2-10: the channels that a user is in are in the user object for every reader", async (t) => {
  keepsPromise(t, "S2-10");
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma", ["User"]);
  const auditor = await makeUser(prism, "auditor", ["Auditor"]);
  const own = `private-user-${uma.id}`;
  const shownAt = async (path: string, token?: string): Promise<unknown> => {
    const { body } = await prism.get<{ pusherChannels?: unknown }>(path, token === undefined ? {} : { token });
    return body.pusherChannels;
  };
  const asSeen = async () => [
    await shownAt("/api/v1/users/me", uma.token),
    await shownAt("/api/profile", uma.token),
    await shownAt(`/api/v1/users/${uma.id}`),
    await shownAt(`/api/v1/users/${uma.id}`, auditor.token),
  ];
  assert.deepEqual(await asSeen(), [[], [], [], undefined]);
  const socket = await PusherWs.open(t, prism);
  await socket.join(prism, own, uma.token);
  await socket.join(prism, "news");
  const both = ["news", own];
  assert.deepEqual(await asSeen(), [both, both, both, undefined]);
  const { body } = await prism.get<{ data: { id: string; pusherChannels: unknown }[] }>("/api/v1/users");
  assert.deepEqual(body.data.find(({ id }) => id === uma.id)?.pusherChannels, both);
  const text = (await prism.get("/api/v1/users/me", { token: uma.token })).text;
  assert.equal(text.match(/pusherChannels/g)?.length, 1);
  socket.close();
  await eventually(
    "none any more",
    async () => JSON.stringify(await asSeen()) === JSON.stringify([[], [], [], undefined]),
  );
});

test("S2-126: the auth route binds a socket to its user: other users get no signature for it", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma", ["User"]);
  const bob = await makeUser(prism, "bob", ["User"]);
  const socket = await PusherWs.open(t, prism);
  const registry = prism.parts.offers.pusherRegistry;
  assert.equal(registry.find(socket.socketId)?.principal, null);
  const ask = (token: string, channel: string) =>
    prism.post<{ error?: { code: string } }>(
      "/pusher/auth",
      { socket_id: socket.socketId, channel_name: channel },
      { token },
    );

  await t.test("who is refused binds nothing", async () => {
    assert.equal((await ask(bob.token, `private-user-${uma.id}`)).status, 403);
    assert.equal(registry.find(socket.socketId)?.principal, null);
  });
  await t.test("who is signed for owns it, before the answer", async () => {
    assert.equal((await ask(uma.token, `private-user-${uma.id}`)).status, 200);
    assert.equal(registry.find(socket.socketId)?.principal?.userId, uma.id);
  });
  await t.test("another user is refused, and it keeps its owner", async () => {
    const { status, body } = await ask(bob.token, `private-user-${bob.id}`);
    assert.deepEqual([status, body.error?.code], [403, "CHANNEL_FORBIDDEN"]);
    assert.equal(registry.find(socket.socketId)?.principal?.userId, uma.id);
  });
  await t.test("the owner may ask again", async () => {
    assert.equal((await ask(uma.token, `private-user-${uma.id}`)).status, 200);
  });
});

test("S2-03: terminateUserConnections ends the sockets of that user only", async (t) => {
  keepsPromise(t, "S2-03");
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma", ["User"]);
  const bob = await makeUser(prism, "bob", ["User"]);
  const sockets = [await PusherWs.open(t, prism), await PusherWs.open(t, prism)] as const;
  const [hers, his] = sockets;
  await hers.join(prism, `private-user-${uma.id}`, uma.token);
  await his.join(prism, `private-user-${bob.id}`, bob.token);
  const reply = await serverSdk(prism).terminateUserConnections(uma.id);
  assert.deepEqual([reply.status, await reply.json()], [200, {}]);
  await eventually("hers is closed", () => hers.closeCode !== null);
  assert.equal(hers.closeCode, 4009);
  await serverSdk(prism).trigger(`private-user-${bob.id}`, "still", "here");
  await his.expect("still");
});

test("S2-03, S2-125: the official client receives events of the official server library, on channels of every kind", async (t) => {
  keepsPromise(t, "S2-03");
  const prism = await startPrism(t);
  const { id, token } = await makeUser(prism, "operator", ["Operator"]);
  const client = await PusherClient.connect(t, prism, { token });
  const channels = ["news", "private-team", "presence-lobby", `private-user-${id}`];
  for (const channel of channels) await client.join(channel);
  const sdk = serverSdk(prism);
  await sdk.trigger(channels, "note", { text: "Hello" });
  await sdk.triggerBatch(channels.map((channel, n) => ({ channel, name: "batched", data: { n } })));
  await eventually("all of them", () => client.dataOf("batched").length === channels.length);
  assert.deepEqual(
    client.heard.filter(({ event }) => event === "note").map(({ channel, data }) => [channel, data]),
    channels.map((channel) => [channel, { text: "Hello" }]),
  );
  assert.deepEqual(client.dataOf("batched"), [{ n: 0 }, { n: 1 }, { n: 2 }, { n: 3 }]);
  const { body } = await prism.get<{ pusherChannels: string[] }>("/api/v1/users/me", { token });
  assert.deepEqual(body.pusherChannels, [...channels].sort());
});
