import { toRfc3339 } from "../../core/clock.ts";
import { uuidv7 } from "../../core/ids.ts";
import { addEffect, type Trx } from "../../store/database.ts";
import type { ReceiverRequestsTable, RequestResult } from "../../store/schema.ts";
import type { RawRequest } from "./read-request.ts";
import type { Redaction } from "./redaction.ts";

/** A request of the log, before its result is known. */
export type LogEntry = Omit<ReceiverRequestsTable, "result" | "outcome">;

export interface FinishedEntry extends LogEntry {
  readonly result: RequestResult;
  readonly outcome: Readonly<Record<string, unknown>>;
}

/** Bytes of a body that are kept. */
export const KEPT_BYTES = 65_536;
/** Requests of a receiver that are kept. */
const KEPT_REQUESTS = 100;

interface LogOptions {
  readonly redaction: Redaction;
  readonly at: number;
  readonly status: number;
  /** The body as masked JSON; undefined: what is kept of the body is masked here, unparsed if it is long. */
  readonly body?: string | undefined;
}

/** What the log keeps of a request: without secrets, and the start of a long body. */
export function logEntryOf(
  receiverId: string,
  request: RawRequest,
  { redaction, at, status, body: made }: LogOptions,
): LogEntry {
  const body = made === undefined ? redactedBody(request, redaction) : encoded(made, request);
  const isCut = body.length > KEPT_BYTES || (made === undefined && request.bytes.length > KEPT_BYTES);
  return {
    id: uuidv7(),
    receiverId,
    at,
    status,
    method: request.method,
    query: new URLSearchParams(redaction.record(request.query)).toString(),
    headers: JSON.stringify(redaction.record(request.headers)),
    bytes: request.bytes.length,
    body: body.length === 0 ? null : body.subarray(0, KEPT_BYTES),
    isCut: isCut ? 1 : 0,
  };
}

/** More of a body than is kept is not masked: only its start is looked at. */
function redactedBody({ bytes: all, headers }: RawRequest, redaction: Redaction): Buffer {
  const bytes = all.subarray(0, KEPT_BYTES);
  const type = headers["content-type"] ?? "";
  if (bytes.length === 0) return bytes;
  const wide = wideOf(type);
  if (wide !== null) {
    const text = new TextDecoder(wide).decode(bytes);
    return wideBytes(redaction.json(text), wide);
  }
  const text = bytes.toString("utf8");
  if (/^\s*[[{]/.test(text)) return Buffer.from(redaction.json(text));
  if (type.startsWith("multipart/")) return Buffer.from(redactedParts(text, redaction));
  if (type.startsWith("application/x-www-form-urlencoded") && text.includes("="))
    return Buffer.from(redactedForm(text, redaction));
  return Buffer.from(redaction.text(text));
}

/** Fields of a form that are masked by their names; the rest of a longer one is left out. */
const MAX_FIELDS = 1000;

function redactedForm(text: string, redaction: Redaction): string {
  const fields = text.split("&", MAX_FIELDS).join("&");
  return new URLSearchParams(redaction.record(Object.fromEntries(new URLSearchParams(fields)))).toString();
}

type Wide = "utf-16le" | "utf-16be";

function wideOf(type: string): Wide | null {
  const found = /charset="?utf-16(le|be)?/i.exec(type);
  return found ? (found[1]?.toLowerCase() === "be" ? "utf-16be" : "utf-16le") : null;
}

/** In the request's own encoding, which a repetition of the request reads. */
function encoded(text: string, { headers }: RawRequest): Buffer {
  // Longer text is cut: bytes of UTF-8 are at least its characters.
  const start = text.slice(0, KEPT_BYTES + 1);
  const wide = wideOf(headers["content-type"] ?? "");
  return wide === null ? Buffer.from(start) : wideBytes(start, wide);
}

function wideBytes(text: string, wide: Wide): Buffer {
  const bytes = Buffer.from(text, "utf16le");
  return wide === "utf-16be" ? bytes.swap16() : bytes;
}

const END_OF_HEAD = "\r\n\r\n";

function redactedParts(text: string, redaction: Redaction): string {
  const parts = text.split("\r\n--", MAX_FIELDS).map((part) => {
    const end = part.indexOf(END_OF_HEAD);
    if (end === -1) return redaction.text(part);
    const head = part.slice(0, end);
    const [, name = ""] = /[;\s]name="?([^"\r\n;]{0,200})/i.exec(head) ?? [];
    return redaction.text(head) + END_OF_HEAD + redaction.member(name, part.slice(end + END_OF_HEAD.length));
  });
  return parts.join("\r\n--");
}

/** Adds an entry, and removes the oldest ones of its receiver. @param isShort without the request's texts */
export async function writeLogEntry(
  trx: Trx,
  { outcome, ...entry }: FinishedEntry,
  { projectId, isShort }: { readonly projectId: string; readonly isShort: boolean },
): Promise<void> {
  addEffect(trx, { type: "texts-changed", projectIds: [projectId] });
  const kept = isShort ? { ...entry, query: "", headers: "{}", body: null, isCut: 1 as const } : entry;
  await trx
    .insertInto("receiver_requests")
    .values({ ...kept, outcome: JSON.stringify(outcome) })
    .execute();
  await trx
    .deleteFrom("receiver_requests")
    .where("receiverId", "=", entry.receiverId)
    .where("id", "<=", (e) =>
      e
        .selectFrom("receiver_requests")
        .select("id")
        .where("receiverId", "=", entry.receiverId)
        .orderBy("id", "desc")
        .limit(1)
        .offset(KEPT_REQUESTS),
    )
    .execute();
}

/** A request of the log as the API shows it. */
export function requestView(row: ReceiverRequestsTable) {
  return {
    id: row.id,
    receiverId: row.receiverId,
    at: toRfc3339(row.at),
    result: row.result,
    status: row.status,
    method: row.method,
    query: row.query,
    headers: JSON.parse(row.headers) as Record<string, string>,
    bytes: row.bytes,
    body: row.body === null ? "" : Buffer.from(row.body).toString("utf8"),
    isCut: row.isCut === 1,
    outcome: JSON.parse(row.outcome) as Record<string, unknown>,
  };
}
