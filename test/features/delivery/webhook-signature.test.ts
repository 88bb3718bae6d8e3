import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import test from "node:test";
import { SealedBox } from "../../../src/core/crypto/sealed-box.ts";
import { asPrevious, newSecret, signatureOf, signingKeys } from "../../../src/features/channels/webhook/message.ts";
import type { WebhookRow } from "../../../src/features/delivery/webhooks/webhook.ts";

const BOX = new SealedBox([Buffer.alloc(32, 7)]);

const row = (id: string, secret: Uint8Array): WebhookRow => ({
  id,
  projectId: null,
  userId: "u",
  url: "https://1.1.1.1/",
  secret,
  previousSecret: null,
  previousSecretUntil: null,
  eventTypes: '["*"]',
  active: 1,
  failures: 0,
  disabledAt: null,
  createdBy: "u",
  version: 1,
  createdAt: 0,
  updatedAt: 0,
});

test("the signature is the one of the Standard Webhooks specification's own example", () => {
  const key = Buffer.from("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "base64");
  assert.equal(
    signatureOf([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, Buffer.from('{"test": 2432232314}')),
    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  );
});

test("a secret is whsec_ and 32 bytes in base64, of which the key is made; encrypted it reveals nothing, and decrypts in its own row only", () => {
  const { text, sealed } = newSecret(BOX, "a");
  assert.match(text, /^whsec_[A-Za-z0-9+/]{43}=$/);
  const key = Buffer.from(text.slice("whsec_".length), "base64");
  assert.equal(key.length, 32);
  assert.equal(sealed.includes(key), false);
  assert.deepEqual(signingKeys(BOX, row("a", sealed), 0), [key]);
  assert.throws(() => signingKeys(BOX, row("b", sealed), 0), /belongs to another row/);
  assert.notEqual(newSecret(BOX, "a").text, text);
});

test("during a rotation both secrets sign, the new one first; then the new one alone", () => {
  const old = newSecret(BOX, "a");
  const young = newSecret(BOX, "a");
  const webhook = {
    ...row("a", young.sealed),
    previousSecret: asPrevious(BOX, row("a", old.sealed)),
    previousSecretUntil: 500,
  };
  const body = Buffer.from("{}");
  const expected = ({ text }: { text: string }): string =>
    `v1,${createHmac("sha256", Buffer.from(text.slice(6), "base64"))
      .update("id.1.{}")
      .digest("base64")}`;
  assert.equal(signatureOf(signingKeys(BOX, webhook, 499), "id", 1, body), `${expected(young)} ${expected(old)}`);
  assert.equal(signatureOf(signingKeys(BOX, webhook, 500), "id", 1, body), expected(young));
});
