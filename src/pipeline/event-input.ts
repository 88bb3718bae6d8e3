import * as v from "valibot";
import { PrismError } from "../base/errors.ts";
import { uuidv7 } from "../base/ids.ts";
import { type JsonOutline, minifyJson, replaceLoneSurrogates } from "../base/json-text.ts";
import { detailOf } from "../http/input.ts";
import { instant, jsonObject, pattern, text } from "../http/shapes.ts";
import type { Level } from "../store/schema.ts";
import { IncomingEvent } from "./incoming-event.ts";

const DAY_MS = 86_400_000;
export const LEVELS = ["debug", "info", "warn", "error", "fatal"] as const satisfies readonly Level[];

const typeName = v.pipe(
  pattern(/^[A-Za-z0-9_.:\-/]{1,100}$/, "must be 1 to 100 letters, digits or any of _ . : - /"),
  v.description("Dotted name, such as order.failed"),
);

const anyUuid = v.pipe(
  v.string("must be a string"),
  v.metadata({ format: "uuid" }),
  v.toLowerCase(),
  v.regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/, "must be a UUID"),
);

const ENTRIES = {
  type: typeName,
  payload: v.optional(
    v.pipe(jsonObject(Number.MAX_SAFE_INTEGER), v.description("Any JSON object; kept as it was written")),
  ),
  source: v.optional(v.nullable(text(100))),
  level: v.optional(v.picklist(LEVELS, `must be one of ${LEVELS.join(", ")}`)),
  occurredAt: v.optional(v.pipe(instant, v.description("Default: time of receipt; at most 24 hours ahead"))),
  id: v.optional(v.pipe(anyUuid, v.description("Makes a repetition harmless: the same id is stored once"))),
  dedupeKey: v.optional(v.nullable(text(256, 1))),
  projectId: v.optional(
    v.pipe(
      v.string("must be a string"),
      v.description("Id or slug; of callers with a user's rights, default: default"),
    ),
  ),
};

/** One event as a producer sends it. The OpenAPI document is made of this; unknown members are allowed for, see D52. */
export const EventInput = v.object(ENTRIES);

// Checked without the payload's own walk and without the refusal of unknown members, which are folded into the payload.
const Envelope = v.object({
  ...ENTRIES,
  payload: v.optional(v.custom<Record<string, unknown>>(isPlainObject, "must be a JSON object")),
});

export interface EventLimits {
  readonly maxEventBytes: number;
  readonly lenient: boolean;
}

/** What is wrong with one event of a request. */
export interface ItemError {
  readonly code: PrismError["code"];
  readonly message: string;
  readonly path: string;
}

export interface EventSource {
  /** The JSON text of the event, and where its members stand in it. */
  readonly text: string;
  readonly outline: JsonOutline;
  /** What the parser made of the text. */
  readonly value: unknown;
  readonly receivedAt: number;
  /** Becomes the event's id where it has none of its own. */
  readonly newId: string | null;
  /** The caller's correlation id; null: the event's id. */
  readonly correlationId: string | null;
  /** @returns the project's id. @throws PrismError when the caller may not write there. */
  projectOf(given: string | undefined): string;
}

/**
 * Reads one event: checks the envelope, folds unknown members into the payload (D52), and keeps the payload's own text, so that what is
 * stored is what was sent, its numbers to the last digit.
 * @throws PrismError VALIDATION_FAILED, PAYLOAD_TOO_LARGE, and what `projectOf` throws.
 */
