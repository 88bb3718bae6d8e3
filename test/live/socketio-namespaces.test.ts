import assert from "node:assert/strict";
import { once } from "node:events";
import test from "node:test";
import WebSocket from "ws";
import { logIn, makeAccount } from "../features/access/sessions/support/auth-client.ts";
import { eventually } from "../helpers/eventually.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { makeProject, makeUser } from "../helpers/people.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { CARRIERS, SocketIoClient } from "./support/socketio-client.ts";

async function publish(prism: TestPrism, stream: string): Promise<number> {
  const body = { stream, type: "chat", data: 1 };
  return (await prism.post<{ offset: number }>("/api/v1/realtime/publish", body)).body.offset;
}

function notify(prism: TestPrism, userId: string, title: string): Promise<unknown> {
  return prism.post("/api/v1/notifications", { userId, title, message: "x" });
}

const openCount = (prism: TestPrism): number => prism.parts.core.connections.counts.socketio;

for (const carrier of CARRIERS) {
  test(`over ${carrier} each namespace of a connection has its own caller and subscriptions`, async (t) => {
    const prism = await startPrism(t);
    const uma = await makeUser(prism, "uma", ["Viewer"]);
    const vic = await makeUser(prism, "vic", ["Viewer"]);
    const main = await SocketIoClient.ready(t, prism.url, carrier, { token: uma.token });
    const alerts = await main.join("/alerts", { token: vic.token });
    const news = await main.join("/a/b.c", { token: uma.token });
    assert.equal(openCount(prism), 3);

    await notify(prism, vic.id, "for vic");
    await notify(prism, uma.id, "for uma");
    await alerts.expect("notification", { title: "for vic" });
    for (const client of [main, news]) await client.expect("notification", { title: "for uma" });
    assert.deepEqual(
      [main, alerts, news].map((client) => client.all("notification").length),
      [1, 1, 1],
    );

    assert.equal((await alerts.ask("subscribe", { stream: "channel:a" })).ok, true);
    assert.equal((await main.ask("subscribe", { stream: "channel:b" })).ok, true);
    const [a, b] = [await publish(prism, "channel:a"), await publish(prism, "channel:b")];
    await alerts.expect("channel", { offset: a });
    await main.expect("channel", { offset: b });
    assert.deepEqual(
      [main, alerts, news].map((client) => client.all("channel").length),
      [1, 1, 0],
    );
    assert.equal((await news.ask("subscribe", { stream: "tasks:other" })).error?.code, "CHANNEL_FORBIDDEN");
  });

  test(`over ${carrier} a client that leaves a namespace keeps the others, and may join it again`, async (t) => {
    const prism = await startPrism(t);
    const token = prism.adminToken;
    const main = await SocketIoClient.ready(t, prism.url, carrier, { token });
    const alerts = await main.join("/alerts", { token });
    await alerts.ask("subscribe", { stream: "channel:a" });
    alerts.socket.disconnect();
    await eventually("alerts has left", () => openCount(prism) === 1);
    assert.equal((await main.ask("subscribe", { stream: "channel:a" })).ok, true);
    alerts.socket.connect();
    await eventually("alerts is back", () => alerts.all("ready").length === 2);

    main.socket.disconnect();
    assert.equal((await alerts.ask("subscribe", { stream: "channel:b" })).ok, true);
    main.socket.connect();
    await eventually("main is back", () => main.all("ready").length === 2);
    const offset = await publish(prism, "channel:a");
    const last = await publish(prism, "channel:b");
    await alerts.expect("channel", { offset: last });
    assert.deepEqual(
      [...main.all("channel"), ...alerts.all("channel")].map((entry) => entry["offset"]),
      [last],
    );
    assert.ok(offset < last, "what a client followed before it left is not followed any more");
    assert.equal(openCount(prism), 2);
    alerts.socket.io.engine.close();
    await eventually("none is left", () => openCount(prism) === 0);
  });

  test(`over ${carrier} the reason of a close is sent in every namespace`, async (t) => {
    const prism = await startPrism(t, { settings: { "auth.bcryptCost": "4" } });
    const token = prism.adminToken;
    await makeAccount(prism, { username: "uma" }, { roles: ["Admin"] });
    const uma = await logIn(prism, "uma");
    const main = await SocketIoClient.ready(t, `${prism.url}/first`, carrier, { token });
    const second = await main.join("/second", { token: uma.token });
    await prism.post("/api/v1/auth/logout", undefined, { token: uma.token });
    for (const client of [main, second]) assert.equal(await client.end, "4401 unauthenticated, stays away");

    const again = await SocketIoClient.ready(t, prism.url, carrier, { token });
    const beside = await again.join("/second", { token });
    for (let i = 0; i < 120; i++) beside.socket.emit("unsubscribe", { stream: "channel:a" });
    for (const client of [again, beside]) assert.equal(await client.end, "4429 rate, stays away");
    await eventually("none is left", () => openCount(prism) === 0);
  });
}

