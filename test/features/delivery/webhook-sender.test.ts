import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import type { ServerResponse } from "node:http";
import test, { type TestContext } from "node:test";
import { SEALED_COLUMNS } from "../../../src/app/sealed-columns.ts";
import { SealedBox } from "../../../src/core/crypto/sealed-box.ts";
import { asPrevious, signingKeys } from "../../../src/features/channels/webhook/message.ts";
import { NoAnswer, RefusedNow, TargetGone } from "../../../src/features/delivery/channel.ts";
import { AuditLog } from "../../../src/features/records/audit/audit-log.ts";
import { RetryLater } from "../../../src/features/time/jobs/runner/job.ts";
import { reseal } from "../../../src/store/sealed-column.ts";
import { TEST_KEY } from "../../helpers/store.ts";
import { rowsWith } from "../../helpers/values.ts";
import { send as sendBy } from "./support/push-world.ts";
import { reset, silence, slowBody, status, WebPeer } from "./support/web-peer.ts";
import { WebhookWorld, type WebhookWorldOptions } from "./support/webhook-world.ts";

interface Body {
  readonly type: string;
  readonly timestamp: string;
  readonly data: Record<string, unknown>;
}

/** What is answered at once is answered within it on a slow machine, too. */
const HASTY = { limits: { answerMs: 3000 } };

/** Uma, her webhook at a real server, and a notification for her. */
async function umasWorld(t: TestContext, options: WebhookWorldOptions = {}) {
  const peer = await WebPeer.start(t);
  const world = new WebhookWorld(t, options);
  await world.user("uma");
  const hook = await world.webhook(peer.url, { userId: "uma" });
  const notification = await world.notification({ users: ["uma"] });
  const send = (signal?: AbortSignal) =>
    sendBy(world.sender, world.attempt(notification, { userId: "uma", target: hook.id }, signal));
  return { peer, world, hook, notification, send };
}

const thrownBy = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => assert.fail("it was delivered"),
    (error: unknown) => error,
  );

test("a webhook gets the notification as its recipient sees it, signed as Standard Webhooks says", async (t) => {
  const { peer, world, hook, notification } = await umasWorld(t);
  const attempt = world.attempt(notification, { userId: "uma", target: hook.id });
  assert.deepEqual(await sendBy(world.sender, attempt), {});
  world.clock.advance(90_000);
  await sendBy(world.sender, attempt);
  const [first, second] = peer.received;
  assert.ok(first && second);
  const { type, timestamp, data } = JSON.parse(first.body) as Body;
  assert.deepEqual([first.method, first.path, first.headers["content-type"]], ["POST", "/hook", "application/json"]);
  assert.deepEqual([type, timestamp], ["notification", new Date(notification.createdAt).toISOString()]);
  assert.deepEqual(
    [data["id"], data["title"], data["message"], data["userId"], data["read"]],
    [notification.id, "Fire", "now", "uma", false],
  );
  for (const { headers, body } of [first, second]) {
    const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
    const expected = `v1,${createHmac("sha256", hook.key).update(signed).digest("base64")}`;
    assert.equal(headers["webhook-signature"], expected);
  }
  assert.deepEqual(
    [first.headers["webhook-id"], second.headers["webhook-id"]],
    [attempt.delivery.id, attempt.delivery.id],
  );
  const seconds = Math.floor(world.clock.now() / 1000);
  const shown = [first, second].map(({ headers }) => Number(headers["webhook-timestamp"]));
  assert.deepEqual(shown, [seconds - 90, seconds]);
});

test("what a webhook answers decides: taken, later, again, or never", async (t) => {
  const { peer, world, hook, send } = await umasWorld(t);
  for (const code of [200, 201, 202, 204, 299]) {
    peer.answer = status(code);
    assert.deepEqual(await send(), {}, String(code));
  }
  peer.answer = slowBody(200);
  const hasty = await umasWorld(t, { fetch: HASTY });
  hasty.peer.answer = slowBody(200);
  assert.deepEqual(await hasty.send(), {}, "the status says that it was taken");

  for (const { code, headers, waitMs } of [
    { code: 429, headers: { "Retry-After": "120" }, waitMs: 120_000 },
    { code: 429, headers: { "Retry-After": "nonsense" }, waitMs: 0 },
    { code: 503, headers: { "Retry-After": "7" }, waitMs: 7000 },
  ]) {
    peer.answer = status(code, headers);
    const error = await thrownBy(send());
    assert.ok(error instanceof RetryLater, `${code}`);
    assert.equal(error.retryAfterMs, waitMs);
  }
  assert.equal((await world.row(hook.id)).failures, 0, "who says when to come back has not failed");

  const codes = [302, 400, 401, 404, 409, 418, 500, 502, 503];
  for (const code of codes) {
    peer.answer = status(code, code === 302 ? { Location: peer.url } : {});
    const before = peer.received.length;
    const error = await thrownBy(send());
    assert.ok(error instanceof Error);
    assert.equal(error.constructor, code < 500 ? RefusedNow : Error, `${code} is tried again`);
    assert.match(error.message, new RegExp(`answered ${code}`));
    assert.equal(peer.received.length, before + 1, "nothing is followed");
  }
  assert.equal((await world.row(hook.id)).failures, codes.length);
  peer.answer = status(204);
  await send();
  assert.equal((await world.row(hook.id)).failures, 0, "one that is taken ends the row of failures");
});

