import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { makeProject, makeUser } from "../helpers/people.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { makeServiceToken } from "../http/support/access/makers.ts";
import { Refused } from "./support/live-client.ts";
import { type Message, WebSocketClient } from "./support/web-socket-client.ts";

const NOW = 1_700_000_000_000;

/** Opens the socket as S3's clients do. */
function open(t: TestContext, prism: TestPrism, token = prism.adminToken): Promise<WebSocketClient> {
  return WebSocketClient.openFor(t, `${prism.wsUrl}/ws/updates?token=${token}`);
}

/** Opens the socket and subscribes. */
async function follow(t: TestContext, prism: TestPrism, token?: string, since?: number): Promise<WebSocketClient> {
  const client = await open(t, prism, token);
  client.send({ type: "SUBSCRIBE_TASKS", ...(since === undefined ? {} : { since }) });
  await client.expect({ type: "TASKS_SUBSCRIBED" });
  return client;
}

async function make(prism: TestPrism, title: string, token = prism.adminToken): Promise<{ id: string }> {
  return (await prism.post<{ id: string }>("/api/tasks", { title }, { token })).body;
}

const titles = (client: WebSocketClient): unknown[] =>
  client.messages.flatMap(({ task }) => (task ? [(task as { title: string }).title] : []));
const offsets = (client: WebSocketClient): number[] =>
  client.messages.flatMap(({ task, offset }) => (task ? [Number(offset)] : []));

