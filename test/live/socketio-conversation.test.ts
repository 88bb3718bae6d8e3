import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { makeProject, makeUser } from "../helpers/people.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { CARRIERS, type Payload, SocketIoClient } from "./support/socketio-client.ts";

async function publish(prism: TestPrism, stream: string, data: unknown): Promise<number> {
  const { status, body, text } = await prism.post<{ offset: number }>("/api/v1/realtime/publish", {
    stream,
    type: "chat",
    data,
  });
  assert.equal(status, 202, text);
  return body.offset;
}

for (const carrier of CARRIERS) {
  test(`over ${carrier} each request is answered, and entries arrive as the events of their stream's kind`, async (t) => {
    const prism = await startPrism(t);
    const shop = await makeProject(prism);
    const { body: me } = await prism.get<{ id: string }>("/api/v1/users/me");
    const client = await SocketIoClient.ready(t, prism.url, carrier, { token: prism.adminToken });

    for (const stream of ["channel:news", `project:${shop.id}`, "tasks:me", "messages:me"]) {
      const answer = await client.ask("subscribe", { stream });
      assert.deepEqual([answer.ok, answer["stream"]], [true, stream.replace(/:me$/, `:${me.id}`)]);
      assert.equal(typeof answer["offset"], "number");
    }
    const offset = await publish(prism, "channel:news", ["any", { json: true }]);
    const { ts, correlationId, ...channel } = await client.expect("channel", { offset });
    assert.deepEqual(channel, { stream: "channel:news", offset, type: "chat", data: ["any", { json: true }] });
    assert.deepEqual([typeof ts, typeof correlationId], ["string", "string"]);

    await prism.post("/events", { type: "order.failed", payload: { n: 1 } }, { apiKey: shop.apiKey });
    const event = await client.expect("event", { type: "order.failed" });
    assert.deepEqual(
      [event["stream"], event["offset"], event["payload"]],
      [`project:${shop.id}`, event["seq"], { n: 1 }],
    );

    const { body: task } = await prism.post<{ id: string }>("/api/tasks", { title: "write" });
    const { task: shown, ...told } = await client.expect("task", { type: "TASK_CREATED" });
    assert.equal((shown as Payload)["id"], task.id);
    assert.deepEqual([told["taskId"], told["stream"]], [task.id, `tasks:${me.id}`]);

    const { body: message } = await prism.post<{ id: string }>("/messages", { recipientId: me.id, content: "hello" });
    const delivered = await client.expect("message", { id: message.id });
    assert.equal(delivered["content"], "hello");
    assert.equal(typeof (await client.expect("message:status", { id: message.id }))["offset"], "number");

    assert.deepEqual(await client.ask("unsubscribe", { stream: "channel:news" }), { ok: true, stream: "channel:news" });
    const unheard = await publish(prism, "channel:news", 1);
    assert.equal((await client.ask("subscribe", { stream: "channel:news", from: unheard - 1 })).ok, true);
    await client.expect("channel", { offset: unheard });
    assert.equal(client.all("channel").length, 2);
  });

  test(`over ${carrier} reading a notification on one device updates all others`, async (t) => {
    const prism = await startPrism(t);
    const uma = await makeUser(prism, "uma");
    const vic = await makeUser(prism, "vic");
    const auth = { token: uma.token };
    const phone = await SocketIoClient.ready(t, prism.url, carrier, { ...auth, ack: true });
    const desk = await SocketIoClient.ready(t, prism.url, "websocket", { ...auth, ack: true });
    for (const title of ["one", "two"])
      await prism.post("/api/v1/notifications", { userId: uma.id, title, message: "x" });
    const [one, two] = [
      await phone.expect("notification", { title: "one" }),
      await desk.expect("notification", { title: "two" }),
    ];

    assert.deepEqual(await phone.ask("notification:read", { id: one["id"] }), { ok: true });
    const read = await desk.expect("notification:read", { id: one["id"] });
    assert.ok((read["offset"] as number) > (two["offset"] as number), "its own place in the stream");
    const counted = await desk.expect("unread-count", { count: 1 });
    assert.ok((counted["offset"] as number) > (read["offset"] as number));
    await prism.put(`/api/v1/notifications/${two["id"]}/acknowledge`, {}, { token: uma.token });
    await phone.expect("notification:acknowledged", { id: two["id"] });
    const opened = `/api/v1/notifications/${two["id"]}/webview-action`;
    await prism.post(opened, { action: "open" }, { token: uma.token });
    await phone.expect("notification:updated", { id: two["id"] });
    await prism.delete(`/api/v1/notifications/${two["id"]}`, { token: uma.token });
    await phone.expect("notification:deleted", { id: two["id"] });

    const deliveredOf = async ({ id }: Payload) =>
      (await prism.get(`/api/v1/notifications/${id}`, { token: uma.token })).body["delivered"];
    assert.equal(await deliveredOf(one), false, "the client says itself what it has got");
    assert.deepEqual(await phone.ask("ack", { offset: one["offset"] }), { ok: true, offset: one["offset"] });
    await eventually("delivered", async () => (await deliveredOf(one)) === true);

    const stranger = await SocketIoClient.ready(t, prism.url, carrier, { token: vic.token });
    const answer = await stranger.ask("notification:read", { id: one["id"] });
    assert.deepEqual([answer.ok, answer.error?.code], [false, "NOTIFICATION_NOT_FOUND"]);
  });

  test(`over ${carrier} a refused request is answered, or reported by an event, and the connection stays open`, async (t) => {
    const prism = await startPrism(t);
    const shop = await makeProject(prism);
    const uma = await makeUser(prism, "uma");
    const client = await SocketIoClient.ready(t, prism.url, carrier, { token: uma.token });
    for (const [event, payload, code] of [
      ["subscribe", { stream: `project:${shop.id}` }, "CHANNEL_FORBIDDEN"],
      ["subscribe", { stream: "nonsense" }, "CHANNEL_FORBIDDEN"],
      ["subscribe", { stream: "channel:a", from: -1 }, "VALIDATION_FAILED"],
      ["subscribe", undefined, "VALIDATION_FAILED"],
      ["subscribe", "channel:a", "VALIDATION_FAILED"],
      ["ack", { offset: "1" }, "VALIDATION_FAILED"],
      ["notification:read", { id: "none" }, "NOTIFICATION_NOT_FOUND"],
      ["auth", { token: prism.adminToken }, "FORBIDDEN"],
      ["auth", { token: "nonsense" }, "TOKEN_INVALID"],
      ["constructor", {}, "VALIDATION_FAILED"],
      ["publish", {}, "VALIDATION_FAILED"],
      ["error", {}, "VALIDATION_FAILED"],
    ] as const) {
      const answer = await client.ask(event, payload);
      assert.deepEqual([answer.ok, answer.error?.code], [false, code], `${event} ${JSON.stringify(payload)}`);
    }
    client.socket.emit("subscribe", { stream: "nonsense" });
    await client.expect("exception", { event: "subscribe", code: "CHANNEL_FORBIDDEN" });
    client.socket.emit("nonsense");
    await client.expect("exception", { event: "nonsense", code: "VALIDATION_FAILED" });
    const renewed = await client.ask("auth", { token: uma.token });
    assert.deepEqual([renewed.ok, typeof renewed["expiresAt"]], [true, "string"]);
    assert.equal(client.socket.connected, true);

    const key = await SocketIoClient.ready(t, prism.url, carrier, { token: shop.apiKey });
    assert.equal((await key.ask("notification:read", { id: "x" })).error?.code, "FORBIDDEN");
    assert.equal((await key.ask("subscribe", { stream: `project:${shop.id}` })).ok, true);
  });

  test(`over ${carrier} a connection may follow 64 streams`, async (t) => {
    const prism = await startPrism(t);
    const client = await SocketIoClient.ready(t, prism.url, carrier, { token: prism.adminToken });
    // Its own is one.
    for (let i = 0; i < 63; i++) assert.equal((await client.ask("subscribe", { stream: `channel:c${i}` })).ok, true);
    assert.equal((await client.ask("subscribe", { stream: "channel:more" })).error?.code, "RATE_LIMITED");
    assert.equal((await client.ask("subscribe", { stream: "channel:c0" })).ok, true);
  });
}
