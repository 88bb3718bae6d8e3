import assert from "node:assert/strict";
import test from "node:test";
import { backtest } from "../support/backtests.ts";
import { MINUTE, send, timedRule, timedWorld, type World } from "./support.ts";

/** Events `[minute, type, host]`. */
async function play(world: World, events: readonly (readonly [number, string, string])[]): Promise<number> {
  const from = world.clock.now();
  for (const [minute, type, host] of events) {
    world.clock.advance(from + minute * MINUTE - world.clock.now());
    await send(world, type, { host });
  }
  return from;
}

/** `<key> <start>-<fired>-<resolved>` of each alert, in minutes. */
function spansOf(reply: Awaited<ReturnType<typeof backtest>>, from: number): string[] {
  const minute = (at: string | null): string => (at === null ? "" : String((Date.parse(at) - from) / MINUTE));
  return (reply.alerts?.spans ?? []).map(
    ({ key, startedAt, firedAt, resolvedAt }) => `${key} ${minute(startedAt)}-${minute(firedAt)}-${minute(resolvedAt)}`,
  );
}

const BASE = { condition: "event.type == 'x'", projectId: "default" };
const KEY = "{{ event.host }}";

test("a backtest shows when each alert would have been pending, fired and resolved", async (t) => {
  const world = await timedWorld(t);
  const from = await play(world, [
    [0, "x", "a"],
    [1, "x", "b"],
    [2, "ok", "a"],
    [4, "x", "b"],
    [10, "x", "a"],
    [30, "y", "a"],
  ]);
  const resolve = "event.type == 'ok'";
  const plain = await backtest(world.prism, { ...BASE, alert: { key: KEY, labels: { host: KEY }, resolve } });
  assert.deepEqual(spansOf(plain, from), ["a 0-0-2", "b 1-1-", "a 10-10-"]);
  assert.deepEqual(
    [plain.matched, plain.alertsOpened, plain.alertsResolved, plain.counted, plain.fired],
    [4, 3, 1, 1, 0],
  );
  assert.deepEqual([plain.alerts?.opened, plain.alerts?.resolved, plain.alerts?.dropped], [3, 1, 0]);
  assert.deepEqual(plain.alerts?.spans[1]?.labels, { alertname: "backtest", host: "b" });
  assert.equal(plain.alerts?.spans[1]?.matches, 2);

  const held = await backtest(world.prism, { ...BASE, alert: { key: KEY, resolve, forMs: 5 * MINUTE } });
  assert.deepEqual(spansOf(held, from), ["b 1-6-", "a 10-15-"]);
  assert.deepEqual([held.alerts?.opened, held.alerts?.dropped], [2, 1]);

  const ending = await backtest(world.prism, { ...BASE, alert: { key: KEY, resolveAfterMs: 5 * MINUTE } });
  assert.deepEqual(spansOf(ending, from), ["a 0-0-5", "b 1-1-9", "a 10-10-15"]);

  const both = await backtest(world.prism, {
    ...BASE,
    alert: { key: KEY, resolveAfterMs: 3 * MINUTE, forMs: 4 * MINUTE },
  });
  assert.deepEqual(spansOf(both, from), [], "no host matches often enough for four minutes");
  assert.equal(both.alerts?.dropped, 4);

  const often = await backtest(world.prism, {
    ...BASE,
    threshold: { count: 2, windowMs: 5 * MINUTE, key: KEY },
    alert: { key: KEY },
  });
  assert.deepEqual(spansOf(often, from), ["b 4-4-"]);
});

test("a backtest of an absence shows each time at which nothing had matched for so long", async (t) => {
  const world = await timedWorld(t);
  const from = await play(world, [
    [0, "x", "a"],
    [1, "x", "b"],
    [5, "x", "b"],
    [8, "y", "c"],
    [20, "x", "a"],
    [22, "y", "c"],
  ]);
  const absence = { forMs: 6 * MINUTE, key: KEY };
  const reply = await backtest(world.prism, { ...BASE, absence, alert: {} });
  assert.deepEqual(spansOf(reply, from), ["a 6-6-20", "b 11-11-"]);
  assert.deepEqual([reply.alerts?.absences, reply.alertsResolved, reply.counted], [2, 1, 3]);
  const silent = await backtest(world.prism, { ...BASE, absence });
  assert.deepEqual([silent.alerts?.absences, silent.alerts?.spans], [2, []]);
});

test("a stored rule's settings are the default, and a change of them is compared", async (t) => {
  const world = await timedWorld(t);
  const ruleId = await timedRule(world, { targetUsers: ["me"], threshold: { count: 2, windowMs: MINUTE } });
  await play(world, [
    [0, "x", "a"],
    [0, "x", "a"],
    [0, "x", "a"],
  ]);
  const same = await backtest(world.prism, { ruleId });
  assert.deepEqual([same.fired, same.counted, same.diff, same.alerts], [1, 2, { added: 0, removed: 0 }, undefined]);
  const without = await backtest(world.prism, { ruleId, threshold: null });
  assert.deepEqual([without.fired, without.diff], [3, { added: 2, removed: 0 }]);
});
