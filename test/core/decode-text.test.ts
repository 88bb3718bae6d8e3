import assert from "node:assert/strict";
import test from "node:test";
import { charsetIn, decodeForm, decodeText, looksLikeText } from "../../src/core/text/decode-text.ts";
import { processorMs } from "../helpers/cpu-time.ts";

const latin = (text: string): Buffer => Buffer.from(text, "latin1");
const WINDOWS = /windows-1252/;
const REPLACED = /replaced by U\+FFFD/;

test("bytes are UTF-8, else in the declared charset, else windows-1252", async (t) => {
  for (const [name, bytes, charset, text, note] of [
    ["ASCII", latin("abc"), null, "abc", null],
    ["UTF-8", Buffer.from("Größe 🚨"), null, "Größe 🚨", null],
    ["nothing", latin(""), null, "", null],
    ["a byte order mark", Buffer.from("\ufeffx ä"), null, "x ä", null],
    ["Latin-1", latin("St\xf6rung"), null, "Störung", WINDOWS],
    ["the letters between", latin("\x80\x81\x8a\x99\x9f"), null, "€\x81Š™Ÿ", WINDOWS],
    ["Latin-1 that is declared as UTF-8", latin("\xfcber"), "utf-8", "über", WINDOWS],
    ["an unknown charset", latin("\xfcber"), "x-none", "über", WINDOWS],
    ["UTF-8 with a broken byte", Buffer.concat([Buffer.from("ä"), latin("\xff")]), null, "ä\ufffd", REPLACED],
    ["UTF-8 that was cut", Buffer.from("äö").subarray(0, 3), null, "ä\ufffd", REPLACED],
    [
      "UTF-8 in which letters are lost, and more",
      Buffer.concat([Buffer.from("\ufffd"), latin("\xff")]),
      null,
      "\ufffd\ufffd",
      REPLACED,
    ],
    ["declared as ISO-8859-1", latin("5 \x80"), "iso-8859-1", "5 €", null],
    ["declared as ISO-8859-1, and UTF-8", Buffer.from("Größe"), "iso-8859-1", "Größe", null],
    ["declared as KOI8-R", latin("\xf3\xc2\xcf\xca"), "koi8-r", "Сбой", null],
    ["declared as GB2312, and broken", latin("\xc4\xe3\xff"), "gb2312", "你\ufffd", /not gbk were replaced/],
    ["UTF-16", Buffer.from("ab", "utf16le"), "utf-16", "ab", null],
    ["UTF-16 by its mark", Buffer.from("\ufeffä", "utf16le"), null, "ä", null],
    ["declared as UTF-16, and UTF-8", Buffer.from("abä"), "utf-16", "abä", null],
    ["ISO-2022-JP, which is ASCII", latin("\x1b$B%F%9%H\x1b(B"), "iso-2022-jp", "テスト", null],
  ] as const)
    await t.test(name, () => {
      const decoded = decodeText(bytes, charset);
      assert.equal(decoded.text, text);
      if (note === null) assert.equal(decoded.note, null);
      else assert.match(decoded.note ?? "", note);
    });
});

test("each of the 256 bytes is read as browsers read it", () => {
  const bytes = Buffer.from(Array.from({ length: 128 }, (_, i) => 0x80 + i));
  const { text } = decodeText(bytes, "windows-1252");
  assert.equal([...text].length, 128);
  assert.equal(text.slice(0x20), bytes.subarray(0x20).toString("latin1"));
});

test("fields of forms keep their letters in every encoding", () => {
  for (const [form, charset, fields] of [
    [
      "a=Gr%F6%DFe&b=x+y",
      null,
      [
        ["a", "Größe"],
        ["b", "x y"],
      ],
    ],
    ["a=Gr%C3%B6%C3%9Fe", "iso-8859-1", [["a", "Größe"]]],
    [
      "a=%F3%C2&%zz=1&b",
      "koi8-r",
      [
        ["a", "Сб"],
        ["%zz", "1"],
        ["b", ""],
      ],
    ],
    ["", null, []],
  ] as const)
    assert.deepEqual(decodeForm(latin(form), charset).fields, fields);
});

test("a file is no text", () => {
  for (const bytes of [
    latin("\x89PNG\r\n\x1a\n"),
    latin("\xff\xd8\xff\xe0\0\x10JFIF"),
    latin("\xff".repeat(50)),
    latin("a\x81b"),
  ])
    assert.equal(looksLikeText(bytes), false);
  for (const text of ["St\xf6rung\tbei 35 \xb0C\r\n", "\xd6l", "5 \x80"])
    assert.equal(looksLikeText(latin(text)), true);
});

test("the charset of a content type", () => {
  for (const [type, charset] of [
    ["text/plain", null],
    ["text/plain; charset=ISO-8859-1", "iso-8859-1"],
    ['text/plain;charset="utf-8"; x=y', "utf-8"],
    ["multipart/form-data; boundary=charset", null],
  ] as const)
    assert.equal(charsetIn(type), charset);
});

test("letters of windows-1252 cost no more than those of ISO-8859-1", () => {
  const read = (byte: number): number => {
    const bytes = Buffer.alloc(2_000_000, byte);
    return processorMs(() => decodeText(bytes, "windows-1252"));
  };
  read(0xe4);
  assert.ok(read(0x80) < 10 * read(0xe4) + 10);
});

test("a form has at most 10 000 fields, in every encoding", () => {
  for (const [first, value] of [
    ["a=%FF", "ÿ"],
    ["a=%C3%BF", "ÿ"],
  ] as const) {
    assert.throws(() => decodeForm(`${first}${"&b=1".repeat(10_000)}`), { code: "PAYLOAD_TOO_LARGE" });
    const all = decodeForm(`${first}${"&b=1".repeat(9_999)}`);
    assert.deepEqual([all.fields.length, all.fields[0], all.fields.at(-1)], [10_000, ["a", value], ["b", "1"]]);
  }
  assert.deepEqual(decodeForm(latin("%ff=%&%4=%4g&+%2B%26%3d")).fields, [
    ["ÿ", "%"],
    ["%4", "%4g"],
    [" +&=", ""],
  ]);
});
