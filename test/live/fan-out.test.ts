import type { TemplatedApp } from "uWebSockets.js";
import assert from "node:assert/strict";
import test from "node:test";
import { Hub } from "../../src/live/hub.ts";
import { nativeProtocol } from "../../src/live/protocols/native-socket.ts";
import type { StreamEntry, StreamRef } from "../../src/live/stream.ts";
import { TopicBroadcaster } from "../../src/live/topic-broadcaster.ts";
import { eventually } from "../helpers/eventually.ts";
import { numbersOf } from "./support/live-client.ts";
import { LiveServer } from "./support/live-server.ts";
import { nativeProtocol as nativeClient } from "./support/native-protocol.ts";
import { WebSocketClient } from "./support/web-socket-client.ts";

const shop: StreamRef = { kind: "project", projectId: "01980000-0000-7000-8000-000000000001" };

test("an event reaches a thousand sockets in one publish, and slow sockets are checked once per 64 KiB", () => {
  const published: string[] = [];
  const app = { publish: (topic: string) => published.push(topic) } as unknown as TemplatedApp;
  const hub = new Hub(
    { read: () => ({ entries: [], isEnd: true }), gaps: () => [], last: () => undefined },
    { events: 0, log: 0 },
  );
  const broadcaster = new TopicBroadcaster(app, hub, "websocket", nativeProtocol.entryText);
  let looks = 0;
  const followers = Array.from({ length: 1000 }, () => ({
    id: null,
    publish: () => undefined,
    detachIfSlow: () => void looks++,
  }));
  for (const follower of followers) broadcaster.joined(shop, follower);
  const data = JSON.stringify({ payload: "x".repeat(800) });
  for (let offset = 1; offset <= 60; offset++) hub.publish(shop, entryOf(offset, data));
  assert.equal(published.length, 60);
  assert.equal(looks, 0, "59 KiB so far");
  for (let offset = 61; offset <= 70; offset++) hub.publish(shop, entryOf(offset, data));
  assert.deepEqual([published.length, looks], [70, 1000]);

  for (const follower of followers) broadcaster.left(shop, follower);
  assert.equal(hub.hasNoListeners, true);
  hub.publish(shop, entryOf(71, data));
  assert.equal(published.length, 70, "no follower is left");
});

function entryOf(offset: number, data: string): StreamEntry {
  return { offset, type: "tick", data, at: 0, correlationId: "c" };
}

test("sockets with and without a filter, with one stream and with several, all get each event once", async (t) => {
  const server = await LiveServer.start(t);
  const plain = await Promise.all(Array.from({ length: 40 }, () => server.connect(nativeClient)));
  const filtered = await WebSocketClient.welcomed(t, server.prism.wsUrl, server.prism.adminToken);
  const stream = `project:${server.projectId}`;
  await filtered.ask({ op: "subscribe", id: "1", stream, filter: { type: "tick" } });
  await filtered.ask({ op: "subscribe", id: "2", stream: "user:me" });
  await server.feed.publish(200, { paddingBytes: 2000 });
  const wanted = Array.from({ length: 200 }, (_, i) => i + 1);
  await eventually("all clients have all entries", () => plain.every((client) => numbersOf(client).length >= 200));
  for (const client of plain) assert.deepEqual(numbersOf(client), wanted);
  await eventually("the filtered too", () => filtered.all({ op: "event" }).length >= 200);
  assert.equal(filtered.all({ op: "event" }).length, 200);
});
