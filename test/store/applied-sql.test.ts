import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import test from "node:test";
import { openTestStore } from "../helpers/store.ts";
import { whyNotTheSame } from "./support/applied-sql.ts";
import { recordSql } from "./support/recorded-sql.ts";

const ROOT = join(process.cwd(), "src");
/**
 * Where a commit is applied: what it decides by itself would differ between two databases that get
 * the same commits.
 */
const APPLIER = ["store/commit/apply-write-set.ts", "store/commit/writing-connection.ts"];
const CHANCE = /\bDate\b|performance\.|Math\.random|\brandom[A-Z]\w*|\buuidv7\b|\bhrtime\b|\bclock\b/;

/** The files that these import when the program runs. */
function importedBy(files: readonly string[]): Set<string> {
  const found = new Set<string>();
  const waiting = files.map((file) => join(ROOT, file));
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (found.has(file)) continue;
    found.add(file);
    const source = readFileSync(file, "utf8").replaceAll(/(?:import|export) type [^;]*;/g, "");
    for (const [, path] of source.matchAll(/from "(\.{1,2}\/[^"]+)"/g)) {
      const target = join(dirname(file), path ?? "");
      if (existsSync(target)) waiting.push(target);
    }
  }
  return found;
}

test("what applies a commit asks neither for the time nor for chance", () => {
  const files = [...importedBy(APPLIER)].filter((file) => file.includes("/store/commit/"));
  assert.ok(files.length >= 6, `${files.length} files`);
  for (const file of files) {
    const code = readFileSync(file, "utf8").replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
    assert.doesNotMatch(code, CHANCE, file);
  }
});

test("every statement of the applier changes the same rows wherever it runs", (t) => {
  const seen = recordSql();
  openTestStore(t, { writer: "main" });
  const changing = [...seen].filter((sql) => /\b(insert|update|delete)\b/i.test(sql));
  assert.ok(changing.length > 30, `${changing.length} statements were seen`);
  for (const sql of changing) assert.equal(whyNotTheSame(sql), null, sql);
});

test("no changing statement of a source has a limit and no order: another version of SQLite may take other rows", () => {
  const files = readdirSync(ROOT, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));
  let changing = 0;
  for (const file of files)
    for (const [, text = ""] of readFileSync(join(ROOT, file), "utf8").matchAll(/[`"]([^`"]*)[`"]/g)) {
      if (!/^\s*(insert|update|delete|replace|with)\s/.test(text)) continue;
      changing++;
      assert.equal(whyNotTheSame(text), null, `${file}: ${text}`);
    }
  assert.ok(changing > 80, `${changing} statements`);
});

test("a statement that would not is found", () => {
  for (const [sql, why] of [
    ["update t set a = random()", "asks for random("],
    ["insert into t (a) values (current_timestamp)", "asks for current_timestamp"],
    ["insert into t (a) select date('now')", "asks for date("],
    ["delete from t where seq in (select seq from t limit 5)", "has a limit and no order"],
    ["delete from t where seq in (select seq from t order by seq limit 5)", null],
    ["select random() from t limit 5", null],
    ["with x as (select 1) select * from x limit 1", null],
  ] as const)
    assert.equal(whyNotTheSame(sql), why, sql);
});
