import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { startPrism } from "../helpers/prism.ts";
import { gapsOf, numbersOf, offsetsOf, Refused } from "./support/live-client.ts";
import { LiveServer, PROTOCOLS, RESUMING_PROTOCOLS, range, UPFRONT_PROTOCOLS } from "./support/live-server.ts";
import { adminOf, liveCount, RAW_PROTOCOLS, RAW_SETTINGS } from "./support/raw-protocols.ts";
import { frame, OPCODE } from "./support/raw-socket.ts";

const PER_PROTOCOL = 40;

// One feed at a time: a Socket.IO client gets its user's notifications with every other
// subscription.
for (const follows of ["project", "tasks", "user"] as const) {
  test(`${follows}: when hundreds reconnect at once after a restart, each receives missed entries, then new ones`, async (t) => {
    const server = await LiveServer.start(t, { settings: { "realtime.maxPerUser": "1000" } });
    const all = RESUMING_PROTOCOLS.filter((protocol) => protocol.follows === follows).flatMap((protocol) =>
      Array.from({ length: PER_PROTOCOL }, () => protocol),
    );
    const publish = (count: number) => server.feedOf(all[0] ?? assert.fail()).publish(count);
    const before = await server.connectAll(all.map((protocol) => [protocol]));
    await publish(10);
    for (const [i, client] of before.entries()) {
      await eventually(`what came before to ${all[i]?.name}`, () => numbersOf(client).length === 10);
    }
    const restarted = server.restart();
    for (const client of before) await client.end;
    await restarted;
    await publish(250);
    const storm = all.map((protocol, i) => {
      const from = offsetsOf(before[i] ?? assert.fail()).at(-1) ?? assert.fail();
      return [protocol, { from }] as const;
    });
    const after = await server.connectAll(storm);
    await publish(1);
    for (const [i, client] of after.entries()) {
      await eventually(`all that was missed by ${all[i]?.name}`, () => numbersOf(client).length >= 251);
      assert.deepEqual(numbersOf(client), range(11, 261));
      assert.deepEqual(gapsOf(client), []);
    }
  });
}

test("a storm beyond the limit fills the available connections; the others get Retry-After", async (t) => {
  const server = await LiveServer.start(t, {
    settings: { "realtime.maxPerUser": "1000", "realtime.maxConnections": "50" },
  });
  const storm = await Promise.allSettled(
    range(1, 160).map((n) => server.connect(UPFRONT_PROTOCOLS[n % UPFRONT_PROTOCOLS.length] ?? assert.fail())),
  );
  const refused = storm.flatMap((one) => (one.status === "rejected" ? [one.reason as unknown] : []));
  const clients = storm.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  assert.equal(clients.length, 50);
  for (const error of refused) {
    assert.ok(error instanceof Refused);
    assert.deepEqual([error.status, error.code, error.headers["retry-after"]], [503, "OVERLOADED", "5"]);
  }
  assert.equal((await server.prism.get("/health/live")).status, 200);
  await Promise.all(clients.map((client) => client.close()));
  await eventually("all connections are closed", () => liveCount(server.prism) === 0);
  await server.connectAll(range(1, 50).map((n) => [PROTOCOLS[n % PROTOCOLS.length] ?? assert.fail()]));
});

for (const protocol of RAW_PROTOCOLS) {
  describe(`${protocol.name}: half-open`, () => {
    test("peers that vanish without a close are dropped after 60 s, and those that answer pings stay", async (t) => {
      const clock = new FakeClock();
      const prism = await startPrism(t, { clock, settings: RAW_SETTINGS });
      const alive = await protocol.open(t, adminOf(prism));
      for (let i = 0; i < 40; i++) {
        const gone = await protocol.open(t, adminOf(prism));
        gone.connection.pause();
      }
      clock.advance(30_000);
      const isPinged = () => alive.frames.some(({ opcode }) => opcode === OPCODE.ping);
      if (protocol.hasPingFrames) await eventually("a ping", isPinged);
      alive.send(frame("", { opcode: OPCODE.pong }), frame(protocol.ping));
      await alive.expectText(protocol.pong);
      clock.advance(29_999);
      await prism.get("/health/live");
      assert.equal(liveCount(prism), 41);
      clock.advance(1);
      await eventually("only one is left", () => liveCount(prism) === 1);
      assert.equal(alive.closeCode, null);
    });
  });
}
