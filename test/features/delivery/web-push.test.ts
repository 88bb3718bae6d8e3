import assert from "node:assert/strict";
import test from "node:test";
import { pushHeaders, topicOf } from "../../../src/features/channels/webpush/message.ts";
import { crashImage } from "../../helpers/crash-image.ts";
import { eventually } from "../../helpers/eventually.ts";
import { LogLines } from "../../helpers/log-lines.ts";
import { startPrism } from "../../helpers/prism.ts";
import { rowsOf, scalarOf } from "../../helpers/tables.ts";
import { accepted, verifiedVapid } from "../../helpers/web-push.ts";
import { notificationOf } from "./support/push-world.ts";
import { openWebPushWorld } from "./support/web-push-world.ts";

const MAX_PAYLOAD_BYTES = 3993;

test("a browser subscribes with the server's key and receives a notification that only it can read", async (t) => {
  const { service, world, prism, ann, subscribe, messages } = await openWebPushWorld(t, {
    settings: { "smtp.from": "Prism <alerts@example.com>" },
  });
  const key = await prism.get<{ publicKey: string }>("/api/v1/push/key", { token: ann.token });
  const { publicKey } = key.body;
  assert.equal(Buffer.from(publicKey, "base64url").length, 65);
  assert.equal((await subscribe()).status, 201);
  const action = { type: "webview", url: "https://shop.example/orders/7" };
  const sent = { title: "Kasse 3 steht", message: "قف — stop 🛑", priority: 600, action };
  const id = await world.notify([ann.id], ["webpush"], sent);
  const delivery = await world.only(id, "delivered");
  const [message] = messages();
  const [pushed] = service.received;
  assert.ok(pushed);
  const { headers, path } = pushed;
  assert.deepEqual(
    { ...message, acknowledgeToken: "", offset: 0, createdAt: "" },
    {
      id,
      title: sent.title,
      body: sent.message,
      url: `inbox/${id}`,
      tag: id,
      kind: "direct",
      priority: 600,
      projectId: null,
      createdAt: "",
      offset: 0,
      actions: [{ action: "acknowledge", title: "Acknowledge" }],
      acknowledgeToken: "",
      action,
    },
  );
  assert.equal(path, "/send/1");
  assert.deepEqual(
    [headers["content-encoding"], headers["urgency"], headers["topic"], headers["ttl"]],
    ["aes128gcm", "high", id.replaceAll("-", ""), String(28 * 86_400)],
  );
  const { sub } = await verifiedVapid(headers, publicKey, service.origin);
  assert.equal(sub, "mailto:alerts@example.com");
  assert.equal(delivery.lastError, null);
  assert.ok(!service.received[0]?.body.includes("Kasse"), "the push service reads nothing");
});

test("a long text is cut to what a push service takes, an expiry ends the message there", async (t) => {
  const { service, world, ann, browser, subscribe, messages } = await openWebPushWorld(t);
  await subscribe();
  const message = "😀".repeat(2000);
  const sent = { message, title: "\"'\\".repeat(80), priority: 499 };
  await world.only(await world.notify([ann.id], ["webpush"], sent), "delivered");
  const [first] = service.received;
  assert.ok(first);
  const text = browser.decrypt(first.body);
  assert.ok(Buffer.byteLength(text) <= MAX_PAYLOAD_BYTES && Buffer.byteLength(text) > MAX_PAYLOAD_BYTES - 8);
  assert.match(messages()[0]?.body ?? "", /^😀+…$/u);
  assert.equal(first.headers["urgency"], "normal");
  const notification = notificationOf({ kind: "digest", expiresAt: 90_999 }, 0);
  assert.deepEqual(pushHeaders(notification, 1000), { ttlS: 89, urgency: "low", topic: topicOf(notification.id) });
  assert.equal(pushHeaders(notification, 100_000).ttlS, 0);
});

test("the preference push covers browsers; quiet hours hold them", async (t) => {
  const { world, prism, ann, subscribe, service } = await openWebPushWorld(t);
  await subscribe();
  const as = { token: ann.token };
  await prism.put("/api/v1/users/me/preferences", { channels: { direct: ["in_app"] } }, as);
  const off = await world.only(await world.notify([ann.id], ["webpush"]), "skipped");
  assert.equal(off.reason, "channel off");
  await prism.put("/api/v1/users/me/preferences", { quietHours: { from: "00:00", to: "23:59" } }, as);
  await world.untilHeld(await world.notify([ann.id], ["webpush"]), "quiet hours");
  assert.equal(service.received.length, 0);
  await world.only(await world.notify([ann.id], ["webpush"], { priority: 500 }), "delivered");
});

