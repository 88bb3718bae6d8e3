import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { heard, Mailbox } from "./support/mailbox.ts";

test("S4-01 S4-19 S4-22 S4-24 a message waits in its queue until its delay is over, is attempted, delivered, and every step is sent", async (t) => {
  keepsPromise(t, ["S4-01", "S4-22"]);
  const clock = new FakeClock();
  const box = await Mailbox.open(t, { clock });
  const sent = clock.now();
  const id = await box.send({ content: "received, validated, delayed", delayMs: 60_000 });
  const waiting = await box.status(id);
  assert.deepEqual(waiting, {
    id,
    status: "scheduled",
    queue: "messages",
    attempts: 0,
    deliverAt: new Date(sent + 60_000).toISOString(),
    deliveredAt: null,
    readAt: null,
    history: [{ status: "scheduled", at: new Date(sent).toISOString() }],
  });
  // Jobs are claimed some milliseconds before they are due.
  box.pass(clock, 59_000);
  await box.prism.parts.base.store.committer.settled();
  assert.equal((await box.status(id)).status, "scheduled");
  assert.equal((await box.get(id, box.vic)).status, 404, "its recipient does not know of it yet");

  box.pass(clock, 1000);
  const delivered = await box.until(id, "delivered");
  const due = new Date(sent + 60_000).toISOString();
  assert.deepEqual(delivered, {
    ...waiting,
    status: "delivered",
    queue: null,
    attempts: 1,
    deliveredAt: due,
    history: [
      ...waiting.history,
      { status: "queued", at: due },
      { status: "delivering", at: due },
      { status: "delivered", at: due },
    ],
  });
  const { body } = await box.get(id, box.vic);
  assert.deepEqual(
    [body.content, body.status, body.senderId],
    ["received, validated, delayed", "delivered", box.uma.id],
  );
  assert.equal(box.jobOf(id).state, "succeeded");
});

test("S4-02 both sides get it live: the sender of each step, the recipient from the delivery on", async (t) => {
  const clock = new FakeClock();
  const box = await Mailbox.open(t, { clock });
  const [uma, vic, wim] = [await box.follow(t, box.uma), await box.follow(t, box.vic), await box.follow(t, box.wim)];
  const id = await box.send({ content: "hi", delayMs: 1000 });
  await uma.expect({ op: "event", type: "message:status" });
  assert.deepEqual(heard(vic), []);
  box.pass(clock, 1000);
  await box.until(id, "delivered");
  const { body: read } = await box.read(id);
  assert.equal(read.status, "read");
  const ofRecipient = [
    ["message", "hi"],
    ["message:status", "delivered"],
    ["message:status", "read"],
  ];
  const ofSender = [["message:status", "scheduled"], ["message:status", "delivering"], ...ofRecipient];
  await eventually("both have heard all", () => heard(uma).length >= 5 && heard(vic).length >= 3, 60_000);
  assert.deepEqual([heard(uma), heard(vic), heard(wim)], [ofSender, ofRecipient, []]);

  const [entry] = vic.all({ op: "event", type: "message" });
  const { body } = await box.get(id, box.vic);
  assert.equal(entry?.["stream"], `messages:${box.vic.id}`);
  assert.deepEqual(
    entry?.["data"],
    { ...body, status: "delivered", readAt: null, updatedAt: body.deliveredAt },
    "as it was when it was delivered, in the shape in which it is read",
  );
  const [status] = vic.all({ op: "event", type: "message:status" });
  assert.deepEqual(status?.["data"], { id, status: "delivered", at: body.deliveredAt });
});

test("a message to oneself is there once, and is heard of once", async (t) => {
  const box = await Mailbox.open(t);
  const uma = await box.follow(t, box.uma);
  const id = await box.send({ recipientId: "me", content: "note to self" });
  await box.until(id, "delivered");
  assert.equal((await box.read(id, box.uma)).body.status, "read");
  await eventually("all was heard", () => heard(uma).length >= 5, 60_000);
  assert.deepEqual(heard(uma), [
    ["message:status", "scheduled"],
    ["message:status", "delivering"],
    ["message", "note to self"],
    ["message:status", "delivered"],
    ["message:status", "read"],
  ]);
  for (const query of ["", "box=all", "box=sent", "box=inbox", "with=uma", "with=me&box=inbox"])
    assert.deepEqual(valuesOf((await box.list(query)).data, "id"), [id], query);
});

test("many messages at once are delivered once each, whatever the haste", async (t) => {
  const box = await Mailbox.open(t, { settings: { "rateLimit.enabled": "false", "queues.messages.concurrency": "1" } });
  const vic = await box.follow(t, box.vic);
  const contents = Array.from({ length: 40 }, (_, i) => `n${i}`);
  for (const content of contents) await box.send({ content });
  const received = () => heard(vic).filter(([type]) => type === "message");
  await eventually("all have come", () => received().length >= 40, 60_000);
  await box.prism.parts.base.store.committer.settled();
  assert.deepEqual(
    received()
      .map(([, content]) => content)
      .toSorted(),
    contents.toSorted(),
  );
  assert.deepEqual(rowsOf(box.prism, "select distinct status, attempts from messages"), [
    { status: "delivered", attempts: 1 },
  ]);
  assert.equal(rowsOf(box.prism, "select 1 from stream_log where type = 'message'").length, 80, "one of each side");
});
