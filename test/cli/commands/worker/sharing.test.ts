import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { openHookWorld } from "./support.ts";

test("S2-123: two workers share a queue, and nothing is done twice", async (t) => {
  const { world, peer, ids, worker } = await openHookWorld(t, 12);
  const held: ServerResponse[] = [];
  // The first is answered when the second is there: each worker does one at a time, so two are at
  // work.
  peer.answer = (response) => {
    held.push(response);
    if (held.length >= 2) for (const each of held.splice(0)) each.writeHead(204).end();
  };
  await Promise.all([worker(["--concurrency", "1"]), worker(["--concurrency", "1"])]);
  const notificationId = await world.notify(ids, ["webhook"]);
  const delivered = await world.until(notificationId, "delivered", ids.length);
  assert.deepEqual(
    peer.received.map(({ headers }) => headers["webhook-id"]).sort(),
    delivered.map(({ id }) => id).sort(),
  );
  const workers = rowsOf(world.prism, "select distinct workerId from jobs where kind = 'delivery.attempt'");
  assert.equal(workers.length, 2);
  assert.deepEqual(world.audit(notificationId, "webhook"), [
    { action: "notification.delivered", metadata: { channel: "webhook", delivered: 12, failed: 0, skipped: 0 } },
  ]);
});

test("S2-123: what goes to one place goes in its order and one at a time, however many workers there are", async (t) => {
  const { world, peer, ids, worker } = await openHookWorld(t, 1);
  let [underWay, most] = [0, 0];
  peer.answer = (response) => {
    most = Math.max(most, ++underWay);
    setImmediate(() => {
      underWay--;
      response.writeHead(204).end();
    });
  };
  const titles = Array.from({ length: 10 }, (_, n) => `number ${n}`);
  const notifications: string[] = [];
  for (const title of titles) notifications.push(await world.notify(ids, ["webhook"], { title }));
  await eventually("all are planned", () => notifications.every((id) => world.deliveries(id).length === 1));
  await Promise.all([worker([]), worker([])]);
  for (const id of notifications) await world.until(id, "delivered");
  const said = peer.received.map(({ body }) => (JSON.parse(body) as { data: { title: string } }).data.title);
  assert.deepEqual(said, titles);
  assert.equal(most, 1);
});
