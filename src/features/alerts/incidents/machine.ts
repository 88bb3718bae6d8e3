import type { OwnEventType } from "../../../core/text/vocabulary.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import type { Urgency } from "../../../store/schema/alerts.ts";
import type { GroupTimes, PolicyStep, StepSettings } from "../policies/policy.ts";
import type { MovedTo, Raised, ToldSeverity } from "./changes/told.ts";
import {
  type AlertSeverity,
  dueAgain,
  highestSeverity,
  type Incident,
  isHigher,
  isMoreUrgent,
  type PagedBy,
  shownSeverity,
} from "./incident.ts";

/*
 * The states and due times of an incident as pure functions: they read rows, and return the changed
 * incident with the actions to store in the same transaction. docs/alerts.md describes the rules. What is due by
 * time is in turn.ts, what people do in acts.ts and responders.ts.
 *
 *   open ─ acknowledge (quorum) ─▶ acknowledged ─ unacknowledge, expiry ─▶ open (steps from 0)
 *   open, acknowledged ─ snooze ─▶ the same with `snoozedUntil` ─ its end ─▶ open (steps from 0)
 *   open, acknowledged ─ all alerts resolved, a person, a step, autoResolveMs ─▶ resolved
 */

export type IncidentEventType = Extract<OwnEventType, `incident.${string}`>;

/** An alert of the incident. */
export interface Member {
  readonly alertId: string;
  readonly isFiring: boolean;
  /** It ended because its source did not repeat it, and no newer alert has its key. */
  readonly hasTimedOut: boolean;
  readonly addedAt: EpochMs;
  readonly firingNotifiedAt: EpochMs | null;
  readonly resolvedNotifiedAt: EpochMs | null;
  /** The severity that it names now. */
  readonly severity: AlertSeverity | null;
  /** The highest that was told of it; null: nothing was told. */
  readonly toldSeverity: AlertSeverity | null;
  /** When that was. */
  readonly toldAt: EpochMs | null;
  /** It fires, but its route is another one now: here it has ended. */
  readonly hasLeft: boolean;
  /** Webhooks have named it by other labels, whose end they were not told. */
  readonly hasFormer: boolean;
}

export interface Ack {
  readonly userId: string;
  readonly at: EpochMs;
  readonly expiresAt: EpochMs | null;
}

/** Input of the state machine, besides the incident itself. */
export interface Facts {
  readonly members: readonly Member[];
  readonly acks: readonly Ack[];
  /** Whether a silence, an inhibition or a time interval withholds the alert now. */
  isWithheld(alertId: string): boolean;
  /** Whether the instant is inside the named time interval. */
  isWithin(interval: string, at: EpochMs): boolean;
  /** Whether people have ways outside of the app; without any, a notice in the app counts as reached. */
  readonly hasWays: boolean;
  /** The next instant inside the interval, or when to look again. */
  opensAt(interval: string, after: EpochMs): EpochMs;
  /** When the time intervals that withhold alerts end; null if none does, or none in the next year. */
  unmutedAt?(): EpochMs | null;
  /** Firing alerts that the last webhooks left out, as something withheld them. */
  readonly leftOut?: ReadonlySet<string>;
  /** Where its alerts are that have another route now; undefined: in no incident. */
  readonly movedTo?: MovedTo | undefined;
}

/** Why recipients are notified; also the label of a metric. */
export type NoticeReason = "step" | "severity-raised" | "new-alerts" | "some-resolved" | "repeat" | "resolved";

/** A consequence that is stored with the changed incident. */
export type Action =
  | {
      readonly kind: "page";
      /** Null: a person named them. */
      readonly step: number | null;
      readonly by?: PagedBy;
      readonly round: number;
      readonly notify: Extract<PolicyStep, { type: "notify" }>;
      /** The step was executed before and reached no one. */
      readonly isAgain: boolean;
    }
  /** To everyone who received an earlier notification of the incident, without those who acknowledged it. */
  | {
      readonly kind: "renotify";
      readonly reason: Exclude<NoticeReason, "step" | "some-resolved">;
      readonly urgency: Urgency;
    }
  | { readonly kind: "webhook"; readonly step: number }
  | { readonly kind: "channel"; readonly step: number }
  /** To the webhooks and channels of the steps that were executed. */
  | { readonly kind: "webhooks"; readonly reason: Exclude<NoticeReason, "step"> }
  | { readonly kind: "withheld"; readonly alertIds: readonly string[]; readonly holds: "flush" | "step" | "repeat" }
  | { readonly kind: "log"; readonly entry: string; readonly data: Readonly<Record<string, unknown>> }
  | { readonly kind: "event"; readonly type: IncidentEventType; readonly data: Readonly<Record<string, unknown>> };