test("a page in place of an answer is tried again, with its first words; a text is an answer", async (t) => {
  const { peer, send } = await umasWorld(t);
  const html = (body: string) => (response: ServerResponse) =>
    void response.writeHead(200, { "Content-Type": "text/html" }).end(body);
  peer.answer = html("<!doctype html><title>Hotel</title><h1>Sign in</h1>");
  const error = await thrownBy(send());
  assert.equal((error as Error).constructor, Error);
  assert.match(String(error), /the webhook answered 200 with a page: .*Sign in/);
  peer.answer = html("ok");
  assert.deepEqual(await send(), {});
});

test("what happens on the way is tried again: silence, a reset, a body without end, a name without address", async (t) => {
  const { peer, world, hook, send } = await umasWorld(t, { fetch: HASTY });
  peer.answer = silence;
  const late = await thrownBy(send());
  assert.ok(late instanceof NoAnswer && late.timedOut && late.phase === "answer");
  peer.answer = reset;
  assert.match(String(await thrownBy(send())), /ECONNRESET|socket hang up/);
  peer.answer = (response) => void response.writeHead(500).write(Buffer.alloc(100_000));
  assert.match(String(await thrownBy(send())), /answered 500/);
  assert.equal((await world.row(hook.id)).failures, 3);

  const lost = await umasWorld(t, { resolve: () => Promise.reject(new Error("EAI_AGAIN")) });
  const { id } = await lost.world.webhook("https://lost.invalid/", { userId: "uma" });
  const error = await thrownBy(
    sendBy(lost.world.sender, lost.world.attempt(lost.notification, { userId: "uma", target: id })),
  );
  assert.match(String(error), /The host name could not be resolved/);
  assert.notEqual((error as Error).name, "PermanentError");
});

test("12.6 a webhook whose name leads to a private address by now is not called, and is tried again as one that has no address", async (t) => {
  const { world, notification } = await umasWorld(t, { resolve: async () => [{ address: "10.0.0.1", family: 4 }] });
  const { id } = await world.webhook("https://rebound.invalid/", { userId: "uma" });
  const error = await thrownBy(sendBy(world.sender, world.attempt(notification, { userId: "uma", target: id })));
  assert.notEqual((error as Error).name, "PermanentError");
  assert.equal((await world.row(id)).failures, 1);
  assert.match(String(error), /The host name could not be resolved/);
  assert.doesNotMatch(String(error), /10\.0\.0\.1/);
});

test("a server that stops gives its attempt up without counting it", async (t) => {
  const { peer, world, hook, send } = await umasWorld(t);
  const stopping = new AbortController();
  peer.answer = () => stopping.abort(new Error("stopping"));
  assert.match(String(await thrownBy(send(stopping.signal))), /stopping/);
  assert.equal((await world.row(hook.id)).failures, 0);
});

const disabledRows = (world: WebhookWorld) =>
  world.store.database.read
    .selectFrom("audit_log")
    .select(["resourceId", "metadata"])
    .where("action", "=", "webhook.disable")
    .execute();

test("410 disables a webhook in the transaction that notes it, once, and its owner is notified", async (t) => {
  const { peer, world, hook, send } = await umasWorld(t);
  peer.answer = status(410);
  assert.ok((await thrownBy(send())) instanceof TargetGone);
  assert.equal((await world.row(hook.id)).failures, 0);
  for (const _time of ["first", "second"])
    await world.store.database.write(async (trx) => world.sender.disable?.(hook.id, trx));
  const { active, disabledAt, version } = await world.row(hook.id);
  assert.deepEqual([active, disabledAt, version], [0, world.clock.now(), 2]);
  assert.deepEqual(await disabledRows(world), [{ resourceId: hook.id, metadata: '{"reason":"gone"}' }]);
  const data = { id: hook.id, projectId: null, userId: "uma", reason: "gone" };
  assert.deepEqual(world.heard, [{ event: "webhook:disabled", data }]);
  const calls = peer.received.length;
  assert.ok((await thrownBy(send())) instanceof TargetGone, "what was to go there is dead, too");
  assert.equal(peer.received.length, calls);
});

test("no number of failures disables a webhook", async (t) => {
  const { peer, world, hook, send } = await umasWorld(t);
  const write = (failures: number) =>
    world.store.database.write((trx) =>
      trx.updateTable("webhooks").set({ failures }).where("id", "=", hook.id).execute(),
    );
  peer.answer = status(500);
  await write(5000);
  assert.ok(!((await thrownBy(send())) instanceof TargetGone));
  assert.deepEqual([(await world.row(hook.id)).active, (await world.row(hook.id)).failures], [1, 5001]);
  assert.deepEqual(await disabledRows(world), []);
  peer.answer = status(204);
  await send();
  assert.equal((await world.row(hook.id)).failures, 0);
});

