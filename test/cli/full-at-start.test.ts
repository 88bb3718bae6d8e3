import assert from "node:assert/strict";
import test from "node:test";
import { describeFailure } from "../../src/cli/output/exit-codes.ts";
import { PrismError } from "../../src/core/errors.ts";

test("a start that finds no room ends with 4 and says what to do", () => {
  const ofSqlite = Object.assign(new Error("database or disk is full"), { code: "SQLITE_FULL" });
  for (const error of [ofSqlite, new PrismError("STORAGE_FULL", "no room")]) {
    const failure = describeFailure(error);
    assert.equal(failure?.exitCode, 4);
    assert.match(
      failure?.message ?? "",
      /is full, or maxDbBytes is reached: free some space .* and start again; no stored data/,
    );
  }
});
