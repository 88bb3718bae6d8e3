import { toRfc3339 } from "../../../core/time/clock.ts";
import { isList, type JsonObject, toValue, type Value } from "./evaluate/values.ts";

/**
 * The part of an event that rules see. Times are epoch ms here and RFC 3339 strings in the
 * language, converted on demand. `payload` is the output of JSON.parse: any own key, even
 * `__proto__`, is data.
 */
export interface RuleEvent {
  readonly id: string;
  readonly type: string;
  readonly source: string | null;
  readonly level: string;
  readonly projectId: string;
  readonly occurredAt: number;
  readonly receivedAt: number;
  readonly payload: Record<string, unknown>;
  readonly correlationId: string;
}

export type EnvelopeMember = keyof RuleEvent;

/** A member name, or an index into a list. */
export type Segment = string | number;

/**
 * Steps from the event to a value. The first one is always an envelope member: `event.amount`
 * becomes `["payload", "amount"]`, so that two spellings of a path are equal. Empty for `event`
 * itself.
 */
export type Path = readonly Segment[];

export type Read = (event: RuleEvent) => Value;

const ENVELOPE: Readonly<Record<EnvelopeMember, Read>> = {
  id: (event) => event.id,
  type: (event) => event.type,
  source: (event) => event.source,
  level: (event) => event.level,
  projectId: (event) => event.projectId,
  occurredAt: (event) => toRfc3339(event.occurredAt),
  receivedAt: (event) => toRfc3339(event.receivedAt),
  payload: (event) => event.payload,
  correlationId: (event) => event.correlationId,
};
const ENVELOPE_MEMBERS = Object.keys(ENVELOPE) as EnvelopeMember[];
const envelopeMembers: ReadonlySet<unknown> = new Set(ENVELOPE_MEMBERS);
const byLowerCase = new Map(ENVELOPE_MEMBERS.map((member) => [member.toLowerCase(), member]));

/** The envelope member whose name equals `name` in another case. */
export function envelopeMemberLike(name: string): EnvelopeMember | undefined {
  return byLowerCase.get(name.toLowerCase());
}

/** Whether `event.<segment>` is an envelope member; any other first segment reads the payload. */
export function isEnvelopeMember(segment: string | number): segment is EnvelopeMember {
  return envelopeMembers.has(segment);
}

/**
 * Compiles a reader of `path`: null for a missing value. It reads own members of objects, elements
 * of lists, and the `length` of lists and strings; a list has no named members, an object no
 * indexes.
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

/** Compiles a reader of a member of `value()`, as {@link compilePath} does for an event. */
export function compileMember(value: () => Value, segments: Path): Read {
  return () => {
    let member = value();
    for (const segment of segments) member = step(member, segment);
    return member;
  };
}

/** As {@link compileExists}; true for no segments. */
export function compileMemberExists(value: () => Value, segments: Path): (event: RuleEvent) => boolean {
  const last = segments.at(-1);
  if (last === undefined) return () => true;
  const read = compileMember(value, segments.slice(0, -1));
  return (event) => has(read(event), last);
}

/** Compiles a test for the presence of `path`, even with the value null. */
export function compileExists(path: Path): (event: RuleEvent) => boolean {
  const last = path.at(-1);
  if (last === undefined || path.length === 1) return () => true;
  const read = compilePath(path.slice(0, -1));
  return (event) => has(read(event), last);
}

// The most common path: one member of the payload.
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

/** `event` itself as rules see it: its envelope, without the program's other members. */
function wholeEvent(event: RuleEvent): Value {
  return Object.fromEntries(Object.entries(ENVELOPE).map(([member, read]) => [member, read(event)]));
}
