import * as v from "valibot";
import { cleanText, codePointLength } from "../base/clean-text.ts";
import { parseRfc3339 } from "../base/clock.ts";
import { type ErrorDetail, PrismError } from "../base/errors.ts";
import { LEVELS, type Level } from "../base/levels.ts";
import { instant, jsonObject, pattern, text } from "../http/shapes.ts";

const TYPE = /^[A-Za-z0-9_.:\-/]{1,100}$/;
const TYPE_RULE = "must be 1 to 100 letters, digits or any of _ . : - /";
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const LEVEL_RULE = `must be one of ${LEVELS.join(", ")}`;

const anyUuid = v.pipe(
  v.string("must be a string"),
  v.metadata({ format: "uuid" }),
  v.toLowerCase(),
  v.regex(UUID, "must be a UUID"),
);

/**
 * One event as a producer sends it: what the OpenAPI document says. {@link readEnvelope} is the same by hand, for it runs once per event; a
 * property test holds the two together. Unknown members are allowed for (D52).
 */
export const EventInput = v.object({
  type: v.pipe(pattern(TYPE, TYPE_RULE), v.description("Dotted name, such as order.failed")),
  payload: v.optional(
    v.pipe(jsonObject(Number.MAX_SAFE_INTEGER), v.description("Any JSON object; kept as it was written")),
  ),
  source: v.optional(v.nullable(text(100))),
  level: v.optional(v.picklist(LEVELS, LEVEL_RULE)),
  occurredAt: v.optional(v.pipe(instant, v.description("Default: time of receipt; at most 24 hours ahead"))),
  id: v.optional(v.pipe(anyUuid, v.description("Makes a repetition harmless: the same id is stored once"))),
  dedupeKey: v.optional(v.nullable(text(256, 1))),
  projectId: v.optional(
    v.pipe(
      v.string("must be a string"),
      v.description("Id or slug; of callers with a user's rights, default: default"),
    ),
  ),
});

/** The members of an event that are not its payload's, checked. */
export class Envelope {
  type = "";
  payload: Record<string, unknown> | undefined = undefined;
  source: string | null = null;
  level: Level = "info";
  occurredAt: number | undefined = undefined;
  id: string | undefined = undefined;
  dedupeKey: string | null = null;
  projectId: string | undefined = undefined;
  /** Names of members that an event does not have. */
  unknown: string[] | null = null;
}

/** @throws VALIDATION_FAILED with everything that is wrong. */
export function readEnvelope(value: Record<string, unknown>): Envelope {
  const envelope = new Envelope();
  let problems: ErrorDetail[] | null = null;
  for (const name in value) {
    const problem = readMember(envelope, name, value[name]);
    if (problem === null) continue;
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

/** @returns what is wrong with the member, null when nothing is. */
function readMember(envelope: Envelope, name: string, value: unknown): string | null {
  switch (name) {
    case "type":
      if (typeof value !== "string") return "must be a string";
      envelope.type = value;
      return TYPE.test(value) ? null : TYPE_RULE;
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

export function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