test("a notification without channels reaches a subscribed browser, and plans nothing before there is one", async (t) => {
  const { prism, world, ann, subscribe } = await openWebPushWorld(t);
  const send = async (): Promise<string> => {
    const given = { recipients: [ann.id], title: "Door open", message: "The door is open" };
    return (await prism.post<{ id: string }>("/api/v1/notifications", given)).body.id;
  };
  const status = async () => (await prism.get<{ webpush: unknown }>("/api/v1/status")).body.webpush;
  const before = await send();
  assert.deepEqual(rowsOf(prism, "select kind from jobs where kind = 'notification.deliver'"), []);
  assert.deepEqual(await status(), { mode: "off", connected: false });
  await subscribe();
  await world.only(await send(), "delivered");
  assert.deepEqual(world.deliveries(before), []);
  await eventually("the status reports the channel", async () => {
    const { mode } = (await status()) as { mode: string };
    return mode === "on";
  });
});

test("removing an expired subscription with one line in the log, and planned for no more", async (t) => {
  const log = new LogLines();
  const { service, world, prism, ann, subscribe } = await openWebPushWorld(t, { log });
  for (const status of [404, 410]) {
    log.lines.length = 0;
    service.answer = (response) => void response.writeHead(status).end();
    await subscribe();
    const dead = await world.only(await world.notify([ann.id], ["webpush"]), "dead");
    assert.equal(dead.lastError, `the push service answered ${status}: the subscription has ended`);
    assert.equal(scalarOf(prism, "select count(*) from push_devices"), 0);
    const removed = log.lines.filter(({ message }) => message === "removing an expired subscription");
    assert.equal(removed.length, 1);
    assert.ok(!JSON.stringify(log.lines).includes(service.origin), "the endpoint is not logged");
    const next = await world.notify([ann.id], ["webpush", "in_app"]);
    await eventually("it is planned", () =>
      scalarOf(prism, "select 1 from jobs where dedupeKey = ? and state = 'succeeded'", `deliver:${next}`),
    );
    assert.deepEqual(world.deliveries(next), []);
  }
});

test("Retry-After is respected, and a 5xx is tried again", async (t) => {
  const { service, world, ann, subscribe } = await openWebPushWorld(t);
  await subscribe();
  service.answer = (response) => void response.writeHead(429, { "Retry-After": "120" }).end();
  const id = await world.notify([ann.id], ["webpush"]);
  const failed = await world.putOff(id);
  assert.equal(failed.lastError, "the push service answered 429");
  const dueAt = await eventually("it waits", () => world.dueAt(failed.id));
  assert.ok(dueAt >= world.clock.now() + 120_000);
  service.answer = (response) => void response.writeHead(500).end();
  await world.passToAttempt(failed.id);
  await eventually("the second attempt has failed", () => world.deliveries(id)[0]?.attempts === 2);
  await world.only(id, "failed");
  service.answer = accepted;
  await world.passToAttempt(failed.id);
  await world.only(id, "delivered");
});

test("a refused key is a clear reason, and no other text of the answer is shown", async (t) => {
  const { service, world, ann, subscribe } = await openWebPushWorld(t);
  await subscribe();
  const refuse = (status: number, body: string) => {
    service.answer = (response) => void response.writeHead(status).end(body);
    return world.notify([ann.id], ["webpush"]).then((id) => world.only(id, "dead"));
  };
  const refused = await refuse(403, '{"reason":"BadJwtToken"}');
  assert.equal(refused.attempts, 1);
  assert.match(refused.lastError ?? "", /^the push service answered 403 BadJwtToken: it refuses this server's key or/);
  for (const body of ["root:x:0:0", '{"reason":"password: hunter2"}']) {
    const { lastError } = await refuse(400, body);
    assert.equal(
      lastError,
      "the push service answered 400: it refuses the request, or this server's key or contact (VAPID)",
    );
  }
  assert.match((await refuse(413, "")).lastError ?? "", /413: the message is too large$/);
  service.answer = (response) => void response.writeHead(307, { Location: "/elsewhere" }).end();
  const redirected = await world.only(await world.notify([ann.id], ["webpush"]), "dead");
  assert.match(redirected.lastError ?? "", /redirects are not followed$/);
  assert.ok(service.received.every(({ path }) => path === "/send/1"));
});

test("an address that is not allowed any more gets no message", async (t) => {
  const { service, world, prism, ann, subscribe } = await openWebPushWorld(t);
  await subscribe();
  const dir = await crashImage(t, prism);
  const strict = await startPrism(t, { dir, clock: world.clock });
  const given = { recipients: [ann.id], channels: ["webpush"], title: "Door open", message: "" };
  await strict.post("/api/v1/notifications", { ...given, message: "The door is open" });
  const dead = await eventually(
    "the delivery is dead",
    () => rowsOf<{ lastError: string }>(strict, "select lastError from deliveries where state = 'dead'")[0],
  );
  assert.match(
    dead.lastError,
    /^The URL is refused: the address is not public; .*\(PRISM_WEBHOOKS_ALLOW_PRIVATE_CIDRS\)$/,
  );
  assert.equal(service.received.length, 0);
});
