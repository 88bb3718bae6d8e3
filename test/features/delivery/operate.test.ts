import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import type {
  ChannelState as Channel,
  DeliveryItem as Delivery,
  DeliveryItemPage as Page,
} from "../../../src/client/api-types.gen.ts";
import { eventually } from "../../helpers/eventually.ts";
import { makeUser } from "../../helpers/people.ts";
import { startPrism, type TestPrism } from "../../helpers/prism.ts";
import { rowsOf } from "../../helpers/tables.ts";
import { valuesOf } from "../../helpers/values.ts";
import { status, WebPeer } from "./support/web-peer.ts";

interface Detail extends Delivery {
  canRetry: boolean;
  history: {
    attempt: number;
    outcome: string;
    status: number | null;
    error: string | null;
    durationMs: number | null;
  }[];
}
/** A failed attempt is the last one. */
const SETTINGS = { "webhooks.allowPrivateCidrs": "127.0.0.0/8", "queues.notification-delivery.maxAttempts": "1" };

async function withWebhook(t: TestContext): Promise<{ prism: TestPrism; peer: WebPeer; webhook: string }> {
  const prism = await startPrism(t, { settings: SETTINGS });
  const peer = await WebPeer.start(t);
  const { body } = await prism.post<{ id: string }>("/api/v1/webhooks", { url: `${peer.url}/secret-path` });
  return { prism, peer, webhook: body.id };
}

async function send(prism: TestPrism, title: string): Promise<string> {
  const { body, status, text } = await prism.post<{ id: string }>("/api/v1/notifications", {
    userId: "me",
    title,
    message: "m",
    channels: ["in_app", "webhook"],
  });
  assert.equal(status, 201, text);
  return body.id;
}

const list = async (prism: TestPrism, query: string): Promise<readonly Delivery[]> => {
  const { status, body, text } = await prism.get<Page>(`/api/v1/deliveries?${query}`);
  assert.equal(status, 200, text);
  return body.data;
};
const one = async (prism: TestPrism, id: string): Promise<Detail> =>
  (await prism.get<Detail>(`/api/v1/deliveries/${id}`)).body;

test("a dead delivery shows its attempts and the answer, and a retry delivers it", async (t) => {
  const { prism, peer, webhook } = await withWebhook(t);
  peer.answer = status(400);
  const notificationId = await send(prism, "Fire");
  await eventually("it is dead", async () => (await list(prism, "state=dead")).length === 1);
  const [delivery] = await list(prism, "channel=webhook&state=dead");
  assert.ok(delivery);
  assert.deepEqual(
    [delivery.title, delivery.target, delivery.webhookHost, delivery.notificationId],
    ["Fire", webhook, `127.0.0.1:${peer.port}`, notificationId],
  );
  const dead = await prism.get<Detail>(`/api/v1/deliveries/${delivery.id}`);
  assert.equal(dead.text.includes("secret-path"), false, "the path of a webhook may be its secret");
  assert.equal(dead.body.canRetry, true);
  const [attempt] = dead.body.history;
  assert.deepEqual([attempt?.attempt, attempt?.outcome, attempt?.status], [1, "dead", 400]);

  peer.answer = status(204);
  const retried = await prism.post<{ state: string }>(`/api/v1/deliveries/${delivery.id}/retry`);
  assert.equal(retried.status, 200, retried.text);
  await eventually("it is delivered", async () => (await one(prism, delivery.id)).state === "delivered");
  const { history, canRetry } = await one(prism, delivery.id);
  assert.equal(canRetry, false);
  assert.deepEqual(valuesOf(history, "outcome"), ["dead", "delivered"]);
  const again = await prism.post<{ error: { code: string } }>(`/api/v1/deliveries/${delivery.id}/retry`);
  assert.deepEqual([again.status, again.body.error.code], [409, "INVALID_STATE"]);
});

test("a channel whose last delivery was refused is failing, and its answer is no success", async (t) => {
  const { prism, peer } = await withWebhook(t);
  const channel = async () => {
    const { body } = await prism.get<{ channels: Channel[] }>("/api/v1/deliveries/channels");
    const found = body.channels.find(({ name }) => name === "webhook");
    return { state: found?.state, error: found?.lastError, hasSucceeded: found?.lastSuccessAt !== null };
  };
  peer.answer = status(400);
  await send(prism, "Fire");
  await eventually("it is dead", async () => (await list(prism, "state=dead")).length === 1);
  assert.deepEqual(await channel(), { state: "failing", error: "the webhook answered 400", hasSucceeded: false });
  peer.answer = status(204);
  await send(prism, "Over");
  await eventually("it is delivered", async () => (await list(prism, "state=delivered")).length === 1);
  const { state, hasSucceeded } = await channel();
  assert.deepEqual([state, hasSucceeded], ["ok", true]);
});

test("a delivery with an expired job is attempted by a new one", async (t) => {
  const { prism, peer } = await withWebhook(t);
  peer.answer = status(400);
  await send(prism, "Fire");
  await eventually("it is dead", async () => (await list(prism, "state=dead")).length === 1);
  const [delivery] = await list(prism, "state=dead");
  assert.ok(delivery);
  assert.equal((await prism.delete(`/api/v1/jobs/${delivery.id}`)).status, 204);
  peer.answer = status(204);
  await prism.post(`/api/v1/deliveries/${delivery.id}/retry`);
  await eventually("it is delivered", async () => (await one(prism, delivery.id)).state === "delivered");
});

