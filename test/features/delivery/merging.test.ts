import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { silentLogger } from "../../../src/core/log.ts";
import { MERGE_JOB, mergeJob } from "../../../src/features/delivery/deliveries.ts";
import { DELIVERY_SWEEPS } from "../../../src/features/delivery/retention.ts";
import type { Trx } from "../../../src/store/database.ts";
import { sweepAll } from "../../../src/store/retention.ts";
import { eventually } from "../../helpers/eventually.ts";
import { countOf, rowsOf, scalarOf } from "../../helpers/tables.ts";
import { DeliveryWorld } from "./support/delivery-world.ts";
import { mailPeer } from "./support/mail-peer.ts";

const MINUTE = 60_000;

/** A server that sends each user one notification a minute, as long as nothing else is said. */
async function open(t: TestContext, settings: Record<string, string> = {}) {
  const peer = await mailPeer(t);
  const world = await DeliveryWorld.open(t, {
    settings: { ...peer.settings, "delivery.perUser": "1", "delivery.perUserBurst": "1", ...settings },
  });
  return { peer, world };
}

async function send(world: DeliveryWorld, userId: string, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 1; n <= count; n++) {
    const id = await world.notify([userId], ["in_app", "email"], { title: `number ${n}`, priority: n });
    await eventually("it is planned", () => world.deliveries(id).length === 1);
    ids.push(id);
  }
  return ids;
}

test("S2-35 what comes too fast waits for its turn, and beyond five minutes becomes one message that says how many", async (t) => {
  const { world, peer } = await open(t);
  const ann = await world.person("ann");
  const ids = await send(world, ann.id, 9);
  assert.equal(countOf(world.prism, "notification_recipients"), 9, "the list has them all at once");
  await eventually("the first is sent", () => peer.accepted.length === 1);
  const waits = ids.slice(1, 6).map((id) => (world.dueAt(world.deliveries(id)[0]?.id ?? "") ?? 0) - world.clock.now());
  const expected = [1, 2, 3, 4, 5].map((minutes) => minutes * MINUTE);
  assert.deepEqual(waits, expected);
  const reasons = ids.slice(6).map((id) => world.deliveries(id)[0]?.reason);
  assert.deepEqual(reasons, ["rate limited", "rate limited", "rate limited"]);
  world.pass(5 * MINUTE);
  await eventually("all are sent, the last three as one", () => peer.accepted.length === 7, 60_000);
  const [one] = rowsOf<{ title: string; message: string; kind: string; priority: number; data: string }>(
    world.prism,
    "select title, message, kind, priority, data from notifications where kind = 'aggregate'",
  );
  assert.deepEqual([one?.title, one?.priority, one?.data], ["3 notifications", 9, '{"merged":3}']);
  assert.match(one?.message ?? "", /\n- number 7\n- number 8\n- number 9$/);
  const shown = ids.slice(6).map((id) => world.deliveries(id).map(({ state, reason }) => [state, reason]));
  assert.deepEqual(shown, [[["skipped", "merged"]], [["skipped", "merged"]], [["skipped", "merged"]]]);
  assert.equal(peer.accepted.filter((raw) => /^subject: 3 notifications/im.test(raw)).length, 1);
});

test("notifications beyond the limit while the merging job runs are sent, too", async (t) => {
  const { world, peer } = await open(t);
  const { database: db } = world.prism.parts.base;
  const { jobs } = world.prism.parts.offers;
  const ann = await world.person("ann");
  const ids = await send(world, ann.id, 9);
  const late = world.deliveries(ids.at(-1) ?? "")[0]?.id ?? "";
  const put = (trx: Trx, state: "skipped" | "queued", reason: string | null) =>
    trx.updateTable("deliveries").set({ state, reason }).where("id", "=", late).execute();
  await db.write((trx) => put(trx, "skipped", null));
  world.pass(5 * MINUTE);
  const isPlanned = () =>
    db.write(async (trx) => {
      const job = await trx.selectFrom("jobs").select("state").where("kind", "=", MERGE_JOB).executeTakeFirst();
      if (job?.state !== "running" && job?.state !== "succeeded") return false;
      // As a plan does that comes between what the job has read and what it writes.
      await put(trx, "queued", "rate limited");
      await jobs.enqueue(mergeJob(ann.id, world.clock.now()), { trx });
      return true;
    });
  while (!(await isPlanned()));
  await world.until(ids[7] ?? "", "skipped");
  world.pass(5 * MINUTE);
  await eventually("it is told, by itself or with the others", () =>
    peer.accepted.some((raw) => /^subject: (number 9|3 notifications)/im.test(raw)),
  );
});

