import type { EpochMs } from "../../../core/time/clock.ts";
import type { AlertSignalRow } from "../../../store/commit/write-set.ts";
import type { DecisionOutcome } from "../../../store/schema.ts";
import type { IncomingEvent } from "../deciding/incoming-event.ts";
import type { RuleEvent } from "../language/language.ts";
import type { RuleRow } from "../rule.ts";
import type { Verdict } from "../throttle/throttle.ts";
import { alertKey, firing, isAboutAlerts, type RuleAlert, resolving } from "./alert-link.ts";
import type { MatchCounts, Window } from "./match-counts.ts";
import { keyOf, type OverTimeSettings } from "./settings.ts";

/** The part of a rule that is judged. */
export interface TimedRule {
  readonly row: Pick<RuleRow, "id" | "projectId">;
  readonly overTime: OverTimeSettings;
  /** The event matches the condition that resolves the rule's alert, not the rule's own. */
  readonly isResolve: boolean;
}

/** The live alerts, and what changes them. */
export interface LiveAlerts {
  isLive(projectId: string, key: string): boolean;
  sent(row: AlertSignalRow, key: string): void;
  repeat(alert: RuleAlert): void;
}

/** The last matches that an absence counts from. */
export interface SeenMatches {
  seen(ruleId: string, projectId: string, key: string, at: EpochMs, seq: number): void;
}

/** A match before it is applied. */
export interface Pass {
  /** The key that the decision is stored with. */
  readonly key: string;
  /** Whether the rule continues with its notification and a new alert. */
  readonly passes: boolean;
  /** When it counts towards the threshold. */
  readonly countsAt: EpochMs;
  readonly signal: { readonly action: AlertSignalRow["action"]; readonly alert: RuleAlert } | null;
  /** The alert that it repeats. */
  readonly repeat: RuleAlert | null;
}

export interface OverTimeParts {
  readonly counts: MatchCounts;
  readonly alerts: LiveAlerts;
  readonly absences: SeenMatches;
}

/**
 * Judges the matches of rules with a threshold, an absence or an alert. A rule without them never
 * comes here.
 */
export class OverTime {
  readonly #parts: OverTimeParts;

  constructor(parts: OverTimeParts) {
    this.#parts = parts;
  }

  /**
   * Changes nothing: another rule may still fail the event. @returns null for an event that would
   * resolve an alert that is not live. @throws errors of a template
   */
  judge(rule: TimedRule, event: IncomingEvent, isLate: boolean): Pass | null {
    const { threshold, absence } = rule.overTime;
    const key = countKey(rule, event);
    if (rule.isResolve || absence) return this.#judgeEnd(rule, event, key);
    const at = event.receivedAt;
    if (!threshold) return { key, passes: true, countsAt: at, ...this.#alertOf(rule, event, true) };
    const { counts } = this.#parts;
    const countsAt = counts.countsAt(rule.row.id, key, threshold, at, isLate);
    const passes = counts.sumWith(rule.row.id, key, threshold, countsAt) >= threshold.count;
    return { key, passes, countsAt, ...this.#alertOf(rule, event, passes) };
  }

  /** A match ends an absence, and its alert; the condition `resolve` ends an alert. */
  #judgeEnd(rule: TimedRule, event: IncomingEvent, key: string): Pass | null {
    const { row, overTime, isResolve } = rule;
    const at = event.receivedAt;
    const own = keyOf(overTime.alert?.key ?? null, event);
    const isLive = overTime.alert !== null && this.#parts.alerts.isLive(event.projectId, alertKey(row.id, own));
    if (isResolve && !isLive) return null;
    const alert = resolving(row.id, own, event.projectId, at);
    return { key, passes: false, countsAt: at, signal: isLive ? { action: "resolve", alert } : null, repeat: null };
  }

  #alertOf({ row, overTime: { alert } }: TimedRule, event: IncomingEvent, passes: boolean) {
    if (alert === null || isAboutAlerts(event)) return NO_ALERT;
    const key = keyOf(alert.key, event);
    const isLive = this.#parts.alerts.isLive(event.projectId, alertKey(row.id, key));
    if (!isLive && !passes) return NO_ALERT;
    const made = firing(row.id, alert, key, event, event.receivedAt);
    return isLive ? { signal: null, repeat: made } : { signal: { action: "fire", alert: made } as const, repeat: null };
  }

  /** Records a match in memory. @returns the row to write with the decision, if an alert changes */
  apply(
    { row, overTime: { threshold, absence }, isResolve }: TimedRule,
    event: IncomingEvent,
    { key, countsAt, signal, repeat }: Pass,
    outcome: DecisionOutcome,
    now: EpochMs,
  ): AlertSignalRow | null {
    const { counts, alerts, absences } = this.#parts;
    if (threshold) count(counts, row.id, key, threshold, countsAt, event.seq, outcome);
    if (absence && !isResolve)
      absences.seen(row.id, event.projectId, keyOf(absence.key, event), event.receivedAt, event.seq);
    if (repeat) alerts.repeat(repeat);
    if (!signal) return null;
    const { action, alert } = signal;
    const { projectId } = event;
    const made = { eventSeq: event.seq, ruleId: row.id, action, projectId, input: inputOf(alert), at: now };
    alerts.sent(made, alert.key);
    return made;
  }
}

/** The outcome of a match. @param verdict of its notification, if it may have one */
export function outcomeOf({ passes, signal }: Pass, verdict: Pick<Verdict, "outcome"> | null): PassedOutcome {
  if (signal) return signal.action === "fire" ? "alert-opened" : "alert-resolved";
  return passes && verdict ? verdict.outcome : "counted";
}

type PassedOutcome = Exclude<DecisionOutcome, "no recipients">;

const NO_ALERT = { signal: null, repeat: null };

/** Every match counts that did not pass; all others start the count again. */
function count(
  counts: MatchCounts,
  ruleId: string,
  key: string,
  window: Window,
  at: EpochMs,
  seq: number,
  outcome: DecisionOutcome,
): void {
  if (outcome === "no recipients") return;
  if (outcome === "counted") counts.add(ruleId, key, window, at, seq);
  else counts.clear(ruleId, key, window, seq);
}

/** The project is a column of its own. */
function inputOf({ projectId: _, ...input }: RuleAlert): string {
  return JSON.stringify(input);
}

/** A rule for every project counts in each of them. */
function countKey({ row, overTime: { threshold, absence, alert } }: TimedRule, event: RuleEvent): string {
  const template = threshold?.key ?? absence?.key ?? alert?.key ?? null;
  const key = keyOf(template, event);
  return row.projectId === null ? `${event.projectId} ${key}` : key;
}
