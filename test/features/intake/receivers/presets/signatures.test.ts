import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync, randomUUID, sign } from "node:crypto";
import test from "node:test";
import { Webhook } from "standardwebhooks";
import { type Made, ReceiverTest } from "../support.ts";
import { SECRET, WHSEC } from "./support/sign.ts";

type Headers = Record<string, string>;

const JSON_TYPE = { "content-type": "application/json" };
const hex = (text: string, key = SECRET) => createHmac("sha256", key).update(text).digest("hex");
const seconds = (agoS = 0) => Math.floor(Date.now() / 1000) - agoS;

class Sender {
  readonly #it: ReceiverTest;

  constructor(it: ReceiverTest) {
    this.#it = it;
  }

  async expect(receiver: Made, body: string, headers: Headers, status: number): Promise<void> {
    const reply = await this.#it.send(receiver, body, { headers: { ...JSON_TYPE, ...headers } });
    assert.equal(reply.status, status, `${JSON.stringify(headers)} ${reply.text}`);
  }
}

test("standardwebhooks: what its library signs gets in once, under both names of the headers", async (t) => {
  const it = await ReceiverTest.start(t);
  const sender = new Sender(it);
  const receiver = await it.make({ preset: "standardwebhooks", secret: WHSEC });
  const library = new Webhook(WHSEC);
  const signed = (id: string, at: Date, body: string, prefix = "webhook"): Headers => ({
    [`${prefix}-id`]: id,
    [`${prefix}-timestamp`]: String(Math.floor(at.getTime() / 1000)),
    [`${prefix}-signature`]: library.sign(id, at, body),
  });
  const body = JSON.stringify({ type: "backup.failed", data: { title: "Backup failed", severity: "error" } });
  const now = new Date();
  await sender.expect(receiver, body, signed("msg_1", now, body), 200);
  await sender.expect(receiver, body, signed("msg_2", now, body, "svix"), 200);
  await sender.expect(receiver, body, signed("msg_1", now, body), 200);
  assert.equal((await it.events("backup.failed")).length, 2, "a repeated id is answered, and not stored");
  const late = new Date(now.getTime() - 400_000);
  await sender.expect(receiver, body, signed("msg_3", late, body), 401);
  await sender.expect(receiver, body, { ...signed("msg_4", now, body), "webhook-id": "msg_5" }, 401);
  await sender.expect(receiver, `${body} `, signed("msg_6", now, body), 401);
  await sender.expect(receiver, body, {}, 401);
});

test("standardwebhooks: a public key checks Ed25519, and is no key of an HMAC", async (t) => {
  const it = await ReceiverTest.start(t);
  const sender = new Sender(it);
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
  const secret = `whpk_${raw.toString("base64")}`;
  const receiver = await it.make({ preset: "standardwebhooks", secret });
  const body = JSON.stringify({ type: "key.used" });
  const ts = seconds();
  const headers = (id: string, signature: (text: string) => string): Headers => ({
    "webhook-id": id,
    "webhook-timestamp": String(ts),
    "webhook-signature": signature(`${id}.${ts}.${body}`),
  });
  const ed25519 = (text: string) => `v1a,${sign(null, Buffer.from(text), privateKey).toString("base64")}`;
  await sender.expect(receiver, body, headers("msg_1", ed25519), 200);
  const keys = [secret, raw, Buffer.from(secret, "base64"), Buffer.from(secret.slice("whpk_".length), "base64")];
  for (const key of keys) {
    const hmac = (text: string) => `v1,${createHmac("sha256", key).update(text).digest("base64")}`;
    await sender.expect(receiver, body, headers("msg_2", hmac), 401);
  }
  assert.equal((await it.events("key.used")).length, 1);
});

