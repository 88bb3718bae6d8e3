import type { EpochMs } from "../../../core/time/clock.ts";
import type { AlertSignalRow } from "../../../store/commit/write-set.ts";
import type { AlertSpan, ReplayedAlerts, TriedRule } from "../backtest.ts";
import type { IncomingEvent } from "../deciding/incoming-event.ts";
import { type Condition, compileCondition } from "../language/language.ts";
import { rendered, type Text, textsOf } from "../texts.ts";
import {
  type DefaultSuppression,
  EMPTY_HISTORY,
  type JudgedRule,
  Throttle,
  throttleSettings,
  type Verdict,
} from "../throttle/throttle.ts";
import { alertKey, firing, type RuleAlert } from "./alert-link.ts";
import { MatchCounts, NO_EARLIER_MATCHES } from "./match-counts.ts";
import { type LiveAlerts, OverTime, outcomeOf, type SeenMatches, type TimedRule } from "./over-time.ts";
import { keyOf, type OverTimeSettings, overTimeSettings } from "./settings.ts";

const TITLE_LENGTH = 255;
/** Limit of window and dedupe keys in memory. No table holds others. */
const MAX_KEYS = 200_000;
const RULE_ID = "tried";
const MAX_SPANS = 100;

/** The outcome of an event; null: no condition was true. */
export type ReplayOutcome = ReturnType<typeof outcomeOf> | "error" | null;

/** Replays one rule over past events with the current engine. Its memory starts empty. */
export class Replay {
  readonly #condition: Condition;
  readonly #overTime: OverTimeSettings | null;
  readonly #rule: JudgedRule;
  readonly #hasTargets: boolean;
  readonly #title: Text;
  readonly #throttle: Throttle;
  readonly #alerts = new AlertReplay();
  readonly #judge: OverTime;
  /** Longest time for which an earlier event can affect a later one. */
  readonly memoryMs: number;

  /** @throws INVALID_CONDITION, INVALID_TEMPLATE */
  constructor(rule: TriedRule, defaults: DefaultSuppression) {
    const throttling = throttleSettings(rule);
    this.#condition = compileCondition(rule.condition);
    this.#overTime = overTimeSettings(rule);
    this.#rule = { row: { id: RULE_ID }, throttling };
    this.#hasTargets = rule.hasTargets;
    this.#title = textsOf(rule).title;
    this.#throttle = new Throttle(EMPTY_HISTORY, defaults, MAX_KEYS);
    const counts = new MatchCounts(NO_EARLIER_MATCHES);
    this.#judge = new OverTime({ counts, alerts: this.#alerts, absences: this.#alerts });
    const windowMs = (throttling.suppression ?? defaults())?.windowMs ?? 0;
    const { threshold, absence, alert } = this.#overTime ?? {};
    this.memoryMs = Math.max(
      ...[windowMs, throttling.dedupe?.windowMs ?? 0, throttling.cooldownMs, threshold?.windowMs ?? 0],
      ...[absence?.forMs ?? 0, (alert?.forMs ?? 0) + (alert?.resolveAfterMs ?? 0)],
    );
  }

  /** Decides the next event, in the order of their numbers. */
  decide(event: IncomingEvent): ReplayOutcome {
    try {
      if (this.#condition.isFor(event) && this.#condition.test(event))
        return this.#overTime ? this.#pass(event, this.#overTime, false) : this.#fire(event);
      const resolve = this.#overTime?.alert?.resolve;
      return this.#overTime && resolve?.isFor(event) && resolve.test(event)
        ? this.#pass(event, this.#overTime, true)
        : null;
    } catch {
      return "error";
    }
  }

  #fire(event: IncomingEvent): Verdict["outcome"] {
    const verdict = this.#throttle.judge(this.#rule, event);
    this.#throttle.apply(verdict, event, verdict.outcome === "fired" ? event.id : null);
    return verdict.outcome;
  }

  #pass(event: IncomingEvent, overTime: OverTimeSettings, isResolve: boolean): ReplayOutcome {
    // Keys need no project: the replay is of one.
    const rule: TimedRule = { row: { id: RULE_ID, projectId: event.projectId }, overTime, isResolve };
    this.#alerts.at = event.receivedAt;
    const pass = this.#judge.judge(rule, event, false);
    if (pass === null) return null;
    const outcome = outcomeOf(pass, pass.passes && this.#hasTargets ? { outcome: this.#fire(event) } : null);
    this.#judge.apply(rule, event, pass, outcome, event.receivedAt);
    if (overTime.absence && !isResolve) this.#alerts.await(event, overTime);
    return outcome;
  }

