import { countText } from "../../../core/text/clean-text.ts";
import { inZone } from "../../../core/time/clock.ts";
import type { NotificationFacts } from "../../delivery/channel.ts";
import { isDrillNotification } from "../../delivery/pages/people.ts";
import { withoutLink } from "./acknowledge.ts";
import type { Mail } from "./client.ts";
import { type Link, mailHtml } from "./html.ts";

/** Mails of this priority and above, or of an error, are important; ends and drills are not. Quiet hours use the same limit. */
const IMPORTANT_PRIORITY = 500;
const IMPORTANT = { Importance: "high", "X-Priority": "1" } as const;
/** Kinds with Prism's own text: their times are instants, shown in each reader's time zone. */
const OWN_KINDS: ReadonlySet<string> = new Set(["alert", "digest", "aggregate", "incident"]);

/** Data of a mail besides the notification. */
export interface MailReader {
  /** IANA time zone. */
  readonly timezone: string;
  /** URL of this server; undefined: no link into the console. */
  readonly publicUrl?: string | undefined;
  /** Acknowledges the notification without a login; undefined: no link. */
  readonly acknowledgeUrl?: string | undefined;
}

type Shown = Pick<NotificationFacts, "id" | "title" | "message" | "action" | "kind" | "priority" | "data">;

/**
 * A notification as a mail. The title is the subject. All mails of an incident refer to one thread
 * (RFC 5322 section 3.6.4).
 * @param id of the delivery
 */
export function mailOf(notification: Shown, id: string, reader: MailReader): Omit<Mail, "to"> {
  const { title, message, kind, priority } = notification;
  const text = OWN_KINDS.has(kind) ? inZone(message, reader.timezone) : message;
  const links = [linkOf(notification), acknowledgeLink(reader), consoleLink(notification, reader)].filter(
    (link) => link !== null,
  );
  const incident = incidentOf(notification);
  const hasLink = incident === null || reader.acknowledgeUrl !== undefined;
  const shown = hasLink ? text : withoutLink(text);
  const lines = [shown.trimEnd(), ...links.map(({ label, url }) => `${label}: ${url}`)];
  const color = incident?.color ?? COLOR_OF.get(levelOf(notification));
  const isUrgent = priority >= IMPORTANT_PRIORITY || (incident === null && color === RED);
  const isImportant = isUrgent && !incident?.isEnd && !isDrillNotification(notification);
  return {
    subject: title,
    text: `${lines.join("\n\n")}\n`,
    html: mailHtml({ title, text: shown, links, ...(color !== undefined && { color }) }),
    id,
    ...(incident && { thread: incident.thread }),
    ...(isImportant ? { headers: IMPORTANT } : {}),
  };
}

const RED = "#d5383f";
const AMBER = "#c77700";
const GREEN = "#2c9a52";
const GREY = "#6b7280";

const COLOR_OF: ReadonlyMap<unknown, string> = new Map([
  ["warn", AMBER],
  ["error", RED],
  ["fatal", RED],
]);

/** The level of the event of a rule's notification, from `warn` on. */
function levelOf({ kind, data }: Shown): unknown {
  return kind === "rule" && data !== null ? (JSON.parse(data) as { level?: unknown }).level : undefined;
}

/** Common parts of all mails of an incident, and the color of its state. */
function incidentOf({ kind, data }: Shown) {
  if (kind !== "incident") return null;
  const facts = JSON.parse(data ?? "{}") as Readonly<Record<string, unknown>>;
  const { incidentId, reason, urgency, timedOut } = facts;
  if (typeof incidentId !== "string") return null;
  const isEnd = reason === "resolved";
  return {
    thread: `incident.${incidentId}`,
    isEnd,
    color: isEnd ? (timedOut === true ? GREY : GREEN) : urgency === "high" ? RED : AMBER,
  };
}

/** The closing line of a digest. */
export function digestPostscript(unread: number): string {
  const state = unread === 0 ? "read everything" : `${countText(unread, "notification")} that you have not read`;
  return `You have ${state}.\n\nTo stop these digests, set \`digest\` to false in your preferences.`;
}

function acknowledgeLink({ acknowledgeUrl }: MailReader): Link | null {
  return acknowledgeUrl === undefined ? null : { url: acknowledgeUrl, label: "Acknowledge" };
}

/** The page of the notification in the console; for a digest the overview. */
function consoleLink({ id, kind }: Shown, { publicUrl }: MailReader): Link | null {
  if (publicUrl === undefined) return null;
  const page = kind === "digest" ? "" : `/inbox/${id}`;
  return { url: `${publicUrl.replace(/\/+$/, "")}/dashboard${page}`, label: "Open in Prism" };
}

function linkOf({ action }: Shown): Link | null {
  const { url, label } = Object(action === null ? null : JSON.parse(action)) as { url?: unknown; label?: unknown };
  if (typeof url !== "string") return null;
  return { url, label: typeof label === "string" && label !== "" ? label : "Open" };
}
