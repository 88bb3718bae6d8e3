/** Severity of an event, lowest first. */
export const LEVELS = ["debug", "info", "warn", "error", "fatal"] as const;

export type Level = (typeof LEVELS)[number];

const LEVEL_WORDS: Readonly<Record<Level, readonly string[]>> = {
  debug: ["debug", "trace", "verbose"],
  info: [
    "info",
    "information",
    "informational",
    "notice",
    "normal",
    "success",
    "ok",
    "good",
    "low",
    "p4",
    "p5",
    "sev3",
    "sev4",
    "none",
  ],
  warn: ["warn", "warning", "average", "medium", "moderate", "minor", "p3", "sev2"],
  error: ["error", "err", "high", "major", "failure", "failed", "danger", "p2", "sev1"],
  fatal: ["fatal", "critical", "crit", "emergency", "emerg", "alert", "disaster", "panic", "p1", "p0", "sev0"],
};
const LEVEL_OF: ReadonlyMap<string, Level> = new Map(
  Object.entries(LEVEL_WORDS).flatMap(([level, words]) => words.map((word) => [word, level as Level] as const)),
);

/** The level of a usual word for a severity, without case; null for another one. */
export function levelOfWord(word: string): Level | null {
  return LEVEL_OF.get(word.toLowerCase()) ?? null;
}

/** Words for priorities that are no levels, and one that is a statement though it is below an error. */
const PRIORITY_WORDS: ReadonlyMap<string, Level> = new Map([
  ["urgent", "fatal"],
  ["highest", "fatal"],
  ["blocker", "fatal"],
  ["warning", "warn"],
]);

/** The level of a word for a priority; null for one that is not above the middle: every message has one. */
export function levelOfPriority(word: string): Level | null {
  const level = levelOfWord(word);
  const isAbove = level === "error" || level === "fatal";
  return isAbove ? level : (PRIORITY_WORDS.get(word.toLowerCase()) ?? null);
}

/** The severity of an alert with this level. */
export const SEVERITY_OF_LEVEL = {
  debug: "info",
  info: "info",
  warn: "warning",
  error: "error",
  fatal: "critical",
} as const satisfies Readonly<Record<Level, string>>;

/** What a sender says of a problem. */
export type State = "firing" | "resolved" | "acknowledged";

/** What words of senders say: the state that they name, and how bad it is. */
export interface StateWords {
  /** Null: none. */
  readonly state: State | null;
  readonly level?: Level;
  /** In lower case; words of one state apart by commas. */
  readonly words: string;
  /** Absent: both. A mail that an update is available is no end, a request of an unknown state no problem. */
  readonly only?: "requests" | "mails";
}

/** Words for a lasting problem and for its end, for requests and mails: a new word is a word in a row. */
export const STATE_WORDS: readonly StateWords[] = [
  { state: "firing", words: "firing, fired, alerting, alert, alarm, alarming, problem, down, open, opened, triggered" },
  { state: "firing", words: "trigger, re triggered, activated, breached, failing, unhealthy, offline, unreachable" },
  { state: "firing", words: "not responding, reporting error, timed out, timeout, unavailable, broken, stopped" },
  { state: "firing", words: "expired, lost, missing, faulted, disconnected, unresponsive, exceeded, violated, outage" },
  { state: "firing", words: "active", only: "requests" },
  { state: "firing", level: "fatal", words: "critical, crit, emergency, fatal" },
  { state: "firing", level: "error", words: "error, err, errored, failed, fail, failure, crashed" },
  { state: "firing", level: "warn", words: "warning, warn, trouble, degraded" },
  { state: "firing", level: "warn", words: "unknown", only: "mails" },
  { state: "resolved", words: "resolved, resolve, ok, up, closed, close, recovered, recovery, deactivated, cleared" },
  { state: "resolved", words: "clear, normal, healthy, success, succeeded, successful, passed, passing, fixed" },
  { state: "resolved", words: "online, completed, ended, restored, reachable, operational, solved, repaired" },
  { state: "resolved", words: "okay, inactive, good, ready, available, finished, done", only: "requests" },
  { state: "resolved", words: "stable, connected", only: "requests" },
  { state: "acknowledged", words: "acknowledged, acknowledge, ack, acked, acknowledgement" },
  { state: null, level: "info", words: "info, notice", only: "mails" },
];

