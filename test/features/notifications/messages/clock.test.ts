import assert from "node:assert/strict";
import test from "node:test";
import { crashImage } from "../../../helpers/crash-image.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { startPrism } from "../../../helpers/prism.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { valuesOf } from "../../../helpers/values.ts";
import { Mailbox } from "./support/mailbox.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

test("8.2 a clock that is set an hour forward makes due what it has passed, and nothing else", async (t) => {
  const clock = new FakeClock();
  const box = await Mailbox.open(t, { clock });
  const [soon, later] = [await box.send({ delayMs: 30 * MINUTE }), await box.send({ delayMs: 90 * MINUTE })];
  clock.set(HOUR);
  box.pass(clock, 0);
  await box.until(soon, "delivered");
  assert.equal((await box.status(later)).status, "scheduled");
  box.pass(clock, 30 * MINUTE);
  await box.until(later, "delivered");
});

test("8.2 a clock that is set an hour back holds up nothing that was sent meanwhile: delays are time that passes", async (t) => {
  const clock = new FakeClock();
  const box = await Mailbox.open(t, { clock });
  const before = await box.send({ delayMs: 2 * HOUR });
  clock.set(HOUR);
  box.pass(clock, 0);
  const meanwhile = await box.send({ delayMs: 10 * MINUTE });
  clock.set(-HOUR);
  box.pass(clock, 0);
  await box.prism.parts.base.store.committer.settled();
  assert.equal((await box.status(meanwhile)).status, "scheduled");
  box.pass(clock, 10 * MINUTE);
  await box.until(meanwhile, "delivered");
  assert.equal((await box.status(before)).status, "scheduled");
  box.pass(clock, 110 * MINUTE);
  await box.until(before, "delivered");
  assert.deepEqual(rowsOf(box.prism, "select distinct attempts from messages"), [{ attempts: 1 }]);
  const times = (await box.status(meanwhile)).history.map(({ at }) => at);
  assert.equal(times.length, 4);
});

test("8.2 what came due while the machine slept a day is delivered once when it wakes", async (t) => {
  const clock = new FakeClock();
  const box = await Mailbox.open(t, { clock });
  const hours = [1, 12, 23];
  const ids = await Promise.all(hours.map((hour) => box.send({ delayMs: hour * HOUR, content: `after ${hour}` })));
  const later = await box.send({ delayMs: DAY + HOUR });
  // A sleep: the wall clock moves on, and no time has passed for the process.
  clock.set(DAY);
  box.pass(clock, 0);
  const awake = await box.again();
  for (const id of ids) await awake.until(id, "delivered");
  assert.equal((await awake.status(later)).status, "scheduled");
  const inbox = await awake.list("box=inbox", awake.vic);
  assert.deepEqual(valuesOf(inbox.data, "content"), ["after 23", "after 12", "after 1"]);
  assert.equal(rowsOf(box.prism, "select 1 from stream_log where type = 'message'").length, 6);
});

test("8.2 what came due while Prism was down is delivered at the start, once", async (t) => {
  const clock = new FakeClock();
  const box = await Mailbox.open(t, { clock });
  const id = await box.send({ delayMs: HOUR, content: "overdue" });
  const dir = await crashImage(t, box.prism);
  clock.set(DAY);
  const next = await box.again(await startPrism(t, { clock, dir }));
  await next.until(id, "delivered");
  const once = await box.again(await startPrism(t, { clock, dir: await crashImage(t, next.prism) }));
  assert.equal((await once.status(id)).attempts, 1);
  assert.equal(rowsOf(once.prism, "select 1 from stream_log where type = 'message'").length, 2);
});
