import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { LiveProtocol } from "./support/live-client.ts";
import { LiveServer, PROTOCOLS } from "./support/live-server.ts";

/** Enough to be notified in several batches, and within the limit of pending connections. */
const CLIENTS = 15;

describe("drain at shutdown", { concurrency: true }, () => {
  for (const protocol of PROTOCOLS) {
    test(`S2-121, S3-05: ${protocol.name}: a stopping server notifies every connection and accepts no new one`, async (t) => {
      const server = await LiveServer.start(t);
      const clients = await Promise.all(Array.from({ length: CLIENTS }, () => server.connect(protocol)));
      const { target } = server;
      const restarted = server.restart();
      for (const client of clients) assert.equal(await client.end, protocol.ends.restart);
      await restarted;
      await assert.rejects(fetch(`${target.url}/health`));
      assertNobody(server);
    });
  }

  test("clients of all protocols at once are all notified", async (t) => {
    const server = await LiveServer.start(t);
    const connect = async (protocol: LiveProtocol) => ({ protocol, client: await server.connect(protocol) });
    const clients = await Promise.all([...PROTOCOLS, ...PROTOCOLS].map(connect));
    const restarted = server.restart();
    for (const { protocol, client } of clients) assert.equal(await client.end, protocol.ends.restart, protocol.name);
    await restarted;
    assertNobody(server);
  });
});

function assertNobody({ prism }: LiveServer): void {
  const { counts } = prism.parts.core.connections;
  assert.deepEqual(counts, { websocket: 0, pulse: 0, tasks: 0, sse: 0, socketio: 0, pusher: 0, ntfy: 0, gotify: 0 });
}