/** What each word says, in requests or in mails. */
export function stateWordsIn(place: "requests" | "mails"): ReadonlyMap<string, StateWords> {
  const rows = STATE_WORDS.filter(({ only = place }) => only === place);
  return new Map(rows.flatMap((row) => row.words.split(", ").map((word) => [word, row] as const)));
}

const STATE_OF = stateWordsIn("requests");
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
  return STATE_OF.get(after.replace(OUTSIDE, ""))?.state ?? null;
}

/** Start of the source of an event that the server itself writes. Producers cannot use it. */
export const OWN_SOURCE = "prism:";

/** Types of the events that the server itself writes, by what they are about. */
export const OWN_EVENT_TYPES = [
  ...(["alert.opened", "alert.resolved"] as const),
  ...(["incident.opened", "incident.acknowledged", "incident.unacknowledged", "incident.snoozed"] as const),
  ...(["incident.reassigned", "incident.escalated", "incident.exhausted", "incident.resolved"] as const),
  ...(["silence.started", "silence.expiring", "silence.ended"] as const),
  ...(["heartbeat.down", "heartbeat.up"] as const),
  ...(["oncall.changed", "oncall.gap", "oncall.conflict"] as const),
] as const;

export type OwnEventType = (typeof OWN_EVENT_TYPES)[number];

export function isOwnEvent({ source }: { readonly source: string | null }): boolean {
  return source?.startsWith(OWN_SOURCE) === true;
}

const PRINTABLE_ASCII = /^[\x20-\x7e]*$/;
const OWN_START = /^ *prism *:/i;
/** Blanks, controls and format characters, such as zero-width ones. */
const UNSEEN = /[\s\p{Cc}\p{Cf}]/gu;

/** Whether a producer's source reads like one of the server's own, in any letters, widths and gaps. */
export function claimsOwnSource(source: string | null): boolean {
  if (source === null) return false;
  if (PRINTABLE_ASCII.test(source)) return OWN_START.test(source);
  return OWN_START.test(source.normalize("NFKC").replace(UNSEEN, ""));
}

/** Channels that a remote worker can send through. Messages to Pusher apps the server sends. */
export const WORKER_CHANNELS = ["email", "webhook", "fcm", "apns", "webpush"] as const;
export type WorkerChannel = (typeof WORKER_CHANNELS)[number];

export function isWorkerChannel(name: string): name is WorkerChannel {
  return WORKER_CHANNELS.some((channel) => channel === name);
}

/**
 * Algorithms accepted for tokens of external issuers, and the type of key for each (RFC 7518
 * section 3.1, RFC 8037). HS256 is excluded: a public key must not be used as a secret.
 */
export const KEY_KIND_OF = {
  RS256: "RSA",
  RS384: "RSA",
  RS512: "RSA",
  PS256: "RSA",
  ES256: "EC P-256",
  ES384: "EC P-384",
  EdDSA: "OKP Ed25519",
} as const;

export type IssuerAlgorithm = keyof typeof KEY_KIND_OF;
export const ISSUER_ALGORITHMS = Object.keys(KEY_KIND_OF) as IssuerAlgorithm[];

/** Matches every Socket.IO namespace. */
export const ANY_NAMESPACE = "*";
/** URL characters that need no escape. */
const NAME = /^\/[\w.~:@/-]{1,64}$/;

/** Whether Socket.IO clients can use the namespace name. */
export function isNamespaceName(name: string): boolean {
  return NAME.test(name);
}

/** Domain of the addresses of `prism seed`: a top-level domain without mail servers (RFC 2606). */
export const SAMPLE_DOMAIN = "prism.example";

/** Routes that end the leader of a cluster. They take no Idempotency-Key: a repetition would end the next leader, too. */
export const ENDS_LEADER: readonly string[] = ["/api/v1/cluster/step-down", "/api/v1/cluster/drill"];
