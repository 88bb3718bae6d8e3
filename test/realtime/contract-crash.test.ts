import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { gapsOf, numbersOf, offsetsOf } from "./support/live-client.ts";
import { PROTOCOLS, range } from "./support/live-server.ts";
import { SpawnedServer } from "./support/spawned-server.ts";
import { taskProtocol } from "./support/task-protocol.ts";

describe("resume after the process was killed", () => {
  test("S1-03, S3-13: every client goes on behind the last entry it handled, without gap, loss or a number given twice", async (t) => {
    const server = await SpawnedServer.start(t);
    const clients = await Promise.all(
      PROTOCOLS.map(async (protocol) => ({ protocol, client: await protocol.connect(server.target) })),
    );
    const feed = server.newFeed();
    await feed.publish(30);
    await server.postTasks(1, 30);
    await Promise.all(
      clients.map(({ protocol, client }) =>
        eventually(`${protocol.name} has 30 entries`, () => numbersOf(client).length === 30),
      ),
    );
    // Acknowledged, and maybe announced to nobody any more.
    await feed.publish(25);
    await server.postTasks(31, 55);
    await server.kill();

    await server.run(feed.count);
    for (const { protocol, client } of clients) {
      const handled = offsetsOf(client);
      const resumed = await protocol.connect(server.target, { from: handled.at(-1) ?? "earliest" });
      t.after(() => resumed.close());
      const first = (numbersOf(client).at(-1) ?? 0) + 1;
      await eventually(`${protocol.name} has the rest`, () => numbersOf(resumed).length >= 55 - first + 1);
      assert.deepEqual(numbersOf(resumed), range(first, 55));
      assert.deepEqual(gapsOf(resumed), []);
    }
    const offset = await server.newFeed().publish();
    assert.ok(offset > feed.lastSeq);
    const tasks = await taskProtocol.connect(server.target, { from: "earliest" });
    t.after(() => tasks.close());
    await server.postTasks(56, 56);
    await eventually("the task made last", () => numbersOf(tasks).length === 56);
    assert.deepEqual(numbersOf(tasks), range(1, 56));
    assert.deepEqual(
      offsetsOf(tasks),
      [...new Set(offsetsOf(tasks))].sort((a, b) => a - b),
    );
  });
});
