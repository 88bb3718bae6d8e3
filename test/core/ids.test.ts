import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { isUuid, uuidOf, uuidv7 } from "../../src/core/ids.ts";
import { keepsPromise } from "../helpers/promise.ts";

const instantOf = (id: string): number => Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16);

test("S3-35 an id is a UUIDv7 in the layout of RFC 9562: instant, version 7, variant 10, lower case", (t) => {
  keepsPromise(t, ["S3-35", "S4-23"]);
  // Later than any instant that another test of this file gives.
  const from = Date.parse("2100-01-01T00:00:00Z");
  let now = from;
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000 }), (step) => {
      now += step;
      const id = uuidv7(now);
      assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      assert.equal(instantOf(id), now);
      assert.ok(isUuid(id));
    }),
  );
});

test("ids grow strictly, whether the clock advances, stops or goes back", () => {
  let now = Date.parse("2200-01-01T00:00:00Z");
  let last = uuidv7(now);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -5000, max: 5000 }), { maxLength: 50 }), (steps) => {
      for (const step of steps) {
        now += step;
        const id = uuidv7(now);
        assert.ok(id > last, `${id} after ${last}`);
        last = id;
      }
    }),
  );
});

test("more ids than the counter of a millisecond holds go on in the next one", () => {
  const now = Date.parse("2300-01-01T00:00:00Z");
  let last = uuidv7(now);
  for (let i = 0; i < 300_000; i++) {
    const id = uuidv7(now);
    assert.ok(id > last);
    last = id;
  }
  assert.ok(instantOf(last) > now && instantOf(last) <= now + 3);
});

test("ids of one instant differ in more than their counter", () => {
  const now = Date.parse("2400-01-01T00:00:00Z");
  const tails = new Set(Array.from({ length: 1000 }, () => uuidv7(now).slice(-12)));
  assert.equal(tails.size, 1000);
});

test("an id is the canonical lower-case form of a UUID and nothing else", async (t) => {
  for (const { name, text, isId } of [
    { name: "version 7", text: "0190b0a0-0000-7000-8000-000000000001", isId: true },
    { name: "version 4", text: "f47ac10b-58cc-4372-a567-0e02b2c3d479", isId: true },
    { name: "upper case", text: "F47AC10B-58CC-4372-A567-0E02B2C3D479", isId: false },
    { name: "braces", text: "{f47ac10b-58cc-4372-a567-0e02b2c3d479}", isId: false },
    { name: "no hyphens", text: "f47ac10b58cc4372a5670e02b2c3d479", isId: false },
    { name: "a letter that is not a digit", text: "g47ac10b-58cc-4372-a567-0e02b2c3d479", isId: false },
    { name: "a line feed after it", text: "f47ac10b-58cc-4372-a567-0e02b2c3d479\n", isId: false },
    { name: "empty", text: "", isId: false },
  ])
    await t.test(name, () => assert.equal(isUuid(text), isId));
});

test("an id of an instant and a name is a UUIDv7, the same each time, and another one for another name or instant", () => {
  const at = Date.parse("2026-11-21T00:00:00Z");
  const id = uuidOf(at, "event:7");
  assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal(instantOf(id), at);
  assert.equal(uuidOf(at, "event:7"), id);
  assert.equal(new Set([id, uuidOf(at, "event:8"), uuidOf(at + 1, "event:7")]).size, 3);
});
