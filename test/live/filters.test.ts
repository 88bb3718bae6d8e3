import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { makeProject, makeUser } from "../helpers/people.ts";
import { startPrism } from "../helpers/prism.ts";
import { type Message, WebSocketClient } from "./support/web-socket-client.ts";

const EVENTS = [
  { type: "order.failed", level: "error" },
  { type: "order.failed", level: "warn" },
  { type: "order.paid", level: "info" },
  { type: "orders", level: "error" },
  { type: "login", level: "fatal", payload: { level: "debug", text: '"level":"info"' } },
  { type: "login", payload: { level: "error" } },
];

const FILTERS: readonly { readonly filter: Message; readonly wanted: readonly number[] }[] = [
  { filter: {}, wanted: [1, 2, 3, 4, 5, 6] },
  { filter: { type: "order.failed" }, wanted: [1, 2] },
  { filter: { type: "order.*" }, wanted: [1, 2, 3] },
  { filter: { type: "order*" }, wanted: [1, 2, 3, 4] },
  { filter: { type: "*" }, wanted: [1, 2, 3, 4, 5, 6] },
  { filter: { type: "order" }, wanted: [] },
  { filter: { type: "*.failed" }, wanted: [] },
  { filter: { type: "Order.*" }, wanted: [] },
  { filter: { level: ["error"] }, wanted: [1, 4] },
  { filter: { level: ["error", "fatal"] }, wanted: [1, 4, 5] },
  { filter: { level: ["debug"] }, wanted: [] },
  { filter: { type: "order.*", level: ["error", "info"] }, wanted: [1, 3] },
];

test("a filter passes matching entries, live and in the replay; the others count as handled", async (t) => {
  const prism = await startPrism(t);
  const shop = await makeProject(prism);
  const stream = `project:${shop.id}`;
  const publish = () => prism.post("/events", EVENTS, { apiKey: shop.apiKey });
  const live = await Promise.all(
    FILTERS.map(async ({ filter }) => {
      const client = await WebSocketClient.welcomed(t, prism.wsUrl, shop.apiKey);
      await client.ask({ op: "subscribe", id: "1", stream, filter });
      return client;
    }),
  );
  await publish();
  const replayed = await Promise.all(
    FILTERS.map(async ({ filter }) => {
      const client = await WebSocketClient.welcomed(t, prism.wsUrl, shop.apiKey);
      await client.ask({ op: "subscribe", id: "1", stream, filter, from: "earliest" });
      return client;
    }),
  );
  await publish();
  for (const [i, { filter, wanted }] of FILTERS.entries()) {
    const both = [...wanted, ...wanted.map((offset) => offset + EVENTS.length)];
    for (const client of [live[i], replayed[i]]) {
      assert.ok(client);
      const offsets = () => client.all({ op: "event" }).map(({ offset }) => offset);
      await eventually(JSON.stringify(filter), () => offsets().length >= both.length);
      assert.equal((await client.ask({ op: "ping", id: "end" }))["op"], "pong");
      assert.deepEqual(offsets(), both, JSON.stringify(filter));
    }
  }
});

test("a user's stream can be filtered by type", async (t) => {
  const prism = await startPrism(t);
  const uma = await makeUser(prism, "uma");
  const client = await WebSocketClient.welcomed(t, prism.wsUrl, uma.token);
  await client.ask({ op: "subscribe", id: "1", stream: "user:me", filter: { type: "unread-count" } });
  await prism.post("/api/v1/notifications", { recipients: [uma.id], title: "t", message: "m" });
  await prism.post("/api/v1/notifications/read-all", undefined, { token: uma.token });
  const { data } = await client.expect({ op: "event" });
  assert.deepEqual(data, { count: 0, unreadCount: 0 });
  assert.equal(client.all({ op: "event" }).length, 1);
});
