import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import {
  decodeUtf8,
  jsonErrorPosition,
  jsonValueEnd,
  minifyJson,
  replaceLoneSurrogates,
  scanJson,
} from "../../src/core/text/json-text.ts";

const DEEP = Number.MAX_SAFE_INTEGER;
const anyText = fc.string({ unit: "binary", maxLength: 12 });
const json = fc.jsonValue({ maxDepth: 5, stringUnit: "binary" });
const spaces = fc.constantFrom("", " ", "\n", "\t", "\r\n  ");

/** JSON text of a value with whitespace between its tokens, wherever JSON allows some. */
function spread(value: unknown, space: string): string {
  const pad = (text: string): string => `${space}${text}${space}`;
  if (Array.isArray(value)) return pad(`[${value.map((each) => spread(each, space)).join(",")}${space}]`);
  if (typeof value === "object" && value !== null) {
    const members = Object.entries(value).map(([key, each]) => `${pad(JSON.stringify(key))}:${spread(each, space)}`);
    return pad(`{${members.join(",")}${space}}`);
  }
  return pad(JSON.stringify(value));
}

function depthOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

test("the outline of an object gives each key and each value exactly as they were written", () => {
  fc.assert(
    fc.property(fc.dictionary(anyText, json), spaces, (object, space) => {
      const text = spread(object, space);
      const outline = scanJson(text, DEEP);
      assert.equal(outline.kind, "object");
      const keys = outline.keyStarts.map((start, i) => JSON.parse(text.slice(start, outline.keyEnds[i])));
      const values = outline.valueStarts.map((start, i) => JSON.parse(text.slice(start, outline.valueEnds[i])));
      const parsed = JSON.parse(text) as Record<string, unknown>;
      assert.deepEqual(keys, Object.keys(object));
      for (const [i, key] of keys.entries()) assert.deepEqual(values[i], parsed[key]);
      for (const [i, start] of outline.valueStarts.entries())
        assert.doesNotMatch(text.slice(start, outline.valueEnds[i]), /^\s|\s$/);
    }),
  );
});

test("the outline of an array gives each element exactly as it was written", () => {
  fc.assert(
    fc.property(fc.array(json), spaces, (array, space) => {
      const text = spread(array, space);
      const outline = scanJson(text, DEEP);
      assert.equal(outline.kind, "array");
      assert.deepEqual(
        outline.valueStarts.map((start, i) => JSON.parse(text.slice(start, outline.valueEnds[i]))),
        JSON.parse(text),
      );
    }),
  );
});

test("the depth of an outline is that of the value", () => {
  fc.assert(
    fc.property(json, spaces, (value, space) => {
      assert.equal(scanJson(spread(value, space), DEEP).depth, depthOf(value));
    }),
  );
});

test("the depth holds for any text, and counting stops above the limit", () => {
  fc.assert(fc.property(anyText, (text) => assert.ok(scanJson(text, DEEP).depth <= text.length)));
  assert.equal(scanJson("[".repeat(1_000_000), 32).depth, 33);
  assert.equal(scanJson('"[[[["', 32).depth, 0, "brackets inside a string do not count");
  assert.equal(scanJson('["\\"[[["]', 32).depth, 1, "nor behind an escaped quote");
});

test("an outline says whether a nested value holds whitespace and a string an escape", async (t) => {
  for (const { name, text, innerSpace, unicodeEscape } of [
    { name: "neither", text: '{"a":{"b":1}, "c": 2}', innerSpace: false, unicodeEscape: false },
    { name: "whitespace inside a nested value", text: '{"a":{"b": 1}}', innerSpace: true, unicodeEscape: false },
    { name: "whitespace in a string only", text: '{"a":{"b":"x y"}}', innerSpace: false, unicodeEscape: false },
    { name: "a unicode escape", text: '{"a":"\\u0041"}', innerSpace: false, unicodeEscape: true },
    { name: "an escaped backslash before a u", text: '{"a":"\\\\u0041"}', innerSpace: false, unicodeEscape: false },
  ])
    await t.test(name, () => {
      const outline = scanJson(text, DEEP);
      assert.deepEqual([outline.innerSpace, outline.unicodeEscape], [innerSpace, unicodeEscape]);
    });
});

