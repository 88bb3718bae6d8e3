import assert from "node:assert/strict";
import { test } from "node:test";
import type { KeyPrincipal } from "../../src/core/caller.ts";
import { silentLogger } from "../../src/core/log.ts";
import { systemClock } from "../../src/core/time/clock.ts";
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
    limits: { maxConnections: COUNT, maxPerUser: 1, maxPerCreator: COUNT, maxPendingPerIp: 20, maxPerIp: COUNT },
    presence: new Presence(),
    access: {
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
  connections.noteRightsChanged({ of: "all" });
  const spin = (): void => {
    turn++;
    if (seen.size < COUNT) setImmediate(spin);
  };
  spin();
  await eventually("all connections", () => seen.size === COUNT);
  // A turn of the loop may start a batch by its timer and continue with one in its check phase.
  assert.ok(Math.max(...perTurn.values()) <= 200, `${Math.max(...perTurn.values())} in a turn`);
  // Another change meanwhile: connections that were checked are checked again.
  connections.noteRightsChanged({ of: "all" });
  await eventually("some", () => [...seen.values()].some((times) => times > 1));
  const before = new Map(seen);
  connections.noteRightsChanged({ of: "all" });
  await eventually("all once more", () => [...seen].every(([key, times]) => times > (before.get(key) ?? 0)));
});

test("connections of all API keys of one creator have a limit together", (t) => {
  const connections = new Connections({
    limits: { maxConnections: 100, maxPerUser: 2, maxPerCreator: 3, maxPendingPerIp: 20, maxPerIp: 100 },
    presence: new Presence(),
    access: { refresh: (principal) => principal },
    clock: systemClock,
    log: silentLogger,
  });
  t.after(() => connections.drain(0));
  const open = (n: number, createdBy: string): Connection | null => {
    const principal = { ...keyPrincipal(n), createdBy };
    try {
      connections.requireRoom(principal, "192.0.2.1");
    } catch {
      return null;
    }
    const connection: Connection = {
      ...{ transport: "websocket", address: "192.0.2.1", principal },
      ...{ tick: () => undefined, rightsChanged: () => undefined, restart: () => undefined },
    };
    connections.add(connection);
    return connection;
  };
  const [first] = [open(1, "eve"), open(1, "eve")];
  assert.equal(open(1, "eve"), null, "of the key");
  assert.notEqual(open(2, "eve"), null);
  assert.equal(open(3, "eve"), null, "of the creator");
  assert.notEqual(open(4, "uma"), null);
  connections.delete(first as Connection);
  assert.notEqual(open(3, "eve"), null);
});