export interface Turn {
  readonly incident: Incident;
  readonly acks: readonly Ack[];
  readonly actions: readonly Action[];
  /** Alerts that count as notified from now on. */
  readonly firingNotified: readonly string[];
  readonly resolvedNotified: readonly string[];
  /** The severities that are told of alerts from now on. */
  readonly told: readonly ToldSeverity[];
  /** What got worse and is told with this turn. */
  readonly raised: Raised | null;
  /** The ends of their former labels count as told. */
  readonly formerNotified: readonly string[];
}

type Draft = { -readonly [K in keyof Incident]: Incident[K] };

/** One change of an incident: the draft and what follows from it. */
export class IncidentWork {
  readonly incident: Draft;
  acks: readonly Ack[];
  readonly actions: Action[] = [];
  readonly firingNotified: string[] = [];
  readonly resolvedNotified: string[] = [];
  readonly formerNotified: string[] = [];
  raised: Raised | null = null;
  readonly facts: Facts;
  readonly settings: StepSettings;
  readonly now: EpochMs;

  constructor(incident: Incident, facts: Facts, settings: StepSettings, now: EpochMs) {
    this.incident = { ...incident };
    this.acks = facts.acks;
    this.facts = facts;
    this.settings = settings;
    this.now = now;
  }

  isDue(at: EpochMs | null): boolean {
    return at !== null && at <= this.now;
  }

  /** Steps and repeats run only while the incident is open and not snoozed. */
  get isEscalating(): boolean {
    return this.incident.state === "open" && this.incident.snoozedUntil === null;
  }

  get pausedBy(): "acknowledged" | "snoozed" | undefined {
    if (this.incident.snoozedUntil !== null) return "snoozed";
    return this.incident.state === "acknowledged" ? "acknowledged" : undefined;
  }

  get firing(): readonly Member[] {
    return this.facts.members.filter(({ isFiring }) => isFiring);
  }

  /** Firing alerts that were not notified and that nothing withholds. */
  get fresh(): readonly Member[] {
    return this.firing.filter((each) => !this.isNotified(each) && !this.facts.isWithheld(each.alertId));
  }

  /** Firing alerts that webhooks left out, and that nothing withholds any more. */
  get returned(): readonly Member[] {
    return this.firing.filter(({ alertId }) => this.isLeftOut(alertId) && !this.facts.isWithheld(alertId));
  }

  /** Firing alerts that were told of, and have become worse since. */
  get worse(): readonly Member[] {
    return this.firing.filter(isWorse);
  }

  /** New alerts that are more urgent than all that was reported, while a person has put the incident aside. */
  get urgentNew(): readonly Member[] {
    const reported = highestSeverity(this.firing.map(({ toldSeverity }) => toldSeverity));
    if (this.pausedBy === undefined || reported === null) return [];
    return this.fresh.filter(({ severity }) => isMoreUrgent(severity, reported));
  }

  /** Alerts that became worse on their way to another incident: those who know of them are told before they are gone. */
  get worseElsewhere(): readonly Member[] {
    return this.facts.members.filter(
      (each) => each.hasLeft && isUnended(each) && isWorse(each) && !this.#told.has(each),
    );
  }

  isLeftOut(alertId: string): boolean {
    return this.facts.leftOut?.has(alertId) === true;
  }

  isNotified({ alertId, firingNotifiedAt }: Member): boolean {
    return firingNotifiedAt !== null || this.#notified.has(alertId);
  }

  markFiringNotified(members: readonly Member[]): void {
    for (const { alertId } of members) {
      this.#notified.add(alertId);
      this.firingNotified.push(alertId);
    }
    this.markTold(members);
  }

  /** People know how bad these alerts are. */
  markTold(members: readonly Member[]): void {
    for (const member of members) this.#told.add(member);
  }

  markResolvedNotified(members: readonly Member[]): void {
    for (const { alertId } of members) this.resolvedNotified.push(alertId);
  }

  markFormerNotified(): void {
    for (const { alertId, hasFormer } of this.facts.members) if (hasFormer) this.formerNotified.push(alertId);
  }

  /** Notifies the recipients and webhooks so far. */
  renotify(reason: "severity-raised" | "new-alerts" | "repeat", urgency: Urgency): void {
    this.actions.push({ kind: "renotify", reason, urgency }, { kind: "webhooks", reason });
    this.notified();
  }

