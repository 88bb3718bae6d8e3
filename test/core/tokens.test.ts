import assert from "node:assert/strict";
import crypto, { createHash } from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import test from "node:test";
import { createToken, hashToken, isTokenOf, secretsEqual, sha256Hex } from "../../src/core/crypto/tokens.ts";

test("a token has its kind, 256 random bits and a checksum; what is stored is its hash and eight characters", () => {
  const { token, prefix, hash } = createToken("prk");
  assert.match(token, /^prk_[A-Za-z0-9_-]{43}[0-9a-f]{8}$/);
  assert.equal(prefix, token.slice(4, 12));
  assert.equal(hash, createHash("sha256").update(token).digest("hex"));
  assert.equal(hashToken(token), hash);
  assert.equal(new Set(Array.from({ length: 100 }, () => createToken("prt").token)).size, 100);
});

test("a token is known by its form and its checksum", async (t) => {
  const { token } = createToken("prk");
  const changed = `${token.slice(0, 10)}${token[10] === "A" ? "B" : "A"}${token.slice(11)}`;
  for (const { name, text, isToken } of [
    { name: "as it was made", text: token, isToken: true },
    { name: "one letter changed", text: changed, isToken: false },
    { name: "the kind changed, the rest not", text: `prt${token.slice(3)}`, isToken: false },
    { name: "cut", text: token.slice(0, -1), isToken: false },
    { name: "longer", text: `${token}0`, isToken: false },
    {
      name: "the checksum in upper case",
      text: token.slice(0, -8) + token.slice(-8).toUpperCase(),
      isToken: /^\d+$/.test(token.slice(-8)),
    },
    { name: "nothing", text: "", isToken: false },
    { name: "the kind alone", text: "prk_", isToken: false },
  ])
    await t.test(name, () => assert.equal(isTokenOf("prk", text), isToken));
  assert.equal(isTokenOf("prt", token), false);
});

test("every change of one character is noticed by the checksum", () => {
  const { token } = createToken("prt");
  for (let at = 4; at < token.length; at++) {
    for (const letter of ["0", "a", "Z", "_"]) {
      if (token[at] === letter) continue;
      assert.equal(isTokenOf("prt", token.slice(0, at) + letter + token.slice(at + 1)), false, `character ${at}`);
    }
  }
});

test("secrets are compared by the runtime's constant-time comparison, as hashes of one length whatever theirs is", (t) => {
  const compare = t.mock.method(crypto, "timingSafeEqual");
  syncBuiltinESMExports();
  t.after(() => {
    compare.mock.restore();
    syncBuiltinESMExports();
  });
  for (const { left, right, isEqual } of [
    { left: "secret", right: "secret", isEqual: true },
    { left: "secret", right: "Secret", isEqual: false },
    { left: "secret", right: "secret ", isEqual: false },
    { left: "", right: "", isEqual: true },
    { left: "", right: "x", isEqual: false },
    { left: "é", right: "e\u0301", isEqual: false },
  ]) {
    assert.equal(secretsEqual(left, right), isEqual);
    const lengths = compare.mock.calls.at(-1)?.arguments.map((bytes) => bytes.byteLength);
    assert.deepEqual(lengths, [32, 32]);
  }
  assert.equal(compare.mock.callCount(), 6);
});

test("SHA-256 is the one of the standard", () => {
  assert.equal(sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  assert.equal(sha256Hex(Buffer.from("abc")), sha256Hex("abc"));
});
