import type { QueueName, QueueSettings } from "../../../core/limits/queues.ts";
import { notificationRow } from "../../../store/commit/notification-row.ts";
import type { Sequence } from "../../../store/commit/sequences.ts";
import type {
  AlertSignalRow,
  DecisionRow,
  Effects,
  JobRow,
  NotificationRow,
  RecipientRow,
  RetryPlan,
  SliceMark,
  StormRow,
  SuppressionRows,
} from "../../../store/commit/write-set.ts";
import type { EnqueuedRow, NotifiedRecipient } from "../../../store/effect.ts";
import type { DecisionOutcome } from "../../../store/schema.ts";
import { type NewJob, newJobRow } from "../../time/jobs/index.ts";
import { inRuleOrder, RULES_START, type RuleEvent, type RulePosition } from "../language/language.ts";
import type { AlertLink } from "../over-time/alert-link.ts";
import { type OverTime, outcomeOf, type Pass, type TimedRule } from "../over-time/over-time.ts";
import type { RuleRow } from "../rule.ts";
import { extrasOf, rendered } from "../texts.ts";
import type { Throttle, Verdict } from "../throttle/throttle.ts";
import { type IncomingEvent, Slice } from "./incoming-event.ts";
import type { ReceiverRules } from "./receiver-rules.ts";
import { type ActiveRule, MAX_DIRECT_RECIPIENTS, type RuleBook, type RuleTargets, resolveEntry } from "./rule-book.ts";
import { countDecisions, type RuleStats } from "./rule-stats.ts";

/** The job that writes the recipients of a rule with many of them. */
export function recipientsJob(
  { id, correlationId, createdAt }: NotificationRow,
  { targetUsers, targetRoles, projectId, priority, isForMembers = false }: RuleTargets & Pick<RuleRow, "priority">,
): Omit<NewJob, "maxAttempts"> {
  return {
    queue: "notification-delivery",
    kind: "notification.recipients",
    payload: { notificationId: id, targetUsers, targetRoles, projectId, ...(isForMembers && { isForMembers }) },
    runAt: createdAt,
    priority,
    dedupeKey: `recipients:${id}`,
    correlationId,
  };
}

export const DELIVER_JOB = "notification.deliver";

/** The job that plans external delivery of a notification, created after its recipients. */
export function deliverJob({ id, priority, correlationId, createdAt }: NotificationRow): Omit<NewJob, "maxAttempts"> {
  return {
    queue: "notification-delivery",
    kind: DELIVER_JOB,
    payload: { notificationId: id },
    runAt: createdAt,
    priority,
    dedupeKey: `deliver:${id}`,
    correlationId,
  };
}

export const STORM_JOB = "suppression.storm";

/** The job that sends the summary of a storm; one at a time. */
export function stormJob(batchId: string, priority: number, runAt: number): Omit<NewJob, "maxAttempts"> {
  return {
    queue: "alert-suppression",
    kind: STORM_JOB,
    payload: { batchId },
    runAt,
    priority,
    dedupeKey: `storm:${batchId}`,
  };
}

/** One shared empty list: it is cloned to the writer once. */
const NONE: readonly never[] = [];
const TITLE_LENGTH = 255;
const MESSAGE_LENGTH = 4000;
/** Delay between a failure and the first retry. */
const TRY_AGAIN_MS = 1000;

/** The result of the rules for one event. Sealed with it, so that both are on disk or neither. */
export interface Decision {
  readonly effects: Effects;
  /** One row per notified user, for the live streams. */
  readonly notified: readonly NotifiedRecipient[];
  /**
   * Further rules remain: this is a slice, and the event stays undecided until the rules after this
   * position have been asked.
   */
  readonly askedTo: RulePosition | null;
}

/** Earlier decisions on an event; their rules are skipped. */
export interface Earlier {
  readonly outcomes: ReadonlyMap<string, DecisionOutcome>;
  /** The event is decided again later; otherwise this is the next slice of an event. */
  readonly isLate: boolean;
  /** Position after the last slice. */
  readonly askedTo: RulePosition | null;
}

interface RuleError {
  readonly rule: ActiveRule;
  readonly error: unknown;
}

