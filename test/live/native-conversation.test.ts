import assert from "node:assert/strict";
import test from "node:test";
import { makeProject, makeUser } from "../helpers/people.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { type Message, WebSocketClient } from "./support/web-socket-client.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const UNKNOWN_ID = "01980000-0000-7000-8000-000000000000";

interface Shop {
  readonly id: string;
  readonly apiKey: string;
}

async function setUp(t: test.TestContext): Promise<{ prism: TestPrism; shop: Shop; socket: WebSocketClient }> {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  return { prism, shop, socket: await WebSocketClient.welcomed(t, prism.wsUrl, prism.adminToken) };
}

function codeOf(message: Message): unknown {
  return (message["error"] as { code?: string } | undefined)?.code;
}

test("the first message is a welcome with the client's user", async (t) => {
  const { prism, shop, socket } = await setUp(t);
  const me = await prism.get<{ id: string }>("/api/v1/users/me");
  const [welcome] = socket.messages;
  assert.deepEqual(Object.keys(welcome ?? {}), ["op", "connectionId", "userId", "serverTime", "heartbeatMs"]);
  assert.match(String(welcome?.["connectionId"]), UUID);
  assert.match(String(welcome?.["serverTime"]), INSTANT);
  assert.deepEqual([welcome?.["userId"], welcome?.["heartbeatMs"]], [me.body.id, 30_000]);

  const byKey = await WebSocketClient.welcomed(t, prism.wsUrl, shop.apiKey);
  assert.equal(byKey.messages[0]?.["userId"], null, "a key has no user");
  assert.notEqual(byKey.messages[0]?.["connectionId"], welcome?.["connectionId"]);
});

test("every message has the documented form", async (t) => {
  const { prism, shop, socket } = await setUp(t);
  const stream = `project:${shop.id}`;
  socket.send({ op: "subscribe", id: "1", stream });
  await socket.expect({ id: "1" });
  assert.equal(socket.texts.at(-1), `{"op":"subscribed","id":"1","stream":"${stream}","offset":0}`);

  const event = { type: "order.failed", occurredAt: "2026-01-02T03:04:05.678Z", payload: { amount: 1.5 } };
  await prism.post("/events", event, { apiKey: shop.apiKey, headers: { "X-Correlation-Id": "c-1" } });
  const { data, ts } = await socket.expect({ op: "event" });
  const text = socket.texts.find((candidate) => candidate.includes('"op":"event"')) ?? "";
  assert.match(String(ts), INSTANT);
  assert.ok(
    text.startsWith(`{"op":"event","stream":"${stream}","offset":1,"type":"order.failed","data":{"id":"`) &&
      text.endsWith(`"payload":{"amount":1.5}},"ts":"${ts}","correlationId":"c-1"}`),
    text,
  );
  const stored = await prism.get<{ data: unknown[] }>(`/events?projectId=${shop.id}`);
  assert.deepEqual(
    { ...(data as object), processedAt: null },
    { ...(stored.body.data[0] as object), processedAt: null },
  );

  assert.deepEqual(await socket.ask({ op: "unsubscribe", id: "2", stream }), { op: "unsubscribed", id: "2", stream });
  const pong = await socket.ask({ op: "ping", id: "3" });
  assert.deepEqual(Object.keys(pong), ["op", "id", "ts"]);
  assert.match(String(pong["ts"]), INSTANT);
});

test("an id is optional, and an answer to a message without one has none", async (t) => {
  const { socket } = await setUp(t);
  socket.send({ op: "ping" });
  assert.deepEqual(Object.keys(await socket.expect({ op: "pong" })), ["op", "ts"]);
  socket.send({ op: "subscribe", stream: "user:me" });
  const subscribed = await socket.expect({ op: "subscribed" });
  assert.deepEqual(Object.keys(subscribed), ["op", "stream", "offset"]);
});

test("user:me is accepted in every message, and answered with the user's own name", async (t) => {
  const { prism, socket } = await setUp(t);
  const { body: me } = await prism.get<{ id: string }>("/api/v1/users/me");
  const stream = `user:${me.id}`;
  for (const [message, answer] of [
    [
      { op: "subscribe", id: "1", stream: "user:me" },
      { op: "subscribed", id: "1", stream, offset: 0 },
    ],
    [
      { op: "ack", id: "2", stream: "user:me", offset: 0 },
      { op: "acked", id: "2", stream, offset: 0 },
    ],
    [
      { op: "unsubscribe", id: "3", stream: "user:me" },
      { op: "unsubscribed", id: "3", stream },
    ],
  ] as const) {
    assert.deepEqual(await socket.ask(message), answer);
  }
});

test("after unsubscribing no entry arrives, and unsubscribing again is harmless", async (t) => {
  const { prism, shop, socket } = await setUp(t);
  const stream = `project:${shop.id}`;
  await socket.ask({ op: "subscribe", id: "1", stream });
  await socket.ask({ op: "unsubscribe", id: "2", stream });
  await prism.post("/events", { type: "unheard" }, { apiKey: shop.apiKey });
  assert.equal((await socket.ask({ op: "unsubscribe", id: "3", stream }))["op"], "unsubscribed");
  await socket.ask({ op: "subscribe", id: "4", stream });
  await prism.post("/events", { type: "heard" }, { apiKey: shop.apiKey });
  assert.equal((await socket.expect({ op: "event" }))["type"], "heard");
});

