import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { codeOf, heard, Mailbox, statusesOf, type Told } from "./support/mailbox.ts";

const HOUR = 3_600_000;

test("S4-15 GET /messages/:id/status returns the state of a message, at every step", async (t) => {
  keepsPromise(t, "S4-15");
  const clock = new FakeClock();
  const box = await Mailbox.open(t, { clock });
  const { runner } = box.prism.parts.offers;
  runner.pause("messages");
  const id = await box.send({ delayMs: HOUR });
  const brief = async () => {
    const { status, queue, attempts, history } = await box.status(id);
    return { status, queue, attempts, steps: history.map(({ status }) => status) };
  };
  const waiting = { queue: "messages", attempts: 0 };
  assert.deepEqual(await brief(), { ...waiting, status: "scheduled", steps: ["scheduled"] });
  const due = clock.now() + HOUR;
  box.pass(clock, HOUR);
  const queued = await box.until(id, "queued");
  assert.deepEqual(await brief(), { ...waiting, status: "queued", steps: ["scheduled", "queued"] });
  assert.equal(queued.history.at(-1)?.at, new Date(due).toISOString(), "since its delay was over");
  assert.deepEqual(valuesOf((await box.list("status=queued")).data, "status"), ["queued"]);
  assert.deepEqual((await box.list("status=scheduled")).data, []);
  clock.advance(5000);
  runner.resume("messages");
  await box.until(id, "delivered");
  await box.read(id);
  assert.deepEqual(await brief(), {
    status: "read",
    queue: null,
    attempts: 1,
    steps: ["scheduled", "queued", "delivering", "delivered", "read"],
  });
  const { history, deliveredAt } = await box.status(id, box.vic);
  const late = new Date(due + 5000).toISOString();
  assert.deepEqual(history.map(({ at }) => at).slice(1), [new Date(due).toISOString(), late, late, late]);
  assert.equal(deliveredAt, late);
});

test("the recipient marks a message read; the first time is kept, and said once", async (t) => {
  const clock = new FakeClock();
  const box = await Mailbox.open(t, { clock });
  const later = await box.send({ delayMs: HOUR });
  const id = await box.send();
  await box.until(id, "delivered");
  assert.deepEqual(codeOf(await box.read(later)), [404, "MESSAGE_NOT_FOUND"], "not delivered yet");
  for (const other of [box.uma, box.wim])
    assert.deepEqual(codeOf(await box.read(id, other)), [404, "MESSAGE_NOT_FOUND"]);
  const first = clock.now();
  const { body } = await box.read(id);
  assert.deepEqual([body.status, body.readAt, body.content], ["read", new Date(first).toISOString(), "hello"]);
  clock.advance(HOUR / 2);
  assert.deepEqual((await box.read(id)).body, body);
  assert.equal((await box.get(id)).body.readAt, body.readAt);
  const told = await box.told(t, box.uma, (all) => all.some(([, what]) => what === "read"));
  assert.equal(told.filter(([, what]) => what === "read").length, 1);
  assert.equal(statusesOf(await box.status(id)).filter((status) => status === "read").length, 1);
});

