import assert from "node:assert/strict";
import test from "node:test";
import { levelOfPriority, levelOfWord, STATE_WORDS, stateOf, stateWordsIn } from "../../src/core/text/vocabulary.ts";
import { parseSubject } from "../../src/features/intake/mail-in/read-subject.ts";

const ROWS = STATE_WORDS.flatMap(({ words, ...row }) => words.split(", ").map((word) => ({ word, ...row })));

test("each word for a state is in one row of the table, in plain form", () => {
  const all = ROWS.map(({ word }) => word);
  assert.deepEqual(
    all.filter((word, i) => all.indexOf(word) !== i),
    [],
  );
  for (const word of all) assert.match(word, /^[a-z]+(?: [a-z]+)*$/);
});

test("requests name each state by each of its words, in any case, with any separator and signs around it", () => {
  for (const { word, state, only } of ROWS) {
    const expected = only === "mails" ? null : state;
    const forms = [word, word.toUpperCase(), word.replaceAll(" ", "_"), ` ${word}! `, `🔴 ${word}`, `OK -> ${word}`];
    for (const form of forms) assert.equal(stateOf(form), expected, form);
  }
  assert.equal(stateOf("Down ENDED (now: Up)"), "resolved");
  for (const other of ["", "🔴", "constructor", "unknown", "pending"]) assert.equal(stateOf(other), null, other);
});

test("mails name each state by each of its words, and how bad it is", () => {
  const names = { debug: "info", info: "info", warn: "warning", error: "error", fatal: "critical" } as const;
  for (const { word, state, level, only } of ROWS) {
    const { status, level: read } = parseSubject(`[${word.replaceAll(" ", "-")}] Disk of db-1`);
    const isRead = only !== "requests";
    assert.deepEqual(
      [status, read],
      [(isRead ? state : null) ?? "event", isRead && level !== undefined ? names[level] : null],
      word,
    );
  }
});

test("a mail that something is available, ready or active is news, and no end of a problem", () => {
  for (const subject of ["Update is available", "Your report is ready", "Account is active", "Report: done"])
    assert.equal(parseSubject(subject).status, "event", subject);
});

test("a level beside a state is that of the same word alone", () => {
  for (const [word, { level }] of stateWordsIn("requests")) {
    const alone = levelOfWord(word);
    if (level !== undefined && alone !== null) assert.equal(alone, level, word);
  }
});

test("numbered severities and priorities are levels, 0 or 1 the worst", () => {
  const levels = (kind: string, numbers: readonly number[]) => numbers.map((each) => levelOfWord(`${kind}${each}`));
  assert.deepEqual(levels("Sev", [0, 1, 2, 3, 4]), ["fatal", "error", "warn", "info", "info"]);
  assert.deepEqual(levels("P", [0, 1, 2, 3, 4, 5]), ["fatal", "fatal", "error", "warn", "info", "info"]);
});

test("a priority is a level only above the middle: every message has one", () => {
  for (const word of ["normal", "low", "default", "medium", "P3", "P4", "info", "minor", "x"])
    assert.equal(levelOfPriority(word), null, word);
  const levels = ["Warning", "high", "P2", "major", "urgent", "Highest", "blocker", "critical", "P1", "P0"];
  assert.deepEqual(levels.map(levelOfPriority), [
    ...["warn", "error", "error", "error"],
    ...["fatal", "fatal", "fatal", "fatal", "fatal", "fatal"],
  ]);
});
