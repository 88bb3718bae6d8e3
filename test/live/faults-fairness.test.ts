import assert from "node:assert/strict";
import { test } from "node:test";
import { microsOf } from "../../src/http/limits/work-budget.ts";
import type { StreamHistory } from "../../src/live/stream.ts";
import { eventually } from "../helpers/eventually.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { gapsOf, numbersOf } from "./support/live-client.ts";
import { LiveServer, PROJECT_PROTOCOLS, RESUMING_PROTOCOLS, range } from "./support/live-server.ts";
import { nativeProtocol } from "./support/native-protocol.ts";
import { adminOf, RAW_PROTOCOLS, RAW_SETTINGS } from "./support/raw-protocols.ts";
import { frame, RawSocket } from "./support/raw-socket.ts";
import { WebSocketClient } from "./support/web-socket-client.ts";

/**
 * Pages of history that all subscriptions together may read in a loop turn, twice: two turns may
 * fall between two looks.
 */
const MAX_PAGES = 8;

/** Counts pages that are read without the loop turning in between. */
function watchPages({ parts }: TestPrism): { most: number; all: number } {
  const pages = { most: 0, all: 0 };
  const { hub } = parts.core;
  const history = hub.history;
  const original = history.read.bind(history);
  let inTurn = 0;
  const read: StreamHistory["read"] = (stream, after, upTo) => {
    if (inTurn++ === 0) {
      setImmediate(() => {
        inTurn = 0;
      });
    }
    pages.all++;
    pages.most = Math.max(pages.most, inTurn);
    return original(stream, after, upTo);
  };
  Object.defineProperty(history, "read", { value: read });
  return pages;
}

test("many concurrent full replays, by every protocol, leave time for ingest and for all other clients", async (t) => {
  const server = await LiveServer.start(t, { settings: { "realtime.maxPerUser": "1000" } });
  await server.feed.publish(2000);
  const live = await server.connect(nativeProtocol);
  const pages = watchPages(server.prism);
  const readers = PROJECT_PROTOCOLS.filter((protocol) => RESUMING_PROTOCOLS.includes(protocol)).flatMap((protocol) =>
    Array.from({ length: 10 }, () => [protocol, { from: "earliest" }] as const),
  );
  const sentAt = performance.now();
  const clients = await server.connectAll(readers);
  await server.feed.publish();
  await eventually("it comes at once to who is live", () => live.items.length === 1);
  // Reading takes several seconds; a disk that takes as long for one commit says nothing about
  // fairness.
  assert.ok(
    clients.some((client) => numbersOf(client).length < 2000) || performance.now() - sentAt > 3000,
    "before the others have read everything",
  );
  for (const client of clients) {
    await eventually("the whole store", () => numbersOf(client).length === 2001, 60_000);
    assert.deepEqual(numbersOf(client), range(1, 2001));
    assert.deepEqual(gapsOf(client), []);
  }
  assert.ok(pages.all >= readers.length * 20);
  assert.ok(pages.most <= MAX_PAGES, `${pages.most} pages in one turn`);
});

test("a client that resubscribes to a full stream repeatedly delays no other, and receives each entry once", async (t) => {
  const clock = new FakeClock();
  const server = await LiveServer.start(t, { clock, settings: RAW_SETTINGS });
  const { prism } = server;
  await server.feed.publish(2000);
  const pages = watchPages(prism);
  const [native] = RAW_PROTOCOLS;
  assert.ok(native);
  const socket = await native.open(t, adminOf(prism));
  const stream = `project:${server.projectId}`;
  // Nothing of what is there: it is read and not sent, so that no slowness of the socket spares the
  // server anything.
  const again = frame(
    JSON.stringify({ op: "subscribe", id: "again", stream, from: "earliest", filter: { type: "x.*" } }),
  );
  for (let round = 1; round <= 10; round++) {
    clock.advance(2000);
    socket.send(...Array.from({ length: 99 }, () => again));
    await eventually(
      "the answers",
      () => socket.texts.filter((text) => text.includes('"again"')).length === round * 99,
    );
  }
  await server.feed.publish(1, { type: "x.y" });
  await eventually("the event", () => socket.texts.some((text) => text.includes('"x.y"')));
  clock.advance(2000);
  socket.send(frame('{"op":"ping"}'));
  await socket.expectText(native.pong);
  assert.equal(socket.texts.filter((text) => text.includes('"x.y"')).length, 1);
  assert.ok(pages.most <= MAX_PAGES, `${pages.most} pages in one turn`);
  socket.connection.reset();
  await eventually("no listener is left", () => prism.parts.core.hub.hasNoListeners);
});

