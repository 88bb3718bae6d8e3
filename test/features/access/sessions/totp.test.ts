import assert from "node:assert/strict";
import test from "node:test";
import { base32, stepOfCode, totpCode, totpUri } from "../../../../src/features/access/sessions/second-factor.ts";

/** The secret of RFC 6238 appendix B. */
const SECRET = Buffer.from("12345678901234567890");

test("codes are those of RFC 6238 appendix B, in six digits", () => {
  for (const [seconds, code] of [
    [59, "287082"],
    [1111111109, "081804"],
    [1111111111, "050471"],
    [1234567890, "005924"],
    [2000000000, "279037"],
    [20000000000, "353130"],
  ] as const)
    assert.equal(totpCode(SECRET, Math.floor(seconds / 30)), code, String(seconds));
});

test("a code counts in its step and the ones beside it, once, and no earlier one after it", () => {
  const now = 1_111_111_111_000;
  const step = Math.floor(now / 30_000);
  for (const [offset, found] of [
    [-2, undefined],
    [-1, step - 1],
    [0, step],
    [1, step + 1],
    [2, undefined],
  ] as const)
    assert.equal(stepOfCode(SECRET, totpCode(SECRET, step + offset), now, 0), found, String(offset));
  assert.equal(stepOfCode(SECRET, totpCode(SECRET, step), now, step), undefined, "used");
  assert.equal(stepOfCode(SECRET, totpCode(SECRET, step - 1), now, step), undefined, "earlier than a used one");
  assert.equal(stepOfCode(SECRET, totpCode(SECRET, step + 1), now, step), step + 1);
  for (const wrong of ["", "287", "28708a", "0287082", "２８７０８２"])
    assert.equal(stepOfCode(SECRET, wrong, 59_000, 0), undefined, wrong);
});

test("Base32 is that of RFC 4648 section 10, without padding", () => {
  for (const [text, encoded] of [
    ["", ""],
    ["f", "MY"],
    ["fo", "MZXQ"],
    ["foo", "MZXW6"],
    ["foob", "MZXW6YQ"],
    ["fooba", "MZXW6YTB"],
    ["foobar", "MZXW6YTBOI"],
  ] as const)
    assert.equal(base32(Buffer.from(text)), encoded);
});

test("the URI of a QR code keeps any account name in one piece", () => {
  const uri = new URL(totpUri(SECRET, "Prism alerts.example.com", "ann&secret=x:y@example.org"));
  assert.equal(uri.protocol, "otpauth:");
  assert.equal(
    decodeURIComponent(uri.pathname.split("/").at(-1) ?? ""),
    "Prism alerts.example.com:ann&secret=x:y@example.org",
  );
  assert.equal(uri.searchParams.get("secret"), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
  assert.equal(uri.searchParams.get("issuer"), "Prism alerts.example.com");
  const shown = ["algorithm", "digits", "period"].map((name) => uri.searchParams.get(name));
  assert.deepEqual(shown, ["SHA1", "6", "30"]);
});
