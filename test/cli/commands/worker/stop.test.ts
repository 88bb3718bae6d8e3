import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { openMailWorld } from "./support.ts";

test("S2-123: SIGTERM lets what runs come to its end, and then ends with 0", async (t) => {
  const { world, peer, worker, send, sendSlow } = await openMailWorld(t);
  const running = await worker();
  const notificationId = await sendSlow();
  running.signal("SIGTERM");
  await running.untilSays("stopping");
  peer.goOn();
  const next = await send();
  assert.equal(await running.ended(), 0);
  const delivered = await world.only(notificationId, "delivered");
  assert.deepEqual([delivered.attempts, peer.seen.length], [1, 1]);
  assert.equal(
    world.deliveries(next).every(({ state }) => state === "queued"),
    true,
    "nothing new is begun",
  );
});

test("S2-123: a mail server that stalls is not waited for until shutdownMs: the mail is handed back uncounted, and another worker has it at once", async (t) => {
  const { world, peer, worker, sendSlow } = await openMailWorld(t);
  const running = await worker({ settings: { shutdownMs: "600000" } });
  const notificationId = await sendSlow();
  running.signal("SIGINT");
  assert.equal(await running.ended(), 0, running.stdout);
  const [delivery] = await world.until(notificationId, "queued");
  const jobs = rowsOf(world.prism, "select state, attempts, workerId from jobs where id = ?", delivery?.id);
  assert.deepEqual(jobs, [{ state: "ready", attempts: 0, workerId: null }]);
  await worker();
  const delivered = await world.only(notificationId, "delivered");
  assert.deepEqual([...new Set(peer.seen)], [`<${delivered.id}@example.com>`]);
  peer.goOn();
});

test("S2-123: a second signal ends it at once, with 1", async (t) => {
  const { peer, worker, sendSlow } = await openMailWorld(t);
  const running = await worker();
  await sendSlow();
  running.signal("SIGTERM");
  await running.untilSays("stopping");
  running.signal("SIGTERM");
  assert.equal(await running.ended(), 1);
  peer.goOn();
});

test("S2-123: a token that is revoked ends the worker with 5 and a word on what it needs", async (t) => {
  const { world, token, worker, send } = await openMailWorld(t);
  const running = await worker();
  const revoked = await world.prism.delete(`/api/v1/users/me/tokens/${token.id}`, { token: token.owner });
  assert.equal(revoked.status, 204, revoked.text);
  // The claim that waits is asked for its right before it is given anything.
  const notificationId = await send();
  assert.equal(await running.ended(), 5, running.stderr);
  assert.match(running.stderr, /valid service token with jobs:work/);
  await eventually("the log says it", () => running.lines.some(({ msg }) => msg === "worker stopping"));
  await world.until(notificationId, "queued");
  assert.ok(!`${running.stdout}${running.stderr}`.includes(token.token), "and nobody reads the token");
});
