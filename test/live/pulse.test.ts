import assert from "node:assert/strict";
import test from "node:test";
import { toRfc3339 } from "../../src/core/time/clock.ts";
import { eventually } from "../helpers/eventually.ts";
import { makeProject } from "../helpers/people.ts";
import { startPrism } from "../helpers/prism.ts";
import { keepsPromise } from "../helpers/promise.ts";
import { WebSocketClient } from "./support/web-socket-client.ts";

test("S1-39: the messages of WS /realtime/:projectId, byte for byte", async (t) => {
  keepsPromise(t, "S1-39");
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  await prism.post("/ingest", { type: "before" }, { apiKey: shop.apiKey });
  const client = await WebSocketClient.openFor(t, `${prism.wsUrl}/realtime/${shop.id}`, {
    headers: { Authorization: `Bearer ${prism.adminToken}` },
  });
  await client.expect({ type: "connected" });
  assert.deepEqual(client.texts, [`{"type":"connected","projectId":"${shop.id}","offset":1}`]);

  const event = { type: "order.failed", level: "error", payload: { amount: 12.5, text: "ü\n" } };
  const reply = await prism.post<{ id: string }>("/ingest", event, { apiKey: shop.apiKey });
  assert.equal(reply.status, 202, reply.text);
  const { event: told } = await client.expect({ type: "event" });
  assert.equal(client.texts[1], `{"type":"event","offset":2,"event":${JSON.stringify(told)}}`);
  const stored = await prism.get<{ data: object[] }>("/events", { apiKey: shop.apiKey });
  assert.deepEqual({ ...(told as object), processedAt: 0 }, { ...stored.body.data[0], processedAt: 0 });
  assert.deepEqual((told as { payload: unknown }).payload, event.payload);

  client.send({ type: "ping" });
  await client.expect({ type: "pong" });
  assert.equal(client.texts[2], '{"type":"pong"}');
  assert.equal(client.texts.length, 3);
});

test("from and lastEventId resume alike; a gap is a message of its own", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  for (const type of ["a", "b", "c"]) await prism.post("/ingest", { type }, { apiKey: shop.apiKey });
  for (const query of ["from=1", "lastEventId=1", "from=1&lastEventId=3"]) {
    const client = await WebSocketClient.openFor(t, `${prism.wsUrl}/realtime/shop?${query}&token=${shop.apiKey}`);
    await eventually("two events", () => client.texts.length === 3);
    assert.deepEqual(
      client.messages.slice(1).map(({ offset }) => offset),
      [2, 3],
      query,
    );
  }
  const empty = await WebSocketClient.openFor(t, `${prism.wsUrl}/realtime/shop?from=&token=${shop.apiKey}`);
  await empty.expect({ type: "connected" });

  const before = toRfc3339(Date.now() + 60_000);
  assert.equal((await prism.delete(`/api/v1/projects/${shop.id}/events?before=${before}`)).status, 200);
  const client = await WebSocketClient.openFor(t, `${prism.wsUrl}/realtime/shop?from=1&token=${shop.apiKey}`);
  await client.expect({ type: "gap" });
  assert.equal(client.texts[1], '{"type":"gap","from":1,"to":3}');
  assert.deepEqual(empty.texts.slice(1), [], "who is live is at the head already");
});

test("a client may send only ping", async (t) => {
  const prism = await startPrism(t);
  for (const message of ['{"type":"subscribe"}', "{}", "ping", '["ping"]']) {
    const client = await WebSocketClient.openFor(t, `${prism.wsUrl}/realtime/default?token=${prism.adminToken}`);
    client.send(message);
    assert.deepEqual(await client.end, { code: 4400, reason: "malformed" }, message);
  }
});

test("S1-03: two subscribers of either socket see the same events in the same order", async (t) => {
  keepsPromise(t, "S1-03");
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const pulse: WebSocketClient[] = [];
  const native: WebSocketClient[] = [];
  for (let i = 0; i < 2; i++) {
    pulse.push(await WebSocketClient.openFor(t, `${prism.wsUrl}/realtime/shop?token=${shop.apiKey}`));
    const client = await WebSocketClient.welcomed(t, prism.wsUrl, shop.apiKey);
    await client.ask({ op: "subscribe", id: "1", stream: `project:${shop.id}` });
    native.push(client);
  }
  // Several requests at a time: their order is the server's to decide, once for all.
  await Promise.all(
    Array.from({ length: 60 }, (_, i) =>
      prism.post("/ingest", { type: "tick", payload: { n: i } }, { apiKey: shop.apiKey }),
    ),
  );
  const clients = [...pulse, ...native];
  const seen = (client: WebSocketClient) =>
    client.messages.flatMap(({ event, data, offset }) => {
      const { payload } = (event ?? data ?? {}) as { payload?: { n: number } };
      return payload ? [`${offset}: ${payload.n}`] : [];
    });
  await eventually("all have all", () => clients.every((client) => seen(client).length === 60));
  for (const client of clients) assert.deepEqual(seen(client), seen(pulse[0] ?? client));
});
