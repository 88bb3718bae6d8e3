import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { lastingPort } from "../helpers/free-ports.ts";
import { makeProject, makeUser } from "../helpers/people.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { CARRIERS, SocketIoClient } from "./support/socketio-client.ts";

async function notify(prism: TestPrism, userId: string, titles: readonly string[]): Promise<void> {
  for (const title of titles) await prism.post("/api/v1/notifications", { userId, title, message: "x" });
}

function titlesOf(client: SocketIoClient): unknown[] {
  return client.all("notification").map(({ title }) => title);
}

for (const carrier of CARRIERS) {
  test(`over ${carrier} auth.offset replays missed entries, then ready reports how many`, async (t) => {
    const prism = await startPrism(t);
    const uma = await makeUser(prism, "uma");
    const auth = { token: uma.token };
    await notify(prism, uma.id, ["1", "2", "3"]);
    const all = await SocketIoClient.ready(t, prism.url, carrier, { ...auth, offset: 0 });
    assert.deepEqual(titlesOf(all), ["1", "2", "3"]);
    assert.equal(all.events.at(-1)?.name, "ready");
    const [first, , last] = all.all("notification");
    const ready = all.all("ready")[0];
    assert.deepEqual([ready?.["userId"], ready?.["offset"], ready?.["replayed"]], [uma.id, last?.["offset"], 3]);

    const rest = await SocketIoClient.ready(t, prism.url, carrier, { ...auth, offset: first?.["offset"] });
    assert.deepEqual(titlesOf(rest), ["2", "3"]);
    const nothing = await SocketIoClient.ready(t, prism.url, carrier, { ...auth, offset: last?.["offset"] });
    assert.deepEqual([titlesOf(nothing), nothing.all("ready")[0]?.["replayed"], nothing.all("gap")], [[], 0, []]);

    const ahead = (last?.["offset"] as number) + 1000;
    const future = await SocketIoClient.ready(t, prism.url, carrier, { ...auth, offset: ahead });
    assert.deepEqual(future.events[0], {
      name: "gap",
      payload: { stream: `user:${uma.id}`, from: ahead, to: 0 },
    });
    assert.deepEqual(titlesOf(future), ["1", "2", "3"]);
  });
}

test("a client that starts by polling upgrades to a WebSocket and misses nothing", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const clients = Array.from({ length: 10 }, () =>
    SocketIoClient.start(t, prism.url, { auth: { token: shop.apiKey } }),
  );
  let sent = 0;
  const send = () => prism.post("/events", { type: "tick", payload: { n: ++sent } }, { apiKey: shop.apiKey });
  for (const client of clients) {
    await client.expect("ready");
    assert.equal((await client.ask("subscribe", { stream: `project:${shop.id}`, from: "earliest" })).ok, true);
    await send();
  }
  for (const client of clients)
    await eventually("all are upgraded", () => client.socket.io.engine.transport.name === "websocket");
  for (let i = 0; i < 20; i++) await send();
  const wanted = Array.from({ length: sent }, (_, i) => i + 1);
  for (const client of clients) {
    const numbers = () => client.all("event").map(({ payload }) => (payload as { n: number }).n);
    await eventually("everything", () => numbers().length >= sent);
    assert.deepEqual(numbers(), wanted);
  }
});

test("S3-39: clients reconnect by themselves after a restart and resume where they were", async (t) => {
  const prism = await startPrism(t, { settings: { port: String(await lastingPort()) } });
  const uma = await makeUser(prism, "uma");
  const clients = CARRIERS.map((carrier) => {
    let offset = 0;
    const client = SocketIoClient.start(t, prism.url, {
      transports: [carrier],
      reconnection: true,
      reconnectionDelay: 50,
      auth: (give) => give({ token: uma.token, offset }),
    });
    client.socket.on("notification", (notification: { offset: number }) => {
      offset = Math.max(offset, notification.offset);
    });
    return client;
  });
  for (const client of clients) await client.expect("ready");
  await notify(prism, uma.id, ["before"]);
  for (const client of clients) await client.expect("notification", { title: "before" });
  await prism.restart();
  await notify(prism, uma.id, ["after"]);
  for (const client of clients) {
    await client.expect("notification", { title: "after" });
    assert.deepEqual(titlesOf(client), ["before", "after"]);
    assert.deepEqual(client.all("closing")[0], { code: 1012, reason: "restart", reconnect: true });
  }
});

for (const carrier of CARRIERS) {
  test(`over ${carrier} expiry is announced, postponed by a new token, and then closes the connection`, async (t) => {
    const clock = new FakeClock();
    const prism = await startPrism(t, { clock, settings: { "auth.accessExpires": "90s" } });
    const renewing = await SocketIoClient.ready(t, prism.url, carrier, { token: prism.adminToken });
    const silent = await SocketIoClient.ready(t, prism.url, carrier, { token: prism.adminToken });
    clock.advance(40_000);
    for (const client of [renewing, silent])
      assert.equal(typeof (await client.expect("auth:expiring"))["expiresAt"], "string");
    const { body } = await prism.get<{ token: string }>("/dev/token", { token: null });
    assert.equal((await renewing.ask("auth", { token: body.token })).ok, true);
    assert.equal((await silent.ask("unsubscribe", { stream: "channel:a" })).ok, true);
    clock.advance(51_000);
    assert.equal(await silent.end, "4401 expired, comes back");
    assert.equal(silent.socket.active, true, "the library connects again with what its application has then");
    assert.equal((await renewing.ask("subscribe", { stream: "channel:a" })).ok, true);
  });
}
