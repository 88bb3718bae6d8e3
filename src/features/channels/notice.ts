import { cleanText, startOf } from "../../core/text/clean-text.ts";
import { NOTHING } from "./templates/markup.ts";
import { cutTo } from "./templates/template.ts";

/** The message as presets see it, root `n`. Texts are plain and unescaped. */
export interface NoticeText {
  readonly title: string;
  readonly message: string;
  /** Title and message together. */
  readonly text: string;
  readonly severity: Severity;
  readonly level: string;
  readonly status: NoticeStatus;
  /** For the status `resolved`: the alerts are no longer reported, and may still fire. */
  readonly timedOut: boolean;
  /** The status for readers: `no longer reported` if it timed out. */
  readonly statusText: string;
  /** `#rrggbb` of the status and severity, and the same as a number. */
  readonly color: string;
  readonly colorNumber: number;
  readonly emoji: string;
  /** 0–1000, as in notifications. */
  readonly priority: number;
  /** Equal for all messages about one alert. */
  readonly key: string;
  /** Link into the console; empty without `publicUrl`. */
  readonly url: string;
  readonly ackUrl: string;
  /** For a drill's message: the page that proves its way; otherwise empty. */
  readonly confirmUrl: string;
  /** For a button, and the URL that its press is reported to, less `/<service>`; empty as `ackUrl`. */
  readonly ackToken: string;
  readonly hookUrl: string;
  readonly labels: readonly string[];
  /** At most ten. */
  readonly facts: readonly { readonly title: string; readonly value: string }[];
  /** The facts as text, one a line, for services without fields. */
  readonly details: string;
  readonly project: string;
  /** RFC 3339. */
  readonly at: string;
  readonly atText: string;
  readonly atMs: number;
}

export const SEVERITIES = ["critical", "error", "warning", "info"] as const;
export type Severity = (typeof SEVERITIES)[number];
export type NoticeStatus = "firing" | "acknowledged" | "escalated" | "resolved" | "event";

/** The parts of a message that its sender knows; the others follow from them. */
export interface NoticeParts
  extends Pick<NoticeText, "title" | "message" | "severity" | "status" | "priority" | "key" | "atMs">,
    Partial<Pick<NoticeText, "labels" | "facts" | "timedOut">> {
  readonly url?: string | undefined;
  readonly ackUrl?: string | undefined;
  readonly confirmUrl?: string | undefined;
  readonly ackToken?: string | undefined;
  readonly hookUrl?: string | undefined;
  readonly project?: string | undefined;
}

const COLORS: Readonly<Record<Severity | "resolved" | "timedOut" | "acknowledged", string>> = {
  critical: "#b91c1c",
  error: "#dc2626",
  warning: "#d97706",
  info: "#2563eb",
  acknowledged: "#6b7280",
  resolved: "#16a34a",
  timedOut: "#6b7280",
};

const EMOJI: Readonly<Record<Severity | "resolved" | "timedOut" | "acknowledged", string>> = {
  critical: "🔥",
  error: "🔴",
  warning: "🟠",
  info: "🔵",
  acknowledged: "👀",
  resolved: "✅",
  timedOut: "❔",
};

const MAX_FACTS = 10;
/** Code points. No service shows more, and presets have less to shorten. */
const LONGEST = { title: 1000, message: 20_000, name: 200, value: 2000 } as const;

export function noticeOf(parts: NoticeParts): NoticeText {
  const { severity, status, atMs } = parts;
  const timedOut = status === "resolved" && parts.timedOut === true;
  const [title, message] = [short(parts.title, LONGEST.title), short(parts.message, LONGEST.message)];
  const shown = timedOut ? "timedOut" : status === "resolved" || status === "acknowledged" ? status : severity;
  const color = COLORS[shown];
  const at = new Date(atMs).toISOString();
  const facts = factsOf(parts);
  return {
    title,
    message,
    text: message === "" || message === title ? title : `${title}\n${message}`,
    severity,
    level: severity,
    status,
    timedOut,
    statusText: timedOut ? "no longer reported" : status,
    color,
    colorNumber: Number.parseInt(color.slice(1), 16),
    emoji: EMOJI[shown],
    priority: parts.priority,
    key: parts.key,
    url: unbroken(parts.url ?? ""),
    ackUrl: parts.ackUrl ?? "",
    confirmUrl: unbroken(parts.confirmUrl ?? ""),
    ackToken: parts.ackToken ?? "",
    hookUrl: parts.hookUrl ?? "",
    labels: parts.labels ?? [],
    facts,
    details: facts.map(({ title: name, value }) => `${name}: ${value}`).join("\n"),
    project: short(parts.project ?? "", LONGEST.name),
    at,
    atText: `${at.slice(0, 10)} ${at.slice(11, 19)} UTC`,
    atMs,
  };
}

function factsOf({ facts = [] }: NoticeParts): NoticeText["facts"] {
  return facts
    .filter(({ title, value }) => title !== "" && value !== "")
    .slice(0, MAX_FACTS)
    .map(({ title, value }) => ({ title: short(title, LONGEST.name), value: short(value, LONGEST.value) }));
}

/** A URL that no markup around it ends early. */
function unbroken(url: string): string {
  return url.replace(/[()|<>"`\s]/g, (character) => `%${character.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

/** Without control characters and those that turn the direction of text, which could show another text. */
function short(text: string, limit: number): string {
  // Cleaning removes characters, and a code point has two units at most.
  return cutTo(cleanText(startOf(text, 4 * limit)), limit, "codepoints");
}

const RANK_OF_LEVEL: ReadonlyMap<unknown, number> = new Map([
  ["warn", 1],
  ["error", 2],
  ["fatal", 3],
]);

/** The severity of a notification: that of its priority, or of its event's level if that is worse. */
export function severityOf(priority: number, level?: unknown): Severity {
  const rank = [250, 500, 800].filter((least) => priority >= least).length;
  return SEVERITIES[SEVERITIES.length - 1 - Math.max(rank, RANK_OF_LEVEL.get(level) ?? 0)] ?? "info";
}

/** Mattermost, Nextcloud and others take letters beyond ASCII before it for the end of a word. */
const AT = /(?<!\w)@(?=\S)/g;
const ANGLE = /<(?=[!@#&]|users\/|at\b)/gi;

/** The message without mentions that a service would send to people; a space of no width parts them. */
export function withoutMentions(n: NoticeText, kind: "at" | "angle" | undefined): NoticeText {
  if (kind === undefined) return n;
  const harmless = (text: string): string =>
    kind === "at" ? text.replace(AT, `@${NOTHING}`) : text.replace(ANGLE, `<${NOTHING}`);
  return {
    ...n,
    title: harmless(n.title),
    message: harmless(n.message),
    text: harmless(n.text),
    details: harmless(n.details),
    project: harmless(n.project),
    labels: n.labels.map(harmless),
    facts: n.facts.map(({ title, value }) => ({ title: harmless(title), value: harmless(value) })),
  };
}
