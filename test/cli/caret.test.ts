import assert from "node:assert/strict";
import test from "node:test";
import { caretLines } from "../../src/cli/commands/rules/test-rule.ts";

test("the caret is under the position of the error", () => {
  for (const [text, position, lines] of [
    ["event.x = 1", 8, ["event.x = 1", "        ^"]],
    ["", 0, ["", "^"]],
    ["event.x ==", 10, ["event.x ==", "          ^"]],
    ["true\n\tand maybe", 10, [" and maybe", "     ^"]],
    ["a\nb", 1, ["a", " ^"]],
  ] as const) {
    assert.deepEqual(caretLines(text, position), lines, JSON.stringify(text));
  }
});

test("of a long line the part around the place is shown", () => {
  const [line, caret] = caretLines(`${"x".repeat(500)}!${"y".repeat(500)}`, 500);
  assert.ok(line.length < 80, line);
  assert.equal(line[caret.length - 1], "!");
  assert.match(line, /^….*…$/);
});
