import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import type { SubscribeOptions } from "../../src/client/index.ts";
import { deferred } from "../../src/core/promises.ts";
import { eventually } from "../helpers/eventually.ts";
import { makeUser } from "../helpers/people.ts";
import { startPrism, type TestPrism } from "../helpers/prism.ts";
import { scalarOf } from "../helpers/tables.ts";
import { Relay } from "./support/relay.ts";
import { startClient, subscribed } from "./support/start-client.ts";

async function scene(t: TestContext, options: SubscribeOptions) {
  const prism = await startPrism(t);
  const relay = await Relay.start(t, prism.url);
  const uma = await makeUser(prism, "uma");
  const { client } = startClient(t, { url: relay.url, token: uma.token });
  const subscription = client.subscribe("user:me", options);
  await subscribed(client);
  const notify = async (title: string) => {
    await prism.post("/api/v1/notifications", { userId: uma.id, title, message: "m" });
  };
  return { prism, relay, client, subscription, notify };
}

function delivered(prism: TestPrism): number {
  return scalarOf<number>(prism, "select count(*) from notification_recipients where delivered = 1") ?? 0;
}

test("with `auto` a notification counts as delivered when its handler has returned, and not before", async (t) => {
  const { prism, subscription, notify } = await scene(t, { ack: "auto" });
  const gate = deferred<void>();
  const titles: string[] = [];
  subscription.on("notification", async ({ data }) => {
    titles.push(data.title);
    if (data.title === "2") await gate.promise;
  });
  for (const title of ["1", "2", "3"]) await notify(title);
  await eventually("the first", () => delivered(prism) === 1 && titles.length === 2);
  assert.deepEqual(titles, ["1", "2"]);
  assert.equal(delivered(prism), 1);
  gate.resolve();
  await eventually("all", () => delivered(prism) === 3);
});

test("with `manual` it counts when the client says so; what was said on a line that broke is said again", async (t) => {
  const { prism, relay, client, subscription, notify } = await scene(t, { ack: "manual" });
  const offsets: number[] = [];
  subscription.on("notification", ({ offset }) => void offsets.push(offset));
  for (const title of ["1", "2", "3"]) await notify(title);
  await eventually("three", () => offsets.length === 3);
  assert.equal(delivered(prism), 0);
  await subscription.ack(offsets[1]);
  await eventually("two", () => delivered(prism) === 2);
  relay.down();
  const said = subscription.ack();
  relay.up();
  await said;
  await eventually("three", () => delivered(prism) === 3);
  await subscription.ack();
  relay.down();
  const never = subscription.ack((offsets[2] ?? 0) + 1);
  await Promise.all([client.close(), assert.rejects(never, { code: "CONNECTION_CLOSED" })]);
});

test("many acknowledgements become few messages: the server's limit is not reached", async (t) => {
  const { prism, subscription, notify, client } = await scene(t, { ack: "auto" });
  subscription.on("notification", () => undefined);
  for (let n = 0; n < 150; n++) await notify(String(n));
  await eventually("all", () => delivered(prism) === 150);
  assert.equal(client.state.state, "open");
});

test("an acknowledgement settles when its subscription is closed, also one that no caller awaits", async (t) => {
  const { relay, subscription, notify } = await scene(t, { ack: "manual" });
  let offset = 0;
  subscription.on("notification", (entry) => {
    offset = entry.offset;
  });
  await notify("1");
  await eventually("handled", () => offset > 0);
  relay.down();
  void subscription.ack(offset);
  const awaited = subscription.ack(offset);
  await Promise.all([subscription.close(), assert.rejects(awaited, { code: "CONNECTION_CLOSED" })]);
  await assert.rejects(subscription.ack(offset), { code: "CONNECTION_CLOSED" });
});