test("a second subscribe replaces the first, from its own offset", async (t) => {
  const { prism, shop, socket } = await setUp(t);
  const stream = `project:${shop.id}`;
  await socket.ask({ op: "subscribe", id: "1", stream });
  await prism.post("/events", { type: "a" }, { apiKey: shop.apiKey });
  await socket.expect({ op: "event", offset: 1 });
  await socket.ask({ op: "subscribe", id: "2", stream, from: "earliest" });
  await prism.post("/events", { type: "b" }, { apiKey: shop.apiKey });
  await socket.expect({ op: "event", offset: 2 });
  assert.deepEqual(
    socket.all({ op: "event" }).map(({ offset }) => offset),
    [1, 1, 2],
    "the replay, then each live entry once",
  );
});

test("a refused request is answered with its id, a code and the upgrade's request id; the connection stays open", async (t) => {
  const { prism, shop } = await setUp(t);
  const { token } = await makeUser(prism, "uma", ["Viewer"]);
  const socket = await WebSocketClient.openFor(t, `${prism.wsUrl}/ws`, {
    headers: { Authorization: `Bearer ${token}`, "X-Request-Id": "upgrade-1" },
  });
  const stream = "user:me";
  for (const [name, message, code] of [
    ["another user's stream", { op: "subscribe", stream: `user:${UNKNOWN_ID}` }, "CHANNEL_FORBIDDEN"],
    ["a project one is no member of", { op: "subscribe", stream: `project:${shop.id}` }, "CHANNEL_FORBIDDEN"],
    ["a project that does not exist", { op: "subscribe", stream: `project:${UNKNOWN_ID}` }, "CHANNEL_FORBIDDEN"],
    ["a slug", { op: "subscribe", stream: "project:shop" }, "CHANNEL_FORBIDDEN"],
    ["a kind that is not served", { op: "subscribe", stream: "weather:berlin" }, "CHANNEL_FORBIDDEN"],
    ["a wildcard", { op: "subscribe", stream: "project:*" }, "CHANNEL_FORBIDDEN"],
    ["no name", { op: "subscribe", stream: "" }, "CHANNEL_FORBIDDEN"],
    [
      "acknowledging another user's stream",
      { op: "ack", stream: `user:${UNKNOWN_ID}`, offset: 1 },
      "CHANNEL_FORBIDDEN",
    ],
    ["acknowledging a project", { op: "ack", stream: `project:${shop.id}`, offset: 1 }, "CHANNEL_FORBIDDEN"],
    ["no stream", { op: "subscribe" }, "VALIDATION_FAILED"],
    ["no op", { stream }, "VALIDATION_FAILED"],
    ["an op that is none", { op: "publish", stream }, "VALIDATION_FAILED"],
    ["a member too many", { op: "subscribe", stream, form: 1 }, "VALIDATION_FAILED"],
    ["a negative offset", { op: "subscribe", stream, from: -1 }, "VALIDATION_FAILED"],
    ["half an offset", { op: "subscribe", stream, from: 0.5 }, "VALIDATION_FAILED"],
    ["an offset in words", { op: "subscribe", stream, from: "first" }, "VALIDATION_FAILED"],
    ["a level that is none", { op: "subscribe", stream, filter: { level: ["loud"] } }, "VALIDATION_FAILED"],
    ["acknowledging without offset", { op: "ack", stream }, "VALIDATION_FAILED"],
    ["a token that is none", { op: "auth", token: "nonsense" }, "TOKEN_INVALID"],
    ["another user's token", { op: "auth", token: prism.adminToken }, "FORBIDDEN"],
    ["an API key on a user's connection", { op: "auth", token: shop.apiKey }, "FORBIDDEN"],
  ] as const) {
    const answer = await socket.ask({ ...message, id: name });
    assert.deepEqual([answer["op"], codeOf(answer)], ["error", code], name);
    const { requestId, message: said } = answer["error"] as Record<string, unknown>;
    assert.equal(requestId, "upgrade-1", name);
    assert.equal(typeof said, "string", name);
  }
  assert.equal((await socket.ask({ op: "ping", id: "still there" }))["op"], "pong");
});

test("an API key follows its own project, and no user", async (t) => {
  const { prism, shop } = await setUp(t);
  const other = await makeProject(prism, "other");
  const socket = await WebSocketClient.welcomed(t, prism.wsUrl, shop.apiKey);
  for (const [stream, op] of [
    [`project:${shop.id}`, "subscribed"],
    [`project:${other.id}`, "error"],
    ["user:me", "error"],
    [`user:${UNKNOWN_ID}`, "error"],
  ] as const) {
    assert.equal((await socket.ask({ op: "subscribe", id: stream, stream }))["op"], op, stream);
  }
  const { body: writer } = await prism.post<{ key: string }>(`/api/v1/projects/${shop.id}/keys`, {
    name: "writes only",
    scopes: ["events:write"],
  });
  const blind = await WebSocketClient.welcomed(t, prism.wsUrl, writer.key);
  const refused = await blind.ask({ op: "subscribe", id: "1", stream: `project:${shop.id}` });
  assert.equal(codeOf(refused), "CHANNEL_FORBIDDEN");
});

test("a text message that is not a JSON object closes with 4400", async (t) => {
  const { prism } = await setUp(t);
  for (const [name, message] of [
    ["no JSON", "hello"],
    ["half an object", '{"op":"ping"'],
    ["an array", "[]"],
    ["a number", "1"],
    ["null", "null"],
    ["nothing", ""],
    ["65 levels", `{"op":"ping","x":${"[".repeat(65)}${"]".repeat(65)}}`],
    ["bytes", Buffer.from('{"op":"ping"}')],
  ] as const) {
    const socket = await WebSocketClient.welcomed(t, prism.wsUrl, prism.adminToken);
    socket.send(message);
    assert.deepEqual(await socket.end, { code: 4400, reason: "malformed" }, name);
  }
});
