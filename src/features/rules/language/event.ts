/**
 * What a rule sees of an event. Times are epoch ms here and RFC 3339 strings inside the language, made only when a rule asks.
 * `payload` is the output of JSON.parse: it may hold any own key, `__proto__` among them, as data.
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

const ENVELOPE_MEMBERS: readonly EnvelopeMember[] = [
  "id",
  "type",
  "source",
  "level",
  "projectId",
  "occurredAt",
  "receivedAt",
  "payload",
  "correlationId",
];
const envelopeMembers: ReadonlySet<unknown> = new Set(ENVELOPE_MEMBERS);
const byLowerCase = new Map(ENVELOPE_MEMBERS.map((member) => [member.toLowerCase(), member]));

/** The envelope member that `name` is in other letters. */
export function envelopeMemberLike(name: string): EnvelopeMember | undefined {
  return byLowerCase.get(name.toLowerCase());
}

/** Whether `event.<segment>` is the envelope's; any other first segment reads the payload. */
export function isEnvelopeMember(segment: string | number): segment is EnvelopeMember {
  return envelopeMembers.has(segment);
}
