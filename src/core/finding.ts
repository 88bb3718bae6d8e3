/*
 * Problems, each in one shape. A feature says with its declaration what it finds
 * (module/findings.ts); `doctor`, the overview, metrics, the stream `system`, warnings when
 * something is saved and `emergency` read it.
 */

/** Those that `prism doctor` looks for, in its order. `prism doctor --json` has them: stable. */
const DOCTOR_CODES = [
  ...(["configuration", "secrets", "node", "headers", "permissions", "descriptors", "tls", "disk"] as const),
  ...([
    "backups",
    "leftovers",
    "clock",
    "modules",
    "database",
    "migrations",
    "size limit",
    "schema",
    "foreign keys",
  ] as const),
  ...(["encryption", "audit", "queues", "keys", "accounts", "passkeys", "rights", "stored bytes", "drills"] as const),
  ...(["channels", "redis", "emergency", "smtp", "push", "fcm", "apns", "webpush", "providers"] as const),
  ...(["s3", "pusher", "issuer", "oidc", "proxy", "account pages", "cluster", "nats-server", "cluster log"] as const),
  ...(["cluster nodes", "cluster reach", "cluster lag", "cluster clocks", "cluster versions"] as const),
  ...(["cluster place", "cluster spool", "port", "server", "paging", "configuration.dir"] as const),
] as const;

/** Those that only a running server finds. */
const LIVE_CODES = [
  ...([
    "ways",
    "providers paused",
    "events failed",
    "rules lag",
    "approvals",
    "watch.url",
    "emergency called",
    "claims",
    "forward",
    "mirror",
  ] as const),
  "source-silent",
] as const;

/** Reasons of `emergency`. Stable: receivers of the call decide by them. */
export const LAST_RESORT_CODES = [
  "page-undelivered",
  "page-not-attempted",
  "store-refuses-writes",
  "server-was-down",
  "turn-failed",
  "queue-paused",
  "no-leader",
] as const;
export type LastResortCode = (typeof LAST_RESORT_CODES)[number];

/** What would keep pages from arriving; a policy is warned of it when it is saved. */
export const PAGING_CODES = [
  "person-inactive",
  ...(["no-steps", "no-outside-way", "person-without-way", "members-without-way"] as const),
  ...(["channel-untested", "channel-disabled", "channel-gone"] as const),
  ...(["schedule-gap", "schedule-gone"] as const),
] as const;
export type PagingCode = (typeof PAGING_CODES)[number];

/** All of them. docs/cli.md, docs/operating.md, docs/alerts.md and docs/who-watches-prism.md say what they mean. */
export const FINDING_CODES = [...DOCTOR_CODES, ...LIVE_CODES, ...LAST_RESORT_CODES, ...PAGING_CODES] as const;
export type FindingCode = (typeof FINDING_CODES)[number];

/** Under which kind the overview shows it. `way` and `channel`: targets that accept nothing, which are critical. */
export type FindingKind =
  | ("way" | "unproven" | "channel" | "jobs" | "queue" | "approvals" | "module" | "events" | "storage")
  | ("watch" | "audit" | "config");

/** How the overview shows it, with the text as the title. */
interface ShownFinding {
  readonly kind: FindingKind;
  /** Stays the same while it lasts. */
  readonly key: string;
  readonly detail: string;
  /** Path in the console. */
  readonly link: string;
  readonly ids?: readonly string[];
  readonly counts?: Readonly<Record<string, number>>;
  /** Time of the next attempt. */
  readonly until?: number | null;
}

/** Type and data of an entry of the stream `system`. */
export type SystemEntry = readonly [type: string, data: Readonly<Record<string, unknown>>];

export interface Finding {
  readonly code: FindingCode;
  /** `ok`: looked at, and in order, which only doctor says. */
  readonly severity: "critical" | "warning" | "info" | "ok";
  /** What it is about, such as an id; not given: the installation. */
  readonly subject?: string;
  readonly text: string;
  /** The next step. */
  readonly fix?: string;
  /** Since when, epoch ms, where that is known. */
  readonly since?: number | null;
  /** An incident pages people for it, or `emergency` calls its contacts. */
  readonly pages?: "people" | "last resort";
  /** Not given: the overview does not list it. */
  readonly shown?: ShownFinding;
  /** Entries of the stream `system` at its start and its end; one for all findings with the same key. */
  readonly entries?: { readonly key: string; readonly began: SystemEntry; readonly ended: SystemEntry };
  /** Further lines of a call of `emergency`. */
  readonly facts?: Readonly<Record<string, string | number>>;
}

export function pass(code: FindingCode, text: string): Finding {
  return { code, severity: "ok", text };
}

export function warn(code: FindingCode, text: string, fix?: string): Finding {
  return { code, severity: "warning", text, ...(fix === undefined ? {} : { fix }) };
}

export function fail(code: FindingCode, text: string, fix?: string): Finding {
  return { code, severity: "critical", text, ...(fix === undefined ? {} : { fix }) };
}

/** Looks; an error counts as a failed check. */
export async function attempt(code: FindingCode, look: () => Promise<readonly Finding[]>): Promise<readonly Finding[]> {
  try {
    return await look();
  } catch (error) {
    return [fail(code, error instanceof Error ? error.message : String(error))];
  }
}
