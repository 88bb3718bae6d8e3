import * as v from "valibot";
import { uuidv7 } from "../../../core/ids.ts";
import { charsetIn, decodeForm, decodeText, firstFields } from "../../../core/text/decode-text.ts";
import { listing } from "../../../http/api/listing.ts";
import { bytes, type Codec, flag, json, type RowOf, resource, stored, time } from "../../../http/api/resource.ts";
import { doc } from "../../../http/api/shapes.ts";
import { addEffect, insertLater, later, type Trx } from "../../../store/database.ts";
import type { RequestResult } from "../../../store/schema.ts";
import type { RawRequest } from "./read-request.ts";
import type { Redaction } from "./redaction.ts";

declare module "../../../store/schema.ts" {
  interface Schema {
    receiver_requests: RequestRow;
  }
}

const RESULTS = ["accepted", "replayed", "unmapped", "ignored", "handshake", "refused"] as const;

/** The start of a body, as text. */
const start: Codec<Uint8Array | null, never, string> = {
  column: v.nullable(bytes),
  encode: (never) => never,
  decode: (body) => (body === null ? "" : Buffer.from(body).toString("utf8")),
};

export const ReceiverRequest = resource(
  "ReceiverRequest",
  "A request in the log of a receiver, without secrets",
  "receiver_requests",
  () => ({
    id: stored(v.string()),
    receiverId: stored(v.string()),
    at: stored(v.string(), time),
    result: stored(v.picklist(RESULTS)),
    status: stored(doc(v.number(), "HTTP status of the answer")),
    method: stored(v.string()),
    query: stored(v.string()),
    headers: stored(v.record(v.string(), v.string()), json<Record<string, string>>()),
    bytes: stored(doc(v.number(), "Length of the whole body")),
    body: stored(doc(v.string(), "The first 64 KiB"), start),
    isCut: stored(v.boolean(), flag),
    outcome: stored(
      doc(v.record(v.string(), v.unknown()), "What was stored, or why it was refused"),
      json<Record<string, unknown>>(),
    ),
  }),
);
export type RequestRow = RowOf<typeof ReceiverRequest>;

export const requestList = listing(ReceiverRequest, () => ({}));

/** A request of the log, before its result is known. */
export type RequestLogEntry = Omit<RequestRow, "result" | "outcome">;

export interface FinishedEntry extends RequestLogEntry {
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
  /** Headers and parameters that are masked already; undefined: they are masked here. */
  readonly masked?: Pick<RawRequest, "headers" | "query"> | undefined;
}

/** The log entry of a request: without secrets, and the start of a long body. */
export function logEntryOf(
  receiverId: string,
  request: RawRequest,
  { redaction, at, status, body: made, masked }: LogOptions,
): RequestLogEntry {
  const { query, headers } = masked ?? {
    query: redaction.record(request.query),
    headers: redaction.record(request.headers),
  };
  const body = made === undefined ? redactedBody(request, redaction) : encoded(made, request);
  const isCut = body.length > KEPT_BYTES || (made === undefined && request.bytes.length > KEPT_BYTES);
  return {
    id: uuidv7(),
    receiverId,
    at,
    status,
    method: request.method,
    query: new URLSearchParams(query).toString(),
    headers: JSON.stringify(headers),
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
    const { text } = decodeText(bytes, wide);
    return wideBytes(redaction.json(text), wide);
  }
  // As UTF-8, which is what a repetition of the request looks for first.
  const { text } = decodeText(bytes, charsetIn(type));
  if (/^\s*[[{]/.test(text)) return Buffer.from(redaction.json(text));
  if (type.startsWith("multipart/")) return Buffer.from(redactedParts(text, redaction));
  if (type.startsWith("application/x-www-form-urlencoded") && text.includes("="))
    return Buffer.from(redactedForm(bytes, type, redaction));
  return Buffer.from(redaction.text(text));
}

/** Fields of a form that are masked by their names; the rest of a longer one is left out. */
const MAX_FIELDS = 1000;

function redactedForm(bytes: Buffer, type: string, redaction: Redaction): string {
  const fields = decodeForm(firstFields(bytes, MAX_FIELDS), charsetIn(type)).fields;
  return new URLSearchParams(redaction.record(Object.fromEntries(fields))).toString();
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

const PRUNE_SQL = `delete from receiver_requests where receiverId = +? and id <=
  (select id from receiver_requests where receiverId = +? order by id desc limit 1 offset +?)`;

/** Adds an entry; {@link loggedRequests} follows. @param isShort without the request's texts */
export function writeLogEntry(trx: Trx, { outcome, ...entry }: FinishedEntry, isShort: boolean): void {
  const kept = isShort ? { ...entry, query: "", headers: "{}", body: null, isCut: 1 as const } : entry;
  insertLater(trx, "receiver_requests", { ...kept, outcome: JSON.stringify(outcome) });
}

/** Removes the oldest entries of receivers that a transaction has added some to. */
export function loggedRequests(
  trx: Trx,
  receivers: readonly { readonly id: string; readonly projectId: string }[],
): void {
  for (const id of new Set(receivers.map((each) => each.id))) later(trx, PRUNE_SQL, [id, id, KEPT_REQUESTS]);
  const projectIds = [...new Set(receivers.map((each) => each.projectId))];
  if (projectIds.length > 0) addEffect(trx, { type: "texts-changed", projectIds });
}
