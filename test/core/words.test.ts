import assert from "node:assert/strict";
import test from "node:test";
import { LEVELS } from "../../src/core/text/vocabulary.ts";
import { levelOfPriority, levelOfWord, stateOf, WORDS, type WordReader, wordsFor } from "../../src/core/text/words.ts";
import { severityNamed } from "../../src/features/alerts/incidents/incident.ts";
import { parseSubject } from "../../src/features/intake/mail-in/read-subject.ts";

const ALL = WORDS.flatMap(({ words, ...row }) => words.split(", ").map((word) => ({ word, ...row })));
const readBy = (...readers: readonly WordReader[]) => ALL.filter(({ by }) => readers.some((each) => by.includes(each)));
const ROWS = readBy("requests", "mails");
const READERS = [...new Set(ALL.flatMap(({ by }) => by))];

test("each word for a state is in one row of the table, in plain form", () => {
  const all = ROWS.map(({ word }) => word);
  assert.deepEqual(
    all.filter((word, i) => all.indexOf(word) !== i),
    [],
  );
  for (const word of all) assert.match(word, /^[a-z]+(?: [a-z]+)*$/);
});

test("each reader finds a word in one row, and what it looks for there", () => {
  assert.equal(READERS.length, 9);
  for (const reader of READERS) {
    const rows = readBy(reader);
    const isOfStates = reader === "requests" || reader === "titles";
    for (const { word, level, state } of rows) {
      assert.ok(isOfStates ? state : (level ?? (reader === "mails" && state)), `${reader}: ${word}`);
      assert.equal(word, word.toLowerCase());
    }
    assert.equal(new Set(rows.map(({ word }) => word)).size, rows.length, reader);
    assert.equal(wordsFor(reader).size, rows.length, reader);
  }
});

test("readers that differ in their words agree in what a word says", () => {
  for (const { word, level, state } of ALL)
    for (const other of ALL)
      if (other.word === word) {
        assert.equal(level ?? other.level, other.level ?? level, word);
        assert.equal(state ?? other.state, other.state ?? state, word);
      }
});

/** All words of readers that have had them from the beginning: one more changes what they store. */
const OWN: Readonly<Partial<Record<WordReader, readonly string[]>>> = {
  cloudevents: ["debug", "info notice", "warn warning", "error high", "critical fatal emergency"],
  alerts: [
    ...["", "info information low none", "warning warn average medium", "error high"],
    "critical fatal emergency page disaster",
  ],
  events: [
    ...["trace debug verbose", "info information informational notice", "warn warning", "err error"],
    "crit critical alert emerg emergency fatal panic",
  ],
};

test("CloudEvents, alerts and lenient events know their own words only", () => {
  for (const [reader, words] of Object.entries(OWN))
    for (const [at, level] of LEVELS.entries())
      assert.deepEqual(
        readBy(reader as WordReader)
          .flatMap((row) => (row.level === level ? [row.word] : []))
          .sort(),
        (words[at] ?? "")
          .split(" ")
          .filter((word) => word !== "")
          .sort(),
        `${reader}: ${level}`,
      );
  for (const word of ["Critical", "PAGE", "error", "fatal", "emergency", "p1", "high", "disaster", "p0"])
    assert.equal(wordsFor("openings").has(word.toLowerCase()), !["high", "disaster", "p0"].includes(word), word);
});

test("a severity of an alert is named by its words, in any case, and by no name of an object's member", () => {
  const named = ["Critical", "page", "HIGH", "average", "low", "debug", "p1", "constructor", "__proto__"].map(
    severityNamed,
  );
  assert.deepEqual(named, ["critical", "critical", "error", "warning", "info", null, null, null, null]);
});

test("requests name each state by each of its words, in any case, with any separator and signs around it", () => {
  for (const { word, state = null, by } of ROWS) {
    const expected = by.includes("requests") ? state : null;
    const forms = [word, word.toUpperCase(), word.replaceAll(" ", "_"), ` ${word}! `, `🔴 ${word}`, `OK -> ${word}`];
    for (const form of forms) assert.equal(stateOf(form), expected, form);
  }
  assert.equal(stateOf("Down ENDED (now: Up)"), "resolved");
  for (const other of ["", "🔴", "constructor", "unknown", "pending"]) assert.equal(stateOf(other), null, other);
});

test("mails name each state by each of its words, and how bad it is", () => {
  const names = { debug: "info", info: "info", warn: "warning", error: "error", fatal: "critical" } as const;
  for (const { word, state = null, level, by } of ROWS) {
    const { status, level: read } = parseSubject(`[${word.replaceAll(" ", "-")}] Disk of db-1`);
    const isRead = by.includes("mails");
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
  for (const [word, { level }] of wordsFor("requests")) {
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