test("grafana: HMAC with and without a timestamp, Basic and Bearer", async (t) => {
  const it = await ReceiverTest.start(t);
  const sender = new Sender(it);
  const receiver = await it.make({ preset: "grafana", secret: SECRET });
  const name = "X-Grafana-Alerting-Signature";
  const time = "X-Grafana-Alerting-Timestamp";
  const body = () => JSON.stringify({ orgId: 1, alerts: [], title: `Alert ${randomUUID()}`, version: "1" });
  const one = body();
  await sender.expect(receiver, one, { [name]: hex(one) }, 200);
  const two = body();
  const ts = String(seconds());
  await sender.expect(receiver, two, { [name]: hex(`${ts}:${two}`), [time]: ts }, 200);
  await sender.expect(receiver, two, { [name]: hex(`${ts}:${two}`) }, 401);
  await sender.expect(receiver, two, { [name]: hex(two), [time]: ts }, 401);
  const old = String(seconds(400));
  await sender.expect(receiver, two, { [name]: hex(`${old}:${two}`), [time]: old }, 401);
  const three = body();
  const older = "X-Grafana-Alert-Signature";
  await sender.expect(receiver, three, { [older]: hex(three) }, 200);
  await sender.expect(receiver, three, { [older]: hex(`${ts}:${three}`), [time]: ts }, 200);
  await sender.expect(receiver, three, { [older]: hex(two) }, 401);
  const basic = Buffer.from(`prism:${SECRET}`).toString("base64");
  await sender.expect(receiver, body(), { Authorization: `Basic ${basic}` }, 200);
  await sender.expect(receiver, body(), { Authorization: `Bearer ${SECRET}` }, 200);
  await sender.expect(receiver, body(), { Authorization: "Bearer another secret" }, 401);
  await sender.expect(receiver, body(), {}, 401);
});

test("gitlab: the secret token, and the signing token of newer versions", async (t) => {
  const it = await ReceiverTest.start(t);
  const sender = new Sender(it);
  const old = await it.make({ name: "old", preset: "gitlab", secret: SECRET });
  const body = JSON.stringify({ object_kind: "push", ref: "refs/heads/main", project: { path_with_namespace: "a/b" } });
  await sender.expect(old, body, { "X-Gitlab-Token": SECRET, "X-Gitlab-Event-UUID": "1" }, 200);
  await sender.expect(old, body, { "X-Gitlab-Token": "another secret", "X-Gitlab-Event-UUID": "2" }, 401);
  const signing = await it.make({ name: "new", preset: "gitlab", secret: WHSEC });
  const library = new Webhook(WHSEC);
  const headers = (id: string, at: Date): Headers => ({
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
    "webhook-signature": library.sign(id, at, body),
    "X-Gitlab-Token": "",
  });
  await sender.expect(signing, body, headers("a", new Date()), 200);
  await sender.expect(signing, body, headers("b", new Date(Date.now() - 400_000)), 401);
  await sender.expect(signing, body, { "X-Gitlab-Token": "another" }, 401);
  assert.equal((await it.events("gitlab.push")).length, 2);
});

test("stripe: the timestamp is signed, and unknown schemes are ignored", async (t) => {
  const it = await ReceiverTest.start(t);
  const sender = new Sender(it);
  const receiver = await it.make({ preset: "stripe", secret: WHSEC });
  const body = JSON.stringify({ id: "evt_1", object: "event", type: "payout.failed", livemode: true });
  const header = (ts: number, key = WHSEC) => `t=${ts},v1=${hex(`${ts}.${body}`, key)}`;
  const now = seconds();
  const decoded = Buffer.from(WHSEC.slice("whsec_".length), "base64").toString("latin1");
  await sender.expect(receiver, body, { "Stripe-Signature": `v9=x,${header(now)},v1=zz` }, 200);
  await sender.expect(receiver, body, { "Stripe-Signature": header(now - 400) }, 401);
  await sender.expect(receiver, body, { "Stripe-Signature": header(now, decoded) }, 401);
  await sender.expect(receiver, body, { "Stripe-Signature": header(now).replace("v1=", "v0=") }, 401);
  await sender.expect(receiver, body, { "Stripe-Signature": header(now - 20) }, 200);
  assert.equal((await it.events("stripe.payout.failed")).length, 1, "repeated with another timestamp");
});

test("pagerduty: one of several signatures fits while a secret is replaced", async (t) => {
  const it = await ReceiverTest.start(t);
  const sender = new Sender(it);
  const receiver = await it.make({ preset: "pagerduty", secret: SECRET });
  const event = { id: "1", event_type: "pagey.ping", occurred_at: "2026-01-31T08:00:00Z", data: { message: "Hello" } };
  const body = JSON.stringify({ event });
  const name = "X-PagerDuty-Signature";
  await sender.expect(receiver, body, { [name]: `v1=${hex(body, "the new one")},v1=${hex(body)}` }, 200);
  await sender.expect(receiver, body, { [name]: `v1=${hex(body, "the new one")}` }, 401);
  await sender.expect(receiver, body, { [name]: hex(body) }, 401);
  const [stored] = await it.events("pagerduty.pagey.ping");
  assert.equal(stored?.payload["title"], "Test of PagerDuty's webhook");
});
