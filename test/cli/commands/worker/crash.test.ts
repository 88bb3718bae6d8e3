import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { lastingPort } from "../../../helpers/free-ports.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { openMailWorld } from "./support.ts";

const LEASE_MS = 60_000;

test("S2-123: a worker that is killed in the middle of an attempt costs a lease: the next one sends it again, with the same id", async (t) => {
  const { world, peer, worker, sendSlow } = await openMailWorld(t);
  const first = await worker();
  const notificationId = await sendSlow();
  await first.kill();
  const second = await worker();
  await second.untilSays("ready");
  assert.equal(peer.seen.length, 1, "the lease of the first one holds");
  await second.stop();
  world.clock.advance(LEASE_MS);
  await worker();
  const delivered = await world.only(notificationId, "delivered");
  assert.deepEqual([...new Set(peer.seen)], [`<${delivered.id}@example.com>`]);
  assert.deepEqual([delivered.attempts, peer.accepted.length], [2, 1]);
  const lost = rowsOf(world.prism, "select outcome from job_attempts where jobId = ?", delivered.id);
  assert.deepEqual(lost, [{ outcome: "lost" }]);
  peer.goOn();
});

test("S2-123: a server that restarts during an attempt gets its result, and sends nothing twice", async (t) => {
  const { world, peer, worker, send, sendSlow } = await openMailWorld(t, { port: String(await lastingPort()) });
  const { prism } = world;
  const running = await worker();
  const notificationId = await sendSlow();
  await prism.stop();
  peer.goOn();
  await eventually("the mail server has taken it", () => peer.accepted.length === 1);
  await running.untilSays("claiming jobs failed");
  await prism.restart();
  const delivered = await world.only(notificationId, "delivered");
  assert.deepEqual([delivered.attempts, peer.seen.length], [1, 1]);
  assert.notEqual(delivered.providerId, null);
  await running.untilSays("answers again");
  await world.only(await send(), "delivered");
  assert.equal(await running.stop(), 0);
});

test("S2-123: a server that is not there yet is waited for", async (t) => {
  const port = await lastingPort();
  const { world, worker, send } = await openMailWorld(t, { port: String(port) });
  await world.prism.stop();
  const waiting = worker({ url: `http://127.0.0.1:${port}` });
  await new Promise((resolve) => setImmediate(resolve));
  await world.prism.restart();
  await waiting;
  await world.only(await send(), "delivered");
});
