import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import test from "node:test";
import { eventually } from "../../helpers/eventually.ts";
import { makeUser } from "../../helpers/people.ts";
import { startPrism } from "../../helpers/prism.ts";
import { countOf, rowsOf } from "../../helpers/tables.ts";
import { rowsWith } from "../../helpers/values.ts";
import { PushService, TestBrowser } from "../../helpers/web-push.ts";
import { logIn, makeAccount, outcomeOf, startAccounts } from "../access/sessions/support/auth-client.ts";
import { reset } from "./support/web-peer.ts";
import { openWebPushWorld, SUBSCRIPTIONS } from "./support/web-push-world.ts";

interface Listed {
  readonly data: readonly { readonly id: string; readonly device: string; readonly [member: string]: unknown }[];
}

test("a browser that subscribes again keeps its id; the list shows neither endpoint nor keys", async (t) => {
  const { service, world, prism, ann, browser, subscribe } = await openWebPushWorld(t);
  const as = { token: ann.token };
  const first = await subscribe(ann, { ...service.subscription(new TestBrowser()), device: "Firefox" });
  world.clock.advance(1000);
  const again = await subscribe(ann, service.subscription(browser));
  assert.deepEqual([first.status, again.status, again.body.id], [201, 200, first.body.id]);
  const second = await subscribe(ann, { ...service.subscription(new TestBrowser(), "send/2"), device: "Firefox" });
  const unnamed = await subscribe(ann, service.subscription(new TestBrowser(), "send/3"));
  await world.until(await world.notify([ann.id], ["webpush"]), "delivered", 3);
  const mine = service.received.find(({ path }) => path === "/send/1");
  assert.ok(mine && browser.decrypt(mine.body), "the keys of the last subscription count");
  const { body, text } = await eventually("each use is recorded", async () => {
    const reply = await prism.get<Listed>(SUBSCRIPTIONS, as);
    return reply.body.data.every(({ lastUsedAt }) => lastUsedAt !== null) ? reply : null;
  });
  assert.deepEqual(rowsWith(body.data, "id", "device"), [
    [unnamed.body.id, "Browser"],
    [first.body.id, "Firefox"],
    [second.body.id, "Firefox (2)"],
  ]);
  assert.equal(body.data[1]?.["service"], new URL(service.origin).host);
  for (const secret of ["/send/", browser.keys.auth, browser.keys.p256dh]) assert.ok(!text.includes(secret), secret);
});

test("what is no subscription is refused", async (t) => {
  const { service, prism, subscribe, ann } = await openWebPushWorld(t);
  const good = service.subscription(new TestBrowser());
  const off = Buffer.from(good.keys.p256dh, "base64url").fill(1, 33).toString("base64url");
  const compressed = Buffer.from(good.keys.p256dh, "base64url").fill(2, 0, 1).toString("base64url");
  const keyed = (keys: object) => ({ ...good, keys: { ...good.keys, ...keys } });
  for (const [body, outcome] of [
    [{}, "400 VALIDATION_FAILED"],
    [{ ...good, keys: {} }, "400 VALIDATION_FAILED"],
    [keyed({ p256dh: off }), "400 VALIDATION_FAILED"],
    [keyed({ p256dh: compressed }), "400 VALIDATION_FAILED"],
    [keyed({ p256dh: good.keys.p256dh.slice(0, 44) }), "400 VALIDATION_FAILED"],
    [keyed({ auth: good.keys.auth.slice(2) }), "400 VALIDATION_FAILED"],
    [{ ...good, device: "" }, "400 VALIDATION_FAILED"],
    [{ ...good, endpoint: `https://1.1.1.1/${"x".repeat(2048)}` }, "400 VALIDATION_FAILED"],
    [{ ...good, endpoint: "no URL" }, "422 URL_REFUSED"],
    [{ ...good, endpoint: "ftp://1.1.1.1/send" }, "422 URL_REFUSED"],
    [{ ...good, endpoint: "https://user:secret@1.1.1.1/send" }, "422 URL_REFUSED"],
    [{ ...good, endpoint: "https://10.0.0.7/send" }, "422 URL_REFUSED"],
    [{ ...good, endpoint: "https://[::1]/send" }, "422 URL_REFUSED"],
    [{ ...good, endpoint: "https://1.1.1.1:22/send" }, "422 URL_REFUSED"],
  ] as const) {
    const reply = await subscribe(ann, body);
    assert.equal(outcomeOf(reply), outcome, JSON.stringify(body));
    assert.ok(!reply.text.includes(good.keys.auth));
  }
  assert.equal(countOf(prism, "push_devices"), 0);
  assert.equal((await subscribe(ann, keyed({ future: "key" }))).status, 201, "a key of later browsers is ignored");
});

const PRODUCTION = {
  env: "production",
  encryptionKey: randomBytes(32).toString("base64"),
  "auth.jwtSecret": randomBytes(48).toString("base64"),
  "auth.bcryptCost": "12",
};

test("in production an endpoint is https", async (t) => {
  const prism = await startPrism(t, { settings: PRODUCTION });
  const { token } = await makeUser(prism, "ann");
  const body = { endpoint: "http://1.1.1.1/send", keys: new TestBrowser().keys };
  assert.equal(outcomeOf(await prism.post(SUBSCRIPTIONS, body, { token })), "422 URL_REFUSED");
});

