import assert from "node:assert/strict";
import { createSign, generateKeyPairSync } from "node:crypto";
import test from "node:test";
import type { RawRequest } from "../../../../../src/features/intake/receivers/read-request.ts";
import { confirmSubscription, snsReplayId } from "../../../../../src/features/intake/receivers/sns.ts";
import { answered } from "../../../../helpers/prism.ts";
import { ReceiverTest } from "../support.ts";

const TOPIC = "arn:aws:sns:eu-central-1:123456789012:prism";
const HOST = "https://sns.eu-central-1.amazonaws.com";
const CERTIFICATE = `${HOST}/SimpleNotificationService-2.pem`;
const SUBSCRIBE = `${HOST}/?Action=ConfirmSubscription&TopicArn=${TOPIC}&Token=2336412f37`;
const NOW = Date.UTC(2026, 0, 31, 12);
const NAMES = {
  Notification: ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
  SubscriptionConfirmation: ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
} as const;

/** One pair: a certificate is kept after its first use. */
const KEYS = generateKeyPairSync("rsa", { modulusLength: 2048 });

/** Amazon: signs messages, serves its certificate, and confirms subscriptions. */
class Amazon {
  readonly fetched: string[] = [];

  readonly fetchText = async (url: string): Promise<string> => {
    this.fetched.push(url);
    return url === CERTIFICATE ? KEYS.publicKey.export({ format: "pem", type: "spki" }).toString() : "<ok/>";
  };

  /** @param added members that are not signed */
  request(fields: Readonly<Record<string, string>>, added: Readonly<Record<string, string>> = {}): RawRequest {
    const all: Record<string, string> = {
      MessageId: "m",
      Timestamp: new Date(NOW).toISOString(),
      TopicArn: TOPIC,
      ...fields,
    };
    const type = all["Type"] === "Notification" ? "Notification" : "SubscriptionConfirmation";
    const text = NAMES[type].map((name) => (all[name] === undefined ? "" : `${name}\n${all[name]}\n`)).join("");
    const Signature = createSign("RSA-SHA1").update(text).sign(KEYS.privateKey, "base64");
    const body = { ...all, SignatureVersion: "1", Signature, SigningCertURL: CERTIFICATE, ...added };
    const headers = { "x-amz-sns-message-type": added["header"] ?? type };
    return { method: "POST", url: "", query: {}, headers, bytes: Buffer.from(JSON.stringify(body)) };
  }

  /** As a receiver of the topic takes it. */
  async deliver(request: RawRequest): Promise<boolean> {
    await snsReplayId(request, [TOPIC], { fetchText: this.fetchText, now: NOW });
    return confirmSubscription(request, this.fetchText);
  }
}

test("a subscription of the named topic is confirmed, and no other", async () => {
  const amazon = new Amazon();
  const wish = {
    Type: "SubscriptionConfirmation",
    Message: "You have chosen …",
    Token: "2336412f37",
    SubscribeURL: SUBSCRIBE,
  };
  assert.equal(await amazon.deliver(amazon.request(wish)), true);
  assert.deepEqual(amazon.fetched, [CERTIFICATE, SUBSCRIBE]);
  for (const request of [
    amazon.request({ ...wish, TopicArn: `${TOPIC}-2` }),
    amazon.request(wish, { SubscribeURL: `${SUBSCRIBE}&x=1` }),
    amazon.request({ ...wish, SubscribeURL: "https://169.254.169.254/latest/meta-data/" }),
    amazon.request({ ...wish, SubscribeURL: SUBSCRIBE.replace("https:", "http:") }),
    amazon.request({ ...wish, SubscribeURL: SUBSCRIBE.replace(".com/", ".com.evil.example/") }),
  ])
    await assert.rejects(amazon.deliver(request), { code: "SIGNATURE_INVALID" });
  assert.deepEqual(amazon.fetched, [CERTIFICATE, SUBSCRIBE], "nothing else was fetched");
});

test("a notification with another header and a URL that is not signed confirms nothing", async () => {
  const amazon = new Amazon();
  const added = { header: "SubscriptionConfirmation", SubscribeURL: SUBSCRIBE };
  const request = amazon.request({ Type: "Notification", Message: "Hello" }, added);
  assert.equal(await amazon.deliver(request), false);
  const found = amazon.fetched.filter((url) => url !== CERTIFICATE);
  assert.deepEqual(found, []);
});

test("a receiver of CloudWatch needs its topic, and refuses requests without Amazon's signature", async (t) => {
  const it = await ReceiverTest.start(t);
  await answered(400, it.prism.post("/api/v1/receivers", { name: "AWS", preset: "cloudwatch" }));
  const receiver = await it.make({ preset: "cloudwatch", secret: TOPIC });
  const message = { Type: "Notification", TopicArn: TOPIC, Message: "Hello", Timestamp: new Date().toISOString() };
  const type = { "content-type": "text/plain; charset=UTF-8" };
  for (const [body, headers] of [
    [message, type],
    [message, { ...type, "x-amz-sns-message-type": "Notification" }],
    [
      { ...message, SigningCertURL: "http://127.0.0.1/a.pem" },
      { ...type, "x-amz-sns-message-type": "Notification" },
    ],
    ["Hello", { ...type, "x-amz-sns-message-type": "Notification", "x-amz-sns-rawdelivery": "true" }],
  ] as const) {
    await answered(401, it.send(receiver, typeof body === "string" ? body : JSON.stringify(body), { headers }));
  }
  assert.deepEqual(await it.events("sns.message"), []);
});