export function readEvent(source: EventSource, limits: EventLimits): IncomingEvent {
  const { value } = source;
  if (!isPlainObject(value)) throw new PrismError("VALIDATION_FAILED", "An event must be a JSON object");
  const result = v.safeParse(Envelope, value);
  if (!result.success) {
    throw new PrismError("VALIDATION_FAILED", "The event is not valid", { details: result.issues.map(detailOf) });
  }
  const given = result.output;
  const { receivedAt } = source;
  const occurredAt = given.occurredAt ?? receivedAt;
  if (occurredAt > receivedAt + DAY_MS) throw invalid("occurredAt", "must not be more than 24 hours ahead");

  const unknown = unknownMembers(value);
  if (unknown.length > 0 && !limits.lenient) throw invalid(unknown[0] as string, "is not a member of an event");
  const payloadText = readPayloadText(source, given.payload, unknown);
  if (payloadText.length * 3 > limits.maxEventBytes && Buffer.byteLength(payloadText) > limits.maxEventBytes) {
    throw new PrismError("PAYLOAD_TOO_LARGE", `The payload is larger than ${limits.maxEventBytes} bytes`, {
      details: [
        { path: "payload", code: "PAYLOAD_TOO_LARGE", message: `must be at most ${limits.maxEventBytes} bytes` },
      ],
    });
  }
  const id = given.id ?? source.newId ?? uuidv7();
  return new IncomingEvent({
    id,
    isGivenId: given.id !== undefined,
    projectId: source.projectOf(given.projectId),
    type: given.type,
    level: given.level ?? "info",
    source: given.source ?? null,
    // Folding makes another object than the parser made: the text is the truth, so it is read again.
    payload: unknown.length > 0 ? (JSON.parse(payloadText) as Record<string, unknown>) : (given.payload ?? {}),
    payloadText,
    dedupeKey: given.dedupeKey ?? null,
    occurredAt,
    receivedAt,
    givenCorrelationId: source.correlationId === id ? null : source.correlationId,
  });
}

/** An error of one event in the form of a batch result. */
export function itemError(error: PrismError): ItemError {
  const detail = error.details?.[0];
  const at = detail?.path ?? "";
  const message = detail ? `${at === "" ? "the event" : at} ${detail.message}` : error.message;
  return { code: error.code, message, path: at };
}

function invalid(path: string, message: string): PrismError {
  return new PrismError("VALIDATION_FAILED", "The event is not valid", { details: [{ path, code: "VALUE", message }] });
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function unknownMembers(value: Record<string, unknown>): string[] {
  let unknown: string[] | null = null;
  for (const name in value) {
    if (Object.hasOwn(ENTRIES, name)) continue;
    unknown ??= [];
    unknown.push(name);
  }
  return unknown ?? NONE;
}

const NONE: string[] = [];

function readPayloadText(
  { text, outline, value }: EventSource,
  payload: Record<string, unknown> | undefined,
  unknown: readonly string[],
): string {
  // An escape in a key could name a member in two ways; such an event is written anew instead of being cut from its text.
  const isCuttable = !outline.unicodeEscape || !hasEscapedKey(text, outline);
  const cut = (name: string): string => {
    if (!isCuttable) return JSON.stringify((value as Record<string, unknown>)[name]);
    const quoted = JSON.stringify(name);
    for (let i = outline.keyStarts.length - 1; i >= 0; i--) {
      if (
        outline.keyEnds[i] === (outline.keyStarts[i] as number) + quoted.length &&
        text.startsWith(quoted, outline.keyStarts[i])
      ) {
        return text.slice(outline.valueStarts[i], outline.valueEnds[i]);
      }
    }
    return JSON.stringify((value as Record<string, unknown>)[name]);
  };
  let out = payload === undefined ? "{}" : cut("payload");
  if (outline.innerSpace) out = minifyJson(out);
  for (const name of unknown) {
    if (payload !== undefined && Object.hasOwn(payload, name)) continue;
    out = `${out.slice(0, -1)}${out === "{}" ? "" : ","}${JSON.stringify(name)}:${minifyJson(cut(name))}}`;
  }
  return outline.unicodeEscape || !isCuttable ? replaceLoneSurrogates(out) : out;
}

function hasEscapedKey(text: string, outline: JsonOutline): boolean {
  return outline.keyStarts.some((start, i) => text.slice(start, outline.keyEnds[i]).includes("\\"));
}