test("each namespace is authenticated, counted as a connection, and refused by itself", async (t) => {
  const prism = await startPrism(t, { settings: { "realtime.maxPerUser": "3" } });
  const token = prism.adminToken;
  const shop = await makeProject(prism);
  const main = await SocketIoClient.ready(t, prism.url, "websocket", { token });
  for (const [name, auth, message] of [
    ["/a1", {}, "UNAUTHENTICATED"],
    ["/a2", { token: "nonsense" }, "TOKEN_INVALID"],
    ["/a3", { token, offset: "1" }, "VALIDATION_FAILED"],
    [`/${"x".repeat(65)}`, { token }, "Invalid namespace"],
    ["/a b", { token }, "Invalid namespace"],
  ] as const) {
    const refusal = await main.tryToJoin(name, auth).refused();
    assert.equal(refusal["code"] ?? refusal["message"], message, name);
  }
  const second = await main.join("/b", { token });
  await main.join("/c", { token });
  assert.equal((await main.tryToJoin("/d", { token }).refused())["code"], "RATE_LIMITED");
  await main.join("/key", { token: shop.apiKey });
  second.socket.disconnect();
  await main.join("/e", { token });
  assert.equal(main.socket.connected, true);
});

test("a connection may join eight namespaces", async (t) => {
  const prism = await startPrism(t);
  const token = prism.adminToken;
  const client = await SocketIoClient.ready(t, `${prism.url}/n1`, "websocket", { token });
  for (let i = 2; i <= 8; i++) await client.join(`/n${i}`, { token });
  assert.equal((await client.tryToJoin("/n9", { token }).refused())["code"], "RATE_LIMITED");
  assert.equal(openCount(prism), 8);
});

test("a client that leaves its only namespace keeps the connection, which may join again", async (t) => {
  const prism = await startPrism(t);
  const socket = new WebSocket(`${prism.wsUrl}/socket.io/?EIO=4&transport=websocket`);
  t.after(() => socket.terminate());
  const texts: string[] = [];
  socket.on("message", (data) => texts.push(String(data)));
  await eventually("the handshake", () => texts.length === 1);
  const joined = (count: number) =>
    eventually("ready", () => texts.filter((text) => text.includes('["ready"')).length === count);
  socket.send(`40${JSON.stringify({ token: prism.adminToken })}`);
  await joined(1);
  socket.send("41");
  socket.send(`40/alerts,${JSON.stringify({ token: prism.adminToken })}`);
  await joined(2);
  assert.ok(texts.at(-1)?.startsWith('42/alerts,["ready",'), texts.at(-1));
  assert.equal(openCount(prism), 1);
  // Packets of a namespace that was left end the connection, as the protocol has it.
  socket.send('42["unsubscribe",{"stream":"channel:a"}]');
  await once(socket, "close");
  await eventually("none is left", () => openCount(prism) === 0);
});

test("namespaces continue over the WebSocket after the upgrade", async (t) => {
  const prism = await startPrism(t);
  const auth = { token: prism.adminToken };
  const main = SocketIoClient.start(t, prism.url, { auth, transports: ["polling", "websocket"] });
  const alerts = main.tryToJoin("/alerts", auth);
  for (const client of [main, alerts]) {
    await client.expect("ready");
    await client.ask("subscribe", { stream: "channel:a" });
  }
  await eventually("it has switched", () => main.socket.io.engine.transport.name === "websocket");
  const offset = await publish(prism, "channel:a");
  for (const client of [main, alerts]) await client.expect("channel", { offset });
  const next = await publish(prism, "channel:a");
  for (const client of [main, alerts]) await client.expect("channel", { offset: next });
  for (const client of [main, alerts]) assert.equal(client.all("channel").length, 2);
});

test("a message in one namespace counts as activity for all of the connection", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock });
  const main = await SocketIoClient.ready(t, prism.url, "websocket", { token: prism.adminToken });
  const alerts = await main.join("/alerts", { token: prism.adminToken });
  for (let i = 0; i < 4; i++) {
    clock.advance(40_000);
    assert.equal((await main.ask("unsubscribe", { stream: "channel:a" })).ok, true);
  }
  assert.equal((await alerts.ask("unsubscribe", { stream: "channel:a" })).ok, true);
});
