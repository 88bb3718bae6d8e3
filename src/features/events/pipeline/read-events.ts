import { invalidField, PrismError, shownPath } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import {
  type JsonSpans,
  jsonValueEnd,
  minifyJson,
  replaceLoneSurrogates,
  scanJson,
} from "../../../core/text/json-text.ts";
import { claimsOwnSource, OWN_SOURCE } from "../../../core/text/vocabulary.ts";
import { DAY_MS } from "../../../core/time/clock.ts";
import { MAX_JSON_DEPTH, parseJsonText, tooDeep } from "../../../http/body/input.ts";
import { IncomingEvent } from "../../rules/index.ts";
import { type Envelope, foreignTime, isPlainObject, readEnvelope } from "./event-envelope.ts";
import { plainEvent } from "./plain-event.ts";

/**
 * Limit of an item's text as a multiple of the payload limit, plus room for an envelope. The
 * payload is measured without whitespace between tokens, and an indented one has two or three times
 * its size of that. The longest envelope (256 + 100 + 100 code points as surrogate escapes of 12
 * units each) has 6 KiB. Longer texts are refused before parsing.
 */
const TEXT_PER_PAYLOAD = 6;
const ENVELOPE_UNITS = 16_384;
/** Limit of unknown members that are folded into an event's payload. */
const MAX_UNKNOWN_MEMBERS = 1000;
const OWN_MEMBERS = 8;
/** Members and elements at all depths: parsing and storing each takes a part of a turn. */
export const MAX_EVENT_MEMBERS = 50_000;

export interface EventLimits {
  readonly maxEventBytes: number;
  readonly lenient: boolean;
  /** Takes the sources of the server's own events, for a trial. */
  readonly takesOwn?: boolean;
}

/** The problem with one event of a request. */
export interface ItemError {
  readonly code: PrismError["code"];
  readonly message: string;
  readonly path: string;
}

/** One item of a batch: an event to store, or its error. */
export type BatchItem = IncomingEvent | ItemError;

/** How an event arrived. */
interface Arrival {
  readonly receivedAt: number;
  /** Becomes the event's id if it has none. */
  readonly newId: string | null;
  /** The caller's correlation id; null: the event's id. */
  readonly correlationId: string | null;
  /** @returns the project's id. @throws PrismError when the caller may not write there. */
  projectOf(given: string | undefined): string;
}

interface EventSource extends Arrival {
  /** The JSON text of the event, and the positions of its members. */
  readonly text: string;
  readonly outline: JsonSpans;
  /** The parsed text. */
  readonly value: unknown;
}

/** Checked before any of the text is read. @throws PAYLOAD_TOO_LARGE */
export function requireItemLength(text: string, { maxEventBytes }: EventLimits): void {
  if (text.length > maxEventBytes * TEXT_PER_PAYLOAD + ENVELOPE_UNITS) throw payloadTooLarge(maxEventBytes);
}

/** Checked before parsing; a repeated name counts each time. @throws VALIDATION_FAILED */
function requireFewMembers({ kind, keyStarts }: JsonSpans): void {
  if (kind !== "object" || keyStarts.length <= MAX_UNKNOWN_MEMBERS + OWN_MEMBERS) return;
  throw invalidField("event", "", `has more than ${MAX_UNKNOWN_MEMBERS} members that belong into its payload`);
}

/**
 * Reads one event: checks the envelope, folds unknown members into the payload, and keeps the
 * payload's text, so that numbers are stored digit by digit as sent.
 * @throws PrismError VALIDATION_FAILED, PAYLOAD_TOO_LARGE, and errors of `projectOf`.
 */
export function readEvent(source: EventSource, limits: EventLimits): IncomingEvent {
  const { value, receivedAt } = source;
  if (!isPlainObject(value)) throw new PrismError("VALIDATION_FAILED", "An event must be a JSON object");
  const given = readEnvelope(value, limits.lenient);
  const foreignAt = given.unknown && limits.lenient ? foreignTime(value, receivedAt, DAY_MS) : undefined;
  const occurredAt = given.occurredAt ?? foreignAt ?? receivedAt;
  requireAllowed(given, occurredAt, receivedAt, limits);
  if (given.unknown && !limits.lenient) throw unknownMembers(given.unknown);
  const sentText = readPayloadText(source, given.payload, given.unknown);
  const payloadText = source.outline.unicodeEscape ? replaceLoneSurrogates(sentText) : sentText;
  return incomingEvent(
    source,
    { given, occurredAt, payloadText, payloadBytes: Buffer.byteLength(payloadText) },
    limits,
  );
}

