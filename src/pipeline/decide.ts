import { cleanText } from "../base/clean-text.ts";
import { uuidv7 } from "../base/ids.ts";
import { newJobRow, type QueueName, type QueueSettings } from "../jobs/job.ts";
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
/** Between a failure and the first new attempt. */
const TRY_AGAIN_MS = 1000;

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

export interface DeciderParts {
  readonly book: RuleBook;
  /** The offset of user streams. */
  readonly offsets: Sequence;
  settingsOf(queue: QueueName): QueueSettings;
}

/** Decides events. Pure but for the offsets it draws and the totals it adds to; whoever calls it holds the writer. */
export class Decider {
  readonly #parts: DeciderParts;
  /** Of the set that is being decided. */
  #stats = new RuleStats();
  readonly #onError = ({ row }: ActiveRule, error: unknown): void => {
    const sum = this.#stats.of(row.id);
    sum.errors++;
    sum.lastError = messageOf(error);
  };

  constructor(parts: DeciderParts) {
    this.#parts = parts;
  }

  /**
   * Decides one event: every active rule that matches leaves a decision, and a notification where it reaches somebody.
   * @param earlier what rules have decided on this event before: those are left out, unless they had nobody to tell and now have.
   * @returns null when no rule has anything to decide. @throws what a template or a look-up throws: the event is then {@link poisoned}.
   */
  decide(
    event: IncomingEvent,
    stats: RuleStats,
    now: number,
    earlier: ReadonlyMap<string, DecisionOutcome> = NOTHING_EARLIER,
  ): Decision | null {
    this.#stats = stats;
    const { book, offsets } = this.#parts;
    const rules = book.match(event, this.#onError);
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
      const notification = outcome === "fired" ? notificationOf(event, rule, now) : null;
      decisions.push(decisionOf(event, rule, outcome, notification, now));
      if (!notification) continue;
      notifications.push(notification);
      if (users.length > MAX_DIRECT_RECIPIENTS) jobs.push(this.#recipientsJob(notification, rule, now));
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
    count(decisions, earlier, stats, now);
    return { effects: { ...this.noEffects(event, now), decisions, notifications, recipients, jobs }, told };
  }

  /** The effects of an event that could not be decided: it stays stored, the failure is recorded, and a job tries again. */
  poisoned(event: IncomingEvent, error: unknown, now: number): Effects {
    return { ...this.noEffects(event, now), poison: messageOf(error) };
  }

  /** Nothing follows from the event; the frame that everything else is put into. */
  noEffects(event: IncomingEvent, now: number): Effects {
    return {
      eventSeq: event.seq,
      poison: null,
      processedAt: null,
      decisions: [],
      notifications: [],
      recipients: [],
      jobs: [],
      resolves: null,
      otherwise: this.#failureRows(event, now),
    };
  }

  #failureRows({ seq, correlationId }: IncomingEvent, now: number): Effects["otherwise"] {
    const job = newJobRow(
      {
        queue: "event-processing",
        kind: "event.process",
        payload: { eventSeq: seq },
        runAt: now + TRY_AGAIN_MS,
        maxAttempts: this.#parts.settingsOf("event-processing").maxAttempts,
        dedupeKey: eventJobKey(seq),
        correlationId,
      },
      now,
    );
    const failure = { consumer: CONSUMER, eventSeq: seq, attempts: 1, lastError: null, jobId: job.id };
    return { job, failure: { ...failure, createdAt: now, resolvedAt: null } };
  }

  #recipientsJob({ id, correlationId }: NotificationRow, { row }: ActiveRule, now: number): JobRow {
    const { targetUsers, targetRoles, projectId, priority } = row;
    return newJobRow(
      {
        queue: "notification-delivery",
        kind: "notification.recipients",
        payload: { notificationId: id, targetUsers, targetRoles, projectId },
        runAt: now,
        maxAttempts: this.#parts.settingsOf("notification-delivery").maxAttempts,
        priority,
        dedupeKey: `recipients:${id}`,
        correlationId,
      },
      now,
    );
  }
}

/** The key of the one unfinished job that decides an event. */
export function eventJobKey(eventSeq: number): string {
  return `event:${eventSeq}`;
}

/** The totals are those of the rows: a decision that takes the place of another counts in its place. */
function count(
  decisions: readonly DecisionRow[],
  earlier: ReadonlyMap<string, DecisionOutcome>,
  stats: RuleStats,
  now: number,
): void {
  for (const { ruleId, outcome } of decisions) {
    const sum = stats.of(ruleId);
    if (earlier.has(ruleId)) sum.noRecipients--;
    else sum.matched++;
    sum.lastMatchedAt = now;
    if (outcome === "fired") sum.fired++;
    else sum.noRecipients++;
  }
}

function decisionOf(
  event: IncomingEvent,
  { row }: ActiveRule,
  outcome: DecisionOutcome,
  notification: NotificationRow | null,
  now: number,
): DecisionRow {
  const notificationId = notification?.id ?? null;
  return { eventSeq: event.seq, ruleId: row.id, ruleVersion: row.version, outcome, notificationId, at: now };
}

function notificationOf(event: IncomingEvent, { row, title, message }: ActiveRule, now: number): NotificationRow {
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

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
