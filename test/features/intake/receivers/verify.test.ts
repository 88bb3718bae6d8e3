import assert from "node:assert/strict";
import { createHmac, createSign, generateKeyPairSync, sign } from "node:crypto";
import test from "node:test";
import type { RawRequest } from "../../../../src/features/intake/receivers/read-request.ts";
import { snsReplayId } from "../../../../src/features/intake/receivers/sns.ts";
import { verifyRequest } from "../../../../src/features/intake/receivers/verify.ts";
import { FakeClock } from "../../../helpers/fake-clock.ts";
import { type Made, ReceiverTest } from "./support.ts";

const SECRET = "the secret of the sender";
const OLD = "the secret before that";
const WHSEC = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
const hmac = (key: string | Buffer, text: string, encoding: "hex" | "base64" = "hex", algorithm = "sha256") =>
  createHmac(algorithm, key).update(text).digest(encoding);

type Row = Record<string, unknown>;
type Headers = Record<string, string>;

interface Scheme {
  readonly name: string;
  readonly row: Row;
  readonly secret?: string;
  /** @param ts seconds since 1970 */
  sign(body: string, secret: string, ts: number): Headers;
}

const keyOf = (secret: string) => Buffer.from(secret.replace("whsec_", ""), "base64");

/** The shapes of all senders with signatures. */
const SIGNED: readonly Scheme[] = [
  {
    name: "sha256= hex (GitHub)",
    row: {
      scheme: "hmac",
      header: "x-hub-signature-256",
      algorithm: "sha256",
      prefix: "sha256=",
      encoding: "hex",
      signed: ["{body}"],
      keyForm: "text",
    },
    sign: (body, secret) => ({ "X-Hub-Signature-256": `sha256=${hmac(secret, body)}` }),
  },
  {
    name: "bare hex with a timestamp header (Grafana)",
    row: {
      ...{ scheme: "hmac", header: "x-sig", algorithm: "sha256", encoding: "hex", keyForm: "text" },
      ...{ signed: ["{ts}", ":", "{body}"], timestampHeader: "x-time" },
    },
    sign: (body, secret, ts) => ({ "X-Sig": hmac(secret, `${ts}:${body}`), "X-Time": String(ts) }),
  },
  {
    name: "a timestamp in the header, several signatures (Stripe)",
    row: {
      ...{
        scheme: "hmac",
        header: "stripe-signature",
        algorithm: "sha256",
        prefix: "v1=",
        encoding: "hex",
        keyForm: "text",
      },
      ...{ separator: ",", signed: ["{ts}", ".", "{body}"], timestampPrefix: "t=" },
    },
    sign: (body, secret, ts) => ({
      "Stripe-Signature": `t=${ts},v1=${"0".repeat(64)},v1=${hmac(secret, `${ts}.${body}`)},v0=x`,
    }),
  },
  {
    name: "Standard Webhooks",
    row: {
      ...{
        scheme: "hmac",
        header: "webhook-signature",
        algorithm: "sha256",
        prefix: "v1,",
        encoding: "base64",
        keyForm: "whsec",
      },
      ...{
        separator: " ",
        signed: ["{id}", ".", "{ts}", ".", "{body}"],
        timestampHeader: "webhook-timestamp",
        idHeader: "webhook-id",
      },
    },
    secret: WHSEC,
    sign: (body, secret, ts) => ({
      "webhook-id": `msg_${body.length}`,
      "webhook-timestamp": String(ts),
      "webhook-signature": `v1,AAAA v1,${hmac(keyOf(secret), `msg_${body.length}.${ts}.${body}`, "base64")}`,
    }),
  },
  {
    name: "sha1 in base64",
    row: {
      scheme: "hmac",
      header: "x-sig",
      algorithm: "sha1",
      encoding: "base64",
      signed: ["{body}"],
      keyForm: "text",
    },
    sign: (body, secret) => ({ "X-Sig": hmac(secret, body, "base64", "sha1") }),
  },
];