/** @param charge called before many members are parsed. @throws what {@link parseItem} and {@link readEvent} throw */
export function readEventText(
  text: string,
  arrival: Arrival & {
    /** A byte for each character. */
    readonly isAscii: boolean;
  },
  limits: EventLimits,
  charge: (members: number) => void,
): IncomingEvent {
  const plain = plainEvent(text);
  if (!plain) return readEvent({ ...arrival, text, ...parseItem(text, charge) }, limits);
  const { envelope: given, payloadText } = plain;
  const occurredAt = given.occurredAt ?? arrival.receivedAt;
  requireAllowed(given, occurredAt, arrival.receivedAt, limits);
  const payloadBytes = arrival.isAscii ? payloadText.length : Buffer.byteLength(payloadText);
  return incomingEvent(arrival, { given, occurredAt, payloadText, payloadBytes }, limits);
}

function requireAllowed(given: Envelope, occurredAt: number, receivedAt: number, { takesOwn }: EventLimits): void {
  if (occurredAt > receivedAt + DAY_MS)
    throw invalidField("event", "occurredAt", "must not be more than 24 hours ahead");
  if (takesOwn !== true && claimsOwnSource(given.source)) throw reservedSource();
}

interface ReadMembers {
  readonly given: Envelope;
  readonly occurredAt: number;
  readonly payloadText: string;
  readonly payloadBytes: number;
}

function incomingEvent(
  source: Arrival,
  { given, occurredAt, payloadText, payloadBytes }: ReadMembers,
  { maxEventBytes }: EventLimits,
): IncomingEvent {
  if (payloadBytes > maxEventBytes) throw payloadTooLarge(maxEventBytes);
  const id = given.id ?? source.newId ?? uuidv7();
  return new IncomingEvent({
    id,
    isGivenId: given.id !== undefined,
    projectId: source.projectOf(given.projectId),
    type: given.type,
    level: given.level,
    source: given.source,
    payloadText,
    payloadBytes,
    dedupeKey: given.dedupeKey,
    occurredAt,
    receivedAt: source.receivedAt,
    givenCorrelationId: source.correlationId === id ? null : source.correlationId,
  });
}

/** @returns the refusal of an event that claims to be the server's own */
export function reservedSource(): PrismError {
  const message = `must not start with ${OWN_SOURCE}: only the server's own events do`;
  return invalidField("event", "source", message, "RESERVED");
}

/** An error of one event in the form of a batch result. */
export function itemError(error: PrismError): ItemError {
  const detail = error.details?.[0];
  const at = shownPath(detail?.path ?? "");
  const message = detail ? `${at === "" ? "the event" : at} ${detail.message}` : error.message;
  return { code: error.code, message, path: at };
}

function payloadTooLarge(maxEventBytes: number): PrismError {
  return new PrismError("PAYLOAD_TOO_LARGE", `The payload is larger than ${maxEventBytes} bytes`, {
    details: [{ path: "payload", code: "PAYLOAD_TOO_LARGE", message: `must be at most ${maxEventBytes} bytes` }],
  });
}

function unknownMembers(names: readonly string[]): PrismError {
  const details = names.map((path) => ({ path, code: "UNKNOWN_MEMBER", message: "is not a member of an event" }));
  return new PrismError("VALIDATION_FAILED", "The event is not valid", { details });
}

function readPayloadText(
  source: EventSource,
  payload: Record<string, unknown> | undefined,
  unknown: readonly string[] | null,
): string {
  const { outline } = source;
  if (unknown !== null) return foldedText(source, payload, unknown);
  if (payload === undefined) return "{}";
  const sent = outline.unicodeEscape
    ? valueText(source, keysOf(source).get("payload"))
    : literalMember(source, "payload");
  return outline.innerSpace ? minifyJson(sent) : sent;
}

/** The payload with the unknown members after its own. */
function foldedText(
  source: EventSource,
  payload: Record<string, unknown> | undefined,
  unknown: readonly string[],
): string {
  const keys = keysOf(source);
  const own = payload === undefined ? "" : minifyJson(valueText(source, keys.get("payload"))).slice(1, -1);
  const members = own === "" ? [] : [own];
  for (const name of unknown) {
    if (payload !== undefined && Object.hasOwn(payload, name)) continue;
    members.push(`${JSON.stringify(name)}:${minifyJson(valueText(source, keys.get(name)))}`);
  }
  return `{${members.join(",")}}`;
}

/**
 * Positions of the members by parsed name: escapes can spell one name in several ways. The last of
 * repeated ones counts, as in the parsed value.
 */
function keysOf({ text, outline }: EventSource): ReadonlyMap<string, number> {
  const places = new Map<string, number>();
  for (const [i, start] of outline.keyStarts.entries()) {
    const key = text.slice(start, outline.keyEnds[i]);
    places.set(key.includes("\\") ? (JSON.parse(key) as string) : key.slice(1, -1), i);
  }
  return places;
}

