import assert from "node:assert/strict";
import test from "node:test";
import { crashImage } from "../../../helpers/crash-image.ts";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { openBeside } from "../../../helpers/store.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { codeOf, Mailbox, statusesOf } from "./support/mailbox.ts";

const HOUR = 3_600_000;
const INACTIVE = "the recipient's account is not active";

/** A message to a user who is disabled before it is due. */
async function toNobody(t: test.TestContext, settings: Record<string, string> = {}) {
  const clock = new FakeClock();
  const box = await Mailbox.open(t, { clock, settings });
  const id = await box.send({ content: "are you there?", delayMs: 60_000 });
  await box.setStatus(box.vic, "disabled");
  return { clock, box, id };
}

test("S4-21 a message whose recipient is not active goes to the retry queue, and is delivered when the recipient is active again", async (t) => {
  keepsPromise(t, "S4-21");
  const { clock, box, id } = await toNobody(t);
  box.pass(clock, 60_000);
  const failed = await box.until(id, "retrying");
  assert.deepEqual([failed.queue, failed.attempts, failed.lastError], ["messages-retry", 1, INACTIVE]);
  const { queue, state } = box.jobOf(id);
  assert.deepEqual([queue, state], ["messages-retry", "retrying"]);
  const again = await eventually(
    "a second attempt has failed",
    async () => {
      const found = await box.status(id);
      // No time passes for the one after it.
      if (found.attempts === 1) box.pass(clock, 1000);
      return found.attempts === 2 && found.status === "retrying" ? found : null;
    },
    60_000,
  );
  assert.deepEqual(statusesOf(again), ["scheduled", "queued", "delivering", "retrying", "delivering", "retrying"]);
  await box.setStatus(box.vic, "active");
  const delivered = await box.passUntil(clock, id, "delivered");
  assert.deepEqual([delivered.queue, delivered.lastError], [null, undefined]);
  const vic = (await box.again()).vic;
  assert.equal((await box.get(id, vic)).body.content, "are you there?");
  assert.equal(rowsOf(box.prism, "select 1 from stream_log where type = 'message'").length, 2, "delivered once");
  const told = await box.told(t, box.uma, (all) => all.some(([, what]) => what === "delivered"));
  const steps = told.map(([type, what]) => (type === "message" ? type : what));
  assert.deepEqual(steps.slice(0, 3), ["scheduled", "delivering", "retrying"]);
  assert.deepEqual(steps.slice(-3), ["delivering", "message", "delivered"]);
});

test("S4-20 when its attempts are used up it lies in the dead letter queue, and an operator can have it tried again", async (t) => {
  const { clock, box, id } = await toNobody(t, { "queues.messages-retry.maxAttempts": "2" });
  box.pass(clock, 60_000);
  const dead = await box.passUntil(clock, id, "dead");
  assert.deepEqual([dead.queue, dead.attempts, dead.lastError], ["messages-dead-letter", 3, INACTIVE]);
  assert.deepEqual(statusesOf(dead).slice(-2), ["delivering", "dead"]);
  const { queue, state } = box.jobOf(id);
  assert.deepEqual([queue, state], ["messages-dead-letter", "dead"]);
  assert.equal(rowsOf(box.prism, "select 1 from job_attempts").length, 3);
  await box.told(t, box.uma, (all) => all.at(-1)?.[1] === "dead");
  assert.deepEqual(codeOf(await box.cancel(id)), [409, "MESSAGE_NOT_CANCELLABLE"]);

  await box.setStatus(box.vic, "active");
  await box.prism.parts.offers.jobControl.retry(box.jobOf(id).id);
  const delivered = await box.until(id, "delivered");
  assert.deepEqual([delivered.attempts, delivered.lastError], [4, undefined]);
  assert.deepEqual(statusesOf(delivered).slice(-4), ["dead", "queued", "delivering", "delivered"]);
});

test("requeueing the dead of the dead letter queue delivers them all", async (t) => {
  const { clock, box, id } = await toNobody(t, { "queues.messages-retry.maxAttempts": "1" });
  const second = await box.send({ recipientId: box.wim.id, content: "two", delayMs: 60_000 });
  await box.setStatus(box.wim, "disabled");
  box.pass(clock, 60_000);
  await box.passUntil(clock, id, "dead");
  await box.passUntil(clock, second, "dead");
  await box.setStatus(box.vic, "active");
  await box.setStatus(box.wim, "active");
  assert.equal(await box.prism.parts.offers.queueControl.requeueDead("messages-dead-letter"), 2);
  await box.until(id, "delivered");
  await box.until(second, "delivered");
});

test("between two attempts the sender can still withdraw it", async (t) => {
  const { clock, box, id } = await toNobody(t);
  box.pass(clock, 60_000);
  await box.until(id, "retrying");
  assert.equal((await box.cancel(id)).status, 200);
  await box.setStatus(box.vic, "active");
  box.pass(clock, HOUR);
  await box.prism.parts.base.store.committer.settled();
  assert.equal((await box.status(id)).status, "cancelled");
  assert.equal(rowsOf(box.prism, "select 1 from stream_log where type = 'message'").length, 0);
});