/** The result of one turn over the rules of an event. */
interface Turn {
  readonly decided: readonly Decided[];
  readonly errors: readonly RuleError[];
  /** Null: no rule remains. */
  readonly askedTo: RulePosition | null;
}

const NOTHING_MATCHED: Turn = { decided: NONE, errors: NONE, askedTo: null };

export interface DeciderParts {
  readonly book: RuleBook;
  readonly throttle: Throttle;
  /** Rules with a threshold, an absence or an alert. */
  readonly overTime: OverTime;
  readonly alerts: Pick<AlertLink, "taken" | "alerts">;
  readonly receivers: Pick<ReceiverRules, "ruleOf" | "limitOf">;
  /** The offset of user streams. */
  readonly offsets: Sequence;
  settingsOf(queue: QueueName): QueueSettings;
  /** Whether nothing leaves the project: rules for all projects do not see its events. */
  isMirror(projectId: string): boolean;
  /** Whether a notification with these channels may need external delivery. */
  readonly channels: { hasExternalChannel(channels: string | null): boolean };
}

/** Decides events. Pure but for the offsets and totals; the caller must hold the writer. */
export class Decider {
  readonly #parts: DeciderParts;
  #stormJobs: JobRow[] = [];
  #retry: RetryPlan = { at: Number.NaN, runAt: 0, maxAttempts: 0 };

  constructor(parts: DeciderParts) {
    this.#parts = parts;
  }

  /**
   * Decides one event: every active rule that matches leaves a decision, and a notification if it
   * has recipients. For an event with many or costly rules the result is one {@link Slice}; the
   * next call continues after it.
   * @param earlier stored results of earlier slices or attempts. A rule that had no recipients and
   * now has some is decided again.
   * @returns null when no rule has anything to decide. @throws errors of a template or a look-up:
   * the event is then {@link poisoned}.
   */
  decide(event: IncomingEvent, stats: RuleStats, now: number, earlier: Earlier | null = null): Decision | null {
    const after = earlier?.askedTo ?? null;
    const asked = after ? this.#decideAfter(after, event, now, earlier) : this.#decideWhole(event, now, earlier);
    const turn = event.receiverId === null ? asked : this.#withReceiver(event.receiverId, asked, event, now, earlier);
    const { decided, errors, askedTo } = turn;
    // Counted only when nothing can throw any more: a failed event adds nothing.
    this.#countErrors(errors, event, stats);
    if (decided.length === 0 && askedTo === null && after === null) return null;
    const decision = this.#decisionOf(event, turn, after !== null, now);
    countDecisions(decision.effects.decisions, earlier?.outcomes ?? null, stats, now);
    return decision;
  }