test("clients that read a long history again and again wait for their owner's budget and get all of it in order; others do not wait", async (t) => {
  const clock = new FakeClock();
  const limits = { "work.projectMsPerSecond": "4", "work.creatorMsPerSecond": "4" };
  const server = await LiveServer.start(t, { clock, settings: limits });
  await server.feed.publish(1000);
  const { budget } = server.prism.parts.core.hub;
  const { charge } = budget;
  const micros: number[] = [];
  budget.charge = (reader, work) => {
    micros.push(microsOf(work));
    charge(reader, work);
  };
  const all = { from: "earliest" } as const;
  const replayed = PROJECT_PROTOCOLS.filter((protocol) => RESUMING_PROTOCOLS.includes(protocol));
  const clients = await server.connectAll([...replayed, ...replayed].map((protocol) => [protocol, all] as const));
  const sum = () => micros.reduce((total, each) => total + each, 0);
  await eventually("the burst of ten seconds is used up", () => sum() > 40_000);
  assert.ok(sum() - Math.max(...micros) <= 40_000, `${sum()} µs: debt ends the turns`);
  assert.ok(clients.some((client) => numbersOf(client).length < 1000));
  // A key has a budget apart from its owner's.
  const other = await server.connect(nativeProtocol, { ...all, token: server.apiKey });
  await eventually("the other has read it at once", () => numbersOf(other).length === 1000);
  assert.ok(clients.some((client) => numbersOf(client).length < 1000));
  await server.feed.publish(1);
  await eventually("all have all of it", () => {
    clock.advance(100);
    return clients.every((client) => numbersOf(client).length >= 1001);
  });
  for (const client of clients) assert.deepEqual([numbersOf(client), gapsOf(client)], [range(1, 1001), []]);
});

test("thousands of subscriptions and unsubscriptions leak nothing", async (t) => {
  const clock = new FakeClock();
  const prism = await startPrism(t, { clock, settings: RAW_SETTINGS });
  const client = await WebSocketClient.welcomed(t, prism.wsUrl, prism.adminToken);
  const channels = range(1, 64).map((n) => `channel:c${n}`);
  const say = (op: string, names: readonly string[]) => {
    for (const stream of names)
      client.send({ op, id: "x", stream, ...(op === "subscribe" ? { from: "earliest" } : {}) });
  };
  let answers = 0;
  const { hub } = prism.parts.core;
  for (let round = 0; round < 20; round++) {
    for (const op of ["subscribe", "unsubscribe"]) {
      clock.advance(2000);
      say(op, channels);
      answers += 64;
      await eventually("the answers", () => client.all({ id: "x" }).length === answers);
      assert.equal(hub.hasNoListeners, op === "unsubscribe");
    }
  }
  assert.equal(client.messages.filter((message) => "error" in message).length, 0);
  clock.advance(2000);
  say("unsubscribe", ["channel:never"]);
  say("subscribe", ["channel:c1"]);
  await prism.parts.offers.realtime.publish("channel:c2", "t", {});
  await prism.parts.offers.realtime.publish("channel:c1", "t", {});
  await eventually("the entry", () => client.all({ op: "event" }).length > 0);
  assert.deepEqual(
    client.all({ op: "event" }).map((message) => message["stream"]),
    ["channel:c1"],
  );
});

test("closing a socket during a replay stops its reading", async (t) => {
  const server = await LiveServer.start(t);
  const { prism } = server;
  await server.feed.publish(3000);
  const pages = watchPages(prism);
  const socket = await RawSocket.open(
    t,
    prism.app.port,
    `/realtime/${server.projectId}?token=${prism.adminToken}&from=0`,
  );
  socket.connection.reset();
  await eventually("no listener is left", () => prism.parts.core.hub.hasNoListeners);
  const { all } = pages;
  await server.feed.publish();
  assert.equal(pages.all, all);
});
