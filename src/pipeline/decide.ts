import { cleanText } from "../base/clean-text.ts";
import { uuidv7 } from "../base/ids.ts";
import { cutText, type Template } from "../rules/index.ts";
import type { DecisionOutcome } from "../store/schema.ts";
import type { Sequence } from "../store/sequences.ts";
import type { DecisionRow, Effects, JobRow, NotificationRow, RecipientRow, RuleStatSum } from "../store/write-set.ts";
import type { IncomingEvent } from "./incoming-event.ts";
import { type ActiveRule, MAX_DIRECT_RECIPIENTS, type RuleBook } from "./rule-book.ts";

export const CONSUMER = "rule-engine";
const NOTHING_EARLIER: ReadonlyMap<string, DecisionOutcome> = new Map();
const TITLE_LENGTH = 255;
const MESSAGE_LENGTH = 4000;
const RECIPIENTS_JOB_ATTEMPTS = 8;
const FAILURE_JOB_ATTEMPTS = 8;

/** What the rules make of one event. Sealed with it, so that both are on disk or neither. */
export interface Decision {
  readonly effects: Effects;
  /** One row per user who hears of it, for the live streams. */
  readonly told: readonly { readonly notification: NotificationRow; readonly recipient: RecipientRow }[];
}

/** Rule totals gathered over a write set. */
export class RuleStats {
  readonly #sums = new Map<string, { -readonly [K in keyof RuleStatSum]: RuleStatSum[K] }>();

  of(ruleId: string): { -readonly [K in keyof RuleStatSum]: RuleStatSum[K] } {
    let sum = this.#sums.get(ruleId);
    if (!sum) {
      sum = { ruleId, matched: 0, fired: 0, noRecipients: 0, errors: 0, lastMatchedAt: null, lastError: null };
      this.#sums.set(ruleId, sum);
    }
    return sum;
  }

  rows(): RuleStatSum[] {
    return [...this.#sums.values()];
  }
}

/**
 * Decides one event: every active rule that matches leaves a decision, and a notification where it reaches somebody. Pure but for the
 * offsets it draws and the totals it adds to; the caller holds the writer.
 * @param earlier what rules have decided on this event before: those are left out, unless they had nobody to tell and now have.
 * @returns null when no rule has anything to decide. @throws what a template or a look-up throws: the event is then poison.
 */
export function decide(
  event: IncomingEvent,
  book: RuleBook,
  offsets: Sequence,
  stats: RuleStats,
  now: number,
  earlier: ReadonlyMap<string, DecisionOutcome> = NOTHING_EARLIER,
): Decision | null {
  const rules = book.match(event, (rule, error) => {
    const sum = stats.of(rule.row.id);
    sum.errors++;
    sum.lastError = error instanceof Error ? error.message : String(error);
  });
  if (rules.length === 0) return null;

  const decisions: DecisionRow[] = [];
  const notifications: NotificationRow[] = [];
  const recipients: RecipientRow[] = [];
  const jobs: JobRow[] = [];
  const told: { notification: NotificationRow; recipient: RecipientRow }[] = [];
  for (const rule of rules) {
    const before = earlier.get(rule.row.id);
    if (before === "fired") continue;
    const users = book.recipientsOf(rule);
    const outcome = users.length === 0 ? "no recipients" : "fired";
    if (outcome === before) continue;
    const notification = outcome === "fired" ? notify(event, rule, now) : null;
    decisions.push({
      eventSeq: event.seq,
      ruleId: rule.row.id,
      ruleVersion: rule.row.version,
      outcome,
      notificationId: notification?.id ?? null,
      at: now,
    });
    if (!notification) continue;
    notifications.push(notification);
    if (users.length > MAX_DIRECT_RECIPIENTS) jobs.push(recipientsJob(notification, rule, now));
    else {
      for (const userId of users) {
        const recipient = { notificationId: notification.id, userId, seq: offsets.next() };
        recipients.push(recipient);
        told.push({ notification, recipient });
      }
    }
  }
  if (decisions.length === 0) return null;
  // Counted when nothing can throw any more: a poisonous event adds nothing.
  for (const { ruleId, outcome } of decisions) {
    const sum = stats.of(ruleId);
    // The totals are those of the rows: one that takes the place of another counts in its place.
    if (earlier.has(ruleId)) sum.noRecipients--;
    else sum.matched++;
    sum.lastMatchedAt = now;
    if (outcome === "fired") sum.fired++;
    else sum.noRecipients++;
  }
  return { effects: { ...noEffects(event, now), decisions, notifications, recipients, jobs }, told };
}

/** The effects of an event that could not be decided: it stays stored, the failure is recorded, and a job tries again. */
export function poisoned(event: IncomingEvent, error: unknown, now: number): Effects {
  return { ...noEffects(event, now), poison: error instanceof Error ? error.message : String(error) };
}

/** Nothing follows from the event; the frame that everything else is put into. */
export function noEffects(event: IncomingEvent, now: number): Effects {
  return {
    eventSeq: event.seq,
    poison: null,
    processedAt: null,
    decisions: [],
    notifications: [],
    recipients: [],
    jobs: [],
    resolves: null,
    otherwise: failureRows(event, now),
  };
}

/** The key of the one unfinished job that decides an event. */
export function eventJobKey(eventSeq: number): string {
  return `event:${eventSeq}`;
}

function failureRows(event: IncomingEvent, now: number): Effects["otherwise"] {
  const job: JobRow = {
    id: uuidv7(),
    queue: "event-processing",
    kind: "event.process",
    payload: JSON.stringify({ eventSeq: event.seq }),
    state: "scheduled",
    priority: 0,
    runAt: now + 1000,
    maxAttempts: FAILURE_JOB_ATTEMPTS,
    backoff: null,
    dedupeKey: eventJobKey(event.seq),
    label: null,
    module: null,
    createdBy: null,
    correlationId: event.correlationId,
    createdAt: now,
  };
  return {
    job,
    failure: {
      consumer: CONSUMER,
      eventSeq: event.seq,
      attempts: 1,
      lastError: null,
      jobId: job.id,
      createdAt: now,
      resolvedAt: null,
    },
  };
}

function notify(event: IncomingEvent, { row, title, message }: ActiveRule, now: number): NotificationRow {
  return {
    id: uuidv7(),
    ruleId: row.id,
    eventId: event.id,
    projectId: event.projectId,
    kind: "rule",
    title: rendered(title, event, TITLE_LENGTH),
    message: rendered(message, event, MESSAGE_LENGTH),
    sound: row.sound,
    action: row.action,
    data: null,
    priority: row.priority,
    correlationId: event.correlationId,
    createdAt: now,
  };
}

/** Normalising can make a text longer, so it is cut once more behind it. */
function rendered(template: Template, event: IncomingEvent, length: number): string {
  return cutText(cleanText(template.render(event, length)), length);
}

function recipientsJob(notification: NotificationRow, { row }: ActiveRule, now: number): JobRow {
  return {
    id: uuidv7(),
    queue: "notification-delivery",
    kind: "notification.recipients",
    payload: JSON.stringify({
      notificationId: notification.id,
      targetUsers: row.targetUsers,
      targetRoles: row.targetRoles,
      projectId: row.projectId,
    }),
    state: "ready",
    priority: row.priority,
    runAt: now,
    maxAttempts: RECIPIENTS_JOB_ATTEMPTS,
    backoff: null,
    dedupeKey: `recipients:${notification.id}`,
    label: null,
    module: null,
    createdBy: null,
    correlationId: notification.correlationId,
    createdAt: now,
  };
}