  title(event: IncomingEvent): string {
    return rendered(this.#title, event, TITLE_LENGTH);
  }

  /** Drops the rows that a running server would write. */
  forgetRows(): void {
    this.#throttle.take();
  }

  /** The alerts until an instant. @param from earlier ones are not counted; null: all count */
  alertsUntil(at: EpochMs, from: EpochMs | null): ReplayedAlerts | null {
    if (!this.#overTime?.alert && !this.#overTime?.absence) return null;
    return this.#alerts.finish(at, from ?? Number.NEGATIVE_INFINITY);
  }
}

interface Live {
  readonly alert: RuleAlert;
  readonly startedAt: EpochMs;
  readonly firesAt: EpochMs;
  endsAt: EpochMs | null;
  matches: number;
}

interface Awaiting {
  readonly dueAt: EpochMs;
  /** Null for a rule without an alert. */
  readonly alert: RuleAlert | null;
}

/**
 * The alerts of a replay. Time passes for a key when it is looked at: what happens to one key does
 * not depend on another.
 */
class AlertReplay implements LiveAlerts, SeenMatches {
  readonly #live = new Map<string, Live>();
  readonly #awaited = new Map<string, Awaiting>();
  readonly #ended: AlertSpan[] = [];
  readonly #absentAt: EpochMs[] = [];
  readonly #droppedAt: EpochMs[] = [];
  /** Receipt of the current event. */
  at: EpochMs = 0;

  isLive(_projectId: string, key: string): boolean {
    this.#pass(key, this.at);
    return this.#live.has(key);
  }

  sent(row: AlertSignalRow, key: string): void {
    const alert = JSON.parse(row.input) as RuleAlert;
    if (row.action === "resolve") this.#end(key, alert.endsAt ?? this.at);
    else this.#open(key, alert);
  }

  repeat(alert: RuleAlert): void {
    const live = this.#live.get(alert.key);
    if (!live) return;
    live.matches++;
    live.endsAt = alert.endsAt;
  }

  /** {@link await} has the event. */
  seen(): void {}

  /** A match that an absence counts from. */
  await(event: IncomingEvent, { absence, alert }: OverTimeSettings): void {
    if (!absence) return;
    const key = keyOf(absence.key, event);
    const dueAt = event.receivedAt + absence.forMs;
    this.#pass(alertKey(RULE_ID, key), event.receivedAt);
    this.#awaited.set(alertKey(RULE_ID, key), {
      dueAt,
      alert: alert && firing(RULE_ID, alert, key, event, dueAt),
    });
  }

  finish(at: EpochMs, from: EpochMs): ReplayedAlerts {
    for (const key of new Set([...this.#awaited.keys(), ...this.#live.keys()])) this.#pass(key, at);
    const still = [...this.#live.values()].filter(({ firesAt }) => firesAt <= at).map((live) => spanOf(live, null));
    const spans = [...this.#ended, ...still].filter(({ resolvedAt }) => (resolvedAt ?? at) >= from);
    spans.sort((a, b) => a.startedAt - b.startedAt);
    const since = (instants: readonly EpochMs[]): number => instants.filter((instant) => instant >= from).length;
    return {
      opened: since(spans.map(({ firedAt }) => firedAt)),
      resolved: spans.filter(({ resolvedAt }) => resolvedAt !== null).length,
      dropped: since(this.#droppedAt),
      absences: since(this.#absentAt),
      spans: spans.slice(0, MAX_SPANS),
    };
  }

  /** Advances a key to an instant without another match. */
  #pass(key: string, at: EpochMs): void {
    const awaited = this.#awaited.get(key);
    if (awaited && awaited.dueAt <= at) {
      this.#awaited.delete(key);
      this.#absentAt.push(awaited.dueAt);
      if (awaited.alert) this.#open(key, awaited.alert);
    }
    const endsAt = this.#live.get(key)?.endsAt ?? null;
    if (endsAt !== null && endsAt <= at) this.#end(key, endsAt);
  }

  #open(key: string, alert: RuleAlert): void {
    const startedAt = alert.startsAt ?? this.at;
    this.#live.set(key, {
      alert,
      startedAt,
      firesAt: startedAt + (alert.holdMs ?? 0),
      endsAt: alert.endsAt,
      matches: 1,
    });
  }

  #end(key: string, at: EpochMs): void {
    const live = this.#live.get(key);
    this.#live.delete(key);
    if (!live) return;
    if (at < live.firesAt) this.#droppedAt.push(at);
    else this.#ended.push(spanOf(live, at));
  }
}

function spanOf({ alert, startedAt, firesAt, matches }: Live, resolvedAt: EpochMs | null): AlertSpan {
  const key = alert.key.slice(alertKey(RULE_ID, "").length);
  return { key, labels: alert.labels, startedAt, firedAt: firesAt, resolvedAt, matches };
}
