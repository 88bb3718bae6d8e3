import * as v from "valibot";
import { type ErrorDetail, PrismError } from "../../../core/errors.ts";
import { cleanText, codePointLength } from "../../../core/text/clean-text.ts";
import { LEVELS, type Level } from "../../../core/text/vocabulary.ts";
import { wordsFor } from "../../../core/text/words.ts";
import { parseRfc3339 } from "../../../core/time/clock.ts";
import { doc, instant, jsonObject, named, text } from "../../../http/api/shapes.ts";

/** Matches nearly every type, without a closer check. */
const PLAIN_TYPE = /^[A-Za-z0-9_.:\-/]{1,100}$/;
const TYPE_LENGTH = 100;
const TYPE_RULE = `must be 1 to ${TYPE_LENGTH} characters long, without line breaks and tabs`;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const LEVEL_RULE = `must be one of ${LEVELS.join(", ")}`;

const anyUuid = v.pipe(
  v.string("must be a string"),
  v.metadata({ format: "uuid" }),
  v.toLowerCase(),
  v.regex(UUID, "must be a UUID"),
);

/** Selects events of one type, or of all types with a prefix. */
export const EventTypePattern = v.pipe(
  text(TYPE_LENGTH + 1, 1),
  v.regex(/^[^*]*\*?$/, "must be an event type, or a prefix of one followed by *"),
);

/**
 * One event as a producer sends it, for the OpenAPI document. {@link readEnvelope} implements it by
 * hand, because it runs once per event; a property test compares the two. Unknown members are
 * allowed.
 */
export const EventInput = named(
  "EventInput",
  "An event to store",
  v.object({
    type: doc(
      v.pipe(
        v.string("must be a string"),
        v.metadata({ minLength: 1, maxLength: TYPE_LENGTH }),
        v.transform(typeText),
        v.check(isType, TYPE_RULE),
      ),
      "Dotted name, such as order.failed",
    ),
    payload: v.optional(doc(jsonObject(Number.MAX_SAFE_INTEGER), "Any JSON object, stored unchanged")),
    source: v.optional(doc(v.nullable(text(100)), "Program or host that sent it")),
    level: v.optional(
      doc(
        v.picklist(LEVELS, LEVEL_RULE),
        "Default info; names such as WARNING or critical are mapped unless `ingest.lenient` is off",
      ),
    ),
    occurredAt: v.optional(doc(instant, "Time of the event, at most 24 hours ahead; default: time of receipt")),
    id: v.optional(doc(anyUuid, "UUID of the event; a repeated id is stored once")),
    dedupeKey: v.optional(doc(v.nullable(text(256, 1)), "A repeated key is a duplicate and not stored")),
    projectId: v.optional(
      doc(v.string("must be a string"), "Id or slug of the project; default: that of the API key, or `default`"),
    ),
  }),
);

/** The checked members of an event, without those of its payload. */
export class Envelope {
  type = "";
  payload: Record<string, unknown> | undefined = undefined;
  source: string | null = null;
  level: Level = "info";
  occurredAt: number | undefined = undefined;
  id: string | undefined = undefined;
  dedupeKey: string | null = null;
  projectId: string | undefined = undefined;
  /** Names of unknown members. */
  unknown: string[] | null = null;
}

/** @param isLenient maps members of other systems. @throws VALIDATION_FAILED with all problems */
export function readEnvelope(value: Record<string, unknown>, isLenient = false): Envelope {
  const envelope = new Envelope();
  let problems: ErrorDetail[] | null = null;
  for (const name in value) {
    const problem = readMember(envelope, name, value[name]);
    if (problem === null || (isLenient && takeForeign(envelope, name, value[name]))) continue;
    problems ??= [];
    problems.push({ path: name, code: "VALUE", message: problem });
  }
  if (value["type"] === undefined) {
    problems ??= [];
    problems.push({ path: "type", code: "REQUIRED", message: "is required" });
  }
  if (problems !== null) throw new PrismError("VALIDATION_FAILED", "The event is not valid", { details: problems });
  return envelope;
}

