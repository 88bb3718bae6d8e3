import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { pushHeaders, topicOf } from "../../../src/features/delivery/channels/webpush/message.ts";
import { eventually } from "../../helpers/eventually.ts";
import { rowsOf } from "../../helpers/tables.ts";
import { PushService, TestBrowser, verifiedVapid } from "../../helpers/web-push.ts";
import { DeliveryWorld } from "./support/delivery-world.ts";
import { notificationOf } from "./support/push-world.ts";

const SUBSCRIPTIONS = "/api/v1/users/me/push-subscriptions";
const MAX_PAYLOAD_BYTES = 3993;

interface Payload {
  readonly id: string;
  readonly title: string;
  readonly body: string;
  readonly acknowledgeToken: string;
  readonly [member: string]: unknown;
}

interface Ann {
  readonly id: string;
  readonly token: string;
}

/** A server, a person, and that person's browser at a push service. */
async function open(t: TestContext, settings: Readonly<Record<string, string>> = {}) {
  const service = await PushService.start(t);
  const world = await DeliveryWorld.open(t, { settings: { ...service.settings, ...settings } });
  const ann = await world.person("ann");
  const browser = new TestBrowser();
  const subscribe = (as: Ann = ann, body: object = service.subscription(browser)) =>
    world.prism.post<{ id: string }>(SUBSCRIPTIONS, body, { token: as.token });
  /** The messages so far, as the service worker sees them. */
  const messages = (): Payload[] => service.received.map(({ body }) => JSON.parse(browser.decrypt(body)) as Payload);
  return { service, world, prism: world.prism, ann, browser, subscribe, messages };
}

test("a browser subscribes with the server's key and receives a notification that only it can read", async (t) => {
  const { service, world, prism, ann, subscribe, messages } = await open(t, {
    "smtp.from": "Prism <alerts@example.com>",
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
  const { service, world, ann, browser, subscribe, messages } = await open(t);
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
  const { world, prism, ann, subscribe, service } = await open(t);
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
  const { prism, world, ann, subscribe } = await open(t);
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