  /**
   * An event that no rule of its project takes is notified of by its receiver, as the last of the
   * rules. A rule for all projects is not its members' own: it does not silence their receiver.
   */
  #withReceiver(receiverId: string, turn: Turn, event: IncomingEvent, now: number, earlier: Earlier | null): Turn {
    const { book } = this.#parts;
    const isTaken =
      turn.decided.some(({ rule: { row }, outcome }) => row.projectId !== null && outcome !== "no recipients") ||
      [...(earlier?.outcomes ?? NONE)].some(
        ([id, outcome]) => outcome !== "no recipients" && !book.isForAllProjects(id),
      );
    const rule = turn.askedTo === null && !isTaken ? this.#parts.receivers.ruleOf(receiverId, event) : null;
    const judged = rule && this.#judge(rule, event, now, earlier?.isLate);
    const decided = judged?.outcome === "fired" ? this.#withinProject(judged, event, earlier?.isLate) : judged;
    return decided ? { ...turn, decided: [...turn.decided, decided] } : turn;
  }

  /** A notification of a receiver counts for all receivers of the project as well. */
  #withinProject(decided: Decided, event: IncomingEvent, isLate?: boolean): Decided {
    const limit = this.#parts.receivers.limitOf(event);
    if (!limit) return decided;
    const ofProject = this.#parts.throttle.judge(limit, event, isLate);
    if (ofProject.outcome !== "suppressed") return { ...decided, ofProject };
    return { ...decided, verdict: ofProject, notification: null, outcome: "suppressed" };
  }

  /** Asks all rules at once, as for nearly every event. */
  #decideWhole(event: IncomingEvent, now: number, earlier: Earlier | null): Turn {
    const errors: RuleError[] = [];
    const rules = this.#parts.book.match(event, (rule, error) => errors.push({ rule, error }));
    // Too much for one turn: the next turns ask the rules in order.
    if (rules === null) return { decided: NONE, errors: NONE, askedTo: RULES_START };
    // As for nearly every event.
    if (rules.length === 0 && errors.length === 0) return NOTHING_MATCHED;
    const { decided, isFull } = this.#slice(rules, event, now, earlier);
    const last = decided.at(-1);
    if (!isFull || !last) return { decided, errors, askedTo: null };
    const askedTo = positionOf(last.rule);
    // The others are asked again with the remaining rules.
    return { decided, askedTo, errors: errors.filter(({ rule }) => inRuleOrder(positionOf(rule), askedTo) <= 0) };
  }

  /** Asks the rules after the earlier slices, for one turn. */
  #decideAfter(after: RulePosition, event: IncomingEvent, now: number, earlier: Earlier | null): Turn {
    const errors: RuleError[] = [];
    const walk = this.#parts.book.walk(event, after, (rule, error) => errors.push({ rule, error }));
    const { decided } = this.#slice(walk, event, now, earlier);
    return { decided, errors, askedTo: walk.isComplete ? null : (walk.last ?? after) };
  }

  #countErrors(errors: readonly RuleError[], event: IncomingEvent, stats: RuleStats): void {
    for (const { rule, error } of errors) {
      const sum = stats.of(rule.row.id);
      sum.errors++;
      sum.lastError = messageOf(error);
      this.#parts.book.noteError(rule, error, event);
    }
  }

  /** Judges rules in order until the slice is full. */
  #slice(
    rules: Iterable<ActiveRule>,
    event: IncomingEvent,
    now: number,
    earlier: Earlier | null,
  ): { readonly decided: readonly Decided[]; readonly isFull: boolean } {
    const decided: Decided[] = [];
    const slice = new Slice(event.bytes);
    const isMirror = this.#parts.isMirror(event.projectId);
    for (const rule of rules) {
      if (isMirror && rule.row.projectId === null) continue;
      const before = earlier?.outcomes.get(rule.row.id);
      if (before !== undefined && (before !== "no recipients" || rule.isResolve)) continue;
      // An event that opens an alert does not resolve it: the rule's condition comes first.
      if (rule.isResolve && decided.at(-1)?.rule.row.id === rule.row.id) continue;
      if (slice.isFull()) return { decided, isFull: true };
      const next = this.#judge(rule, event, now, earlier?.isLate);
      if (next === null || (next.outcome === "no recipients" && before !== undefined)) continue;
      decided.push(next);
      slice.add(next.notification ? Math.min(next.users.length, MAX_DIRECT_RECIPIENTS) : 0);
    }
    return { decided, isFull: false };
  }

  #judge(rule: ActiveRule, event: IncomingEvent, now: number, isLate = false): Decided | null {
    if (isTimed(rule)) return this.#judgeOverTime(rule, event, now, isLate);
    const { book, throttle } = this.#parts;
    const users = book.recipientsOf(rule);
    if (users.length === 0)
      return { rule, users, verdict: null, notification: null, outcome: "no recipients", pass: null };
    const verdict = throttle.judge(rule, event, isLate);
    const notification = verdict.outcome === "fired" ? notificationOf(event, rule, verdict.dedupeKey, now) : null;
    return { rule, users, verdict, notification, outcome: verdict.outcome, pass: null };
  }

  /** @returns null when the event changes nothing for the rule. */
  #judgeOverTime(rule: ActiveRule & TimedRule, event: IncomingEvent, now: number, isLate: boolean): Decided | null {
    const { book, throttle, overTime } = this.#parts;
    const users = rule.isResolve ? NONE : book.recipientsOf(rule);
    if (users.length === 0 && rule.overTime.alert === null)
      return { rule, users, verdict: null, notification: null, outcome: "no recipients", pass: null };
    const pass = overTime.judge(rule, event, isLate);
    if (pass === null) return null;
    const verdict = pass.passes && users.length > 0 ? throttle.judge(rule, event, isLate) : null;
    const notification = verdict?.outcome === "fired" ? notificationOf(event, rule, verdict.dedupeKey, now) : null;
    return { rule, users, verdict, notification, outcome: outcomeOf(pass, verdict), pass };
  }

  #decisionOf(event: IncomingEvent, { decided, askedTo }: Turn, isSliced: boolean, now: number): Decision {
    const { throttle, offsets } = this.#parts;
    const decisions: DecisionRow[] = [];
    const notifications: NotificationRow[] = [];
    const recipients: RecipientRow[] = [];
    const jobs: JobRow[] = [];
    const notified: NotifiedRecipient[] = [];
    const signals: AlertSignalRow[] = [];
    for (const each of decided) {
      const { rule, users, verdict, notification, outcome, pass } = each;
      if (pass && isTimed(rule)) {
        const signal = this.#parts.overTime.apply(rule, event, pass, outcome, now);
        if (signal) signals.push(signal);
        if (pass.repeat || pass.signal?.action === "fire") event.isInAlert = true;
      }
      if (each.ofProject) throttle.apply(each.ofProject, event, null);
      const storm = verdict && throttle.apply(verdict, event, notification?.id ?? null);
      if (storm) this.#stormJobs.push(this.#stormJob(storm, rule, now));
      decisions.push(decisionRow(event, each, now));
      if (!notification) continue;
      notifications.push(notification);
      if (users.length > MAX_DIRECT_RECIPIENTS) jobs.push(this.#jobRow(recipientsJob(notification, rule.row), now));
      else {
        for (const userId of users) {
          const recipient = { notificationId: notification.id, userId, seq: offsets.next() };
          recipients.push(recipient);
          notified.push({ notification, recipient });
        }
        if (this.#parts.channels.hasExternalChannel(notification.channels))
          jobs.push(this.#jobRow(deliverJob(notification), now));
      }
    }
    const slice = askedTo || isSliced ? sliceMark(askedTo) : null;
    const base = { ...this.noEffects(event, now), decisions, slice };
    const effects = signals.length > 0 ? { ...base, signals } : base;
    const written = notifications.length > 0 ? { ...effects, notifications, recipients, jobs } : effects;
    return { effects: written, notified, askedTo };
  }

  /** Counts of suppression and dedupe since the last call, to be written with the decisions. */
  takeSuppression(): SuppressionRows | null {
    const rows = this.#parts.throttle.take();
    const jobs = this.#stormJobs;
    if (jobs.length > 0) this.#stormJobs = [];
    return rows && { ...rows, jobs };
  }

  /**
   * A set is committed. The database may have refused some effects: removes their notifications and
   * alerts from memory.
   * @param failed their indexes
   */
  committed(effects: readonly Effects[], failed: readonly number[]): void {
    const { throttle, alerts } = this.#parts;
    for (const i of failed) {
      for (const notification of effects[i]?.notifications ?? []) throttle.refused(notification);
      alerts.taken(effects[i]?.signals ?? NONE);
    }
    if (effects.some(({ signals }) => signals.length > 0)) void alerts.alerts().signalled();
  }

  /** Effects of an undecided event: it stays stored, the failure is recorded, a job retries. */
  poisoned(event: IncomingEvent, error: unknown, now: number): Effects {
    return { ...this.noEffects(event, now), poison: messageOf(error) };
  }

  /** Effects of an event without consequences, as the base of all others. */
  noEffects(event: IncomingEvent, now: number): Effects {
    return {
      eventSeq: event.seq,
      correlationId: event.correlationId,
      poison: null,
      processedAt: null,
      decisions: NONE,
      notifications: NONE,
      recipients: NONE,
      jobs: NONE,
      signals: NONE,
      slice: null,
      resolves: null,
      retry: this.#retryAt(now),
    };
  }

  /** One object for all events of a set: it is cloned to the writer once. */
  #retryAt(now: number): RetryPlan {
    if (this.#retry.at !== now) {
      const { maxAttempts } = this.#parts.settingsOf("event-processing");
      this.#retry = { at: now, runAt: now + TRY_AGAIN_MS, maxAttempts };
    }
    return this.#retry;
  }

  #stormJob({ id, jobId }: StormRow, { row }: ActiveRule, now: number): JobRow {
    return this.#jobRow({ id: jobId, ...stormJob(id, row.priority, now) }, now);
  }

  #jobRow(job: Omit<NewJob, "maxAttempts">, now: number): JobRow {
    return newJobRow({ ...job, maxAttempts: this.#parts.settingsOf(job.queue).maxAttempts }, now);
  }
}

