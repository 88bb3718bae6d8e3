import { createHash } from "node:crypto";
import type { Address, Attachment, Email } from "postal-mime";
import type { Work } from "../../../core/caller.ts";
import { cleanText } from "../../../core/text/clean-text.ts";
import { plainText } from "../../../core/text/plain-text.ts";
import { parseMail, withHeader } from "./parse-mail.ts";
import { parseSubject, type SubjectState } from "./read-subject.ts";

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
  /** Of subject, date and text. */
  readonly contentHash: string;
  /** For the log: what was done with bytes that are of no declared encoding; null: nothing. */
  readonly note: string | null;
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
 * Reads a mail (RFC 5322, MIME). Bytes that are not of their encoding are read as in `decodeText`.
 * @throws Error if it is nested too deep or its headers are too large
 */
export async function readMail(raw: Uint8Array, envelope: MailEnvelope): Promise<ReadMail> {
  // Loaded with the first mail.
  const { decodeWords } = await import("postal-mime");
  const start = startOf(raw);
  const { email, note } = await parseMail(withHeader(withShortFields(start)), LIMITS);
  const all = new Map<string, string>();
  for (const { key, value } of email.headers) if (!all.has(key)) all.set(key, line(decodeWords(value)));
  const header = (name: string) => all.get(name) ?? "";
  const subject = line(email.subject ?? "");
  const attachments = email.attachments.slice(0, MAX_ATTACHMENTS).map(attachmentView);
  const text = textOf(email) || attachedText(attachments);
  const content = contentHash([header("date"), subject, text]);
  const givenId = idIn(header("message-id"));
  const messageId = givenId ?? (header("date") === "" ? null : `sha256:${content}`);
  const { key, ...state } = parseSubject(subject === "" ? (text.split("\n", 1)[0] ?? "") : subject);
  const isImportant = importance(header);
  const body: MailBody = {
    ...state,
    title: state.title.slice(0, MAX_LINE),
    level: state.level ?? (isImportant ? "error" : null),
    ...{ subject, text, messageId, isImportant },
    from: email.from ? mailboxOf(email.from) : { name: "", address: line(envelope.sender).slice(0, 320) },
    thread: idIn(header("references")) ?? idIn(header("in-reply-to")),
    date: email.date === undefined ? null : line(email.date),
    automatic: automaticOf(email, envelope, header),
    attachments,
    isCut: start.length < raw.length,
  };
  const shown = [...all].filter(([name]) => HEADER_NAME.test(name) && !LEFT_OUT.test(name)).slice(0, MAX_HEADERS);
  const keys = { given: header("x-alert-key") || null, subject: key };
  return { body, headers: Object.fromEntries(shown), keys, contentHash: content, note };
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

/** Texts that only say that there is another one. */
const NOTHING_ELSE =
  /\bhtml\b.*(?:client|viewer|reader|browser|capable|compatible|enabled|support|display|view|version|program)|(?:client|viewer|reader|browser|view|display).*\bhtml\b/is;
const MAX_NOTHING_ELSE = 300;

/** The plain text; of a mail with HTML only, the text of that with its links. */
function textOf({ text = "", html }: Email): string {
  const plain = text.trim();
  const isEmpty = plain === "" || (html !== undefined && plain.length <= MAX_NOTHING_ELSE && NOTHING_ELSE.test(plain));
  const found = isEmpty ? plainText((html ?? "").slice(0, 8 * MAX_TEXT), { withLinks: true }) || plain : text;
  return cleanText(found.slice(0, 2 * MAX_TEXT).replaceAll("\r\n", "\n"))
    .slice(0, MAX_TEXT)
    .trim();
}

/** The first Message-ID in a header (RFC 5322 section 3.6.4), without its brackets. */
function idIn(value: string): string | null {
  return /<([^<>\s]{1,250})>/.exec(value)?.[1] ?? null;
}

/** The same when a server sends the mail again. */
function contentHash(parts: readonly string[]): string {
  return createHash("sha256").update(parts.join("\0")).digest("base64url");
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
