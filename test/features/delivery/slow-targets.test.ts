import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { eventually } from "../../helpers/eventually.ts";
import { FakeClock } from "../../helpers/fake-clock.ts";
import { makeUser } from "../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../helpers/prism.ts";
import { rowsOf, scalarOf } from "../../helpers/tables.ts";
import { valuesOf } from "../../helpers/values.ts";
import { mailPeer } from "./support/mail-peer.ts";
import { reset, silence, status, WebPeer } from "./support/web-peer.ts";

async function notify(prism: TestPrism, recipient: string, channels: readonly string[]): Promise<void> {
  const body = { recipients: [recipient], channels, title: "Door", message: "The door is open" };
  const { status: code, text } = await prism.post("/api/v1/notifications", body);
  assert.equal(code, 201, text);
}

/**
 * Two users with webhooks on a host each, and a mail server. The clock is stopped, so that no retry
 * becomes due by time alone.
 */
async function world(t: TestContext) {
  const [slowHost, quickHost, mail] = [await WebPeer.start(t), await WebPeer.start(t), await mailPeer(t)];
  const prism = await startPrism(t, {
    clock: new FakeClock(),
    settings: {
      ...mail.settings,
      "webhooks.allowPrivateCidrs": "127.0.0.0/8",
      "delivery.perUser": "10000",
      "delivery.perUserBurst": "10000",
      "delivery.global": "100000",
    },
  });
  const [slow, ann] = [await makeUser(prism, "slow"), await makeUser(prism, "ann")];
  const addWebhook = async (userId: string, url: string): Promise<void> => {
    const { body, text } = await prism.post<{ id: string }>("/api/v1/webhooks", { url });
    assert.ok(body.id, text);
    await prism.services.db.write((trx) =>
      trx.updateTable("webhooks").set({ userId }).where("id", "=", body.id).execute(),
    );
  };
  await addWebhook(ann.id, quickHost.url);
  await prism.services.db.write((trx) =>
    trx.updateTable("users").set({ email: "ann@example.com" }).where("id", "=", ann.id).execute(),
  );
  return { prism, slowHost, quickHost, mail, slow, ann, addWebhook };
}

const stateCount = (prism: TestPrism, state: string) =>
  scalarOf<number>(prism, `select count(*) from deliveries where channel = 'webhook' and state = '${state}'`);

test("a burst for one webhook is delivered in order without waiting for a clock, and what follows goes at once", async (t) => {
  const { prism, slowHost, slow, addWebhook } = await world(t);
  await addWebhook(slow.id, slowHost.url);
  for (let i = 0; i < 60; i++) await notify(prism, slow.id, ["webhook"]);
  await eventually("all have come", () => stateCount(prism, "delivered") === 60);
  const called = slowHost.received.map(({ headers }) => headers["webhook-id"]);
  const made = rowsOf<{ id: string }>(prism, "select id from jobs where kind = 'delivery.attempt' order by seq");
  assert.deepEqual(called, valuesOf(made, "id"));
  const began = slowHost.received.length;
  await notify(prism, slow.id, ["webhook"]);
  await eventually("the next one has come", () => slowHost.received.length === began + 1);
});

test("sixty webhooks on a host that never answers keep no mail and no webhook of another user waiting", async (t) => {
  const { prism, slowHost, quickHost, mail, slow, ann, addWebhook } = await world(t);
  slowHost.answer = silence;
  for (let i = 0; i < 60; i++) await addWebhook(slow.id, `${slowHost.url}/${i}`);
  await notify(prism, slow.id, ["webhook"]);
  await eventually("the host is called", () => slowHost.received.length > 0);
  for (let i = 0; i < 5; i++) await notify(prism, ann.id, ["webhook", "email"]);
  await eventually("mails and calls have come", () => mail.accepted.length === 5 && quickHost.received.length === 5);
  assert.equal(slowHost.received.length, 3, "the user holds three workers, no call of which has ended");
  assert.equal(stateCount(prism, "failed"), 0);
});

test("a host that does not answer is paused for all its webhooks after five calls", async (t) => {
  const { prism, slowHost, slow, addWebhook } = await world(t);
  slowHost.answer = reset;
  for (let i = 0; i < 20; i++) await addWebhook(slow.id, `${slowHost.url}/${i}`);
  await notify(prism, slow.id, ["webhook"]);
  const paused = () => scalarOf<number>(prism, "select count(*) from deliveries where reason = 'provider paused'");
  await eventually("the others wait", () => (paused() ?? 0) + (stateCount(prism, "failed") ?? 0) === 20);
  assert.ok(slowHost.received.length <= 8, `${slowHost.received.length} calls of 20`);
});

test("webhooks whose host answers with errors do not pause the host for others", async (t) => {
  const { prism, slowHost, slow, ann, addWebhook } = await world(t);
  slowHost.answer = status(500);
  for (let i = 0; i < 8; i++) await addWebhook(slow.id, `${slowHost.url}/${i}`);
  await notify(prism, slow.id, ["webhook"]);
  await eventually("all have failed", () => stateCount(prism, "failed") === 8);
  slowHost.answer = status(204);
  await addWebhook(ann.id, `${slowHost.url}/ann`);
  await notify(prism, ann.id, ["webhook"]);
  await eventually("it is called", () => slowHost.received.some(({ path }) => path === "/hook/ann"));
});