test("a webhook that was deleted meanwhile is gone, and one whose secret no key opens is not called", async (t) => {
  const { peer, world, hook, notification, send } = await umasWorld(t);
  const spoilt = await world.webhook(peer.url, { userId: "uma", secret: Buffer.alloc(64) });
  const error = await thrownBy(sendBy(world.sender, world.attempt(notification, { userId: "uma", target: spoilt.id })));
  assert.equal((error as Error).name, "PermanentError");
  await world.store.database.write((trx) => trx.deleteFrom("webhooks").where("id", "=", hook.id).execute());
  assert.ok((await thrownBy(send())) instanceof TargetGone);
  assert.equal(peer.received.length, 0);
});

test("12.8 a rotation of the encryption key encrypts both secrets of a webhook again", async (t) => {
  const { peer, world, hook, send } = await umasWorld(t);
  const key = Buffer.alloc(32, 9);
  const { database } = world.store;
  const previousSecret = asPrevious(world.box, await world.row(hook.id));
  await database.write((trx) =>
    trx.updateTable("webhooks").set({ previousSecret }).where("id", "=", hook.id).execute(),
  );
  const audit = new AuditLog(database, world.clock);
  const columns = SEALED_COLUMNS.filter(({ name }) => name.startsWith("webhooks."));
  const box = new SealedBox([key, TEST_KEY]);
  assert.deepEqual(await reseal({ database, audit, box }, columns), { resealed: 2, unreadable: 0 });
  const row = { ...(await world.row(hook.id)), previousSecretUntil: 1 };
  assert.deepEqual(signingKeys(new SealedBox([key]), row, 0), [hook.key, hook.key]);
  const error = await thrownBy(send());
  assert.deepEqual([(error as Error).name, peer.received.length], ["PermanentError", 0], "the old key opens nothing");
});

test("webhooks are called for their owner's notifications, or for a project's, by the type of the event", async (t) => {
  const world = new WebhookWorld(t);
  for (const id of ["ann", "ben"]) await world.user(id);
  for (const id of ["shop", "bar"]) await world.project(id);
  const url = "https://1.1.1.1/";
  const types = (...patterns: readonly string[]) => ({ eventTypes: JSON.stringify(patterns) });
  const names = new Map<string, string>();
  for (const [name, values] of [
    ["ann", { userId: "ann" }],
    ["ann off", { userId: "ann", active: 0 as const }],
    ["ann orders", { userId: "ann", ...types("order.*", "refund") }],
    ["ann without event", { userId: "ann", ...types("notification") }],
    ["ben", { userId: "ben" }],
    ["shop", { projectId: "shop" }],
    ["shop orders", { projectId: "shop", ...types("order.*") }],
    ["bar", { projectId: "bar" }],
  ] as const)
    names.set((await world.webhook(url, values)).id, name);
  const called = async (about: Parameters<WebhookWorld["notification"]>[0], users = about.users) => {
    const notification = await world.notification(about);
    const targets = await world.sender.targets(users, notification, world.store.database.read);
    return targets.map(({ userId, target }) => `${names.get(target)}:${userId}`).sort();
  };
  assert.deepEqual(await called({ users: ["ann"] }), ["ann without event:ann", "ann:ann"]);
  assert.deepEqual(await called({ users: ["ann"], event: "order.paid", projectId: "shop" }), [
    "ann orders:ann",
    "ann:ann",
    "shop orders:",
    "shop:",
  ]);
  assert.deepEqual(await called({ users: ["ben", "ann"], event: "refund", projectId: "bar" }), [
    "ann orders:ann",
    "ann:ann",
    "bar:",
    "ben:ben",
  ]);
  assert.deepEqual(await called({ users: ["ben"], event: "orders", projectId: "shop" }, []), ["shop:"]);
  const many = Array.from({ length: 1200 }, (_, n) => `nobody-${n}`);
  assert.deepEqual(await called({ users: ["ben"] }, [...many, "ben"]), ["ben:ben"]);
});

test("a project's webhook shows the notification as one of its recipients has it, the same one each time", async (t) => {
  const peer = await WebPeer.start(t);
  const world = new WebhookWorld(t);
  for (const id of ["zoe", "ann"]) await world.user(id);
  await world.project("shop");
  const { id } = await world.webhook(peer.url, { projectId: "shop" });
  const notification = await world.notification({ users: ["zoe", "ann"], projectId: "shop", event: "a" });
  await sendBy(world.sender, world.attempt(notification, { userId: "", target: id }));
  await sendBy(world.sender, world.attempt(notification, { userId: "", target: id }));
  const shown = peer.received.map(({ body }) => (JSON.parse(body) as Body).data);
  assert.deepEqual(rowsWith(shown, "userId", "projectId"), [
    ["ann", "shop"],
    ["ann", "shop"],
  ]);
});
