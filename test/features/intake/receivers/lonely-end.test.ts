import assert from "node:assert/strict";
import test from "node:test";
import { eventually } from "../../../helpers/eventually.ts";
import type { TestPrism } from "../../../helpers/prism.ts";
import { rowsOf, scalarOf } from "../../../helpers/tables.ts";
import { ReceiverTest } from "./support.ts";

async function told(prism: TestPrism): Promise<{ title: string; message: string }[]> {
  await eventually("decided", () => scalarOf(prism, "select count(*) from events where processedAt is null") === 0);
  return rowsOf(prism, "select title, message from notifications where kind = 'rule' order by id");
}

test("an end that finds no alert is an event that is told, also where the sender calls it information", async (t) => {
  const receivers = await ReceiverTest.start(t);
  const receiver = await receivers.make({ name: "Shop" });
  await receivers.send(receiver, { title: "db-1 is up", key: "db-1", status: "resolved", level: "info" });
  const [end, ...others] = await receivers.events();
  assert.deepEqual(others, []);
  assert.deepEqual([end?.type, end?.level, end?.payload["status"]], ["message", "info", "resolved"]);
  const [request] = await receivers.requests(receiver);
  assert.equal(request?.outcome["events"], 1);
  assert.match(JSON.stringify(request?.outcome["alerts"]), /"outcome":"unchanged"/);
  const notified = await told(receivers.prism);
  assert.equal(notified.length, 1);
  assert.match(notified[0]?.title ?? "", /db-1 is up/);
});

test("an end with an event beside it is one event, which is told", async (t) => {
  const receivers = await ReceiverTest.start(t);
  const receiver = await receivers.make({ mapping: { output: "both" } });
  await receivers.send(receiver, { title: "Disk", key: "disk", status: "resolved" });
  assert.deepEqual(
    (await receivers.events()).map(({ level }) => level),
    ["info"],
  );
  assert.deepEqual(
    (await told(receivers.prism)).map(({ title }) => title),
    ["Resolved: Disk"],
  );
});

test("the end of an alert is told by its incident, and the repetition of that end is no news", async (t) => {
  const receivers = await ReceiverTest.start(t);
  const receiver = await receivers.make({});
  await receivers.send(receiver, { title: "Disk", key: "disk", status: "firing" });
  await receivers.send(receiver, { title: "Disk", key: "disk", status: "resolved" });
  await receivers.send(receiver, { title: "Disk", key: "disk", status: "resolved" });
  assert.deepEqual(await told(receivers.prism), []);
  assert.deepEqual(await receivers.alerts(), []);
});

test("a receiver that notifies no one stores such an end, and tells nobody", async (t) => {
  const receivers = await ReceiverTest.start(t);
  const receiver = await receivers.make({ notify: "none" });
  await receivers.send(receiver, { title: "Disk", key: "disk", status: "resolved" });
  assert.equal((await receivers.events()).length, 1);
  assert.deepEqual(await told(receivers.prism), []);
});
