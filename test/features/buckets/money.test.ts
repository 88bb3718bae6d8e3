import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { decimalText, isInRange } from "../../../src/core/text/decimal.ts";
import { moneyOf, parseMoney } from "../../../src/features/buckets/money.ts";

const LARGEST = 10n ** 19n - 1n;
const amounts = fc.bigInt({ min: -LARGEST, max: LARGEST });

test("S2-14 an amount written and read again is the same amount, over the whole of DECIMAL(19,4)", () =>
  fc.assert(
    fc.property(amounts, (units) => {
      const text = decimalText(units);
      assert.match(text, /^-?\d{1,15}(\.\d{1,4})?$/);
      assert.equal(moneyOf(text), units);
      assert.equal(isInRange(units), true);
    }),
  ));

test("an amount has one text, however many zeros it was written with", () =>
  fc.assert(
    fc.property(amounts, fc.nat(3), (units, zeros) => {
      const [whole = "", fraction = ""] = decimalText(units).replace("-", "").split(".");
      const padded = "0".repeat(Math.min(zeros, 15 - whole.length)) + whole;
      const written = `${units < 0n ? "-" : ""}${padded}.${fraction.padEnd(4, "0")}`;
      assert.equal(decimalText(moneyOf(written)), decimalText(units));
    }),
  ));

test("sums and differences are exact: what was added and taken away again leaves the same amount", () =>
  fc.assert(
    fc.property(amounts, amounts, (a, b) => {
      assert.equal(moneyOf(decimalText(a)) + moneyOf(decimalText(b)) - b, a);
      assert.equal(isInRange(a + b), a + b <= LARGEST && a + b >= -LARGEST);
    }),
  ));

test("D57 a number counts as its shortest decimal form, and is refused where a double may have rounded it", () => {
  for (const [given, text] of [
    [0.1, "0.1"],
    [100, "100"],
    [-0, "0"],
    [-12.3456, "-12.3456"],
    [900719925474.0991, "900719925474.0991"],
    ["-0.0", "0"],
    ["007.10", "7.1"],
    ["999999999999999.9999", "999999999999999.9999"],
    ["-999999999999999.9999", "-999999999999999.9999"],
  ] as const)
    assert.equal(decimalText(parseMoney(given) ?? -1n), text, String(given));
  for (const refused of [
    0.12345,
    0.1 + 0.2,
    1e-7,
    1e21,
    900719925474.0992,
    999999999999999,
    Number.NaN,
    "1e3",
    "+1",
    "1.",
    ".5",
    "",
    " 1",
    "1,5",
    "0x1",
    "1.00000",
    "1000000000000000",
    "١",
  ])
    assert.equal(parseMoney(refused), undefined, String(refused));
  assert.throws(() => moneyOf("1.00000"), TypeError);
});
