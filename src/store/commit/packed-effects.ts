import type { DecisionRow, Effects, JobRow, NotificationRow, RecipientRow } from "./write-set.ts";

/**
 * The effects of a set as one list, for the writer's thread: an object of each row would be cloned with
 * the names of its members. A value that a row shares with the row of its table before is undefined.
 */
export type PackedEffects = readonly unknown[];

const DECISION = [
  ...(["eventSeq", "ruleId", "ruleVersion", "outcome", "notificationId", "at", "key"] as const),
] as const satisfies readonly (keyof DecisionRow)[];
const NOTIFICATION = [
  ...(["id", "ruleId", "eventId", "projectId", "kind", "title", "message", "sound", "action", "data"] as const),
  ...(["priority", "dedupeKey", "correlationId", "createdAt", "channels"] as const),
] as const satisfies readonly (keyof NotificationRow)[];
const RECIPIENT = ["notificationId", "userId", "seq"] as const satisfies readonly (keyof RecipientRow)[];
const JOB = [
  ...(["id", "queue", "kind", "payload", "state", "priority", "runAt", "maxAttempts", "dedupeKey", "label"] as const),
  ...(["module", "createdBy", "scheduleId", "correlationId", "createdAt"] as const),
] as const satisfies readonly (keyof JobRow)[];

/** Before effects that are in the list as they are. */
const WHOLE = -1;

export function packEffects(all: readonly Effects[]): PackedEffects {
  const values: unknown[] = [];
  const decision = packing(values, DECISION);
  const notification = packing(values, NOTIFICATION);
  const recipient = packing(values, RECIPIENT);
  const job = packing(values, JOB);
  for (const effects of all) {
    const { eventSeq, correlationId, retry, decisions, notifications, recipients, jobs } = effects;
    if (!isMatch(effects)) {
      values.push(WHOLE, effects);
      continue;
    }
    values.push(decisions.length, notifications.length, recipients.length, jobs.length);
    values.push(eventSeq, correlationId, retry);
    decisions.forEach(decision);
    notifications.forEach(notification);
    recipients.forEach(recipient);
    jobs.forEach(job);
  }
  return values;
}

/** Only what a rule writes that matches and notifies. */
function isMatch({ poison, processedAt, signals, slice, resolves }: Effects): boolean {
  return poison === null && processedAt === null && signals.length === 0 && slice === null && resolves === null;
}

function packing<T extends object>(values: unknown[], names: readonly (keyof T)[]): (row: T) => void {
  const last: unknown[] = [];
  return (row) => {
    for (let i = 0; i < names.length; i++) {
      const value = row[names[i] as keyof T];
      values.push(value === last[i] ? undefined : value);
      last[i] = value;
    }
  };
}

export function unpackEffects(values: PackedEffects): Effects[] {
  const all: Effects[] = [];
  let at = 0;
  const next = (): unknown => values[at++];
  const decision = unpacking<DecisionRow>(next, DECISION);
  const notification = unpacking<NotificationRow>(next, NOTIFICATION);
  const recipient = unpacking<RecipientRow>(next, RECIPIENT);
  const job = unpacking<JobRow>(next, JOB);
  while (at < values.length) {
    const first = next() as number;
    if (first === WHOLE) {
      all.push(next() as Effects);
      continue;
    }
    const counts = [first, next() as number, next() as number, next() as number] as const;
    all.push({
      eventSeq: next() as number,
      correlationId: next() as string,
      retry: next() as Effects["retry"],
      decisions: decision(counts[0]),
      notifications: notification(counts[1]),
      recipients: recipient(counts[2]),
      jobs: job(counts[3]),
      poison: null,
      processedAt: null,
      signals: [],
      slice: null,
      resolves: null,
    });
  }
  return all;
}

function unpacking<T extends object>(next: () => unknown, names: readonly (keyof T)[]): (count: number) => T[] {
  const last: unknown[] = [];
  return (count) => {
    const rows: T[] = [];
    for (let n = 0; n < count; n++) {
      const row: Partial<Record<keyof T, unknown>> = {};
      for (let i = 0; i < names.length; i++) {
        const value = next();
        if (value !== undefined) last[i] = value;
        row[names[i] as keyof T] = last[i];
      }
      rows.push(row as T);
    }
    return rows;
  };
}
