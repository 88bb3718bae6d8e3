import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import test, { type TestContext } from "node:test";
import { PushChannel } from "../../../src/features/channels/push/channel.ts";
import { FcmClient, type FcmOptions } from "../../../src/features/channels/push/fcm-client.ts";
import { NoAnswer, ProviderDown, TargetGone, Throttled } from "../../../src/features/delivery/channel.ts";
import { PermanentError, RetryLater } from "../../../src/features/time/jobs/runner/job.ts";
import { eventually } from "../../helpers/eventually.ts";
import { keepsPromise } from "../../helpers/promise.ts";
import { valuesOf } from "../../helpers/values.ts";
import { credentialsFile, FCM_REFUSALS, FcmServer, fcmError } from "./support/fcm-server.ts";
import { failureOf, notificationOf, PushWorld, send } from "./support/push-world.ts";

const LONE_SURROGATE = /\p{Surrogate}/u;

interface Given {
  readonly fcm: FcmServer;
  readonly world: PushWorld;
  readonly sender: PushChannel;
  readonly client: FcmClient;
}

async function given(t: TestContext, options: Partial<FcmOptions> = {}): Promise<Given> {
  const [fcm, world] = [await FcmServer.start(t), new PushWorld(t)];
  const client = new FcmClient({ ...fcm.options, ...options }, world.clock);
  const sender = new PushChannel("fcm", client, world.parts);
  t.after(() => sender.close());
  return { fcm, world, sender, client };
}

test("S2-67, S2-109: a notification reaches an Android device through FCM HTTP v1", async (t) => {
  keepsPromise(t, ["S2-109", "S2-67"]);
  const { fcm, world, sender } = await given(t);
  const device = await world.device("fcm");
  const action = '{"type":"open","url":"https://example.org/doors/1"}';
  const expiresAt = world.clock.now() + 60_000;
  const urgent = world.attempt(device, { priority: 500, sound: "alarm.wav", action, expiresAt });
  assert.deepEqual(await send(sender, urgent), { providerId: "projects/prism-test/messages/7" });
  assert.deepEqual(fcm.requests[0]?.message, {
    token: device.token,
    notification: { title: "Door opened", body: "Somebody opened the door" },
    data: { notificationId: urgent.notification.id, offset: "4711", action },
    android: { priority: "HIGH", ttl: "60s", notification: { tag: urgent.notification.id, sound: "alarm" } },
    apns: {
      headers: {
        "apns-priority": "10",
        "apns-collapse-id": urgent.notification.id,
        "apns-expiration": String(Math.floor((urgent.notification.expiresAt ?? 0) / 1000)),
      },
      payload: { aps: { sound: "alarm.wav" } },
    },
  });
  assert.equal(fcm.requests[0]?.path, "/v1/projects/prism-test/messages:send");

  const usual = world.attempt(device, { priority: 499 });
  await send(sender, usual);
  const { android, data } = fcm.requests[1]?.message ?? {};
  assert.deepEqual(android, { priority: "NORMAL", notification: { tag: usual.notification.id } });
  assert.deepEqual(data, { notificationId: usual.notification.id, offset: "4711" });
});

test("S2-67: messages are at most 4 KiB, cut with a mark where nothing is split", async (t) => {
  keepsPromise(t, "S2-67");
  const { fcm, world, sender } = await given(t);
  const device = await world.device("fcm");
  for (const [name, message] of [
    ["letters", "a".repeat(4000)],
    ["smileys", "😀".repeat(4000)],
    ["quotes", '"'.repeat(4000)],
  ] as const) {
    await send(sender, world.attempt(device, { title: "😀".repeat(255), message }));
    const sent = fcm.requests.at(-1);
    assert.ok(sent && sent.bytes - device.token.length < 4096 + 64, `${name}: ${sent?.bytes} bytes`);
    assert.ok(sent.bytes > 4000, `${name}: no more is cut than must be`);
    const { body } = sent.message.notification;
    assert.ok(body.endsWith("…") && message.startsWith(body.slice(0, -1)), name);
    assert.doesNotMatch(body, LONE_SURROGATE, name);
  }
  const action = JSON.stringify({ type: "open", url: `https://example.org/${"x".repeat(3900)}` });
  const { id } = notificationOf({}, 0);
  await send(sender, world.attempt(device, { id, message: "b".repeat(1000), action }));
  const { data, notification } = fcm.requests.at(-1)?.message ?? {};
  assert.deepEqual(data, { notificationId: id, offset: "4711" }, "an action that leaves no room stays out");
  assert.equal(notification?.body, "b".repeat(1000));
});