/** @returns the member's problem, or null. */
export function readMember(envelope: Envelope, name: string, value: unknown): string | null {
  switch (name) {
    case "type":
      if (typeof value !== "string") return "must be a string";
      envelope.type = value;
      if (PLAIN_TYPE.test(value)) return null;
      envelope.type = typeText(value);
      return isType(envelope.type) ? null : TYPE_RULE;
    case "payload":
      if (!isPlainObject(value)) return "must be a JSON object";
      envelope.payload = value;
      return null;
    case "source":
      if (value === null) return null;
      if (typeof value !== "string") return "must be a string";
      envelope.source = cleanText(value);
      return codePointLength(envelope.source) <= 100 ? null : "must be at most 100 characters long";
    case "level":
      envelope.level = value as Level;
      return (LEVELS as readonly unknown[]).includes(value) ? null : LEVEL_RULE;
    case "occurredAt":
      envelope.occurredAt = typeof value === "string" ? parseRfc3339(value) : undefined;
      return envelope.occurredAt === undefined
        ? "must be an RFC 3339 date-time with offset, such as 2026-01-31T08:00:00Z"
        : null;
    case "id":
      if (typeof value !== "string") return "must be a string";
      envelope.id = value.toLowerCase();
      return UUID.test(envelope.id) ? null : "must be a UUID";
    case "dedupeKey": {
      if (value === null) return null;
      if (typeof value !== "string") return "must be a string";
      envelope.dedupeKey = cleanText(value);
      const length = codePointLength(envelope.dedupeKey);
      return length >= 1 && length <= 256 ? null : "must be 1 to 256 characters long";
    }
    case "projectId":
      if (typeof value !== "string") return "must be a string";
      envelope.projectId = value;
      return null;
    default:
      envelope.unknown ??= [];
      envelope.unknown.push(name);
      return null;
  }
}

function typeText(text: string): string {
  return cleanText(text).trim();
}

function isType(text: string): boolean {
  if (PLAIN_TYPE.test(text)) return true;
  const length = codePointLength(text);
  return length >= 1 && length <= TYPE_LENGTH && !/[\n\t\u2028\u2029]/.test(text);
}

export function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Other systems' words for levels. Scales of numbers run both ways. */
const WORDS = wordsFor("events");

/**
 * Smaller numbers are seconds since 1970, larger ones milliseconds. The limit is March 1973 in
 * milliseconds and the year 5138 in seconds.
 */
const FIRST_MS = 100_000_000_000;
/** The last instant of a Date. */
const LAST_MS = 8_640_000_000_000_000;

/**
 * Maps a member with another system's meaning, for `ingest.lenient`. Its value fills the envelope
 * where possible; the member itself goes into the payload unchanged.
 * @returns whether the event is acceptable with it.
 */
function takeForeign(envelope: Envelope, name: string, value: unknown): boolean {
  switch (name) {
    case "level":
      // Never converts an object to text: its own toString would be called.
      envelope.level = (typeof value === "string" && WORDS.get(value.trim().toLowerCase())?.level) || "info";
      break;
    case "id":
      // Not used as a dedupe key: such an id often names the subject of many events.
      envelope.id = undefined;
      break;
    case "source":
      if (typeof value !== "number" && typeof value !== "boolean") return false;
      envelope.source = String(value);
      break;
    case "occurredAt":
      envelope.occurredAt = instantOf(value);
      if (typeof value !== "number" || envelope.occurredAt === undefined) return false;
      break;
    case "payload":
      // An empty payload; the member is dropped.
      return value === null;
    default:
      return false;
  }
  envelope.unknown ??= [];
  envelope.unknown.push(name);
  return true;
}

/** The time of an event with a member `timestamp`. */
export function foreignTime(value: Record<string, unknown>, receivedAt: number, aheadMs: number): number | undefined {
  const at = instantOf(value["timestamp"]);
  return at === undefined || at > receivedAt + aheadMs ? undefined : at;
}

function instantOf(value: unknown): number | undefined {
  if (typeof value === "string") return parseRfc3339(value);
  if (typeof value !== "number" || value < 0) return undefined;
  const at = Math.round(value < FIRST_MS ? value * 1000 : value);
  return at <= LAST_MS ? at : undefined;
}
