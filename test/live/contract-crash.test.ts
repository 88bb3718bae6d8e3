import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { gapsOf, numbersOf, offsetsOf } from "./support/live-client.ts";
import { RESUMING_PROTOCOLS, range } from "./support/live-server.ts";
import { SpawnedServer } from "./support/spawned-server.ts";

const BEFORE = 30;
/** Acknowledged before the kill, and possibly not announced. */
const AT_THE_KILL = 25;
const ALL = BEFORE + AT_THE_KILL;

test("S1-03, S3-13: after the process was killed", async (t) => {
  const server = await SpawnedServer.start(t);
  const clients = await Promise.all(
    RESUMING_PROTOCOLS.map(async (protocol) => ({ protocol, client: await protocol.connect(server.target) })),
  );
  const feed = server.newFeed();
  await feed.publish(BEFORE);
  await server.postNumbered(1, BEFORE);
  for (const { protocol, client } of clients) {
    await eventually(`${protocol.name} has what came before`, () => numbersOf(client).length === BEFORE);
  }
  await feed.publish(AT_THE_KILL);
  await server.postNumbered(BEFORE + 1, ALL);
  await server.kill();
  await server.run(feed.count);

  for (const { protocol, client } of clients) {
    await t.test(`${protocol.name} resumes after the last entry it handled, without gap or loss`, async (t) => {
      const resumed = await protocol.connect(server.target, { from: offsetsOf(client).at(-1) ?? "earliest" });
      t.after(() => resumed.close());
      const first = (numbersOf(client).at(-1) ?? 0) + 1;
      await eventually("the rest", () => numbersOf(resumed).length >= ALL - first + 1);
      assert.deepEqual(numbersOf(resumed), range(first, ALL));
      assert.deepEqual(gapsOf(resumed), []);
    });
  }

  const lastSeq = await server.newFeed().publish();
  await server.postNumbered(ALL + 1, ALL + 1);
  assert.ok(lastSeq > feed.lastSeq);
  for (const { protocol } of clients) {
    await t.test(`${protocol.name}: no offset is used twice`, async (t) => {
      const everything = await protocol.connect(server.target, { from: "earliest" });
      t.after(() => everything.close());
      await eventually("what came last", () => numbersOf(everything).length > ALL);
      assert.deepEqual(numbersOf(everything), range(1, ALL + 1));
      const offsets = offsetsOf(everything);
      assert.deepEqual(
        offsets,
        [...new Set(offsets)].sort((a, b) => a - b),
      );
    });
  }
});