test("one access token is used for all recipients until shortly before it expires", async (t) => {
  const { fcm, world, sender } = await given(t);
  const device = await world.device("fcm");
  const sendOne = (): Promise<unknown> => send(sender, world.attempt(device));
  await Promise.all([sendOne(), sendOne(), sendOne(), sendOne()]);
  world.clock.advance(54 * 60_000);
  await sendOne();
  assert.equal(fcm.grants.length, 1, "those who come at the same time wait for the same token");
  world.clock.advance(2 * 60_000);
  await sendOne();
  assert.equal(fcm.grants.length, 2);
  assert.equal(fcm.requests.at(-1)?.accessToken, "access-2");

  await t.test("a token that FCM does not take any more is replaced once", async () => {
    fcm.valid.clear();
    await sendOne();
    assert.equal(fcm.requests.at(-1)?.accessToken, "access-3");
  });

  await t.test("a key that changed in the file needs no restart", async () => {
    const { credentials } = fcm.options;
    const account = JSON.parse(readFileSync(credentials, "utf8")) as object;
    writeFileSync(credentials, JSON.stringify({ ...account, project_id: "other-project" }));
    fcm.valid.clear();
    await sendOne();
    assert.equal(fcm.requests.at(-1)?.path, "/v1/projects/other-project/messages:send");
  });
});

test("what FCM refuses is dead, later, permanent, or the provider's fault", async (t) => {
  const { fcm, world, sender } = await given(t);
  const device = await world.device("fcm");
  const unknownField = fcmError(
    400,
    "INVALID_ARGUMENT",
    "Invalid value at 'message.data'",
    "INVALID_ARGUMENT",
    "message.data",
  );
  const inWords = fcmError(
    400,
    "INVALID_ARGUMENT",
    `The registration token ${device.token} is not a valid FCM registration token`,
    "INVALID_ARGUMENT",
  );
  for (const c of [
    { name: "a token that is gone", fault: FCM_REFUSALS.unregistered, kind: TargetGone, says: /404 UNREGISTERED/ },
    {
      name: "a token of another sender",
      fault: FCM_REFUSALS.otherSender,
      kind: TargetGone,
      says: /SENDER_ID_MISMATCH/,
    },
    { name: "an argument that is the token", fault: FCM_REFUSALS.badToken, kind: TargetGone, says: /INVALID_ARGUMENT/ },
    { name: "the same in words", fault: inWords, kind: TargetGone, says: /token \*\*\* is not/ },
    { name: "another argument", fault: unknownField, kind: PermanentError, says: /'message.data'/ },
    { name: "a project that is not there", fault: fcmError(404, "NOT_FOUND", "no"), kind: PermanentError, says: /404/ },
    {
      name: "Apple's key in Firebase",
      fault: fcmError(401, "UNAUTHENTICATED", "no", "THIRD_PARTY_AUTH_ERROR"),
      kind: ProviderDown,
      says: /THIRD_PARTY/,
    },
    {
      name: "a right that is missing",
      fault: fcmError(403, "PERMISSION_DENIED", "no"),
      kind: ProviderDown,
      says: /403/,
    },
    {
      name: "quota",
      fault: {
        ...(fcmError(429, "RESOURCE_EXHAUSTED", "no", "QUOTA_EXCEEDED") as object),
        status: 429,
        headers: { "retry-after": "120" },
      },
      kind: RetryLater,
      ms: 120_000,
    },
    { name: "quota without a time", fault: { status: 429 }, kind: Throttled, ms: 60_000 },
    { name: "unavailable", fault: { status: 503, headers: { "retry-after": "7" } }, kind: RetryLater, ms: 7000 },
    { name: "an error of the server", fault: { status: 500 }, kind: Error, says: /500/ },
    { name: "a redirect", fault: { status: 302, headers: { location: "/" } }, kind: Error, says: /302/ },
    { name: "a response that is not from FCM", fault: { status: 502 }, kind: Error, says: /502/ },
    {
      name: "a success without a message name",
      fault: { status: 200, json: {} },
      kind: Error,
      says: /without a message name/,
    },
  ] as const)
    await t.test(c.name, async () => {
      fcm.next(c.fault);
      const error = await failureOf(send(sender, world.attempt(device)));
      assert.equal(error?.constructor, c.kind, error?.message);
      assert.ok(!error?.message.includes(device.token));
      if ("says" in c) assert.match(error?.message ?? "", c.says);
      if ("ms" in c) assert.ok(error instanceof RetryLater && error.retryAfterMs === c.ms);
    });

  await t.test("a Retry-After may be a date", async () => {
    const at = new Date(Math.ceil(world.clock.now() / 1000) * 1000 + 30_000);
    fcm.next({ status: 503, headers: { "retry-after": at.toUTCString() } });
    const error = await failureOf(send(sender, world.attempt(device)));
    assert.ok(error instanceof RetryLater);
    assert.equal(error.retryAfterMs, at.getTime() - world.clock.now());
  });
});