for (const { name, row, secret = SECRET, sign: signed } of SIGNED)
  test(`${name}: right, wrong, rotated, stale and replayed`, async (t) => {
    const clock = new FakeClock(Date.UTC(2026, 0, 31, 12));
    const it = await ReceiverTest.start(t, { clock });
    const receiver = await it.make({ secret: secret === SECRET ? OLD : WHSEC.replace("B", "C"), verify: [row] });
    const first = secret === SECRET ? OLD : WHSEC.replace("B", "C");
    const ts = Math.floor(clock.now() / 1000);
    const sendSigned = (title: string, key: string, at = ts, sent?: string) => {
      const body = JSON.stringify({ title });
      return it.send(receiver, sent ?? body, {
        headers: { ...signed(body, key, at), "Content-Type": "application/json" },
      });
    };
    const statusOf = async (reply: ReturnType<typeof sendSigned>) => (await reply).status;
    assert.equal(await statusOf(sendSigned("one", first)), 200);
    assert.equal(await statusOf(sendSigned("wrong key", secret)), 401);
    assert.equal(await statusOf(sendSigned("changed", first, ts, '{"title":"changed!"}')), 401);
    assert.equal((await it.send(receiver, { title: "unsigned" })).status, 401);
    // The old secret works until its grace period ends.
    const rotated = await it.prism.post(`/api/v1/receivers/${receiver.id}/rotate`, { secret, graceMs: 60_000 });
    assert.deepEqual([rotated.status, rotated.body["url"]], [201, null]);
    assert.equal(await statusOf(sendSigned("the new secret", secret)), 200);
    assert.equal(await statusOf(sendSigned("the old one too.", first)), 200);
    clock.advance(61_000);
    assert.equal(await statusOf(sendSigned("the old one no more....", first, ts + 61)), 401);
    assert.equal(await statusOf(sendSigned("the new one still is", secret, ts + 61)), 200);
    const stored = (await it.events()).length;
    assert.equal(
      await statusOf(sendSigned("the new one still is", secret, ts + 61)),
      200,
      "a replay is answered alike",
    );
    assert.equal((await it.events()).length, stored, "and not stored");
    assert.equal((await it.requests(receiver))[0]?.result, "replayed");
    const usesTime = JSON.stringify(row).includes("{ts}");
    for (const drift of [-301, 301])
      assert.equal(await statusOf(sendSigned(`stale ${drift + 1000}`, secret, ts + 61 + drift)), usesTime ? 401 : 200);
    const titles = (await it.events()).map(({ payload }) => payload["title"]).slice(0, 4);
    assert.deepEqual(titles, ["one", "the new secret", "the old one too.", "the new one still is"]);
  });

test("Ed25519 by a public key in hex and as whpk_", async (t) => {
  const it = await ReceiverTest.start(t);
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
  const body = '{"title":"T"}';
  const ts = String(Math.floor(Date.now() / 1000));
  for (const [keyForm, secret, encoding] of [
    ["hex", raw.toString("hex"), "hex"],
    ["whpk", `whpk_${raw.toString("base64")}`, "base64"],
  ] as const) {
    const verify = {
      scheme: "ed25519",
      header: "x-sig",
      encoding,
      signed: ["{ts}", "{body}"],
      timestampHeader: "x-ts",
      keyForm,
    };
    const receiver = await it.make({ name: keyForm, secret, verify: [verify] });
    const good = sign(null, Buffer.from(ts + body), privateKey).toString(encoding);
    const bad = sign(null, Buffer.from(`${ts} ${body}`), privateKey).toString(encoding);
    assert.equal((await it.send(receiver, body, { headers: { "X-Sig": good, "X-Ts": ts } })).status, 200);
    assert.equal((await it.send(receiver, body, { headers: { "X-Sig": bad, "X-Ts": ts } })).status, 401);
    assert.equal((await it.send(receiver, body, { headers: { "X-Sig": "zz", "X-Ts": ts } })).status, 401);
  }
});

