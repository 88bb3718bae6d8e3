import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { keepsPromise } from "../../../helpers/promise.ts";
import { heard, Mailbox } from "./support/mailbox.ts";

const MINUTE = 60_000;

test("S4-02 who was away gets what came meanwhile by the offset he last saw, with its content", async (t) => {
  keepsPromise(t, "S4-02");
  const clock = new FakeClock();
  const box = await Mailbox.open(t, { clock });
  const before = await box.follow(t, box.vic);
  await box.until(await box.send({ content: "seen" }), "delivered");
  const status = await before.expect({ op: "event", type: "message:status" });
  await before.close();

  const [first, second] = [
    await box.send({ content: "away 1", delayMs: MINUTE }),
    await box.send({ content: "away 2", delayMs: MINUTE }),
  ];
  box.pass(clock, MINUTE);
  await box.until(first, "delivered");
  await box.until(second, "delivered");
  await box.read(first);

  const after = await box.follow(t, box.vic, { from: Number(status["offset"]) });
  await eventually("all was replayed", () => heard(after).length >= 5, 60_000);
  const contents = heard(after).flatMap(([type, content]) => (type === "message" ? [content] : []));
  assert.deepEqual(contents.toSorted(), ["away 1", "away 2"]);
  assert.equal(heard(after).length, 5);
  const replayed = after
    .all({ op: "event", type: "message" })
    .find(({ data }) => (data as { id: string }).id === first);
  assert.deepEqual(replayed?.["data"], (await box.get(first, box.vic)).body, "as it is now: read");
  const offsets = after.all({ op: "event" }).map(({ offset }) => Number(offset));
  const sorted = offsets.toSorted((a, b) => a - b);
  assert.deepEqual(offsets, sorted);

  // The sender's stream has the same, and continues live after the replay.
  const sender = await box.follow(t, box.uma, { from: "earliest" });
  await box.until(await box.send({ content: "live" }), "delivered");
  await eventually("the live one came", () => heard(sender).some(([, content]) => content === "live"), 60_000);
  const sent = heard(sender).flatMap(([type, content]) => (type === "message" ? [content] : []));
  assert.deepEqual([sent[0], sent.at(-1), sent.length], ["seen", "live", 4]);
});

test("S4-02 a replay works after a restart, and of a message that was removed it has the id alone", async (t) => {
  keepsPromise(t, "S4-02");
  const box = await Mailbox.open(t);
  const [kept, gone] = [await box.send({ content: "kept" }), await box.send({ content: "gone" })];
  await box.until(kept, "delivered");
  await box.until(gone, "delivered");
  await box.prism.services.db.write((trx) => trx.deleteFrom("messages").where("id", "=", gone).execute());
  await box.prism.restart();
  const vic = await box.follow(t, box.vic, { from: "earliest" });
  await eventually("both were replayed", () => vic.all({ op: "event", type: "message" }).length === 2, 60_000);
  const data = vic.all({ op: "event", type: "message" }).map((message) => message["data"] as { id: string });
  const found = data.find(({ id }) => id === gone);
  assert.deepEqual(found, { id: gone });
  assert.deepEqual(
    data.find(({ id }) => id === kept),
    (await box.get(kept, box.vic)).body,
  );
});

test("S4-02 more messages than a page of the history holds, of the largest size, come whole and in order", async (t) => {
  keepsPromise(t, "S4-02");
  const box = await Mailbox.open(t, { settings: { "rateLimit.enabled": "false" } });
  const wide = "\u{1F600}".repeat(9_990);
  const ids: string[] = [];
  for (let i = 0; i < 120; i++) ids.push(await box.send({ content: `${i} ${i % 10 === 0 ? wide : ""}`.trim() }));
  for (const id of ids) await box.until(id, "delivered");
  const vic = await box.follow(t, box.vic, { from: "earliest" });
  const messages = () => heard(vic).filter(([type]) => type === "message");
  await eventually("all have come", () => messages().length === 120, 60_000);
  const offsets = vic.all({ op: "event" }).map(({ offset }) => Number(offset));
  const sorted = [...new Set(offsets)].toSorted((a, b) => a - b);
  assert.deepEqual(offsets, sorted);
  const numbers = messages().map(([, content]) => Number(content?.split(" ")[0]));
  assert.deepEqual(
    numbers.toSorted((a, b) => a - b),
    Array.from({ length: 120 }, (_, i) => i),
  );
  assert.equal(messages().filter(([, content]) => content?.endsWith(wide)).length, 12);
});
