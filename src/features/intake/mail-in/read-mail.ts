import { createHash } from "node:crypto";
import type { Address, Attachment, Email } from "postal-mime";
import type { Work } from "../../../core/caller.ts";
import { cleanText } from "../../../core/clean-text.ts";
import { plainText } from "../../../core/text/plain-text.ts";

/** A mail as mappings read it: `body`, besides its `key`. */
interface MailBody extends SubjectState {
  readonly subject: string;
  readonly text: string;
  readonly from: { readonly name: string; readonly address: string };
  /** Null for a mail with neither Message-ID nor date: any other may be the same. */
  readonly messageId: string | null;
  /** Message-ID of the first mail of the thread that it belongs to. */
  readonly thread: string | null;
  readonly date: string | null;
  readonly isImportant: boolean;
  /** Why it is not from a person or a program with news. Such mails are ignored. */
  readonly automatic: "reply" | "bounce" | "loop" | null;
  /** Files that begin within what is read. */
  readonly attachments: readonly { readonly filename: string | null; readonly type: string }[];
  /** Only the start of the mail was read. */
  readonly isCut: boolean;
}

export interface ReadMail {
  readonly body: MailBody;
  readonly headers: Readonly<Record<string, string>>;
  /** Common key of mails about one problem: one that the sender gave, or the subject. */
  readonly keys: { readonly given: string | null; readonly subject: string };
}

/** Facts of the SMTP session. */
export interface MailEnvelope {
  /** Empty for the null sender of bounces (RFC 5321 section 4.5.5). */
  readonly sender: string;
}

const READ_BYTES = 524_288;
const READ_LINES = 1024;
/** Lines that may begin a part: each takes as long as ten others. */
const READ_PARTS = 100;
const LINE_FEED = 0x0a;
const DASH = 0x2d;
const MAX_TEXT = 65_536;
const MAX_LINE = 1000;
const MAX_HEADERS = 60;
const MAX_ATTACHMENTS = 50;
/** A mail that passed more servers is in a loop (RFC 5321 section 6.3). */
const MAX_HOPS = 50;
export const LIMITS = { maxNestingDepth: 32, maxHeadersSize: 262_144, maxRfc822NestingDepth: 2 } as const;
/** Headers without use in mappings, and long. */
const LEFT_OUT = /^(?:received|dkim-|arc-|authentication-results|x-google-|x-ms-exchange-|x-microsoft-)/;
const HEADER_NAME = /^[a-z0-9-]{1,80}$/;

/**
 * Reads a mail (RFC 5322, MIME). Bytes that are not of their encoding become U+FFFD.
 * @throws Error if it is nested too deep or its headers are too large
 */
export async function readMail(raw: Uint8Array, envelope: MailEnvelope): Promise<ReadMail> {
  // Loaded with the first mail.
  const { default: PostalMime, decodeWords } = await import("postal-mime");
  const start = startOf(raw);
  const email = await PostalMime.parse(withShortFields(start), LIMITS);
  const all = new Map<string, string>();
  for (const { key, value } of email.headers) if (!all.has(key)) all.set(key, line(decodeWords(value)));
  const header = (name: string) => all.get(name) ?? "";
  const subject = line(email.subject ?? "");
  const attachments = email.attachments.slice(0, MAX_ATTACHMENTS).map(attachmentView);
  const text = textOf(email) || attachedText(attachments);
  const messageId = idIn(header("message-id")) ?? contentId(header("date"), subject, text);
  const state = readSubject(subject === "" ? (text.split("\n", 1)[0] ?? "") : subject);
  const isImportant = importance(header);
  const body: MailBody = {
    ...state,
    title: state.title.slice(0, MAX_LINE),
    level: state.level ?? (isImportant ? "error" : null),
    ...{ subject, text, messageId, isImportant },
    from: mailboxOf(email.from),
    thread: idIn(header("references")) ?? idIn(header("in-reply-to")),
    date: email.date === undefined ? null : line(email.date),
    automatic: automaticOf(email, envelope, header),
    attachments,
    isCut: start.length < raw.length,
  };
  const shown = [...all].filter(([name]) => HEADER_NAME.test(name) && !LEFT_OUT.test(name)).slice(0, MAX_HEADERS);
  const keys = { given: header("x-alert-key") || null, subject: state.title.toLowerCase() };
  return { body, headers: Object.fromEntries(shown), keys };
}

/**
 * The part of a mail that is read: the parser takes microseconds for each line on the main thread,
 * and texts come before files.
 */
export function startOf(raw: Uint8Array): Uint8Array {
  let end = 0;
  let parts = 0;
  for (let i = 0; i < READ_LINES && parts <= READ_PARTS; i++) {
    const next = raw.indexOf(LINE_FEED, end) + 1;
    if (next === 0 || next > READ_BYTES) return raw.subarray(0, READ_BYTES);
    if (raw[end] === DASH && raw[end + 1] === DASH) parts++;
    end = next;
  }
  return raw.subarray(0, end);
}

/**
 * Characters of fields that the parser takes long for, all of a kind together: 1 µs for each of a
 * list of addresses or groups.
 */
