import assert from "node:assert/strict";
import test from "node:test";
import { InvalidArgumentError } from "commander";
import { durationFlag, futureFlag, integerFlag, listFlag, pastFlag } from "../../src/cli/output/flag-values.ts";
import { LEVELS } from "../../src/core/text/vocabulary.ts";

const HOUR = 3_600_000;

test("a duration is a number of milliseconds or carries its unit", () => {
  for (const [text, durationMs] of [
    ["0", 0],
    ["1500", 1500],
    ["250ms", 250],
    ["250 ms", 250],
    ["5s", 5000],
    ["1.5h", 1.5 * HOUR],
    ["2d", 48 * HOUR],
  ] as const) {
    assert.equal(durationFlag(text), durationMs, text);
  }
  for (const text of ["", "soon", "-5s", "5 weeks", "1e3"]) {
    assert.throws(() => durationFlag(text), InvalidArgumentError, text);
  }
});

test("an instant is a time, a day, or a duration from now in the flag's direction", () => {
  assert.equal(pastFlag("2026-01-31T08:00:00+01:00"), Date.UTC(2026, 0, 31, 7));
  assert.equal(pastFlag("2026-01-31"), Date.UTC(2026, 0, 31));
  const before = Date.now();
  const [past, future] = [pastFlag("24h"), futureFlag("30d")];
  const after = Date.now();
  assert.ok(past >= before - 24 * HOUR && past <= after - 24 * HOUR);
  assert.ok(future >= before + 720 * HOUR && future <= after + 720 * HOUR);
  for (const text of ["yesterday", "2026-02-30", "2026-01-31T08:00:00", "1700000000000", ""]) {
    assert.throws(() => pastFlag(text), InvalidArgumentError, text);
  }
});

test("a whole number stays in its range", () => {
  const port = integerFlag(1, 65_535);
  assert.equal(port("80"), 80);
  for (const text of ["0", "65536", "8.5", "-1", "0x10", "80 ", ""])
    assert.throws(() => port(text), InvalidArgumentError);
});

test("a list takes known names once, and names the nearest one to a wrong one", () => {
  const levels = listFlag(LEVELS);
  assert.deepEqual(levels("error, fatal,error"), ["error", "fatal"]);
  assert.throws(() => levels("error,wran"), /wran is none of them; did you mean warn\?/);
  assert.throws(() => levels(" , "), /one or more of debug, info/);
});