  /** These alerts got worse: what follows says so. */
  raise(members: readonly Member[]): void {
    const from = highestSeverity([...this.firing, ...members].map(({ toldSeverity }) => toldSeverity));
    const alerts = members.map(({ alertId, toldSeverity }) => [alertId, toldSeverity ?? from ?? "info"] as const);
    const left = members.filter(({ hasLeft }) => hasLeft).map(({ alertId }) => alertId);
    this.raised = { from, alerts: new Map(alerts), left: new Set(left) };
    this.markTold(members);
  }

  /** Repeats count from the last notification; until someone is reached they come sooner. */
  notified(): void {
    const { steps } = this.settings;
    const callsOthers = steps.some(({ type }) => type === "webhook" || type === "channel");
    const { assigned, step } = this.incident;
    const hasAsked = assigned !== null || steps.slice(0, step).some(({ type }) => type === "notify");
    if (hasAsked && !callsOthers && !this.facts.hasWays) this.incident.reachedAt ??= this.now;
    if (this.isEscalating) this.incident.repeatAt = this.now + repeatMsOf(this.incident, this.settings);
  }

  setAcks(acks: readonly Ack[]): void {
    this.acks = acks;
    const expiries = acks.map(({ expiresAt }) => expiresAt).filter((at) => at !== null);
    this.incident.ackExpiresAt = expiries.length === 0 ? null : Math.min(...expiries);
  }

  log(entry: string, data: Readonly<Record<string, unknown>> = {}): void {
    this.actions.push({ kind: "log", entry, data });
  }

  event(type: IncidentEventType, data: Readonly<Record<string, unknown>> = {}): void {
    this.actions.push({ kind: "event", type, data });
  }

  done(): Turn {
    const { incident, acks, actions, firingNotified, resolvedNotified, formerNotified, raised } = this;
    const told = this.#toldSeverities();
    return { incident, acks, actions, firingNotified, resolvedNotified, formerNotified, raised, told };
  }

  /** Of an alert that names none it is the one that the notice shows. */
  #toldSeverities(): ToldSeverity[] {
    if (this.#told.size === 0) return [];
    const shown = shownSeverity(
      this.incident.urgency,
      this.firing.map(({ severity }) => severity),
    );
    return Array.from(this.#told, ({ alertId, severity, toldSeverity }) => ({
      alertId,
      severity: highestSeverity([severity ?? shown, toldSeverity]) ?? shown,
    }));
  }

  readonly #notified = new Set<string>();
  readonly #told = new Set<Member>();
}

/** People were told that it fires, and not that it ended. */
export function isUnended({ firingNotifiedAt, resolvedNotifiedAt }: Member): boolean {
  return firingNotifiedAt !== null && resolvedNotifiedAt === null;
}

function isWorse({ severity, toldSeverity }: Member): boolean {
  return toldSeverity !== null && isHigher(severity, toldSeverity);
}

/** While no one is reached the targets of the steps are looked at again after this time. */
const UNREACHED_MS = 300_000;

/** The time from a notification to its repetition. */
export function repeatMsOf({ reachedAt }: Pick<Incident, "reachedAt">, { repeatMs }: StepSettings): number {
  return reachedAt === null ? Math.min(repeatMs, UNREACHED_MS) : repeatMs;
}

/** The earliest due time; null for none. */
export function dueAt(incident: Incident): EpochMs | null {
  const { flushAt, stepAt, repeatAt, snoozedUntil, ackExpiresAt, autoResolveAt } = incident;
  const times = [flushAt, stepAt, repeatAt, snoozedUntil, ackExpiresAt, autoResolveAt].filter((at) => at !== null);
  return incident.state === "resolved" || times.length === 0 ? null : Math.min(...times);
}

/** An incident that its first alert opens. */
export function opened(startsAt: EpochMs, settings: StepSettings, now: EpochMs): Incident {
  return {
    state: "open",
    urgency: "high",
    openedAt: now,
    acknowledgedAt: null,
    resolvedAt: null,
    resolvedBy: null,
    sourceIncidentId: null,
    snoozedUntil: null,
    step: 0,
    round: 0,
    lastFlushAt: null,
    notifiedAt: null,
    reachedAt: null,
    steppedAt: null,
    // A start in the future must not delay the first notification.
    flushAt: Math.max(now, Math.min(startsAt, now) + settings.groupWaitMs),
    stepAt: null,
    repeatAt: null,
    ackExpiresAt: null,
    autoResolveAt: autoResolve(settings, now),
    direct: null,
    assigned: null,
  };
}

/** An alert joined the unresolved incident. */
export function joined(incident: Incident, settings: StepSettings, now: EpochMs): Incident {
  const { lastFlushAt } = incident;
  const again = { autoResolveAt: autoResolve(settings, now), sourceIncidentId: null };
  // The first look is due in any case.
  if (lastFlushAt === null) return { ...incident, ...again };
  const next = Math.min(lastFlushAt, now) + settings.groupIntervalMs;
  return { ...flushAgain(incident, Math.max(now, next)), ...again };
}