test("D30 the sender withdraws a message until its delivery begins; then never any more", async (t) => {
  const clock = new FakeClock();
  const box = await Mailbox.open(t, { clock });
  const id = await box.send({ delayMs: HOUR });
  for (const other of [box.vic, box.wim])
    assert.deepEqual(codeOf(await box.cancel(id, other)), [404, "MESSAGE_NOT_FOUND"]);
  const reply = await box.cancel(id);
  assert.deepEqual([reply.status, reply.body], [200, { status: "cancelled" }]);
  const { status, queue, history } = await box.status(id);
  assert.deepEqual([status, queue, history.length], ["cancelled", null, 2]);
  assert.equal((await box.get(id)).body.cancelledAt, new Date(clock.now()).toISOString());
  assert.equal(box.jobOf(id).state, "cancelled");
  assert.deepEqual(codeOf(await box.cancel(id)), [409, "MESSAGE_NOT_CANCELLABLE"]);

  const sent = await box.send();
  await box.until(sent, "delivered");
  for (const end of ["delivered", "read"]) {
    assert.deepEqual(codeOf(await box.cancel(sent)), [409, "MESSAGE_NOT_CANCELLABLE"], end);
    assert.deepEqual(codeOf(await box.cancel(sent, box.vic)), [404, "MESSAGE_NOT_FOUND"]);
    await box.read(sent);
  }
  box.pass(clock, 2 * HOUR);
  await box.prism.parts.base.store.committer.settled();
  const vic = await box.follow(t, (await box.again()).vic, { from: "earliest" });
  await eventually("the other one was heard of", () => heard(vic).length >= 3);
  assert.ok(!JSON.stringify(vic.messages).includes(id), "the recipient never hears of it");
  const told = await box.told(t, box.uma, (all) => all.length >= 7);
  assert.deepEqual(told.map(([, what]) => what).toSorted(), [
    "cancelled",
    "delivered",
    "delivering",
    "hello",
    "read",
    "scheduled",
    "scheduled",
  ]);
});

test("a message that waits for a worker can be withdrawn; one whose attempt has begun cannot", async (t) => {
  const box = await Mailbox.open(t);
  const { db } = box.prism.services;
  const { runner } = box.prism.parts.offers;
  runner.pause("messages");
  const [waits, runs] = [await box.send(), await box.send()];
  await box.until(waits, "queued");
  assert.equal((await box.cancel(waits)).status, 200);
  // As when a worker has just claimed it.
  await db.write((trx) =>
    trx
      .updateTable("jobs")
      .set({ state: "running", startedAt: Date.now() })
      .where("id", "=", box.jobOf(runs).id)
      .execute(),
  );
  const { status, history } = await box.status(runs);
  assert.equal(status, "delivering");
  assert.deepEqual(valuesOf(history, "status"), ["scheduled", "queued", "delivering"]);
  assert.deepEqual(codeOf(await box.cancel(runs)), [409, "MESSAGE_NOT_CANCELLABLE"]);
});

test("cancelling and delivering at the same moment end one way: cancelled and never seen, or delivered", async (t) => {
  const box = await Mailbox.open(t, { settings: { "rateLimit.enabled": "false" } });
  const ends = await Promise.all(
    Array.from({ length: 16 }, async () => {
      const id = await box.send();
      const isCancelled = (await box.cancel(id)).status === 200;
      const { status } = await box.until(id, isCancelled ? "cancelled" : "delivered");
      return [id, status] as const;
    }),
  );
  const inbox = new Set((await box.list("box=inbox&limit=100", box.vic)).data.map(({ id }) => id));
  for (const [id, status] of ends) assert.equal(inbox.has(id), status === "delivered", status);
  assert.equal(rowsOf(box.prism, "select 1 from jobs where kind = 'message.deliver' and finishedAt is null").length, 0);
});

test("what an operator does to the job happens to the message", async (t) => {
  const clock = new FakeClock();
  const box = await Mailbox.open(t, { clock });
  const { jobControl, queueControl } = box.prism.parts.offers;
  const [cancelled, promoted] = [await box.send({ delayMs: HOUR }), await box.send({ delayMs: HOUR, content: "now" })];
  await jobControl.cancel(box.jobOf(cancelled).id);
  const { status, history } = await box.status(cancelled);
  assert.deepEqual([status, history.map((step) => step.status)], ["cancelled", ["scheduled", "cancelled"]]);
  await assert.rejects(jobControl.retry(box.jobOf(cancelled).id), { code: "INVALID_STATE" }, "it stays cancelled");
  assert.equal(box.jobOf(cancelled).state, "cancelled");
  await jobControl.promote(box.jobOf(promoted).id);
  await box.until(promoted, "delivered");

  const drained = await Promise.all([1, 2, 3].map(() => box.send({ delayMs: HOUR })));
  await queueControl.drain("messages");
  for (const id of drained) assert.equal((await box.status(id)).status, "cancelled");
  const isAll = (told: readonly Told[]): boolean => told.filter(([, what]) => what === "cancelled").length === 4;
  await box.told(t, box.uma, isAll);
});