test("many are retried by a filter; a dry run counts them and changes nothing", async (t) => {
  const { prism, peer, webhook } = await withWebhook(t);
  peer.answer = status(400);
  for (const title of ["a", "b", "c"]) await send(prism, title);
  await eventually("they are dead", async () => (await list(prism, "state=dead")).length === 3);
  const calls = peer.received.length;
  peer.answer = status(204);
  const retry = async (body: object) =>
    (await prism.post<Record<string, unknown>>("/api/v1/deliveries/retry", body)).body;
  const filter = { webhookId: webhook };
  assert.deepEqual(await retry({ filter, dryRun: true }), { matched: 3, retried: 0, dryRun: true });
  assert.deepEqual(await retry({ filter: { channel: ["email"] } }), { matched: 0, retried: 0, dryRun: false });
  assert.equal(peer.received.length, calls);
  assert.deepEqual(await retry({ filter, limit: 2 }), { matched: 2, retried: 2, dryRun: false });
  await eventually("two are delivered", async () => (await list(prism, "state=delivered")).length === 2);
  assert.deepEqual(valuesOf(await list(prism, "state=dead"), "title"), ["a"], "the newest first");
});

test("resuming a channel ends the pause and attempts what waits for it", async (t) => {
  const { prism, peer, webhook } = await withWebhook(t);
  const channel = async (): Promise<Channel | undefined> =>
    (await prism.get<{ channels: Channel[] }>("/api/v1/deliveries/channels")).body.channels.find(
      ({ name }) => name === "webhook",
    );
  assert.deepEqual([(await channel())?.state, (await channel())?.targets], ["ok", []]);
  const sender = prism.parts.offers.channels.get("webhook");
  assert.ok(sender);
  prism.parts.offers.circuits.of(sender, webhook).open(new Error("the host refused five connections"));
  await send(prism, "Fire");
  await eventually("it waits", async () => (await list(prism, "state=waiting"))[0]?.reason === "provider paused");
  const [waiting] = await list(prism, "state=waiting");
  assert.ok(waiting?.nextAttemptAt);
  const paused = await channel();
  assert.deepEqual(
    [paused?.state, paused?.waiting, paused?.lastError, paused?.targets[0]?.target],
    ["paused", 1, "the host refused five connections", webhook],
  );
  assert.equal(peer.received.length, 0);
  const resumed = await prism.post<{ attempted: number }>("/api/v1/deliveries/channels/webhook/resume");
  assert.deepEqual([resumed.status, resumed.body.attempted], [200, 1]);
  await eventually("it is delivered", async () => (await list(prism, "state=delivered")).length === 1);
  assert.equal((await channel())?.state, "ok");
  const unknown = await prism.post("/api/v1/deliveries/channels/pigeon/resume");
  assert.equal(unknown.status, 404);
  const find = "select action, resourceType, resourceId, metadata from audit_log where action like 'channel.%'";
  assert.deepEqual(
    rowsOf(prism, find),
    [{ action: "channel.resume", resourceType: "channel", resourceId: "webhook", metadata: "{}" }],
    "who resumed it is in the audit trail; the unknown channel is not",
  );
});

test("an administrator lists the webhooks of all with their last result", async (t) => {
  const { prism, peer, webhook } = await withWebhook(t);
  peer.answer = status(400);
  await send(prism, "Fire");
  await eventually("it is dead", async () => (await list(prism, "state=dead")).length === 1);
  const uma = await makeUser(prism, "uma", ["RuleManager"]);
  const other = await prism.post<{ id: string }>("/api/v1/webhooks", { url: `${peer.url}/hidden` }, uma);
  const { body } = await prism.get<{
    data: { id: string; url: string; lastResult: { state: string; error: string } | null }[];
  }>("/api/v1/webhooks?scope=all&include=result");
  const [newest] = body.data.splice(0, 1);
  assert.deepEqual(
    [newest?.id, newest?.url, newest?.lastResult],
    [other.body.id, `http://127.0.0.1:${peer.port}/…`, null],
    "of another user's webhook the host",
  );
  const rows = body.data.map(({ id, lastResult }) => [id, lastResult?.state, lastResult?.error]);
  assert.deepEqual(rows, [[webhook, "dead", "the webhook answered 400"]]);
});

test("a preview shows who a rule would notify now, by which channels, and why not by others", async (t) => {
  const { prism } = await withWebhook(t);
  const anna = await makeUser(prism, "anna", ["Operator"]);
  const preview = async () => {
    const body = { projectId: null, targetRoles: ["admin"], targetUsers: [anna.id] };
    const reply = await prism.post<{
      users: number;
      people: { userId: string; channels: { channel: string; result: string; reason: string | null }[] }[];
    }>("/api/v1/deliveries/preview", { ...body, channels: ["in_app", "webhook", "fcm"] });
    assert.equal(reply.status, 200, reply.text);
    assert.equal(reply.body.users, 2);
    const textsOf = (isAnna: boolean) =>
      reply.body.people
        .find(({ userId }) => (userId === anna.id) === isAnna)
        ?.channels.map(({ channel, result, reason }) => `${channel} ${reason ?? result}`);
    return { anna: textsOf(true), admin: textsOf(false) };
  };
  const first = await preview();
  assert.deepEqual(first.anna, ["in_app sent", "webhook no target", "fcm not configured"]);
  assert.deepEqual(first.admin, ["in_app sent", "webhook sent", "fcm not configured"]);
  await prism.put("/api/v1/users/me/preferences", { channels: { rule: ["in_app"] } });
  assert.deepEqual((await preview()).admin, ["in_app sent", "webhook channel off", "fcm not configured"]);
});
