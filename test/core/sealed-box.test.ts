import assert from "node:assert/strict";
import { createDecipheriv } from "node:crypto";
import test from "node:test";
import fc from "fast-check";
import { SealedBox, UnsealError } from "../../src/core/crypto/sealed-box.ts";

const key = (byte: number): Uint8Array => new Uint8Array(32).fill(byte);
const PLACE = "webhooks.secret.1";
const secret = Buffer.from("whsec_1");

test("what is sealed opens at its place, and shows nothing of itself", () => {
  const box = new SealedBox([key(1)]);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.string(), (plain, place) => {
      const sealed = box.seal(place, plain);
      assert.deepEqual(new Uint8Array(box.open(place, sealed)), plain);
      assert.ok(plain.length < 8 || !sealed.includes(Buffer.from(plain)));
    }),
  );
});

test("S4-37 a sealed value is key id, nonce, AES-256-GCM ciphertext and tag, with its place authenticated", () => {
  const sealed = new SealedBox([key(1)]).seal(PLACE, secret);
  const decipher = createDecipheriv("aes-256-gcm", key(1), sealed.subarray(4, 16));
  decipher.setAAD(Buffer.from(PLACE)).setAuthTag(sealed.subarray(-16));
  assert.deepEqual(Buffer.concat([decipher.update(sealed.subarray(16, -16)), decipher.final()]), secret);
  assert.notDeepEqual(sealed.subarray(0, 4), new SealedBox([key(2)]).seal(PLACE, secret).subarray(0, 4));
});

test("the same value sealed twice looks different: each has a nonce of its own", () => {
  const box = new SealedBox([key(1)]);
  const sealed = new Set(Array.from({ length: 100 }, () => box.seal(PLACE, secret).subarray(4, 16).toString("hex")));
  assert.equal(sealed.size, 100);
});

test("a value moved to another row, table or column does not open", async (t) => {
  const box = new SealedBox([key(1)]);
  const sealed = box.seal(PLACE, secret);
  for (const place of ["webhooks.secret.2", "webhooks.url.1", "push_devices.token.1", ""])
    await t.test(place || "no place", () => assert.throws(() => box.open(place, sealed), UnsealError));
});

test("a value of which one byte was changed does not open, whichever it is", () => {
  const box = new SealedBox([key(1)]);
  const sealed = box.seal(PLACE, secret);
  for (let at = 0; at < sealed.length; at++) {
    const changed = Buffer.from(sealed);
    changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
    assert.throws(() => box.open(PLACE, changed), UnsealError, `byte ${at}`);
  }
});

test("a value that was cut short does not open", () => {
  const box = new SealedBox([key(1)]);
  const sealed = box.seal(PLACE, secret);
  for (let length = 0; length < sealed.length; length++)
    assert.throws(() => box.open(PLACE, sealed.subarray(0, length)), UnsealError, `${length} bytes`);
});

test("a value sealed with another key does not open, and the error says that it is the key", () => {
  const sealed = new SealedBox([key(2)]).seal(PLACE, secret);
  assert.throws(() => new SealedBox([key(1)]).open(PLACE, sealed), {
    name: "UnsealError",
    message: "sealed with a key that is not configured",
  });
});

test("with a new key in front, what the old one sealed still opens and what is sealed now needs the new one", () => {
  const before = new SealedBox([key(1)]).seal(PLACE, secret);
  const rotated = new SealedBox([key(2), key(1)]);
  assert.deepEqual(rotated.open(PLACE, before), secret);
  const after = rotated.seal(PLACE, secret);
  assert.deepEqual(new SealedBox([key(2)]).open(PLACE, after), secret);
  assert.throws(() => new SealedBox([key(1)]).open(PLACE, after), UnsealError);
});
