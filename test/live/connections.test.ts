import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../../src/core/clock.ts";
import { silentLogger } from "../../src/core/log.ts";
import type { KeyPrincipal } from "../../src/core/principal.ts";
import { type Connection, Connections } from "../../src/live/connections.ts";
import { Presence } from "../../src/live/presence.ts";
import { eventually } from "../helpers/eventually.ts";

const COUNT = 5000;

function keyPrincipal(n: number): KeyPrincipal {
  return {
    key: `key:${n}`,
    kind: "apiKey",
    keyId: String(n),
    projectId: "shop",
    scopes: new Set(),
    rateLimit: null,
    createdBy: null,
    expiresAt: Number.POSITIVE_INFINITY,
  };
}

test("after a change of rights all connections are rechecked, a few in each turn of the event loop", async (t) => {
  const seen = new Map<string, number>();
  let turn = 0;
  const perTurn = new Map<number, number>();
  const connections = new Connections({
    limits: { maxConnections: COUNT, maxPerUser: 1, maxPendingPerIp: 20, maxPerIp: COUNT },
    presence: new Presence(),
    access: {
      check: () => "allowed",
      refresh(principal) {
        seen.set(principal.key, (seen.get(principal.key) ?? 0) + 1);
        perTurn.set(turn, (perTurn.get(turn) ?? 0) + 1);
        return principal;
      },
    },
    clock: systemClock,
    log: silentLogger,
  });
  t.after(() => connections.drain(0));
  for (let n = 0; n < COUNT; n++) {
    const connection: Connection = {
      transport: "websocket",
      address: "192.0.2.1",
      principal: keyPrincipal(n),
      tick: () => undefined,
      rightsChanged: () => undefined,
      restart: () => connections.delete(connection),
    };
    connections.add(connection);
  }
  connections.noteRightsChanged(null);
  const spin = (): void => {
    turn++;
    if (seen.size < COUNT) setImmediate(spin);
  };
  spin();
  await eventually("all connections", () => seen.size === COUNT);
  // A turn of the loop may start a batch by its timer and continue with one in its check phase.
  assert.ok(Math.max(...perTurn.values()) <= 200, `${Math.max(...perTurn.values())} in a turn`);
  // Another change meanwhile: connections that were checked are checked again.
  connections.noteRightsChanged(null);
  await eventually("some", () => [...seen.values()].some((times) => times > 1));
  const before = new Map(seen);
  connections.noteRightsChanged(null);
  await eventually("all once more", () => [...seen].every(([key, times]) => times > (before.get(key) ?? 0)));
});
