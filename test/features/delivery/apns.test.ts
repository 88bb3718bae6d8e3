import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import test, { type TestContext } from "node:test";
import { decodeJwt } from "jose";
import { DAY_MS } from "../../../src/core/time/clock.ts";
import { ApnsClient, type ApnsOptions } from "../../../src/features/channels/push/apns-client.ts";
import { PushChannel } from "../../../src/features/channels/push/channel.ts";
import { NoAnswer, ProviderDown, TargetGone } from "../../../src/features/delivery/channel.ts";
import { PermanentError, RetryLater } from "../../../src/features/time/jobs/runner/job.ts";
import { eventually } from "../../helpers/eventually.ts";
import { keepsPromise } from "../../helpers/promise.ts";
import { valuesOf } from "../../helpers/values.ts";
import { ApnsServer, apnsError, keyFile } from "./support/apns-server.ts";
import { failureOf, PushWorld, send } from "./support/push-world.ts";

interface Given {
  readonly apns: ApnsServer;
  readonly world: PushWorld;
  readonly sender: PushChannel;
  readonly client: ApnsClient;
}

async function given(t: TestContext, options: Partial<ApnsOptions> = {}): Promise<Given> {
  const [apns, world] = [await ApnsServer.start(t), new PushWorld(t)];
  const client = new ApnsClient({ ...apns.options, ...options }, world.clock);
  const sender = new PushChannel("apns", client, world.parts);
  t.after(() => sender.close());
  return { apns, world, sender, client };
}

test("S2-68, S2-109: a notification reaches an iOS device through APNs", async (t) => {
  keepsPromise(t, ["S2-109", "S2-34", "S2-68"]);
  const { apns, world, sender } = await given(t);
  const device = await world.device("apns");
  const expiresAt = world.clock.now() + 60_000;
  const action = { type: "open", url: "https://example.org/doors/1" };
  const facts = { priority: 500, sound: "alarm.wav", action: JSON.stringify(action), expiresAt };
  const urgent = world.attempt(device, facts);
  await send(sender, urgent);
  const { id } = urgent.notification;
  const sent = apns.pushes[0];
  assert.equal(sent?.token, device.token);
  assert.deepEqual(sent.payload, {
    aps: { alert: { title: "Door opened", body: "Somebody opened the door" }, sound: "alarm.wav" },
    notificationId: id,
    offset: 4711,
    action,
  });
  const headersOf = (at: number): unknown =>
    Object.fromEntries(Object.entries(apns.pushes[at]?.headers ?? {}).filter(([name]) => name.startsWith("apns-")));
  assert.deepEqual(headersOf(0), {
    "apns-id": urgent.delivery.id,
    "apns-push-type": "alert",
    "apns-topic": "org.example.prism",
    "apns-collapse-id": id,
    "apns-expiration": String(Math.floor(expiresAt / 1000)),
    "apns-priority": "10",
  });

  const usual = world.attempt(device, { priority: 499 });
  await send(sender, usual);
  await send(sender, usual);
  assert.deepEqual(headersOf(1), {
    "apns-id": usual.delivery.id,
    "apns-push-type": "alert",
    "apns-topic": "org.example.prism",
    "apns-collapse-id": usual.notification.id,
    "apns-expiration": String(Math.floor((usual.notification.createdAt + 30 * DAY_MS) / 1000)),
    "apns-priority": "5",
  });
  assert.deepEqual(headersOf(2), headersOf(1), "each attempt has the same ids");
  assert.deepEqual(valuesOf(apns.pushes, "connection"), [1, 1, 1], "one connection is kept");
});

test("S2-68: payloads are at most 4 KiB, cut with a mark", async (t) => {
  keepsPromise(t, "S2-68");
  const { apns, world, sender } = await given(t);
  const device = await world.device("apns");
  const message = "😀 door ".repeat(500);
  await send(sender, world.attempt(device, { message }));
  const { payload, bytes = 0 } = apns.pushes[0] ?? {};
  const body = payload?.aps.alert.body ?? "";
  assert.ok(bytes <= 4096 && bytes > 4000, `${bytes} bytes`);
  assert.ok(body.endsWith("…") && message.startsWith(body.slice(0, -1)));
  assert.doesNotMatch(body, /\p{Surrogate}/u);
});

test("a collapse id has at most 64 bytes", async (t) => {
  const { apns, world, sender } = await given(t);
  const device = await world.device("apns");
  await send(sender, world.attempt(device, { id: "n".repeat(64) }));
  await send(sender, world.attempt(device, { id: "n".repeat(65) }));
  const [whole, hashed] = apns.pushes.map(({ headers }) => String(headers["apns-collapse-id"]));
  assert.equal(whole, "n".repeat(64));
  assert.match(hashed ?? "", /^[0-9a-f]{64}$/);
});

