import { type EnvelopeMember, isEnvelopeMember, type RuleEvent } from "../event.ts";
import type { Path, Segment } from "../parse/path.ts";
import { isList, type JsonObject, timestampText, toValue, type Value } from "./values.ts";

export type Read = (event: RuleEvent) => Value;

const ENVELOPE: Readonly<Record<EnvelopeMember, Read>> = {
  id: (event) => event.id,
  type: (event) => event.type,
  source: (event) => event.source,
  level: (event) => event.level,
  projectId: (event) => event.projectId,
  occurredAt: (event) => timestampText(event.occurredAt),
  receivedAt: (event) => timestampText(event.receivedAt),
  payload: (event) => event.payload,
  correlationId: (event) => event.correlationId,
};

/**
 * Makes the function that reads `path`: null for what is missing. Only own members of objects, elements of lists, and the `length` of
 * lists and strings can be reached; a list has no named members and an object no indexes.
 */
export function compilePath(path: Path): Read {
  const [member, first, ...rest] = path;
  if (member === undefined) return wholeEvent;
  if (!isEnvelopeMember(member)) throw new TypeError(`a path begins with an envelope member, not with ${member}`);
  const envelope = ENVELOPE[member];
  if (first === undefined) return envelope;
  if (rest.length > 0) return readSteps(envelope, [first, ...rest]);
  if (member === "payload" && typeof first === "string") return readPayload(first);
  return (event) => step(envelope(event), first);
}

/** Makes the function that tells whether `path` is there, even with the value null. */
export function compileExists(path: Path): (event: RuleEvent) => boolean {
  const last = path.at(-1);
  if (last === undefined || path.length === 1) return () => true;
  const read = compilePath(path.slice(0, -1));
  return (event) => has(read(event), last);
}

// Nearly every path of nearly every rule: one member of the payload.
function readPayload(member: string): Read {
  return ({ payload }) => (Object.hasOwn(payload, member) ? toValue(payload[member]) : null);
}

function readSteps(envelope: Read, segments: readonly Segment[]): Read {
  return (event) => {
    let value = envelope(event);
    for (const segment of segments) value = step(value, segment);
    return value;
  };
}

function step(value: Value, segment: Segment): Value {
  return has(value, segment) ? toValue((value as JsonObject)[segment]) : null;
}

function has(value: Value, segment: Segment): boolean {
  if (typeof value === "string") return segment === "length";
  if (typeof value !== "object" || value === null) return false;
  if (isList(value)) return typeof segment === "number" ? segment < value.length : segment === "length";
  return typeof segment === "string" && Object.hasOwn(value, segment);
}

/** `event` itself, as the object a rule sees: its envelope, whatever else the program keeps with it. */
function wholeEvent(event: RuleEvent): Value {
  return Object.fromEntries(Object.entries(ENVELOPE).map(([member, read]) => [member, read(event)]));
}
