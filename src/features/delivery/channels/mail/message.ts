import { escapeHtml } from "../../../../core/clean-text.ts";
import { zoneOffsetMs } from "../../../../core/clock.ts";
import type { NotificationFacts } from "../../channel.ts";
import type { Mail } from "./client.ts";

/** Mails of this priority and above are marked as important. Quiet hours use the same limit. */
const IMPORTANT_PRIORITY = 500;
const IMPORTANT = { Importance: "high", "X-Priority": "1" } as const;
/** Kinds with Prism's own text: their times are instants, shown in each reader's time zone. */
const OWN_KINDS: ReadonlySet<string> = new Set(["alert", "digest", "aggregate", "incident"]);
const INSTANT = /\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g;

/** Data of a mail besides the notification. */
export interface MailReader {
  /** IANA time zone. */
  readonly timezone: string;
  /** Address of the server for the link at the end; undefined: no link. */
  readonly serverUrl?: string | undefined;
  /** Acknowledges the notification without a login; undefined: no link. */
  readonly acknowledgeUrl?: string | undefined;
}

type Shown = Pick<NotificationFacts, "title" | "message" | "action" | "kind" | "priority">;

/**
 * A notification as a mail: its title is the subject, its message the text. Links to its action and
 * to the server follow.
 */
export function mailOf(
  { title, message, action, kind, priority }: Shown,
  id: string,
  reader: MailReader,
): Omit<Mail, "to"> {
  const shown = OWN_KINDS.has(kind) ? inZone(message, reader.timezone) : message;
  const links = [linkOf(action), acknowledgeLink(reader), serverLink(reader)].filter((link) => link !== null);
  const text = [shown, ...links.map(({ label, url }) => `${label}: ${url}`)].join("\n\n");
  return {
    subject: title,
    text: `${text}\n`,
    html: htmlOf(title, shown, links),
    id,
    ...(priority >= IMPORTANT_PRIORITY ? { headers: IMPORTANT } : {}),
  };
}

/** The closing line of a digest. */
export function digestPostscript(unread: number): string {
  const waiting = unread === 1 ? "1 notification" : `${unread} notifications`;
  const state = unread === 0 ? "read everything" : `${waiting} that you have not read`;
  return `You have ${state}.\n\nTo stop these digests, set \`digest\` to false in your preferences.`;
}

/** Converts the instants of a text to times in the zone. */
export function inZone(text: string, timezone: string): string {
  return text.replaceAll(INSTANT, (instant) => {
    const at = Date.parse(instant);
    if (Number.isNaN(at)) return instant;
    const local = new Date(at + zoneOffsetMs(timezone, at)).toISOString();
    return `${local.slice(0, 10)} ${local.slice(11, 19)} ${timezone}`;
  });
}

function acknowledgeLink({ acknowledgeUrl }: MailReader): Link | null {
  return acknowledgeUrl === undefined ? null : { url: acknowledgeUrl, label: "Acknowledge" };
}

function serverLink({ serverUrl }: MailReader): Link | null {
  return serverUrl === undefined ? null : { url: serverUrl, label: "Prism" };
}

interface Link {
  readonly url: string;
  readonly label: string;
}

function linkOf(action: string | null): Link | null {
  const { url, label } = Object(action === null ? null : JSON.parse(action)) as { url?: unknown; label?: unknown };
  if (typeof url !== "string") return null;
  return { url, label: typeof label === "string" && label !== "" ? label : "Open" };
}

/** One column with no style but a width: every mail client shows it, without images or network. */
function htmlOf(title: string, message: string, links: readonly Link[]): string {
  const paragraphs = message
    .split(/\n{2,}/)
    .map((paragraph) => `<p>${escapeHtml(paragraph).replaceAll("\n", "<br>")}</p>`)
    .join("\n");
  const anchors = links
    .map(({ url, label }) => `\n<p><a href="${escapeHtml(url)}">${escapeHtml(label)}</a></p>`)
    .join("");
  return `<!doctype html>
<html><head><meta charset="utf-8"><title>${escapeHtml(title)}</title></head>
<body style="max-width: 40em; overflow-wrap: anywhere; font-family: sans-serif">
<h1 style="font-size: 1.2em">${escapeHtml(title)}</h1>
${paragraphs}${anchors}
</body></html>
`;
}