test("connections that are reset, silent or never finish their answer are tried again", async (t) => {
  const { fcm, world, sender } = await given(t, { timeoutMs: 3000 });
  const device = await world.device("fcm");
  await eventually(
    "a first message, on a slow machine too",
    async () => !(await failureOf(send(sender, world.attempt(device)))),
  );
  for (const [fault, says] of [
    ["reset", /^FCM: no answer: the connection was reset/],
    ["silence", /^FCM: no answer within 3 s/],
    ["slow-body", /^FCM: no answer within 3 s/],
  ] as const) {
    fcm.next(fault);
    const error = await failureOf(send(sender, world.attempt(device)));
    assert.ok(error instanceof NoAnswer && error.phase === "answer");
    assert.match(error.message, says);
  }
});

test("an attempt that is given up ends with the reason of its signal, at the provider and before", async (t) => {
  const { fcm, world, sender } = await given(t);
  const device = await world.device("fcm");
  await send(sender, world.attempt(device));
  for (const where of ["messages", "grants"] as const) {
    const giveUp = new AbortController();
    const asked = (): number => (where === "grants" ? fcm.asked : fcm.requests.length);
    const before = asked();
    if (where === "grants") {
      fcm.valid.clear();
      fcm.nextGrants("silence");
    } else fcm.next("silence");
    const sent = failureOf(send(sender, world.attempt(device, {}, giveUp.signal)));
    await eventually("the server is asked", () => asked() > before);
    giveUp.abort(new Error("enough"));
    assert.equal((await sent)?.message, "enough", where);
  }
  await sender.close();
  assert.equal((await failureOf(send(sender, world.attempt(device))))?.message, "the server stops");
});

test("Google's token server: a key that it refuses pauses the provider, trouble is tried again", async (t) => {
  const { fcm, world, sender } = await given(t);
  const device = await world.device("fcm");
  const sendOne = (): Promise<Error | null> => failureOf(send(sender, world.attempt(device)));
  fcm.nextGrants({ status: 400, json: { error: "invalid_grant", error_description: "Invalid JWT Signature." } });
  const refused = await sendOne();
  assert.ok(refused instanceof ProviderDown);
  assert.match(refused.message, /400 invalid_grant Invalid JWT Signature/);
  fcm.nextGrants({ status: 503, headers: { "retry-after": "3" } }, { status: 500 }, "reset");
  const later = await sendOne();
  assert.ok(later instanceof RetryLater && later.retryAfterMs === 3000);
  assert.equal((await sendOne())?.constructor, Error);
  assert.match((await sendOne())?.message ?? "", /^Google's token server: no answer/);
  assert.equal(await sendOne(), null);
});

test("S2-85: a file that holds no service account pauses the provider, and says what is wrong with it", async (t) => {
  const world = new PushWorld(t);
  const device = await world.device("fcm");
  for (const [path, says] of [
    ["/nowhere/key.json", /cannot be read: ENOENT/],
    [credentialsFile(t, { type: "authorized_user" }), /: type is missing or not as it must be/],
    [credentialsFile(t, { client_email: undefined }), /: client_email is missing/],
    [credentialsFile(t, { private_key: "-----BEGIN PRIVATE KEY-----\nabc" }), /private_key is not an RSA key/],
    [credentialsFile(t, { token_uri: "http://elsewhere.example.org" }), /: token_uri is missing or not/],
  ] as const) {
    const sender = new PushChannel("fcm", new FcmClient({ credentials: path }, world.clock), world.parts);
    const error = await failureOf(send(sender, world.attempt(device)));
    assert.ok(error instanceof ProviderDown);
    assert.match(error.message, says);
    assert.ok(error.message.includes(path) && !error.message.includes("BEGIN"));
    await sender.close();
  }
});

test("a check sends the key to FCM and notifies no device", async (t) => {
  const { fcm, client } = await given(t);
  await client.check();
  assert.deepEqual(valuesOf(fcm.requests, "isTrial"), [true]);
  fcm.next(fcmError(403, "PERMISSION_DENIED", "API is not enabled"));
  assert.match((await failureOf(client.check()))?.message ?? "", /403 PERMISSION_DENIED: API is not enabled/);
});
