import type { Incident } from "../../../../src/features/alerts/incidents/incident.ts";
import {
  type Ack,
  type Action,
  dueAt,
  type Facts,
  joined,
  type Member,
  memberResolved,
  opened,
  type Turn,
} from "../../../../src/features/alerts/incidents/machine.ts";
import { turn } from "../../../../src/features/alerts/incidents/turn.ts";
import { type PolicyStep, type StepSettings, UNSET } from "../../../../src/features/alerts/policies/policy.ts";

export const MINUTE = 60_000;
export const START = 1_000_000_000_000;

export const notify = (urgency: "high" | "low" = "high"): PolicyStep => ({
  type: "notify",
  users: [],
  roles: [],
  schedules: [],
  members: true,
  urgency,
  roundRobin: false,
});
export const wait = (ms: number): PolicyStep => ({ type: "wait", ms });

export const SETTINGS: StepSettings = {
  ...UNSET,
  steps: [notify(), wait(5 * MINUTE), notify("low")],
  groupWaitMs: 30_000,
  groupIntervalMs: 5 * MINUTE,
  repeatMs: 4 * 60 * MINUTE,
};

/** An incident with its alerts, a clock in hand, and what it did. */
export class World {
  now = START;
  incident: Incident;
  members: Member[] = [];
  acks: readonly Ack[] = [];
  withheld = new Set<string>();
  /** The alerts of the last entry `left-out`. */
  leftOut: readonly string[] = [];
  isOpenInterval = true;
  opensAt = START;
  readonly settings: StepSettings;
  did: string[] = [];

  constructor(settings: Partial<StepSettings> = {}, startsAt = START) {
    this.settings = { ...SETTINGS, ...settings };
    this.incident = opened(startsAt, this.settings, this.now);
    this.members.push(this.#member("a1"));
  }

  get facts(): Facts {
    return {
      members: this.members,
      acks: this.acks,
      hasWays: false,
      isWithheld: (id) => this.withheld.has(id),
      isWithin: () => this.isOpenInterval,
      opensAt: () => this.opensAt,
      leftOut: new Set(this.leftOut),
    };
  }

  #member(alertId: string): Member {
    const times = { addedAt: this.now, firingNotifiedAt: null, resolvedNotifiedAt: null };
    const severities = { severity: null, toldSeverity: null, toldAt: null, hasLeft: false, hasFormer: false };
    return { alertId, isFiring: true, hasTimedOut: false, ...times, ...severities };
  }

  fire(id: string): void {
    this.members.push(this.#member(id));
    this.incident = joined(this.incident, this.settings, this.now);
  }

  resolveAlert(id: string, atOnce = false): void {
    this.members = this.members.map((each) => (each.alertId === id ? { ...each, isFiring: false } : each));
    const firing = this.members.filter(({ isFiring }) => isFiring).length;
    this.incident = memberResolved(this.incident, { firing, atOnce }, this.settings, this.now);
  }

  apply({ incident, acks, actions, firingNotified, resolvedNotified, told }: Turn): void {
    const severities = new Map(told.map(({ alertId, severity }) => [alertId, severity]));
    this.incident = incident;
    this.acks = acks;
    this.members = this.members.map((each) => ({
      ...each,
      firingNotifiedAt: each.firingNotifiedAt ?? (firingNotified.includes(each.alertId) ? this.now : null),
      resolvedNotifiedAt: each.resolvedNotifiedAt ?? (resolvedNotified.includes(each.alertId) ? this.now : null),
      toldSeverity: severities.get(each.alertId) ?? each.toldSeverity,
      toldAt: severities.has(each.alertId) ? this.now : each.toldAt,
    }));
    for (const action of actions)
      if (action.kind === "log" && action.entry === "left-out") this.leftOut = action.data["alertIds"] as string[];
    this.did.push(...actions.map(textOf));
  }

  turn(): void {
    this.apply(turn(this.incident, this.facts, this.settings, this.now));
  }

  /** Moves the clock and handles each due time on the way. */
  pass(ms: number): void {
    const until = this.now + ms;
    for (let at = dueAt(this.incident); at !== null && at <= until; at = dueAt(this.incident)) {
      this.now = Math.max(this.now, at);
      this.turn();
    }
    this.now = until;
  }

  take(): string[] {
    const { did } = this;
    this.did = [];
    return did;
  }

  /** What went out to people and webhooks since the last call. */
  sent(): string[] {
    return this.take().filter((each) => /^(page|renotify|webhook)/.test(each));
  }
}

function textOf(action: Action): string {
  if (action.kind === "page") return `page ${action.round}.${action.step} ${action.notify.urgency}`;
  if (action.kind === "renotify") return `renotify ${action.reason} ${action.urgency}`;
  if (action.kind === "webhook" || action.kind === "channel") return `${action.kind} ${action.step}`;
  if (action.kind === "webhooks") return `webhooks ${action.reason}`;
  if (action.kind === "withheld") return `withheld ${action.holds} ${action.alertIds.join(",")}`;
  return action.kind === "log" ? `log ${action.entry}` : action.type;
}
