/** Severity of an event, lowest first. */
export const LEVELS = ["debug", "info", "warn", "error", "fatal"] as const;

export type Level = (typeof LEVELS)[number];

/** The severity of an alert with this level. */
export const SEVERITY_OF_LEVEL = {
  debug: "info",
  info: "info",
  warn: "warning",
  error: "error",
  fatal: "critical",
} as const satisfies Readonly<Record<Level, string>>;

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

/** Whether an event counts as an error, by its level or type. */
export function isErrorEvent({ type, level }: { readonly type: string; readonly level: string }): boolean {
  if (level === "error" || level === "fatal") return true;
  return type === "error" || type.startsWith("error.") || type.endsWith(".error");
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
