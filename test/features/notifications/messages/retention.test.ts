import assert from "node:assert/strict";
import test from "node:test";
import { silentLogger } from "../../../../src/core/log.ts";
import { sweepAll } from "../../../../src/store/retention.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { rowsOf } from "../../../helpers/tables.ts";
import { Mailbox, type Person } from "./support/mailbox.ts";

const DAY = 86_400_000;

async function start(t: test.TestContext) {
  const clock = new FakeClock();
  const box = await Mailbox.open(t, { clock, settings: { "queues.messages-retry.maxAttempts": "1" } });
  const names = new Map<string, string>();
  const send = async (name: string, body: object = {}, from: Person = box.uma): Promise<string> => {
    const id = await box.send({ content: name, ...body }, from);
    names.set(id, name);
    return id;
  };
  const sweep = () =>
    sweepAll({ database: box.prism.parts.base.database, clock, log: silentLogger }, box.prism.parts.offers.sweeps());
  const kept = () =>
    rowsOf<{ id: string }>(box.prism, "select id from messages order by id").map(({ id }) => names.get(id));
  return { box, clock, send, sweep, kept };
}

test("3 messages are kept for 365 days after they were due; what still waits stays", async (t) => {
  const { box, clock, send, sweep, kept } = await start(t);
  await box.until(await send("delivered"), "delivered");
  await box.cancel(await send("cancelled", { delayMs: DAY }));
  await send("waits", { delayMs: 30 * DAY });
  box.prism.parts.offers.runner.pause("messages");
  clock.set(365 * DAY - 1);
  await sweep();
  assert.deepEqual(kept(), ["delivered", "cancelled", "waits"]);
  clock.set(1);
  await sweep();
  assert.deepEqual(kept(), ["cancelled", "waits"]);
  clock.set(DAY);
  await sweep();
  assert.deepEqual(kept(), ["waits"]);
  clock.set(365 * DAY);
  await sweep();
  assert.deepEqual(kept(), ["waits"], "its job has not ended");
});

test("12.18 thirty days after an account was removed, messages that no other user has are removed, and no other", async (t) => {
  const { box, clock, send, sweep, kept } = await start(t);
  for (const [name, to, from] of [
    ["to vic", "vic", box.uma],
    ["from vic", "uma", box.vic],
    ["to wim", "wim", box.uma],
    ["to herself", "uma", box.uma],
  ] as const)
    await box.until(await send(name, { recipientId: to }, from), "delivered", from);
  await box.cancel(await send("withdrawn", { delayMs: DAY }));
  await box.cancel(await send("withdrawn by vic", { recipientId: "uma", delayMs: DAY }, box.vic), box.vic);
  const all = ["to vic", "from vic", "to wim", "to herself", "withdrawn", "withdrawn by vic"];
  await box.prism.delete(`/api/v1/users/${box.uma.id}`);
  clock.advance(DAY);
  const administrator = (await box.prism.get<{ token: string }>("/dev/token", { token: null })).body.token;
  await box.prism.delete(`/api/v1/users/${box.wim.id}`, { token: administrator });
  clock.set(29 * DAY - 1);
  await sweep();
  assert.deepEqual(kept(), all);
  clock.set(1);
  await sweep();
  assert.deepEqual(kept(), ["to vic", "from vic", "to wim", "withdrawn by vic"], "hers that reached nobody else");
  clock.set(DAY);
  await sweep();
  assert.deepEqual(kept(), ["to vic", "from vic", "withdrawn by vic"], "both sides of the other are gone now");
  const vic = (await box.again()).vic;
  assert.deepEqual(
    (await box.list("", vic)).data.map(({ content }) => content).toSorted(),
    ["from vic", "to vic", "withdrawn by vic"],
    "what Vic has is his",
  );
});
