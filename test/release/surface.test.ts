// needs: git
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { differenceOf, judge } from "../../scripts/surface/lib/difference.ts";
import { leavesOf } from "../../scripts/surface/lib/leaves.ts";
import { Placeholders } from "../../scripts/surface/lib/placeholders.ts";

const ID = "01a204f3-2235-71de-8d50-4837fd8d5e6f";
const OTHER = "01a204f3-22d3-74f8-a196-8b4c787bb126";

test("an id keeps its placeholder, and others get the next number", () => {
  const names = new Placeholders();
  assert.equal(names.in(`${ID} ${OTHER} ${ID}`), "<id 1> <id 2> <id 1>");
  assert.equal(names.in(`"id":"${OTHER}"`), '"id":"<id 2>"');
});

test("times, ports and known texts are replaced, other numbers are not", () => {
  const names = new Placeholders({ "/tmp/x": "<scratch>", "/tmp/x/data": "<data>" });
  assert.equal(
    names.in("at 2026-11-25T10:30:00.123Z in /tmp/x/data/prism.db and /tmp/x: http://127.0.0.1:40123/a?limit=200"),
    "at <time> in <data>/prism.db and <scratch>: http://127.0.0.1:<port>/a?limit=200",
  );
});

test("the start of a secret is replaced where a table shows it later, and numbers start again", () => {
  const names = new Placeholders();
  assert.equal(
    names.in(`{"id":"${ID}","prefix": "x7Qp_2Ab","key":"prk_x7Qp_2AbQQQQQQQQQQQQ"}`).replace(/\s/g, ""),
    '{"id":"<id1>","prefix":"<prefix>","key":"<secret1>"}',
  );
  assert.equal(names.restart().in(`${OTHER}  shop  x7Qp_2Ab  active`), "<id 1>  shop  <prefix>  active");
});

test("counts that depend on the machine are replaced by their member, others are kept", () => {
  const names = new Placeholders();
  assert.equal(
    names.in('{"seq": 12,"attempts":3,"usedBytes":7,"limit": 5}'),
    '{"seq": <n>,"attempts":<n>,"usedBytes":<n>,"limit": 5}',
  );
});

test("a document is one sorted line for each value", () => {
  const document = { b: { required: ["z", "a"], enum: ["z", "a"] }, a: [{ c: null }], d: {} };
  assert.deepEqual(leavesOf(document, ["required"]), [
    "a [0] c = null",
    'b enum = ["z","a"]',
    'b required = ["a","z"]',
    "d = {}",
  ]);
});

test("a difference is open until each of its lines is accepted, and entries without a line are seen", (t) => {
  const dir = mkdtempSync(join(tmpdir(), "prism-difference-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const write = (file: string, lines: readonly string[]): void => {
    mkdirSync(join(dir, file, ".."), { recursive: true });
    writeFileSync(join(dir, file), `${lines.join("\n")}\n`);
  };
  const same = Array.from({ length: 9 }, (_, i) => `same ${i}`);
  write("old/x/a.txt", ["one", ...same, "two"]);
  write("new/x/a.txt", ["three", ...same, "four"]);
  write("new/x/b.txt", ["added"]);
  const difference = differenceOf(dir, "old/x", "new/x");
  const named = (file: string, lines: string) => ({ file, lines, reason: "meant" });

  const first = judge(difference, [named("x/a.txt", "-one"), named("x/a.txt", "\\+three"), named("x/", "\\+ad")]);
  assert.doesNotMatch(first.open, /three/);
  assert.match(first.open, /^=== x\/a\.txt\n@@.*\n same 7\n same 8\n-two\n\+four\n\n=== x\/b\.txt\n@@.*\n\+added/);
  assert.deepEqual(first.counts, [1, 1, 0]);

  const rest = [named("x/a.txt", "[-+](one|two|three|four)"), named("x/", "\\+added")];
  assert.deepEqual(judge(difference, rest), { open: "", counts: [4, 1] });
  assert.equal(differenceOf(dir, "old/x", "old/x"), "");
});
