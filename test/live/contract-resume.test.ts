import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { makeProject, makeUser } from "../helpers/people.ts";
import { EventFeed, type Feed } from "./support/feeds.ts";
import { gapsOf, type LiveClient, type LiveProtocol, numbersOf, offsetsOf } from "./support/live-client.ts";
import { LiveServer, RESUMING_PROTOCOLS, range, UNLIKE_PROTOCOLS } from "./support/live-server.ts";

/** More than one page of the history, so that a replay takes several. */
const SEVERAL_PAGES = 250;

/** Each way of Socket.IO with one of the two streams, unless all runs are wanted. */
const RESUMING = RESUMING_PROTOCOLS.filter(
  (protocol) => process.env["TEST_ALL_RUNS"] || UNLIKE_PROTOCOLS.includes(protocol),
);

for (const protocol of RESUMING) {
  describe(`${protocol.name}: resume`, () => {
    for (const from of [undefined, "latest"] as const) {
      test(`from ${from ?? "nowhere, which means latest,"} only what comes after is sent`, async (t) => {
        const server = await LiveServer.start(t);
        await server.feedOf(protocol).publish(10);
        const client = await server.connect(protocol, from === undefined ? {} : { from });
        await server.feedOf(protocol).publish(2);
        await allOf(client, 11, 12);
        if (client.head !== null) assert.equal(client.head, server.feedOf(protocol).lastSeq - 2);
      });
    }

    test("earliest replays everything that is kept, then continues live", async (t) => {
      const server = await LiveServer.start(t);
      await server.feedOf(protocol).publish(SEVERAL_PAGES);
      const client = await server.connect(protocol, { from: "earliest" });
      await server.feedOf(protocol).publish(3);
      await allOf(client, 1, SEVERAL_PAGES + 3);
      assert.deepEqual(gapsOf(client), []);
    });

    test("the server sends all events later than the offset that the client gives, which is exclusive", async (t) => {
      const server = await LiveServer.start(t);
      const offset = await server.feedOf(protocol).publish(40);
      await server.feedOf(protocol).publish(SEVERAL_PAGES);
      const client = await server.connect(protocol, { from: offset });
      await server.feedOf(protocol).publish();
      await allOf(client, 41, 40 + SEVERAL_PAGES + 1);
      assert.ok(offsetsOf(client).every((sent) => sent > offset));
    });

    test("a client at the head misses nothing and receives no gap", async (t) => {
      const server = await LiveServer.start(t);
      const offset = await server.feedOf(protocol).publish(5);
      const client = await server.connect(protocol, { from: offset });
      await server.feedOf(protocol).publish();
      await allOf(client, 6, 6);
      assert.deepEqual(gapsOf(client), []);
    });

    test("a replay equals the live entries", async (t) => {
      const server = await LiveServer.start(t);
      const live = await server.connect(protocol);
      // One at a time: only the first event of a request is always decided in its commit.
      for (let n = 1; n <= 3; n++) await server.feedOf(protocol).publish(1, { paddingBytes: 700 });
      await allOf(live, 1, 3);
      const later = await server.connect(protocol, { from: "earliest" });
      await allOf(later, 1, 3);
      assert.deepEqual(later.items, live.items);
    });

    test("entries of another stream are neither sent nor reported as missed", async (t) => {
      const server = await LiveServer.start(t);
      const otherFeed = await feedOfOthers(server, protocol);
      const live = await server.connect(protocol);
      for (let i = 0; i < 3; i++) {
        await server.feedOf(protocol).publish();
        await otherFeed.publish(60);
      }
      await server.feedOf(protocol).publish();
      await allOf(live, 1, 4);
      const later = await server.connect(protocol, { from: "earliest" });
      await allOf(later, 1, 4);
      assert.deepEqual(gapsOf(later), []);
    });

    test("a client resumes across a restart of the server", async (t) => {
      const server = await LiveServer.start(t);
      const before = await server.connect(protocol, { from: "earliest" });
      await server.feedOf(protocol).publish(10);
      await allOf(before, 1, 10);
      const handled = offsetsOf(before)[5] ?? 0;
      await server.restart();
      assert.equal(await before.end, protocol.ends.restart);
      await server.feedOf(protocol).publish(5);
      const after = await server.connect(protocol, { from: handled });
      await server.feedOf(protocol).publish(5);
      await allOf(after, 7, 20);
      assert.deepEqual(gapsOf(after), []);
    });
  });

  describe(`${protocol.name}: gaps`, () => {
    test("a gap replaces deleted events", async (t) => {
      const clock = new FakeClock();
      const server = await LiveServer.start(t, { clock });
      const lastDeleted = await server.feedOf(protocol).publish(20);
      clock.advance(60_000);
      await server.feedOf(protocol).publish(5);
      await server.deleteBefore(protocol, clock.now());
      const client = await server.connect(protocol, { from: lastDeleted - 12 });
      await allOf(client, 21, 25);
      assert.deepEqual(client.items[0], { kind: "gap", from: lastDeleted - 12, to: lastDeleted });
      assert.equal(gapsOf(client).length, 1);
    });

    test("a gap at the head is sent before any live entry", async (t) => {
      const server = await LiveServer.start(t);
      const first = await server.feedOf(protocol).publish();
      const last = await server.feedOf(protocol).publish(3);
      await server.deleteBefore(protocol, Date.now() + 60_000);
      const client = await server.connect(protocol, { from: first });
      await server.feedOf(protocol).publish();
      await allOf(client, 5, 5);
      assert.deepEqual(client.items[0], { kind: "gap", from: first, to: last });
    });

    test("a client that resumes at the end of a gap does not receive it again", async (t) => {
      const server = await LiveServer.start(t);
      const last = await server.feedOf(protocol).publish(4);
      await server.deleteBefore(protocol, Date.now() + 60_000);
      await server.feedOf(protocol).publish();
      const client = await server.connect(protocol, { from: last });
      await allOf(client, 5, 5);
      assert.deepEqual(gapsOf(client), []);
    });

    test("an offset beyond the head gets a gap, then the oldest kept", async (t) => {
      const server = await LiveServer.start(t);
      const head = await server.feedOf(protocol).publish(5);
      const client = await server.connect(protocol, { from: head + 1000 });
      await server.feedOf(protocol).publish();
      await allOf(client, 1, 6);
      assert.deepEqual(client.items[0], { kind: "gap", from: head + 1000, to: 0 });
      assert.equal(gapsOf(client).length, 1);
    });
  });
}

async function allOf(client: LiveClient, first: number, last: number): Promise<void> {
  await eventually(`events ${first} to ${last}`, () => numbersOf(client).length >= last - first + 1);
  assert.deepEqual(numbersOf(client), range(first, last));
}

/** Of another project, or another user. */
async function feedOfOthers(server: LiveServer, protocol: LiveProtocol): Promise<Feed> {
  const { prism } = server;
  if (protocol.follows !== "project") return server.feedOf(protocol, (await makeUser(prism, "uma")).id);
  return new EventFeed(prism.url, (await makeProject(prism, "other")).apiKey);
}
