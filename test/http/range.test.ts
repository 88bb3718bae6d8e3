import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { parseRange } from "../../src/http/body/negotiation.ts";

test("a range of bytes (RFC 9110 section 14.1.2)", async (t) => {
  for (const [field, expected] of [
    ["bytes=0-9", { first: 0, last: 9 }],
    ["bytes=90-", { first: 90, last: 99 }],
    ["bytes=90-1000", { first: 90, last: 99 }],
    ["bytes=-10", { first: 90, last: 99 }],
    ["bytes=-1000", { first: 0, last: 99 }],
    ["bytes=99-99", { first: 99, last: 99 }],
    ["bytes=100-", "unsatisfiable"],
    ["bytes=-0", "unsatisfiable"],
    ["", null],
    ["bytes=5-4", null],
    ["bytes=-", null],
    ["bytes=0-1,5-6", null],
    ["items=0-1", null],
    ["bytes=a-b", null],
  ] as const)
    await t.test(field, () => assert.deepEqual(parseRange(field, 100), expected));
});

test("a range lies within the body, whatever is asked for", () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(), fc.integer({ min: 1, max: 1e7 }), (from, to, size) => {
      const range = parseRange(`bytes=${from}-${to}`, size);
      if (range === null || range === "unsatisfiable") return;
      assert.ok(range.first <= range.last && range.last < size);
    }),
  );
});
