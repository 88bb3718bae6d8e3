import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { type StoredTemplate, textsOf } from "./support/template-places.ts";

/** One a line. Of two faults in a placeholder the first is named. */
const STORED = readFileSync(new URL("support/stored-templates.jsonl", import.meta.url), "utf8")
  .trim()
  .split("\n");

test("templates of presets, examples, pages and tests make the texts that they made with an engine of each place", () => {
  for (const line of STORED) {
    const stored = JSON.parse(line) as StoredTemplate;
    assert.deepEqual(textsOf(stored), stored, stored.source);
  }
});
