import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../helpers/eventually.ts";
import { keepsPromise } from "../../helpers/promise.ts";
import { countOf, rowsOf, scalarOf } from "../../helpers/tables.ts";
import { type BucketView, bucketWorld, check, MINUTE, made, PATH, settled, told } from "./support.ts";

test("S2-59 S2-79 the job notifies each crossing once and again each renotifyMs, and reports a recovered balance", async (t) => {
  keepsPromise(t, ["S2-59", "S2-79"]);
  const { prism, clock } = await bucketWorld(t);
  const id = await made(prism, { renotifyMs: 10 * MINUTE });
  const set = async (currentBalance: string) => {
    assert.equal((await prism.put(`${PATH}/${id}/balance`, { currentBalance })).status, 200);
    await settled(prism);
  };
  const minutes = async (count: number) => {
    for (let i = 0; i < count; i++) {
      clock.advance(MINUTE);
      await check(prism);
    }
  };
  await minutes(2);
  assert.deepEqual(told(prism), []);
  await set("49.9999");
  await set("10");
  await minutes(9);
  assert.deepEqual(told(prism), ["below_threshold"], "however often it changes below");
  await minutes(1);
  assert.deepEqual(told(prism), ["below_threshold", "below_threshold"]);
  await minutes(10);
  assert.equal(told(prism).length, 3);
  await set("50");
  await minutes(20);
  assert.deepEqual(told(prism).slice(3), ["recovered"]);
  await set("0");
  assert.deepEqual(told(prism).slice(4), ["below_threshold"]);

  const [first] = rowsOf<{ payload: string; level: string; projectId: string; source: string }>(
    prism,
    "select * from events where type = 'bucket.below_threshold' order by seq limit 1",
  );
  assert.deepEqual(
    [JSON.parse(first?.payload ?? ""), first?.level, first?.projectId, first?.source],
    [
      { bucketId: id, name: "payouts", balance: "49.9999", threshold: "50", currency: "EUR" },
      "warn",
      prism.parts.offers.projects.defaultId,
      "transfer-buckets",
    ],
  );
});

test("a clock that was set back keeps no bucket below its threshold silent", async (t) => {
  const { prism, clock } = await bucketWorld(t);
  const id = await made(prism, { renotifyMs: 10 * MINUTE });
  const set = async (currentBalance: string) => {
    assert.equal((await prism.put(`${PATH}/${id}/balance`, { currentBalance })).status, 200);
    await settled(prism);
  };
  await set("10");
  clock.set(-60 * MINUTE);
  await set("9");
  assert.equal(told(prism).length, 2);
  clock.advance(10 * MINUTE - 1);
  await set("8");
  assert.equal(told(prism).length, 2);
  clock.advance(1);
  await set("7");
  assert.equal(told(prism).length, 3);
});

test("a balance that another program wrote into the table is found by the next check", async (t) => {
  const { prism, clock } = await bucketWorld(t);
  const ids = [await made(prism), await made(prism, { name: "second" })];
  const { db } = prism.services;
  await db.write((trx) => trx.updateTable("transfer_buckets").set({ currentBalance: "1" }).execute());
  clock.advance(MINUTE);
  await check(prism);
  assert.deepEqual(told(prism), ["below_threshold", "below_threshold"]);
  for (const id of ids) {
    const { state, version } = (await prism.get<BucketView>(`${PATH}/${id}`)).body;
    assert.deepEqual([state, version], ["below", 2]);
  }
});

test("a rule matches a crossing like any event", async (t) => {
  const { prism } = await bucketWorld(t);
  const rule = { name: "low", condition: "event.type == 'bucket.below_threshold' && dec(event.balance) < 50" };
  assert.equal((await prism.post("/api/v1/rules", { ...rule, targetUsers: ["me"] })).status, 201);
  await made(prism, { currentBalance: "9.99" });
  await eventually("it is told", () => countOf(prism, "notifications") === 1);
});

test("a pending crossing is notified after a restart, once", async (t) => {
  const { prism } = await bucketWorld(t);
  await prism.parts.offers.queueControl.pause("bucket-monitoring");
  const id = await made(prism, { currentBalance: "1" });
  await prism.restart();
  assert.deepEqual(told(prism), []);
  await prism.parts.offers.queueControl.resume("bucket-monitoring");
  await settled(prism);
  assert.deepEqual(told(prism), ["below_threshold"]);
  assert.equal((await prism.get<BucketView>(`${PATH}/${id}`)).body.state, "below");
  await prism.restart();
  await settled(prism);
  assert.deepEqual(told(prism), ["below_threshold"]);
});

test("balances are watched while there is a bucket, as often as the configuration says", async (t) => {
  const { prism } = await bucketWorld(t);
  const interval = () => scalarOf<number>(prism, "select everyMs from schedules where queue = 'bucket-monitoring'");
  assert.equal(interval(), undefined);
  const [one, other] = [await made(prism), await made(prism, { name: "second" })];
  assert.equal(interval(), MINUTE);
  await prism.delete(`${PATH}/${one}`);
  assert.equal(interval(), MINUTE);
  await prism.delete(`${PATH}/${other}`);
  assert.equal(interval(), undefined);
});