const FIELDS = [
  { names: /^(?:to|cc|bcc|delivered-to|x-original-to)[ \t]*:/i, max: 1024, isAddresses: true },
  { names: /^(?:from|sender|reply-to|return-path)[ \t]*:/i, max: 1024, isAddresses: true },
  { names: /^content-(?:type|disposition)[ \t]*:/i, max: 16_384, isAddresses: false },
] as const;
type Field = (typeof FIELDS)[number];

/**
 * Leaves out what {@link FIELDS} have above their limits, also inside parts. Fields go on in lines
 * that start with white space (RFC 5322 section 2.2.3).
 */
export function withShortFields(raw: Uint8Array): Uint8Array {
  const { kept, isCut } = cutFields(raw);
  return isCut ? Buffer.concat(kept) : raw;
}

function cutFields(raw: Uint8Array) {
  const kept: Uint8Array[] = [];
  const left = new Map<Field, number>(FIELDS.map((each) => [each, each.max]));
  let field: Field | undefined;
  let isCut = false;
  for (let at = 0; at < raw.length; ) {
    const next = raw.indexOf(LINE_FEED, at) + 1;
    const line = raw.subarray(at, next === 0 ? raw.length : next);
    const goesOn = line[0] === 0x20 || line[0] === 0x09;
    if (!goesOn) field = fieldOf(line);
    const room = field === undefined ? line.length : (left.get(field) ?? 0);
    if (line.length > room) {
      isCut = true;
      if (room > 0) kept.push(line.subarray(0, room), CRLF);
    } else kept.push(line);
    if (field !== undefined) left.set(field, Math.max(0, room - line.length));
    at += line.length;
  }
  const addressBytes = FIELDS.reduce((sum, each) => sum + (each.isAddresses ? each.max - (left.get(each) ?? 0) : 0), 0);
  return { kept, isCut, addressBytes };
}

function fieldOf(line: Uint8Array): Field | undefined {
  const start = latin1(line.subarray(0, 32));
  return FIELDS.find(({ names }) => names.test(start));
}

/** Reading a line costs as much as five members. */
const MEMBERS_PER_LINE = 5;
const MEMBERS_PER_ADDRESS_BYTE = 1 / 2;

/** Cost of reading a mail. */
export function workOf(raw: Uint8Array): Work {
  const start = startOf(raw);
  const { addressBytes } = cutFields(start);
  const members = MEMBERS_PER_LINE * linesOf(start) + Math.ceil(MEMBERS_PER_ADDRESS_BYTE * addressBytes);
  return { read: raw.length, bytes: start.length, members };
}

const CRLF = Buffer.from("\r\n");

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

/** The lines of the part of a mail that is read. */
function linesOf(start: Uint8Array): number {
  let lines = 0;
  for (let at = start.indexOf(LINE_FEED); at >= 0; at = start.indexOf(LINE_FEED, at + 1)) lines++;
  return lines;
}

function attachmentView({ filename, mimeType }: Attachment): MailBody["attachments"][number] {
  return {
    filename: filename === null ? null : line(filename).slice(0, 255),
    type: line(mimeType).slice(0, 100),
  };
}

function line(text: string): string {
  return cleanText(text.replaceAll(/\s+/g, " ")).trim().slice(0, MAX_LINE);
}

const MAX_NAMED = 10;

/** For a mail of a camera or a calendar, which has no text. */
function attachedText(attachments: MailBody["attachments"]): string {
  if (attachments.length === 0) return "";
  const names = attachments.slice(0, MAX_NAMED).map(({ filename, type }) => filename ?? type);
  return `Attached: ${names.join(", ")}${attachments.length > MAX_NAMED ? ", …" : ""}`;
}

/** The plain text; of a mail with HTML only, the text of that with its links. */
function textOf({ text, html }: Email): string {
  const found =
    text !== undefined && text.trim() !== ""
      ? text
      : plainText((html ?? "").slice(0, 8 * MAX_TEXT), { withLinks: true });
  return cleanText(found.slice(0, 2 * MAX_TEXT).replaceAll("\r\n", "\n"))
    .slice(0, MAX_TEXT)
    .trim();
}

/** The first Message-ID in a header (RFC 5322 section 3.6.4), without its brackets. */
function idIn(value: string): string | null {
  return /<([^<>\s]{1,250})>/.exec(value)?.[1] ?? null;
}

/** For a mail without a Message-ID: the same when a server sends it again. */
function contentId(date: string, subject: string, text: string): string | null {
  if (date === "") return null;
  return `sha256:${createHash("sha256").update([date, subject, text].join("\0")).digest("base64url")}`;
}

function mailboxOf(address: Address | undefined): MailBody["from"] {
  const mailbox = address?.group ? address.group[0] : address;
  return { name: line(mailbox?.name ?? "").slice(0, 255), address: line(mailbox?.address ?? "").slice(0, 320) };
}

function importance(header: (name: string) => string): boolean {
  return (
    /^[12]\b/.test(header("x-priority")) || /^high/i.test(header("importance")) || /^urgent/i.test(header("priority"))
  );
}