/**
 * The jobs that a set wrote with its events' effects. @param refused indexes of effects that were
 * replaced by a retry job.
 */
export function enqueuedBy(
  effects: readonly Effects[],
  refused: ReadonlySet<number>,
  suppression: SuppressionRows | null,
): EnqueuedRow[] {
  const jobs: EnqueuedRow[] = [];
  for (const [i, { jobs: own, poison, retry }] of effects.entries()) {
    if (!refused.has(i) && poison === null) jobs.push(...own);
    else jobs.push({ queue: "event-processing", runAt: retry.runAt, state: "scheduled" });
  }
  if (suppression) jobs.push(...suppression.jobs);
  return jobs;
}

/** A matching rule and its outcome; no verdict if it has no recipients. */
interface Decided {
  readonly rule: ActiveRule;
  readonly users: readonly string[];
  readonly verdict: Verdict | null;
  readonly notification: NotificationRow | null;
  readonly outcome: DecisionOutcome;
  /** Set for a rule over time. */
  readonly pass: Pass | null;
  /** Set for a receiver: the key that counts for all receivers of its project. */
  readonly ofProject?: Verdict;
}

function isTimed(rule: ActiveRule): rule is ActiveRule & TimedRule {
  return rule.overTime !== null;
}

function positionOf({ row: { id, priority, createdAt }, isResolve }: ActiveRule): RulePosition {
  return { priority, createdAt, key: isResolve ? resolveEntry(id) : id };
}