test("all messages, byte for byte", async (t) => {
  const clock = new FakeClock(NOW);
  const prism = await startPrism(t, { clock });
  const client = await open(t, prism);
  let heard = 0;
  const next = async (): Promise<string> => {
    await eventually("another message", () => client.texts.length > heard);
    return client.texts[heard++] ?? "";
  };

  await t.test("S3-30: it opens by ?token= and sends CONNECTED", async (t) => {
    keepsPromise(t, "S3-30");
    assert.equal(await next(), `{"type":"CONNECTED","timestamp":${NOW}}`);
  });

  await t.test("S3-31: PING is answered by PONG with the time", async (t) => {
    keepsPromise(t, "S3-31");
    clock.advance(1);
    client.send(JSON.stringify({ type: "PING" }));
    assert.equal(await next(), `{"type":"PONG","timestamp":${NOW + 1}}`);
  });

  await t.test("S3-32 S3-33 S3-12: a subscriber receives created, changed and deleted tasks", async (t) => {
    keepsPromise(t, ["S3-12", "S3-32", "S3-33"]);
    await make(prism, "before");
    client.send(JSON.stringify({ type: "SUBSCRIBE_TASKS" }));
    assert.equal(await next(), '{"type":"TASKS_SUBSCRIBED","offset":1}');
    const task = { title: "Task Title", description: "Task Description", status: "TODO", priority: 1 };
    const made = await prism.post<{ id: string }>("/api/tasks", task);
    const at = `"offset":2,"timestamp":${NOW + 1}}`;
    const { id } = made.body;
    assert.equal(await next(), `{"type":"TASK_CREATED","task":${made.text},"taskId":"${id}",${at}`);
    clock.advance(10);
    const changed = await prism.put(`/api/tasks/${id}`, { status: "IN_PROGRESS" });
    const then = `"timestamp":${NOW + 11}}`;
    assert.equal(await next(), `{"type":"TASK_UPDATED","task":${changed.text},"taskId":"${id}","offset":3,${then}`);
    await prism.delete(`/api/tasks/${id}`);
    // As it was last.
    assert.equal(await next(), `{"type":"TASK_DELETED","task":${changed.text},"taskId":"${id}","offset":4,${then}`);
  });

  await t.test("S3-32: after unsubscribing nothing arrives, and the client may subscribe again", async (t) => {
    keepsPromise(t, "S3-32");
    client.send(JSON.stringify({ type: "UNSUBSCRIBE_TASKS" }));
    assert.equal(await next(), '{"type":"TASKS_UNSUBSCRIBED"}');
    await make(prism, "unheard");
    client.send('{"type":"SUBSCRIBE_TASKS"}');
    assert.equal(await next(), '{"type":"TASKS_SUBSCRIBED","offset":5}');
    await make(prism, "heard");
    assert.match(await next(), /"title":"heard"/);
  });

  await t.test("members that the server does not know are ignored", async () => {
    client.send({ type: "PING", id: 3, at: 17 });
    assert.match(await next(), /^\{"type":"PONG","timestamp":/);
    client.send({ type: "SUBSCRIBE_TASKS", userId: "me" });
    assert.match(await next(), /^\{"type":"TASKS_SUBSCRIBED"/);
  });

  await t.test("a refused request gets an error, and the socket stays open", async () => {
    for (const said of [
      { type: "SUBSCRIBE" },
      { type: "SUBSCRIBE_TASKS", since: -1 },
      { type: "SUBSCRIBE_TASKS", since: "4" },
      {},
    ]) {
      client.send(said);
      const { type, code, message, details } = JSON.parse(await next()) as Message;
      assert.deepEqual([type, code, typeof message], ["ERROR", "VALIDATION_FAILED", "string"], JSON.stringify(said));
      assert.ok(Array.isArray(details) && details.length > 0, JSON.stringify(said));
    }
    client.send("no JSON");
    assert.deepEqual(await client.end, { code: 4400, reason: "malformed" });
    assert.equal(client.texts.length, heard);
  });
});

test("S3-13: with `since` a client receives missed entries, in order, then live ones", async (t) => {
  const prism = await startPrism(t);
  const first = await follow(t, prism);
  await make(prism, "a");
  await eventually("one is heard", () => titles(first).length === 1);
  await first.close();
  for (const title of ["b", "c"]) await make(prism, title);
  const again = await follow(t, prism, prism.adminToken, offsets(first)[0] ?? 0);
  await make(prism, "d");
  await eventually("the rest", () => titles(again).length === 3);
  assert.deepEqual(titles(again), ["b", "c", "d"]);
  assert.deepEqual(offsets(again), [2, 3, 4]);
  const behind = await follow(t, prism, prism.adminToken, 1000);
  await eventually("everything that is kept", () => titles(behind).length === 4);
  assert.deepEqual(behind.all({ type: "GAP" }), [{ type: "GAP", from: 1000, to: 0 }]);
});

test("a second SUBSCRIBE does not cut off the replay of the first", async (t) => {
  const prism = await startPrism(t);
  for (let i = 0; i < 150; i++) await make(prism, String(i));
  const client = await open(t, prism);
  client.send({ type: "SUBSCRIBE_TASKS", since: 0 });
  client.send({ type: "SUBSCRIBE_TASKS" });
  await eventually("both are answered", () => client.all({ type: "TASKS_SUBSCRIBED" }).length === 2);
  await make(prism, "150");
  await eventually("all tasks", () => titles(client).length === 151);
  assert.deepEqual(
    titles(client),
    Array.from({ length: 151 }, (_, i) => String(i)),
  );
});

test("a socket sends only its user's own tasks, whatever the user may read", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma", ["User"]);
  const admin = await follow(t, prism, prism.adminToken, 0);
  const hers = await follow(t, prism, uma.token);
  const too = await follow(t, prism, uma.token);
  await make(prism, "the admin's");
  await make(prism, "uma's", uma.token);
  await make(prism, "the admin's, too");
  for (const client of [hers, too]) {
    await eventually("hers", () => titles(client).length === 1);
    assert.deepEqual(titles(client), ["uma's"]);
  }
  await eventually("the admin's", () => titles(admin).length === 2);
  assert.deepEqual(titles(admin), ["the admin's", "the admin's, too"]);
});

test("the same entries come over the native socket's stream tasks:me", async (t) => {
  const prism = await startPrism(t);
  const native = await WebSocketClient.welcomed(t, prism.wsUrl, prism.adminToken);
  await native.ask({ op: "subscribe", id: "1", stream: "tasks:me" });
  const client = await follow(t, prism);
  const { id } = await make(prism, "t");
  await prism.put(`/api/tasks/${id}`, { status: "DONE" });
  await eventually("both", () => native.all({ op: "event" }).length === 2 && titles(client).length === 2);
  assert.deepEqual(
    native.all({ op: "event" }).map(({ type, data, offset }) => [type, data, offset]),
    client.messages.flatMap(({ type, task, offset }) => (task ? [[type, task, offset]] : [])),
  );
});

test("S3-10 S3-38: a caller without rights is refused before the upgrade; credentials are accepted in every position", async (t) => {
  keepsPromise(t, "S3-38");
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma", ["User"]);
  const eve = await makeUser(prism, "eve", ["Auditor"]);
  const { apiKey } = await makeProject(prism);
  const { token: forTasks } = await makeServiceToken(prism, uma.id, { scopes: ["tasks:own"] });
  const { token: forEvents } = await makeServiceToken(prism, uma.id, { scopes: ["events:write"] });
  const ticket = async (stream?: string) =>
    (await prism.post<{ ticket: string }>("/api/v1/realtime/ticket", { stream }, { token: uma.token })).body.ticket;
  const url = `${prism.wsUrl}/ws/updates`;
  for (const [name, query, options, answer] of [
    ["a header", "", { headers: { Authorization: `Bearer ${uma.token}` } }, "open"],
    ["a subprotocol", "", { protocols: ["prism.v1", `bearer.${uma.token}`] }, "open"],
    ["a service token for tasks", `?token=${forTasks}`, {}, "open"],
    ["a ticket", `?ticket=${await ticket()}`, {}, "open"],
    ["a ticket for these tasks", `?ticket=${await ticket("tasks:me")}`, {}, "open"],
    ["a ticket for another stream", `?ticket=${await ticket("user:me")}`, {}, "403 CHANNEL_FORBIDDEN"],
    ["nothing", "", {}, "401 UNAUTHENTICATED"],
    ["no token", "?token=nonsense", {}, "401 TOKEN_INVALID"],
    ["an API key", `?token=${apiKey}`, {}, "403 FORBIDDEN"],
    ["a role without tasks", `?token=${eve.token}`, {}, "403 UNAUTHORIZED_ROLE"],
    ["a service token for something else", `?token=${forEvents}`, {}, "403 UNAUTHORIZED_ROLE"],
    ["a foreign page", `?token=${uma.token}`, { headers: { Origin: "https://evil.example" } }, "403 ORIGIN_REFUSED"],
  ] as const) {
    const outcome = await WebSocketClient.open(url + query, options).then(
      async (client) => {
        await client.expect({ type: "CONNECTED" });
        await client.close();
        return "open";
      },
      (error: unknown) => (error instanceof Refused ? `${error.status} ${error.code}` : String(error)),
    );
    assert.equal(outcome, answer, name);
  }
});

test("a revoked right to tasks, and an expired token, close the socket", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock, settings: { "auth.accessExpires": "50s" } });
  const uma = await makeUser(prism, "uma", ["User"]);
  const vic = await makeUser(prism, "vic", ["User"]);
  const taken = await follow(t, prism, uma.token);
  const native = await WebSocketClient.welcomed(t, prism.wsUrl, uma.token);
  await native.ask({ op: "subscribe", id: "1", stream: "tasks:me" });
  const ended = await follow(t, prism, vic.token);
  await prism.patch(`/api/v1/users/${uma.id}`, { roles: ["Auditor"] });
  for (const client of [taken, native]) assert.deepEqual(await client.end, { code: 4403, reason: "forbidden" });
  clock.advance(51_000);
  assert.deepEqual(await ended.end, { code: 4401, reason: "expired" });
});

