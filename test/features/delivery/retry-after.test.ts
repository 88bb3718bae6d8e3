import assert from "node:assert/strict";
import test from "node:test";
import { readRetryAfter } from "../../../src/features/delivery/channel.ts";

const NOW = Date.parse("2026-06-01T12:00:00Z");

test("Retry-After is seconds or a date, is never past, and is believed for a day at most, as a date for an hour", async (t) => {
  for (const { field, waitMs } of [
    { field: "120", waitMs: 120_000 },
    { field: " 0 ", waitMs: 0 },
    { field: "9999999999", waitMs: 86_400_000 },
    { field: "Mon, 01 Jun 2026 12:00:30 GMT", waitMs: 30_000 },
    { field: "Mon, 01 Jun 2026 11:00:00 GMT", waitMs: 0 },
    { field: "Mon, 01 Jun 2026 14:00:00 GMT", waitMs: 3_600_000 },
    { field: "Fri, 31 Dec 9999 23:59:59 GMT", waitMs: 3_600_000 },
    { field: undefined, waitMs: undefined },
    { field: "", waitMs: undefined },
    { field: "soon", waitMs: undefined },
    { field: "-5", waitMs: undefined },
    { field: "1.5", waitMs: undefined },
  ])
    await t.test(String(field), () => assert.equal(readRetryAfter(field, NOW), waitMs));
});