test("a text without whitespace between its tokens says the same, to the last digit", () => {
  fc.assert(
    fc.property(json, spaces, (value, space) => {
      assert.equal(minifyJson(spread(value, space)), JSON.stringify(value));
    }),
  );
  const exact = '{"a":1.10,"b":12345678901234567890,"c":1e400,"d":-0.0,"e":"\\u00e9 \\/","e":1}';
  assert.equal(minifyJson(exact.replaceAll(",", " ,\n")), exact);
});

test("a string of some megabytes is stepped over", () => {
  for (const fill of ["a", "\\n", "\\\\", "\\u0041"]) {
    const text = `{"a":"${fill.repeat(1_000_000)}"}`;
    assert.equal(minifyJson(`${text} `), text);
    assert.equal(replaceLoneSurrogates(text), text);
  }
});

test("a value ends where its brackets and quotes say", () => {
  fc.assert(
    fc.property(json, spaces, fc.constantFrom("", ",", "]", "}", " "), (value, space, behind) => {
      const text = spread(value, space).trim();
      assert.equal(jsonValueEnd(`,${text}${behind}`, 1), 1 + text.length);
    }),
  );
});

test("an escaped surrogate without a partner becomes U+FFFD, everything else stays as it was written", async (t) => {
  for (const { name, text, out } of [
    { name: "a pair", text: "\\ud83d\\ude00", out: "\\ud83d\\ude00" },
    { name: "a pair in upper case", text: "\\uD83D\\uDE00", out: "\\uD83D\\uDE00" },
    { name: "a high one alone", text: "\\ud83d", out: "\ufffd" },
    { name: "a low one alone", text: "\\ude00", out: "\ufffd" },
    { name: "two high ones and a low one", text: "\\ud83d\\ud83d\\ude00", out: "\ufffd\\ud83d\\ude00" },
    { name: "a pair the wrong way round", text: "\\ude00\\ud83d", out: "\ufffd\ufffd" },
    { name: "a high one before another letter", text: "\\ud83dx\\ude00", out: "\ufffdx\ufffd" },
    { name: "an escaped backslash before ud83d", text: "\\\\ud83d", out: "\\\\ud83d" },
    { name: "another escape", text: "\\u0041\\n\\\\", out: "\\u0041\\n\\\\" },
    { name: "a high one at the end, after a backslash", text: "\\\\\\ud83d", out: "\\\\\ufffd" },
  ])
    await t.test(name, () => assert.equal(replaceLoneSurrogates(`{"a":"${text}"}`), `{"a":"${out}"}`));
});

test("what is kept of any text is Unicode, and equal where it was Unicode before", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0xd7f0, max: 0xe010 })), (units) => {
      const text = units.map((unit) => `\\u${unit.toString(16)}`).join("");
      const kept = JSON.parse(replaceLoneSurrogates(`"${text}"`)) as string;
      assert.equal(kept, Buffer.from(JSON.parse(`"${text}"`), "utf8").toString("utf8"));
    }),
  );
});

test("bytes are text when they are UTF-8 without a byte order mark", async (t) => {
  for (const { name, bytes, text } of [
    { name: "plain", bytes: Buffer.from("{}"), text: "{}" },
    { name: "beyond the basic plane", bytes: Buffer.from("😀"), text: "😀" },
    { name: "empty", bytes: Buffer.alloc(0), text: "" },
    { name: "a byte order mark", bytes: Buffer.from([0xef, 0xbb, 0xbf, 0x7b]), text: undefined },
    { name: "an encoded surrogate", bytes: Buffer.from([0xed, 0xa0, 0x80]), text: undefined },
    { name: "an overlong form", bytes: Buffer.from([0xc0, 0x80]), text: undefined },
    { name: "half a character", bytes: Buffer.from([0xf0, 0x9f]), text: undefined },
  ])
    await t.test(name, () => assert.equal(decodeUtf8(bytes), text));
});

test("the position of a parse error is reported if the engine gives one", () => {
  const errorOf = (text: string): unknown => {
    try {
      return JSON.parse(text);
    } catch (error) {
      return error;
    }
  };
  assert.equal(jsonErrorPosition(errorOf('{"a":1,}')), 7);
  assert.equal(jsonErrorPosition(errorOf("")), undefined);
  assert.equal(jsonErrorPosition(new Error("position 3")), undefined);
});