/**
 * An alert of the incident was resolved. @param firing the number of alerts that still fire
 * @param atOnce the source reported the resolution as final
 */
export function memberResolved(
  incident: Incident,
  { firing, atOnce }: { readonly firing: number; readonly atOnce: boolean },
  settings: StepSettings,
  now: EpochMs,
): Incident {
  const autoResolveAt = autoResolve(settings, now);
  const { lastFlushAt, notifiedAt } = incident;
  if (firing === 0 && (notifiedAt === null || atOnce)) return { ...incident, flushAt: now, autoResolveAt };
  // The first look is due in any case.
  if (lastFlushAt === null) return { ...incident, autoResolveAt };
  return { ...lookAgain(incident, settings, now), autoResolveAt };
}

/** A firing alert got worse: the next look tells it. @param isMoreUrgent it comes after the group wait */
export function worsened(incident: Incident, isMoreUrgent: boolean, settings: StepSettings, now: EpochMs): Incident {
  const { lastFlushAt } = incident;
  // The first look is due in any case.
  if (lastFlushAt === null) return incident;
  const next = Math.max(now, Math.min(lastFlushAt, now) + settings.groupIntervalMs);
  return flushAgain(incident, isMoreUrgent ? Math.min(next, now + settings.groupWaitMs) : next);
}

/** The incident is looked at then, or before. */
export function lookAt(incident: Incident, at: EpochMs): Incident {
  return incident.lastFlushAt === null ? incident : flushAgain(incident, at);
}

/** The incident is looked at with the next tick. */
export function lookAgain(incident: Incident, settings: StepSettings, now: EpochMs): Incident {
  return flushAgain(incident, tickAfter(incident.lastFlushAt ?? now, settings, now));
}

function flushAgain(incident: Incident, at: EpochMs): Incident {
  return { ...incident, flushAt: Math.min(incident.flushAt ?? at, at) };
}

/** The last tick that is not after `now`. A clock that was set back while the server was down starts them anew. */
export function tickUpTo(tick: EpochMs, { groupIntervalMs }: GroupTimes, now: EpochMs): EpochMs {
  return tick > now ? now : tick + groupIntervalMs * Math.floor((now - tick) / groupIntervalMs);
}

/** The next tick: alerts that fire again before it are no change. */
function tickAfter(tick: EpochMs, times: GroupTimes, now: EpochMs): EpochMs {
  return tickUpTo(tick, times, now) + times.groupIntervalMs;
}

function autoResolve({ autoResolveMs }: StepSettings, now: EpochMs): EpochMs | null {
  return autoResolveMs === null ? null : now + autoResolveMs;
}

/** Steps start again from the first. */
export function reopen({ incident, now }: IncidentWork): void {
  incident.state = "open";
  incident.acknowledgedAt = null;
  incident.snoozedUntil = null;
  incident.step = 0;
  incident.round = 0;
  incident.assigned = dueAgain(incident.assigned);
  if (incident.notifiedAt === null) incident.flushAt = now;
  else incident.stepAt = now;
}

/** @param by a user's id, or `alerts`, `timeout`, `moved`, `auto`, `policy` */
export function close(work: IncidentWork, by: string): void {
  const { incident, settings, facts, now } = work;
  const times = { flushAt: null, stepAt: null, repeatAt: null, ackExpiresAt: null, autoResolveAt: null };
  Object.assign(incident, { ...times, state: "resolved", resolvedAt: now, resolvedBy: by, snoozedUntil: null });
  const { movedTo } = facts;
  const isMoved = by === "moved" && movedTo !== undefined;
  work.log("resolved", isMoved ? { by, incidentId: movedTo.id, number: movedTo.number } : { by });
  work.event("incident.resolved", isMoved ? { by, movedTo: movedTo.number } : { by });
  work.markResolvedNotified(facts.members.filter(isUnended));
  work.markFormerNotified();
  // Wherever its alerts are now, those who know of it know how bad they are.
  const worse = isMoved ? work.worseElsewhere : [];
  if (worse.length > 0) work.raise(worse);
  if (incident.notifiedAt === null || !(settings.sendResolved || worse.length > 0)) return;
  // People have the incident of the source instead.
  const isReported = by === "timeout" && incident.sourceIncidentId !== null;
  if (!isReported) work.actions.push({ kind: "renotify", reason: "resolved", urgency: incident.urgency });
  work.actions.push({ kind: "webhooks", reason: "resolved" });
}
