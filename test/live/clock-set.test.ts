import assert from "node:assert/strict";
import { test } from "node:test";
import type { Connection } from "../../src/live/connections.ts";
import { eventually } from "../helpers/eventually.ts";
import { FakeClock } from "../helpers/fake-clock.ts";
import { LiveServer, UNLIKE_PROTOCOLS } from "./support/live-server.ts";

const HOUR_MS = 3_600_000;

/** Counts how often it was looked at: with every second time all the others have been, too. */
class Onlooker implements Connection {
  readonly transport = "websocket";
  readonly address = "192.0.2.1";
  readonly principal = null;
  ticks = 0;
  tick(): void {
    this.ticks++;
  }
  rightsChanged(): void {}
  restart(): void {}
}

test("setting the clock forward or back closes no connection, and silent ones are still detected", async (t) => {
  const clock = new FakeClock();
  const settings = { "auth.accessExpires": "24h" };
  const server = await LiveServer.start(t, { clock, settings });
  const { connections } = server.prism.parts.core;
  const clients = await server.connectAll(UNLIKE_PROTOCOLS.map((protocol) => [protocol] as const));
  const onlooker = new Onlooker();
  connections.add(onlooker);
  t.after(() => connections.delete(onlooker));
  const open = (): number => Object.values(connections.counts).reduce((sum, count) => sum + count, 0);
  const lookedAt = async (): Promise<void> => {
    const { ticks } = onlooker;
    await eventually("all were looked at", () => onlooker.ticks >= ticks + 2);
  };
  for (const byMs of [HOUR_MS, -2 * HOUR_MS]) {
    clock.set(byMs);
    await lookedAt();
    assert.equal(open(), clients.length + 1);
  }
  for (const client of clients) client.pause();
  clock.advance(60_000);
  await eventually("only who has no heartbeat is left", () => open() <= 2);
});