test("the provider token is renewed every 40 minutes, and once when Apple says that it has expired", async (t) => {
  const { apns, world, sender } = await given(t);
  const device = await world.device("apns");
  const sendOne = (): Promise<unknown> => send(sender, world.attempt(device));
  const bearers = (): number => new Set(apns.pushes.map(({ bearer }) => bearer)).size;
  await Promise.all([sendOne(), sendOne(), sendOne()]);
  world.clock.advance(39 * 60_000);
  await sendOne();
  assert.equal(bearers(), 1);
  world.clock.advance(2 * 60_000);
  await sendOne();
  assert.equal(bearers(), 2);
  const newest = apns.pushes.at(-1)?.bearer ?? "";
  assert.equal(decodeJwt(newest).iat, Math.floor(world.clock.now() / 1000));

  apns.expired.add(newest);
  const before = apns.pushes.length;
  await Promise.all([sendOne(), sendOne()]);
  assert.deepEqual([apns.pushes.length - before, bearers()], [4, 3], "both attempts go out again with one new token");

  await t.test("where the new one has expired too, the provider is down", async () => {
    apns.next(apnsError(403, "ExpiredProviderToken"), apnsError(403, "ExpiredProviderToken"));
    const error = await failureOf(sendOne());
    assert.ok(error instanceof ProviderDown);
    assert.match(error.message, /403 ExpiredProviderToken/);
  });
});

test("what Apple refuses is dead, later, permanent, or the provider's fault", async (t) => {
  const { apns, world, sender } = await given(t);
  const device = await world.device("apns");
  const long = world.clock.now();
  for (const c of [
    { fault: apnsError(410, "Unregistered", long), kind: TargetGone },
    { fault: apnsError(410, "ExpiredToken", long), kind: TargetGone },
    { fault: apnsError(400, "BadDeviceToken"), kind: TargetGone },
    { fault: apnsError(400, "DeviceTokenNotForTopic"), kind: TargetGone },
    { fault: apnsError(403, "InvalidProviderToken"), kind: ProviderDown },
    { fault: apnsError(403, "Forbidden"), kind: ProviderDown },
    { fault: apnsError(400, "BadTopic"), kind: ProviderDown },
    { fault: apnsError(400, "TopicDisallowed"), kind: ProviderDown },
    { fault: apnsError(400, "BadPriority"), kind: PermanentError },
    { fault: apnsError(413, "PayloadTooLarge"), kind: PermanentError },
    { fault: apnsError(429, "TooManyRequests"), kind: Error },
    { fault: { status: 429, json: { reason: "TooManyRequests" }, headers: { "retry-after": "9" } }, kind: RetryLater },
    {
      fault: { status: 503, json: { reason: "ServiceUnavailable" }, headers: { "retry-after": "9" } },
      kind: RetryLater,
    },
    { fault: apnsError(500, "InternalServerError"), kind: Error },
    { fault: { status: 500 }, kind: Error },
  ] as const)
    await t.test(JSON.stringify(c.fault), async () => {
      apns.next(c.fault);
      const error = await failureOf(send(sender, world.attempt(device)));
      assert.equal(error?.constructor, c.kind, error?.message);
      assert.ok(!error?.message.includes(device.token));
      if (error instanceof RetryLater) assert.equal(error.retryAfterMs, 9000);
    });
});

test("a device that was registered again after the time of a 410 is kept", async (t) => {
  const { apns, world, sender } = await given(t);
  const device = await world.device("apns");
  const gone = world.clock.now() + 1000;
  world.clock.advance(5000);
  await world.registerAgain(device);
  apns.next(apnsError(410, "Unregistered", gone));
  const error = await world.sendAndNote(sender, device);
  assert.equal(error?.constructor, RetryLater, "to be tried again, and no failure of the provider");
  assert.match(error?.message ?? "", /registered again since/);
  assert.equal(await world.isDisabled(device), false);

  await t.test("also when that happens while the verdict is on its way", async () => {
    apns.next(apnsError(410, "Unregistered", world.clock.now()));
    assert.ok((await failureOf(send(sender, world.attempt(device)))) instanceof TargetGone);
    world.clock.advance(1);
    await world.registerAgain(device);
    await world.store.database.write((trx) => sender.disable(device.id, trx));
    assert.equal(await world.isDisabled(device), false);
  });

  await t.test("one that was not is disabled", async () => {
    world.clock.advance(1000);
    apns.next(apnsError(410, "Unregistered", world.clock.now()));
    await world.sendAndNote(sender, device);
    assert.equal(await world.isDisabled(device), true);
  });
});

