import type { Level } from "./vocabulary.ts";

/* The words of senders for severities and states: one table, and who reads which of its rows. */

/** What a sender says of a problem. */
export type State = "firing" | "resolved" | "acknowledged";

/**
 * Who reads words. Each reads its own rows only: with a word more, what is sent as before would be
 * stored otherwise.
 */
export type WordReader =
  /** Severities in requests and mails. */
  | "severities"
  /** Priorities: every message has one, so that only those above the middle say something. */
  | "priorities"
  /** Levels of events in the words of other systems, for `ingest.lenient`. */
  | "events"
  /** Severities of CloudEvents. */
  | "cloudevents"
  /** Severities of alerts. */
  | "alerts"
  /** Severities of alerts whose opening is an event of the level error. */
  | "openings"
  /** States in requests: one that is not known is no problem. */
  | "requests"
  /** States in subjects of mails: that an update is available is no end. */
  | "mails"
  /** States in titles and types of events, as they are written. */
  | "titles";

/** What words of senders say. */
export interface Words {
  /** In lower case, apart by commas. */
  readonly words: string;
  readonly by: readonly WordReader[];
  readonly level?: Level;
  readonly state?: State;
}

const SENT: readonly WordReader[] = ["severities", "priorities"];
const STATED: readonly WordReader[] = ["requests", "mails"];
const SHOWN: readonly WordReader[] = [...STATED, "titles"];
/** All that read severities; priorities and openings take the upper ones. */
const RATED: readonly WordReader[] = ["severities", "events", "cloudevents", "alerts"];
const URGENT: readonly WordReader[] = [...RATED, "priorities", "openings"];

/** A new word is a word in a row. */
export const WORDS: readonly Words[] = [
  { level: "debug", words: "debug", by: ["severities", "events", "cloudevents"] },
  { level: "debug", words: "trace, verbose", by: ["severities", "events"] },
  { level: "info", words: "info", by: [...RATED, "mails"] },
  { level: "info", words: "notice", by: ["severities", "events", "cloudevents", "mails"] },
  { level: "info", words: "information", by: ["severities", "events", "alerts"] },
  { level: "info", words: "informational", by: ["severities", "events"] },
  { level: "info", words: "low, none", by: ["severities", "alerts"] },
  { level: "info", words: "normal, success, ok, good, p4, p5, sev3, sev4", by: ["severities"] },
  { level: "warn", state: "firing", words: "warning", by: [...RATED, "priorities", ...STATED] },
  { level: "warn", state: "firing", words: "warn", by: [...RATED, ...STATED] },
  { level: "warn", state: "firing", words: "degraded", by: SHOWN },
  { level: "warn", state: "firing", words: "trouble", by: STATED },
  { level: "warn", state: "firing", words: "unknown", by: ["mails"] },
  { level: "warn", words: "average, medium", by: ["severities", "alerts"] },
  { level: "warn", words: "moderate, minor, p3, sev2", by: ["severities"] },
  { level: "error", state: "firing", words: "error", by: [...URGENT, ...SHOWN] },
  { level: "error", state: "firing", words: "failed, failure", by: [...SENT, ...SHOWN] },
  { level: "error", state: "firing", words: "err", by: [...SENT, "events", ...STATED] },
  { level: "error", state: "firing", words: "fail, crashed", by: SHOWN },
  { level: "error", state: "firing", words: "errored", by: STATED },
  { level: "error", words: "high", by: [...SENT, "cloudevents", "alerts"] },
  { level: "error", words: "major, danger, p2, sev1", by: SENT },
  { level: "fatal", state: "firing", words: "critical", by: [...URGENT, ...SHOWN] },
  { level: "fatal", state: "firing", words: "fatal, emergency", by: [...URGENT, ...STATED] },
  { level: "fatal", state: "firing", words: "crit", by: [...SENT, "events", ...STATED] },
  { level: "fatal", words: "emerg, alert, panic", by: [...SENT, "events"] },
  { level: "fatal", words: "disaster", by: [...SENT, "alerts"] },
  { level: "fatal", words: "page", by: ["alerts", "openings"] },
  { level: "fatal", words: "p1", by: [...SENT, "openings"] },
  { level: "fatal", words: "p0, sev0", by: SENT },
  { level: "fatal", words: "urgent, highest, blocker", by: ["priorities"] },

  { state: "firing", words: "firing, alerting, problem, down, unhealthy", by: SHOWN },
  { state: "firing", words: "fired, alert, alarm, alarming, open, opened, triggered, trigger", by: STATED },
  { state: "firing", words: "re triggered, activated, breached, failing, offline, unreachable", by: STATED },
  { state: "firing", words: "not responding, reporting error, timed out, timeout, unavailable, broken", by: STATED },
  { state: "firing", words: "stopped, expired, lost, missing, faulted, disconnected, unresponsive", by: STATED },
  { state: "firing", words: "exceeded, violated, outage", by: STATED },
  { state: "firing", words: "active", by: ["requests"] },
  // Of GitHub. In requests and mails it is the one with a space.
  { state: "firing", words: "timed_out", by: ["titles"] },
  { state: "resolved", words: "resolved, ok, up, closed, recovered, healthy, fixed", by: SHOWN },
  { state: "resolved", words: "resolve, close, recovery, deactivated, cleared, clear, normal, success", by: STATED },
  { state: "resolved", words: "succeeded, successful, passed, passing, online, completed, ended", by: STATED },
  { state: "resolved", words: "restored, reachable, operational, solved, repaired", by: STATED },
  { state: "resolved", words: "okay, inactive, good, ready, available, finished, done", by: ["requests"] },
  { state: "resolved", words: "stable, connected", by: ["requests"] },
  { state: "acknowledged", words: "acknowledged, ack, acked", by: SHOWN },
  { state: "acknowledged", words: "acknowledge, acknowledgement", by: STATED },
];

/** What each word says to a reader. */
export function wordsFor(reader: WordReader): ReadonlyMap<string, Words> {
  const rows = WORDS.filter(({ by }) => by.includes(reader));
  return new Map(rows.flatMap((row) => row.words.split(", ").map((word) => [word, row] as const)));
}

const SEVERITIES = wordsFor("severities");
const PRIORITIES = wordsFor("priorities");
const STATES = wordsFor("requests");

/** The level of a usual word for a severity, without case; null for another one. */
export function levelOfWord(word: string): Level | null {
  return SEVERITIES.get(word.toLowerCase())?.level ?? null;
}

/** The level of a word for a priority; null for one that is not above the middle. */
export function levelOfPriority(word: string): Level | null {
  return PRIORITIES.get(word.toLowerCase())?.level ?? null;
}

/** Signs around a word. */
const OUTSIDE = /^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu;

/**
 * The state that a word or a short text of a sender names: `DOWN`, `🔴 Down`, `not_responding`,
 * `OK -> CRIT`, `Down ENDED (now: Up)`; null for others.
 */
export function stateOf(text: string): State | null {
  const plain = text
    .slice(0, 100)
    .toLowerCase()
    .replace(/[\s_-]+(?!>)/g, " ")
    .trim();
  const after = /\(now: ([^)]+)\)/.exec(plain)?.[1] ?? /(?:->|→)\s*(.+)$/.exec(plain)?.[1] ?? plain;
  return STATES.get(after.replace(OUTSIDE, ""))?.state ?? null;
}