test("a secret without a signature: Basic, Bearer, headers and the query", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({ secret: SECRET });
  const basic = (password: string) => `Basic ${Buffer.from(`any:${password}`).toString("base64")}`;
  const query = `?token=${encodeURIComponent(SECRET)}`;
  const right: [Headers, string][] = [
    [{ Authorization: `Bearer ${SECRET}` }, ""],
    [{ Authorization: basic(SECRET) }, ""],
    [{ "X-API-Key": SECRET }, ""],
    [{ "X-Token": SECRET }, ""],
    [{}, query],
    [{}, query.replace("token", "access_token")],
  ];
  for (const [headers, suffix] of right)
    assert.equal((await it.send(receiver, { title: "x" }, { headers, suffix })).status, 200, JSON.stringify(headers));
  const wrong: [Headers, string][] = [
    [{}, ""],
    [{ Authorization: `Bearer ${SECRET}x` }, ""],
    [{ Authorization: basic("") }, ""],
    [{ Authorization: "Basic" }, ""],
    [{ "X-API-Key": "x" }, ""],
    [{}, "?token="],
  ];
  for (const [headers, suffix] of wrong)
    assert.equal((await it.send(receiver, { title: "x" }, { headers, suffix })).status, 401, JSON.stringify(headers));
  assert.equal((await it.events()).length, right.length);
  const rows: [Row, Headers, string, unknown][] = [
    [{ scheme: "header", header: "x-gitlab-token" }, { "X-Gitlab-Token": SECRET }, "", {}],
    [
      { scheme: "header", header: "authorization", prefix: "GenieKey " },
      { Authorization: `GenieKey ${SECRET}` },
      "",
      {},
    ],
    [{ scheme: "query", name: "k" }, {}, `?k=${encodeURIComponent(SECRET)}`, {}],
    [{ scheme: "form", name: "Token" }, {}, "", { Token: SECRET, title: "t" }],
  ];
  for (const [row, headers, suffix, body] of rows) {
    const one = await it.make({ name: JSON.stringify(row), secret: SECRET, verify: [row] });
    assert.equal((await it.send(one, body, { headers, suffix })).status, 200, JSON.stringify(row));
    assert.equal((await it.send(one, { title: "x" })).status, 401, JSON.stringify(row));
  }
});

test("Twilio's signature is over the URL and the sorted parameters", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver: Made = await it.make({ secret: SECRET, verify: [{ scheme: "twilio" }] });
  const url = `http://localhost:${it.prism.app.port}${new URL(receiver.url).pathname}?a=1`;
  const body = "To=%2B1&From=%2B2&title=Hi";
  const signature = hmac(SECRET, `${url}From+2To+1titleHi`, "base64", "sha1");
  const type = { "Content-Type": "application/x-www-form-urlencoded" };
  const send = (given: string) =>
    it.send(receiver, body, { headers: { ...type, "X-Twilio-Signature": given }, suffix: "?a=1" });
  assert.equal((await send(signature)).status, 200);
  assert.equal((await send(`${signature.slice(0, -4)}AAA=`)).status, 401);
});

test("an id of the sender refuses a replay, also without a signature", async (t) => {
  const it = await ReceiverTest.start(t);
  const receiver = await it.make({});
  const other = await it.make({ name: "Other" });
  const send = (to: Made, key: string) => it.send(to, { title: key }, { headers: { "Idempotency-Key": key } });
  const answers = await Promise.all([send(receiver, "1"), send(receiver, "1"), send(receiver, "2"), send(other, "1")]);
  assert.deepEqual(new Set(answers.map(({ status, text }) => `${status} ${text}`)), new Set(['200 {"ok":true}']));
  assert.equal((await it.events()).length, 3);
});