/** The value of a member whose key has no escape. */
function literalMember(source: EventSource, name: string): string {
  const { text, outline } = source;
  const key = `"${name}"`;
  for (let i = outline.keyStarts.length - 1; i >= 0; i--) {
    const start = outline.keyStarts[i] as number;
    if (outline.keyEnds[i] === start + key.length && text.startsWith(key, start)) return valueText(source, i);
  }
  return valueText(source, undefined);
}

function valueText({ text, outline }: EventSource, place: number | undefined): string {
  if (place === undefined) throw new TypeError("the outline lacks a member that the parser found");
  return text.slice(outline.valueStarts[place], outline.valueEnds[place]);
}

/** A batch yields to the loop this often: a large one must not delay other requests. */
const TURN_MS = 4;
const CHECK_EVERY = 32;
const CHECK_EVERY_UNITS = 65_536;

type ReadItem = (text: string) => IncomingEvent;

/** Splits and parses a batch. @param texts the items in order; empty ones are skipped */
export async function readBatch(
  texts: Iterable<string>,
  maxItems: number,
  readItem: ReadItem,
  isNdjson: boolean,
): Promise<BatchItem[]> {
  const items: BatchItem[] = [];
  let turnEnd = performance.now() + TURN_MS;
  let steps = 0;
  let units = 0;
  for (const text of texts) {
    units += text.length;
    if (++steps % CHECK_EVERY === 0 || units > CHECK_EVERY_UNITS) {
      units = 0;
      if (performance.now() > turnEnd) {
        await new Promise((resolve) => setImmediate(resolve));
        turnEnd = performance.now() + TURN_MS;
      }
    }
    if (text === "") continue;
    if (items.length === maxItems)
      throw new PrismError("BATCH_TOO_LARGE", `More than ${maxItems} events in one request`);
    try {
      items.push(readItem(text));
    } catch (error) {
      if (!(error instanceof PrismError)) throw error;
      // Invalid JSON in an array invalidates the body; in NDJSON it affects one line.
      if (error.code === "MALFORMED_JSON" && !isNdjson) throw inItem(items.length, error);
      items.push(itemError(error));
    }
  }
  if (items.length === 0) throw new PrismError("VALIDATION_FAILED", "The batch holds no event");
  return items;
}

/**
 * The lines of NDJSON, trimmed. Blank lines are yielded as empty, so that a body of only those does
 * not block the loop either.
 */
export function* ndjsonLines(text: string): Iterable<string> {
  let start = 0;
  while (start < text.length) {
    let end = text.indexOf("\n", start);
    if (end < 0) end = text.length;
    yield text.slice(start, end).trim();
    start = end + 1;
  }
}

/**
 * The elements of a JSON array, one by one, without parsing the whole. @throws MALFORMED_JSON for
 * misplaced commas or brackets.
 */
export function* arrayElements(text: string): Iterable<string> {
  let at = skipSpace(text, skipSpace(text, 0) + 1);
  if (text[at] === "]") return requireEnd(text, at + 1);
  for (;;) {
    const end = jsonValueEnd(text, at);
    if (end === at) throw malformed(at);
    yield text.slice(at, end);
    const next = skipSpace(text, end);
    if (text[next] === "]") return requireEnd(text, next + 1);
    if (text[next] !== ",") throw malformed(next);
    at = skipSpace(text, next + 1);
  }
}

/**
 * Parses an item and finds the positions of its members. @throws MALFORMED_JSON; VALIDATION_FAILED
 * for more members than an event may have. @param charge called before it is parsed
 */
function parseItem(text: string, charge: (members: number) => void): { value: unknown; outline: JsonSpans } {
  const outline = scanJson(text, MAX_JSON_DEPTH, MAX_EVENT_MEMBERS);
  if (outline.depth > MAX_JSON_DEPTH) throw tooDeep();
  if (outline.members > MAX_EVENT_MEMBERS)
    throw invalidField("event", "", `has more than ${MAX_EVENT_MEMBERS} members and elements`);
  requireFewMembers(outline);
  charge(outline.members);
  return { value: parseJsonText(text), outline };
}

function requireEnd(text: string, at: number): void {
  const end = skipSpace(text, at);
  if (end < text.length) throw malformed(end);
}

function skipSpace(text: string, from: number): number {
  let at = from;
  while (at < text.length && " \t\n\r".includes(text[at] as string)) at++;
  return at;
}

/** Where the array stops being JSON; positions count from the start of the item. */
function inItem(index: number, { message, details }: PrismError): PrismError {
  const found = details ?? [{ message }];
  return new PrismError("MALFORMED_JSON", message, {
    details: found.map((detail) => ({ ...detail, path: String(index) })),
  });
}

function malformed(position: number): PrismError {
  return new PrismError("MALFORMED_JSON", "The body is not JSON", {
    details: [{ message: "stops being JSON here", position }],
  });
}
