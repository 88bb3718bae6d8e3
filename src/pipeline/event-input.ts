import { PrismError } from "../base/errors.ts";
import { uuidv7 } from "../base/ids.ts";
import { type JsonOutline, minifyJson, replaceLoneSurrogates } from "../base/json-text.ts";
import { isPlainObject, readEnvelope } from "./event-envelope.ts";
import { IncomingEvent } from "./incoming-event.ts";

const DAY_MS = 86_400_000;

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
  const { value, receivedAt } = source;
  if (!isPlainObject(value)) throw new PrismError("VALIDATION_FAILED", "An event must be a JSON object");
  const given = readEnvelope(value);
  const occurredAt = given.occurredAt ?? receivedAt;
  if (occurredAt > receivedAt + DAY_MS) throw invalid("occurredAt", "must not be more than 24 hours ahead");
  if (given.unknown && !limits.lenient) throw invalid(given.unknown[0] as string, "is not a member of an event");
  const payloadText = readPayloadText(source, given.payload, given.unknown);
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
    level: given.level,
    source: given.source,
    // Folding makes another object than the parser made: the text is the truth, so it is read again.
    payload: given.unknown ? (JSON.parse(payloadText) as Record<string, unknown>) : (given.payload ?? {}),
    payloadText,
    dedupeKey: given.dedupeKey,
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

function readPayloadText(
  source: EventSource,
  payload: Record<string, unknown> | undefined,
  unknown: readonly string[] | null,
): string {
  const { outline } = source;
  let out = payload === undefined ? "{}" : memberText(source, "payload");
  if (outline.innerSpace) out = minifyJson(out);
  for (const name of unknown ?? NONE) {
    if (payload !== undefined && Object.hasOwn(payload, name)) continue;
    out = `${out.slice(0, -1)}${out === "{}" ? "" : ","}${JSON.stringify(name)}:${minifyJson(memberText(source, name))}}`;
  }
  return outline.unicodeEscape ? replaceLoneSurrogates(out) : out;
}

const NONE: readonly string[] = [];

/** A member's value as it stands in the text; of a member that stands twice the last, which is the one that the parser kept. */
function memberText({ text, outline, value }: EventSource, name: string): string {
  // An escape in a key could name a member in two ways; such an event is written anew instead of being cut from its text.
  if (!outline.unicodeEscape || !hasEscapedKey(text, outline)) {
    const key = `"${name}"`;
    for (let i = outline.keyStarts.length - 1; i >= 0; i--) {
      const start = outline.keyStarts[i] as number;
      if (outline.keyEnds[i] === start + key.length && text.startsWith(key, start)) {
        return text.slice(outline.valueStarts[i], outline.valueEnds[i]);
      }
    }
  }
  return JSON.stringify((value as Record<string, unknown>)[name]);
}

function hasEscapedKey(text: string, outline: JsonOutline): boolean {
  return outline.keyStarts.some((start, i) => text.slice(start, outline.keyEnds[i]).includes("\\"));
}