test("an endpoint is that of the user who subscribed last; no one reaches another user's browsers", async (t) => {
  const { world, prism, ann, subscribe } = await openWebPushWorld(t);
  const bob = await world.person("bob");
  const annas = (await subscribe(ann)).body.id;
  for (const reply of [
    await prism.delete(`${SUBSCRIPTIONS}/${annas}`, { token: bob.token }),
    await prism.post(`${SUBSCRIPTIONS}/${annas}/test`, {}, { token: bob.token }),
    await prism.delete(`${SUBSCRIPTIONS}/none`, { token: ann.token }),
  ])
    assert.equal(outcomeOf(reply), "404 PUSH_SUBSCRIPTION_NOT_FOUND");
  const bobs = (await subscribe(bob)).body.id;
  assert.notEqual(bobs, annas);
  assert.deepEqual(rowsOf(prism, "select id, userId from push_devices"), [{ id: bobs, userId: bob.id }]);
});

test("the 21st browser replaces the one that was unused for longest", async (t) => {
  const { service, world, prism, ann, subscribe } = await openWebPushWorld(t);
  const ids: string[] = [];
  for (let at = 0; at < 20; at++) {
    world.clock.advance(1000);
    ids.push((await subscribe(ann, service.subscription(new TestBrowser(), `send/${at}`))).body.id);
  }
  world.clock.advance(1000);
  await subscribe(ann, service.subscription(new TestBrowser(), "send/0"));
  ids.push((await subscribe(ann, service.subscription(new TestBrowser(), "send/20"))).body.id);
  const { body } = await prism.get<Listed>(SUBSCRIPTIONS, { token: ann.token });
  const expected = ids.filter((id) => id !== ids[1]).sort();
  assert.deepEqual(body.data.map(({ id }) => id).sort(), expected);
});

test("the list of an app's devices leaves browsers alone, and shows none", async (t) => {
  const { prism, ann, subscribe } = await openWebPushWorld(t);
  await subscribe();
  const { status, body } = await prism.put<{ devices: unknown }>(
    "/api/v1/users/me/push-tokens",
    { devices: [] },
    { token: ann.token },
  );
  assert.deepEqual([status, body.devices, countOf(prism, "push_devices")], [200, [], 1]);
});

test("a logout ends push to the browser of that login; a disabled account has none", async (t) => {
  const service = await PushService.start(t);
  const prism = await startAccounts(t, { settings: service.settings });
  const { id } = await makeAccount(prism, { username: "ann" });
  const [laptop, phone] = [await logIn(prism, "ann"), await logIn(prism, "ann")];
  const subscribe = (token: string, name: string) =>
    prism.post(SUBSCRIPTIONS, { ...service.subscription(new TestBrowser(), name), device: name }, { token });
  const listed = async () => {
    const { body } = await prism.get<Listed>(SUBSCRIPTIONS, { token: phone.token });
    return body.data.map(({ device, isCurrentSession }) => [device, isCurrentSession]);
  };
  await subscribe(laptop.token, "laptop");
  await subscribe(phone.token, "phone");
  assert.deepEqual(await listed(), [
    ["laptop", false],
    ["phone", true],
  ]);
  await prism.post("/api/v1/auth/logout", {}, { token: laptop.token });
  assert.deepEqual(await listed(), [["phone", true]]);
  const service2 = await prism.post<{ token: string }>(
    "/api/v1/users/me/tokens",
    { name: "t", scopes: ["account:own"] },
    { token: phone.token },
  );
  await subscribe(service2.body.token, "kiosk");
  assert.equal(countOf(prism, "push_devices"), 2);
  await prism.patch(`/api/v1/users/${id}`, { status: "disabled" });
  assert.equal(countOf(prism, "push_devices"), 0);
});

test("a test of a subscription reports what its push service answers, and removes a dead one", async (t) => {
  const { service, prism, ann, browser, subscribe } = await openWebPushWorld(t);
  const { id } = (await subscribe()).body;
  const run = async () =>
    (await prism.post<Record<string, unknown>>(`${SUBSCRIPTIONS}/${id}/test`, {}, { token: ann.token })).body;
  assert.deepEqual(await run(), { delivered: true, status: 201, error: null });
  const [message] = service.received;
  assert.ok(message);
  const { title, body } = JSON.parse(browser.decrypt(message.body)) as { title: string; body: string };
  assert.deepEqual([title, body], ["Test", "Prism can reach this browser."]);
  assert.deepEqual([message.headers["ttl"], message.headers["urgency"]], ["60", "high"]);
  service.answer = reset;
  const broken = await run();
  assert.deepEqual([broken["delivered"], broken["status"]], [false, null]);
  service.answer = (response) => void response.writeHead(403).end();
  const refused = await run();
  assert.deepEqual([refused["delivered"], refused["status"]], [false, 403]);
  assert.match(String(refused["error"]), /refuses this server's key or contact/);
  assert.equal(countOf(prism, "push_devices"), 1);
  service.answer = (response) => void response.writeHead(410).end();
  assert.equal((await run())["status"], 410);
  assert.equal(countOf(prism, "push_devices"), 0);
});