test("when Apple ends the connection, the next message opens another", async (t) => {
  const { apns, world, sender } = await given(t);
  const device = await world.device("apns");
  const sendOne = (): Promise<unknown> => send(sender, world.attempt(device));
  apns.next("goaway");
  await sendOne();
  await eventually("the old connection ends", () => apns.sessions[0]?.destroyed);
  await sendOne();
  assert.deepEqual(valuesOf(apns.pushes, "connection"), [1, 2]);

  await t.test("a GOAWAY between messages costs none", async () => {
    apns.sessions[1]?.close();
    await Promise.all([sendOne(), sendOne()]);
    assert.equal(apns.pushes.at(-1)?.connection, 3);
  });

  await t.test("a message that Apple gives back unread goes out again at once", async () => {
    const before = apns.pushes.length;
    apns.next("refused");
    await sendOne();
    assert.equal(apns.pushes.length - before, 2);
  });
});

test("connections that are reset, silent or never finish their answer are tried again", async (t) => {
  const { apns, world, sender } = await given(t, { timeoutMs: 3000 });
  const device = await world.device("apns");
  for (const [fault, says] of [
    ["reset", /^APNs: no answer: .*(reset|ended)/],
    ["silence", /^APNs: no answer within 3 s/],
    ["slow-body", /^APNs: no answer within 3 s/],
  ] as const) {
    apns.next(fault);
    const error = await failureOf(send(sender, world.attempt(device)));
    assert.ok(error instanceof NoAnswer && error.phase === "answer", error?.message);
    assert.match(error?.message ?? "", says);
    await send(sender, world.attempt(device));
  }
  const connections = apns.pushes.map(({ connection }) => connection);
  assert.deepEqual(connections, [1, 2, 2, 3, 3, 4], "each time on another connection");
});

test("a server that is not there, or cannot prove that it is Apple's, is not reached", async (t) => {
  const { apns, world } = await given(t);
  const device = await world.device("apns");
  const untrusting = { ...apns.options };
  delete untrusting.ca;
  for (const [options, says] of [
    [{ ...apns.options, endpoint: "https://127.0.0.1:1" }, /^APNs: the connection was refused \(ECONNREFUSED\)/],
    [untrusting, /^APNs: no TLS: (self-signed|unable to verify)/],
  ] as const) {
    const sender = new PushChannel("apns", new ApnsClient(options, world.clock), world.parts);
    const error = await failureOf(send(sender, world.attempt(device)));
    assert.ok(error instanceof NoAnswer);
    assert.match(error?.message ?? "", says);
    await sender.close();
  }
  assert.deepEqual(apns.pushes, []);
});

test("an attempt that is given up ends with the reason of its signal", async (t) => {
  const { apns, world, sender } = await given(t);
  const device = await world.device("apns");
  const giveUp = new AbortController();
  apns.next("silence");
  const sent = failureOf(send(sender, world.attempt(device, {}, giveUp.signal)));
  await eventually("the push is under way", () => apns.pushes.length);
  giveUp.abort(new Error("the server stops"));
  assert.equal((await sent)?.message, "the server stops");
});

test("S2-85: a key that Apple does not accept pauses the provider, and reports the problem", async (t) => {
  const world = new PushWorld(t);
  const device = await world.device("apns");
  const other = generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey.export({ type: "pkcs8", format: "pem" });
  const options = { keyId: "k", teamId: "t", bundleId: "b", endpoint: "https://127.0.0.1:1" };
  for (const [path, says] of [
    ["/nowhere/AuthKey.p8", /cannot be read: ENOENT/],
    [keyFile(t, "no key"), /must be an EC key on P-256/],
    [keyFile(t, other.toString()), /must be an EC key on P-256/],
  ] as const) {
    const sender = new PushChannel("apns", new ApnsClient({ ...options, keyFile: path }, world.clock), world.parts);
    const error = await failureOf(send(sender, world.attempt(device)));
    assert.ok(error instanceof ProviderDown);
    assert.match(error.message, says);
    assert.ok(error.message.includes(path) && !error.message.includes("BEGIN"));
    await sender.close();
  }
});

test("a check sends the key to Apple and notifies no device", async (t) => {
  const { apns, client } = await given(t);
  await client.check();
  assert.deepEqual(valuesOf(apns.pushes, "token"), ["0".repeat(64)]);
  apns.next(apnsError(400, "TopicDisallowed"));
  assert.match((await failureOf(client.check()))?.message ?? "", /400 TopicDisallowed/);
});