test("S3-11: task sockets have their own count, and their user is present", async (t) => {
  keepsPromise(t, "S3-11");
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma", ["User"]);
  const client = await open(t, prism, uma.token);
  assert.equal(prism.services.realtime.isLive(uma.id), true);
  const { body } = await prism.get<{ realtime: { connections: Record<string, number> } }>("/api/v1/status");
  assert.deepEqual(body.realtime.connections, {
    websocket: 0,
    pulse: 0,
    tasks: 1,
    sse: 0,
    socketio: 0,
    pusher: 0,
    ntfy: 0,
    gotify: 0,
  });
  assert.match((await prism.get("/metrics")).text, /^prism_ws_connections{transport="tasks"} 1$/m);
  await client.close();
  await eventually("it is gone", () => prism.parts.core.connections.counts.tasks === 0);
});

test("a failed write sends nothing and uses no offset", async (t) => {
  const prism = await startPrism(t);
  const client = await follow(t, prism);
  const { id } = await make(prism, "t");
  for (const reply of [
    await prism.put(`/api/tasks/${id}`, { status: "DONE" }, { headers: { "If-Match": '"7"' } }),
    await prism.put(`/api/tasks/${id}`, { status: "nonsense" }),
    await prism.post("/api/tasks", {}),
  ])
    assert.ok(reply.status >= 400);
  await make(prism, "last");
  await eventually("the last", () => titles(client).includes("last"));
  assert.deepEqual(titles(client), ["t", "last"]);
  assert.deepEqual(offsets(client), [1, 2]);
});

test("S3-38: tasks are compressed if the client accepts it, with the same content", async (t) => {
  keepsPromise(t, "S3-38");
  const prism = await startPrism(t);
  const url = `${prism.wsUrl}/ws/updates?token=${prism.adminToken}`;
  const clients = await Promise.all(
    [true, false].map(async (perMessageDeflate) => {
      const client = await WebSocketClient.openFor(t, url, { perMessageDeflate });
      client.send({ type: "SUBSCRIBE_TASKS" });
      await client.expect({ type: "TASKS_SUBSCRIBED" });
      return client;
    }),
  );
  const [packed, plain] = clients;
  assert.ok(packed && plain);
  assert.match(String(packed.upgradeHeaders["sec-websocket-extensions"]), /^permessage-deflate/);
  const before = clients.map(bytesRead);
  await prism.post("/api/tasks", { title: "long", description: "a".repeat(10_000) });
  for (const client of clients) await client.expect({ type: "TASK_CREATED" });
  assert.equal(packed.texts.at(-1), plain.texts.at(-1));
  const [packedBytes = 0, plainBytes = 0] = clients.map((client, i) => bytesRead(client) - (before[i] ?? 0));
  assert.ok(packedBytes < 1000 && plainBytes > 10_000, `${packedBytes}, ${plainBytes}`);
});

function bytesRead({ socket }: WebSocketClient): number {
  const { _socket } = socket as unknown as { _socket: { bytesRead: number } };
  return _socket.bytesRead;
}
