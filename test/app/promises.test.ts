import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "../..");
const PAGES = ["delivery", "alerts", "oncall", "who-watches-prism"];

test("each promise for a part that fails names a test that exists", () => {
  for (const page of PAGES) {
    const text = readFileSync(join(root, "docs", `${page}.md`), "utf8");
    const [, section = ""] = text.split(/^#+ What is promised when a part fails$/m);
    const [table = ""] = section.split(/^#/m);
    const rows = table.split("\n").filter((line) => line.startsWith("| ") && !line.startsWith("| what fails"));
    assert.ok(rows.length >= 4, page);
    for (const row of rows) {
      const [, file = "", title = ""] = /`([\w/-]+)#([^`]+)` \|$/.exec(row) ?? [];
      const path = join(root, "test", `${file}.test.ts`);
      assert.ok(file !== "" && existsSync(path), row);
      assert.ok(readFileSync(path, "utf8").includes(`"${title}`), row);
    }
  }
});