test("a removed account receives nothing, and a disabled sender sends nothing any more", async (t) => {
  const clock = new FakeClock();
  const box = await Mailbox.open(t, { clock, settings: { "queues.messages-retry.maxAttempts": "1" } });
  const toRemoved = await box.send({ recipientId: "vic", delayMs: 60_000 });
  const fromShut = await box.send({ recipientId: "uma", delayMs: 60_000 }, box.wim);
  assert.equal((await box.prism.delete(`/api/v1/users/${box.vic.id}`)).status, 204);
  await box.setStatus(box.wim, "disabled");
  box.pass(clock, 60_000);
  assert.equal((await box.passUntil(clock, toRemoved, "dead")).lastError, INACTIVE);
  const ofShut = () =>
    rowsOf<{ status: string; attempts: number; lastError: string }>(
      box.prism,
      "select status, attempts, lastError from messages where id = ?",
      fromShut,
    )[0];
  await eventually("it is dead at once", () => ofShut()?.status === "dead", 60_000);
  assert.deepEqual(ofShut(), { status: "dead", attempts: 1, lastError: "the sender's account is not active" });
  assert.deepEqual((await box.list("box=inbox")).data, []);
});

test("a database that refuses the delivery delays it, loses nothing, and shows the sender no internal error", async (t) => {
  const clock = new FakeClock();
  const box = await Mailbox.open(t, { clock });
  const beside = openBeside(t, box.prism.parts.base.config.databaseFile);
  beside.exec(
    "create trigger refuse before insert on stream_log when new.type = 'message' begin select raise(abort, 'inner words'); end",
  );
  const id = await box.send();
  const failed = await box.until(id, "retrying");
  assert.equal(failed.lastError, "the delivery failed");
  assert.match(String(scalarOf(box.prism, "select lastError from jobs")), /inner words/);
  beside.exec("drop trigger refuse");
  await box.passUntil(clock, id, "delivered");
  assert.equal(rowsOf(box.prism, "select 1 from stream_log where type = 'message'").length, 2);
});

test("a message has its job's state if its handler could not write", async (t) => {
  const clock = new FakeClock();
  const box = await Mailbox.open(t, { clock, settings: { "queues.messages-retry.maxAttempts": "1" } });
  const beside = openBeside(t, box.prism.parts.base.config.databaseFile);
  beside.exec("create trigger refuse before update on messages begin select raise(abort, 'no'); end");
  const id = await box.send();
  await box.until(id, "retrying");
  const dead = await box.passUntil(clock, id, "dead");
  assert.deepEqual([dead.queue, statusesOf(dead)], ["messages-dead-letter", ["scheduled", "dead"]]);
  assert.deepEqual(valuesOf((await box.list("status=dead")).data, "id"), [id]);
  beside.exec("drop trigger refuse");
  await box.prism.parts.base.database.write((trx) => trx.deleteFrom("jobs").execute());
  assert.deepEqual(
    [(await box.status(id)).status, (await box.status(id)).queue],
    ["dead", null],
    "also without its job",
  );
});

test("a kill while a message is delivered costs no attempt: it continues after the start, and is delivered once", async (t) => {
  const clock = new FakeClock();
  const box = await Mailbox.open(t, { clock });
  const ids = [await box.send({ delayMs: HOUR }), await box.send({ delayMs: HOUR })] as const;
  // What a kill leaves: one attempt that had begun, one whose job was only claimed.
  await box.prism.parts.base.database.write(async (trx) => {
    const running = { state: "running", workerId: "gone", attempts: 1, fence: 1, startedAt: clock.now() } as const;
    await trx.updateTable("jobs").set(running).execute();
    await trx.updateTable("messages").set({ status: "delivering", attempts: 1 }).where("id", "=", ids[0]).execute();
  });
  const dir = await crashImage(t, box.prism);
  const next = await box.again(await startPrism(t, { clock, dir, settings: { "auth.accessExpires": "86400000" } }));
  for (const id of ids) await next.passUntil(clock, id, "delivered");
  const told = await next.told(t, next.vic, (all) => all.length >= 4);
  assert.deepEqual(told.map(([, what]) => what).toSorted(), ["delivered", "delivered", "hello", "hello"]);
  assert.deepEqual(rowsOf(next.prism, "select * from job_attempts"), []);
});

test("a graceful stop in the middle costs no attempt and loses no message", async (t) => {
  const box = await Mailbox.open(t, { settings: { "rateLimit.enabled": "false" } });
  const ids: string[] = [];
  for (let i = 0; i < 25; i++) ids.push(await box.send({ content: `n${i}` }));
  await box.prism.restart();
  for (const id of ids) await box.until(id, "delivered");
  assert.deepEqual(rowsOf(box.prism, "select distinct status, attempts from messages"), [
    { status: "delivered", attempts: 1 },
  ]);
  assert.equal(rowsOf(box.prism, "select 1 from stream_log where type = 'message'").length, 50);
});