/** @param askedTo null when no rule remains */
export function sliceMark(askedTo: RulePosition | null): SliceMark {
  if (askedTo === null) return { after: null };
  return { after: { priority: askedTo.priority, createdAt: askedTo.createdAt, ruleId: askedTo.key } };
}

/** Refers to the new notification, or to the earlier one that represents the match. */
function decisionRow(
  event: IncomingEvent,
  { rule: { row }, verdict, notification, outcome, pass }: Decided,
  now: number,
): DecisionRow {
  const earlier = verdict?.outcome === "deduped" ? verdict.notificationId : null;
  const notificationId = notification?.id ?? earlier;
  const key = pass?.key ?? null;
  return { eventSeq: event.seq, ruleId: row.id, ruleVersion: row.version, outcome, notificationId, at: now, key };
}

/** @param event one without an id is not stored */
export function notificationOf(
  event: RuleEvent,
  { row, title, message }: Pick<ActiveRule, "row" | "title" | "message">,
  dedupeKey: string | null,
  now: number,
): NotificationRow {
  const { action, data } = extrasOf(event, row);
  return notificationRow({
    ruleId: row.id,
    eventId: event.id === "" ? null : event.id,
    projectId: event.projectId,
    kind: "rule",
    title: rendered(title, event, TITLE_LENGTH),
    message: rendered(message, event, MESSAGE_LENGTH),
    sound: row.sound,
    action: row.action ?? action,
    data: row.isForMembers ? withReceiver(data, row) : data,
    priority: row.priority,
    dedupeKey,
    correlationId: event.correlationId,
    createdAt: now,
    channels: row.channels,
  });
}

/** `ruleId` of such a notification is no rule's: clients learn here which receiver it was. */
function withReceiver(data: string | null, { id, name }: ActiveRule["row"]): string {
  return JSON.stringify({ ...(JSON.parse(data ?? "{}") as object), receiver: { id, name } });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
