import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { makeUser } from "../helpers/people.ts";
import { gapsOf, numbersOf, offsetsOf } from "./support/live-client.ts";
import { LiveServer, PROTOCOLS, range } from "./support/live-server.ts";

for (const protocol of PROTOCOLS) {
  describe(`${protocol.name}: order`, () => {
    test("S1-03, S3-13: every client receives entries live, in the order of their offsets", async (t) => {
      const server = await LiveServer.start(t);
      const feed = server.feedOf(protocol);
      const clients = [await server.connect(protocol), await server.connect(protocol)];
      for (let i = 0; i < 5; i++) await feed.publish(20);
      for (const client of clients) {
        await eventually("everything", () => numbersOf(client).length >= 100);
        assert.deepEqual(numbersOf(client), range(1, 100));
        const offsets = offsetsOf(client);
        assert.deepEqual(
          offsets,
          offsets.toSorted((a, b) => a - b),
        );
        assert.equal(offsets.at(-1), feed.lastSeq);
        assert.deepEqual(gapsOf(client), []);
      }
    });

    test("concurrent writes reach all clients in the same order", async (t) => {
      const server = await LiveServer.start(t);
      const { id, token } = await makeUser(server.prism, "uma", ["Admin"]);
      const feed = server.feedOf(protocol, id);
      const [one, two] = [await server.connect(protocol, { token }), await server.connect(protocol, { token })];
      await Promise.all(Array.from({ length: 30 }, () => feed.publish(2)));
      await eventually("everything", () => one.items.length >= 60 && two.items.length >= 60);
      assert.deepEqual(two.items, one.items);
      const offsets = offsetsOf(one);
      assert.deepEqual(
        offsets,
        offsets.toSorted((a, b) => a - b),
      );
    });
  });
}