const ARN = "arn:aws:sns:eu-west-1:123456789012:alarms";
const CERTIFICATE_URL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem";
const NOW = Date.UTC(2026, 0, 31, 12);

test("SNS: Amazon's signature, topic, time and hosts are checked", async () => {
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pem = publicKey.export({ format: "pem", type: "spki" }).toString();
  const fetched: string[] = [];
  const fetchText = async (url: string) => {
    fetched.push(url);
    return pem;
  };
  const message = (changes: Record<string, string> = {}, algorithm = "RSA-SHA256") => {
    const fields: Record<string, string> = {
      ...{ Message: '{"AlarmName":"A"}', MessageId: "m-1", Subject: "ALARM", TopicArn: ARN, Type: "Notification" },
      ...{ Timestamp: new Date(NOW - 60_000).toISOString(), ...changes },
    };
    const names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"];
    const text = names.map((name) => `${name}\n${fields[name]}\n`).join("");
    const Signature = createSign(algorithm).update(text).sign(privateKey, "base64");
    return {
      SignatureVersion: algorithm === "RSA-SHA1" ? "1" : "2",
      SigningCertURL: CERTIFICATE_URL,
      Signature,
      ...fields,
    };
  };
  const check = (body: object) => {
    const bytes = Buffer.from(JSON.stringify(body));
    const headers = { "x-amz-sns-message-type": "Notification" };
    const request: RawRequest = { method: "POST", url: "", query: {}, headers, bytes };
    return snsReplayId(request, [ARN], { fetchText, now: NOW });
  };
  assert.equal(await check(message()), "sns:m-1");
  assert.equal(await check(message({}, "RSA-SHA1")), "sns:m-1");
  assert.deepEqual(fetched, [CERTIFICATE_URL], "the certificate is kept");
  const wrong: object[] = [
    { ...message(), Message: "changed" },
    message({ TopicArn: `${ARN}-2` }),
    message({ Timestamp: new Date(NOW - 3_700_000).toISOString() }),
    message({ Timestamp: "never" }),
    ...[
      "http://sns.eu-west-1.amazonaws.com/a.pem",
      "https://sns.eu-west-1.amazonaws.com.evil.example/a.pem",
      "https://evil.example/sns.eu-west-1.amazonaws.com/a.pem",
      "https://sns.eu-west-1.amazonaws.com:8443/a.pem",
      "https://user@sns.eu-west-1.amazonaws.com/a.pem",
      "https://169.254.169.254/a.pem",
      "https://sns.eu-west-1.amazonaws.com/a.txt",
      "file:///etc/passwd",
    ].map((SigningCertURL) => ({ ...message(), SigningCertURL })),
    [],
    {},
  ];
  for (const body of wrong)
    await assert.rejects(check(body), { code: "SIGNATURE_INVALID" }, JSON.stringify(body).slice(0, 200));
  assert.equal(fetched.length, 1, "no other host is called");
});

test("a receiver without a secret checks nothing", async () => {
  const request: RawRequest = { method: "POST", url: "", query: {}, headers: {}, bytes: Buffer.alloc(0) };
  const rows = [{ scheme: "credential" }] as const;
  assert.equal(await verifyRequest(request, { rows, secrets: [], now: 0, fetchText: async () => "" }), null);
});

test("a refusal names the header that is missing: the timestamp's if the signature is there", async (t) => {
  const it = await ReceiverTest.start(t);
  const signed = { signed: ["{ts}", ".", "{body}"], timestampHeader: "x-time", keyForm: "text" };
  const row = { scheme: "hmac", header: "x-sig", algorithm: "sha256", encoding: "hex", ...signed };
  const receiver = await it.make({ secret: SECRET, verify: [row] });
  const refusal = async (headers: Headers) => (await it.send(receiver, { title: "A" }, { headers })).text;
  assert.match(await refusal({}), /no header x-sig"/);
  assert.match(await refusal({ "X-Sig": hmac(SECRET, "x") }), /no header x-time"/);
});