/**
 * Holiday replies and the like (RFC 3834 section 5), not `auto-generated`, which cron and monitoring
 * programs set; bounces; and mails that go around.
 */
function automaticOf(
  { headers }: Email,
  { sender }: MailEnvelope,
  header: (name: string) => string,
): MailBody["automatic"] {
  if (headers.filter(({ key }) => key === "received").length > MAX_HOPS) return "loop";
  if (sender === "" || /^multipart\/report\b/i.test(header("content-type"))) return "bounce";
  const isReply =
    /^auto-(?:replied|notified)/i.test(header("auto-submitted")) ||
    /^auto[_-]?reply/i.test(header("precedence")) ||
    header("x-autoreply") !== "" ||
    header("x-autorespond") !== "";
  return isReply ? "reply" : null;
}

/** Statement of a subject about a problem. */
interface SubjectState {
  /** The subject without the words about its state: the same for all mails about one problem. */
  readonly title: string;
  readonly status: "firing" | "resolved" | "acknowledged" | "event";
  readonly level: "critical" | "error" | "warning" | "info" | null;
}

type Said = Pick<Partial<SubjectState>, "status" | "level">;

const FIRING: Said = { status: "firing" };
const RESOLVED: Said = { status: "resolved" };

/** Words before the text of a subject, in lower case. */
const WORDS: Readonly<Record<string, Said>> = {
  ...Object.fromEntries(["problem", "firing", "alert", "alarm", "down", "triggered"].map((word) => [word, FIRING])),
  ...Object.fromEntries(
    ["resolved", "recovery", "recovered", "ok", "up", "cleared", "fixed", "normal"].map((word) => [word, RESOLVED]),
  ),
  ...Object.fromEntries(["acknowledgement", "acknowledged"].map((word) => [word, { status: "acknowledged" }])),
  ...Object.fromEntries(
    ["critical", "crit", "emergency", "fatal"].map((word) => [word, { ...FIRING, level: "critical" }]),
  ),
  ...Object.fromEntries(["error", "failed", "failure"].map((word) => [word, { ...FIRING, level: "error" }])),
  ...Object.fromEntries(["warning", "warn", "unknown"].map((word) => [word, { ...FIRING, level: "warning" }])),
  ...Object.fromEntries(["info", "notice"].map((word) => [word, { level: "info" }])),
};

/** Reply and forward marks of mail programs. */
const REPLY = /^(?:re|aw|sv|fw|fwd|wg|antw)(?:\[\d{1,3}\])?:\s*/i;
const STARS = /^\*{1,3}\s*|\s*\*{1,3}$/g;
/** `[FIRING:2]`, `[Down]`, `[✅ Up]` */
const BRACKETED = /^\[[^\p{L}\]]{0,4}(\p{L}{2,20})(?::\d{1,6})?\]\s*/u;
/** `PROBLEM: `, `Resolved in 5m 2s: `, `RECOVERY Service Alert: `, `DOWN - ` */
const LEADING =
  /^[^\p{L}\p{N}[]{0,4}(\p{L}{2,20})(?:\s+in\s+[\dywdhms ]{2,24})?(?:\s+(?:service|host))?(?:\s+(?:alert|notification))?(?::\s*|\s+[-–—]\s+)/iu;
/** `web/HTTP is CRITICAL` */
const TRAILING = /\s+is\s+(?:now\s+)?(\p{L}{2,12})[.!]?$/iu;
/** A name in brackets, such as `[Zabbix]`: part of the title. */
const NAME = /^\[[^\]]{1,60}\]\s*/;

const MAX_MARKS = 12;

/** Reads the marks that monitoring programs put around the name of a problem. */
export function readSubject(subject: string): SubjectState {
  let rest = subject.replaceAll(STARS, "").trim();
  let names = "";
  let said: Said = {};
  for (let i = 0; i < MAX_MARKS; i++) {
    const reply = REPLY.exec(rest);
    const mark = reply ? null : (stateIn(BRACKETED, rest) ?? stateIn(LEADING, rest));
    const name = reply || mark ? null : NAME.exec(rest);
    const found = reply?.[0] ?? mark?.text ?? name?.[0];
    if (found === undefined || found.length === rest.length) break;
    // The first word about the state counts.
    if (mark) said = { ...mark.said, ...said };
    if (name) names += name[0];
    rest = rest.slice(found.length).trimStart();
  }
  const last = stateIn(TRAILING, rest);
  if (last) {
    said = { ...last.said, ...said, ...(last.said.level && { level: last.said.level }) };
    rest = rest.slice(0, -last.text.length);
  }
  const title = `${names}${rest}`.trim() || subject.trim();
  const { status = "event", level = null } = said;
  return { title, status, level };
}

function stateIn(pattern: RegExp, text: string): { readonly text: string; readonly said: Said } | null {
  const match = pattern.exec(text);
  const word = match?.[1]?.toLowerCase();
  const said = word === undefined ? undefined : Object.hasOwn(WORDS, word) ? WORDS[word] : undefined;
  return match && said ? { text: match[0], said } : null;
}
