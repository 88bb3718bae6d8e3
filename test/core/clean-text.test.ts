import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { cleanText, codePointLength, normalised } from "../../src/core/text/clean-text.ts";

test("text is kept in NFC, without controls, bidirectional overrides and lone surrogates", async (t) => {
  for (const { name, text, kept } of [
    { name: "plain text", text: "a < b & c", kept: "a < b & c" },
    { name: "line feed and tab stay", text: "a\n\tb", kept: "a\n\tb" },
    { name: "carriage return goes", text: "a\r\nb", kept: "a\nb" },
    { name: "C0 controls", text: "a\u0000\u0007\u001b[31mb", kept: "a[31mb" },
    { name: "DEL and C1 controls", text: "a\u007f\u0085\u009fb", kept: "ab" },
    { name: "overrides", text: "a\u202e\u202d\u202cb", kept: "ab" },
    { name: "isolates", text: "a\u2066\u2069b", kept: "ab" },
    { name: "a lone high surrogate", text: "a\ud83db", kept: "ab" },
    { name: "a lone low surrogate", text: "a\ude00b", kept: "ab" },
    { name: "a pair stays", text: "a😀b", kept: "a😀b" },
    { name: "a decomposed letter is composed", text: "e\u0301", kept: "é" },
    { name: "a letter composes over what was removed", text: "e\u202e\u0301", kept: "é" },
    { name: "markup is text", text: "<script>", kept: "<script>" },
  ])
    await t.test(name, () => assert.equal(cleanText(text), kept));
});

test("cleaning again changes nothing, and nothing unwanted is left", () => {
  const unit = fc.constantFrom(
    "a",
    "é",
    "e",
    "\u0301",
    "\u202e",
    "\ud83d",
    "\ude00",
    "\u0000",
    "\n",
    "ﬁ",
    "가",
    "ㄱ",
    "\u1100",
    "\u1161",
  );
  fc.assert(
    fc.property(fc.array(unit, { maxLength: 10 }), (units) => {
      const kept = cleanText(units.join(""));
      assert.equal(cleanText(kept), kept);
      assert.equal(kept.normalize("NFC"), kept);
      assert.equal(Buffer.from(kept).toString(), kept, "it is Unicode");
      assert.ok(!kept.includes("\u0000") && !kept.includes("\u202e"));
    }),
  );
});

test("length counts code points", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => assert.equal(codePointLength(text), Array.from(text).length)),
  );
  assert.equal(codePointLength("\ud83d\ud83d\ude00\ude00"), 3);
});

test("of a long row of marks, which takes quadratic time to normalise, 30 are kept", () => {
  const marks = "\u0301\u0316".repeat(50_000);
  const composed = `á${"\u0316".repeat(15)}${"\u0301".repeat(14)}`;
  assert.equal(cleanText(`a${marks} end`), `${composed} end`);
  assert.equal(cleanText(`a${"\u0301\u0007".repeat(50_000)}`).length, 30, "also with what is removed between them");
  for (const form of ["NFC", "NFKC", "NFKD"] as const) {
    assert.ok(normalised(`a${marks}`, form).length <= 31, form);
    assert.ok(normalised(`a${"\u0301\uff9e".repeat(50_000)}`, form).length <= 31, form);
  }
  const short = `a${"\u0301\u0316".repeat(100)}`;
  assert.equal(cleanText(short), short.normalize("NFC"), "short texts stay whole");
  const letters = "e\u0301\u0316".repeat(200);
  assert.equal(cleanText(letters), letters.normalize("NFC"));
});