test("one that waited alone beyond the limit is sent as it is", async (t) => {
  const { world, peer } = await open(t);
  const ann = await world.person("ann");
  const ids = await send(world, ann.id, 7);
  const last = ids.at(-1) ?? "";
  assert.equal(world.deliveries(last)[0]?.reason, "rate limited");
  world.pass(5 * MINUTE);
  await world.until(last, "delivered");
  await eventually("all seven are sent", () => peer.accepted.length === 7, 60_000);
  assert.equal(scalarOf(world.prism, "select count(*) from notifications where kind = 'aggregate'"), 0);
});

test("what waits for the limit survives a restart", async (t) => {
  const { world, peer } = await open(t);
  const ann = await world.person("ann");
  await send(world, ann.id, 8);
  await eventually("the first is sent", () => peer.accepted.length === 1);
  await world.prism.restart();
  world.pass(5 * MINUTE);
  await eventually("all are sent, two as one", () => peer.accepted.length === 7, 60_000);
  assert.equal(peer.accepted.filter((raw) => /^subject: 2 notifications/im.test(raw)).length, 1);
});

test("what goes to one place goes in the order of its notifications, also when the first takes long", async (t) => {
  const { world, peer } = await open(t, { "delivery.perUser": "6000", "delivery.perUserBurst": "6000" });
  const ann = await world.person("ann");
  peer.answer("slow");
  const ids = await send(world, ann.id, 5);
  await eventually("the first is on its way", () => peer.seen.length === 1);
  assert.deepEqual(peer.accepted, []);
  peer.goOn();
  for (const id of ids) await world.until(id, "delivered");
  const subjects = peer.accepted.map((raw) => /^subject: (.*)$/im.exec(raw)?.[1]?.trim());
  assert.equal(subjects[0], "number 1");
  assert.equal(subjects.length, 5);
});

test("a plan that is made twice adds nothing", async (t) => {
  const { world, peer } = await open(t);
  const ann = await world.person("ann");
  const id = await world.notify([ann.id], ["email"]);
  await world.until(id, "delivered");
  const { jobs } = world.prism.parts.offers;
  await jobs.enqueue({
    queue: "notification-delivery",
    kind: "notification.deliver",
    payload: { notificationId: id },
    runAt: world.clock.now(),
  });
  await eventually(
    "it is planned again",
    () =>
      scalarOf(world.prism, "select count(*) from jobs where kind = 'notification.deliver' and state = 'succeeded'") ===
      2,
  );
  assert.deepEqual([world.deliveries(id).length, peer.seen.length], [1, 1]);
  assert.equal(scalarOf(world.prism, "select count(*) from jobs where kind = 'delivery.attempt'"), 1);
});

test("deliveries are kept for 30 days; what still waits is kept", async (t) => {
  const { world } = await open(t);
  const ann = await world.person("ann");
  const [done = "", waiting = ""] = await send(world, ann.id, 2);
  await world.until(done, "delivered");
  const sweep = () =>
    sweepAll({ database: world.prism.parts.base.database, clock: world.clock, log: silentLogger }, DELIVERY_SWEEPS);
  world.clock.advance(30 * 24 * 60 * MINUTE - 1);
  await sweep();
  assert.equal(world.deliveries(done).length, 1);
  world.clock.advance(1);
  await sweep();
  assert.deepEqual([world.deliveries(done).length, world.deliveries(waiting).length], [0, 1]);
});
