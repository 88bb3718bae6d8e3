import type { Labels } from "../../app/matchers.ts";
import { me } from "../../app/session.ts";
import type { Alert } from "../alerts/alert-types.ts";
import type { Severity } from "./severity.tsx";

export interface Incident {
  readonly id: string;
  readonly number: number;
  readonly projectId: string;
  readonly title: string;
  readonly state: "open" | "acknowledged" | "resolved";
  readonly isSnoozed: boolean;
  readonly urgency: "high" | "low";
  /** The highest severity of its alerts; null: they name none. */
  readonly severity: Severity | null;
  /** Start of its earliest alert. */
  readonly firingSince: string;
  /** Otherwise its policy only calls webhooks. */
  readonly notifiesPeople: boolean;
  readonly policy: { readonly id: string; readonly name: string; readonly version: number };
  readonly groupLabels: Labels;
  readonly alerts: number;
  readonly firing: number;
  readonly openedAt: string;
  readonly snoozedUntil: string | null;
  readonly resolvedAt: string | null;
  readonly resolvedBy: string | null;
  readonly notifiedAt: string | null;
  /** Index of the next step. */
  readonly step: number;
  readonly round: number;
  readonly nextStepAt: string | null;
  readonly nextDueAt: string | null;
  /** What a person wrote who opened it to page others, without alerts. */
  readonly direct: { readonly message: string; readonly by: string; readonly byName: string } | null;
  /** Who is paged before the steps of the policy. */
  readonly assigned: {
    readonly by: "page" | "reassign";
    readonly users: readonly string[];
    readonly phase: "due" | "waiting" | "over";
  } | null;
}

export interface ListedIncident extends Incident {
  /** What its first alert says. */
  readonly summary: string | null;
  readonly acknowledgedBy: readonly { readonly userId: string; readonly name: string | null }[];
  /** Why none of its firing alerts notifies now; null: one does. */
  readonly withheldAs: "silenced" | "inhibited" | "muted" | null;
  /** Whether the user may acknowledge, snooze, resolve and so on. */
  readonly mayAct: boolean;
}

export interface AlertOfIncident extends Pick<Alert, "state" | "timedOut" | "withheld"> {
  readonly id: string;
  readonly severity: string | null;
  readonly labels: Labels;
  readonly annotations: Labels;
  readonly generatorUrl: string | null;
  readonly startsAt: string;
  readonly resolvedAt: string | null;
  readonly notifiedAt: string | null;
}

export type PolicyStep =
  | {
      readonly type: "notify";
      readonly users: readonly string[];
      readonly roles: readonly string[];
      readonly schedules: readonly { readonly id: string; readonly who: "current" | "next" | "both" }[];
      readonly members: boolean;
      readonly urgency: "high" | "low";
      readonly roundRobin: boolean;
    }
  | { readonly type: "wait"; readonly ms: number }
  | { readonly type: "onlyIn"; readonly interval: string; readonly otherwise: "skip" | "hold" }
  | { readonly type: "ifCount"; readonly alerts: number; readonly windowMs: number }
  | { readonly type: "webhook"; readonly url: string; readonly format: string }
  | { readonly type: "channel"; readonly id: string }
  | { readonly type: "resolve" };

export interface LogEntry {
  readonly seq: number;
  readonly at: string;
  readonly kind: string;
  /** Id of a user, `key:<id>`, `operator`; null: the server. */
  readonly actor: string | null;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface AudienceMember {
  readonly userId: string;
  readonly name: string;
  readonly notifications: number;
  readonly firstAt: string;
  readonly lastAt: string;
  readonly acknowledged: boolean;
}

export interface IncidentDetail extends Incident {
  readonly alertList: readonly AlertOfIncident[];
  readonly acknowledgements: readonly {
    readonly userId: string;
    readonly name: string | null;
    readonly at: string;
    readonly expiresAt: string | null;
    readonly via: string;
  }[];
  readonly ackQuorum: number;
  readonly mayAct: boolean;
  readonly audience: readonly AudienceMember[];
  readonly steps: readonly PolicyStep[];
  readonly timeline: readonly LogEntry[];
}

/** The state in a word, for a badge. */
export function stateOf({
  state,
  resolvedBy,
  isSnoozed,
  urgency,
}: Pick<Incident, "state" | "resolvedBy" | "isSnoozed" | "urgency">) {
  if (state === "resolved" && resolvedBy === "timeout") return { text: "no longer reported", tone: "plain" } as const;
  if (state === "resolved") return { text: "resolved", tone: "ok" } as const;
  if (isSnoozed) return { text: "snoozed", tone: "plain" } as const;
  if (state === "acknowledged") return { text: "acknowledged", tone: "info" } as const;
  return { text: "open", tone: urgency === "high" ? "bad" : "warn" } as const;
}

/** Who acknowledged, within a sentence. */
export function actorName({ userId, name }: { readonly userId: string; readonly name: string | null }): string {
  if (userId === me.value?.id) return "you";
  if (userId.startsWith("channel:")) return name ?? "a reader of a channel";
  return name ?? (userId.startsWith("integration:") ? "an integration" : "a user");
}

/** What silences, inhibits or mutes all firing alerts of an incident; null: one notifies, or none fires. */
export function withheldOf({ alertList, firing }: IncidentDetail): Alert["withheld"] {
  const alerts = alertList.filter(({ state }) => state === "firing");
  const all = alerts.flatMap(({ withheld }) => withheld ?? []);
  if (all.length === 0 || all.length < firing) return null;
  return {
    silencedBy: [...new Set(all.flatMap(({ silencedBy }) => silencedBy))],
    inhibitedBy: [...new Set(all.flatMap(({ inhibitedBy }) => inhibitedBy))],
    mutedBy: [...new Set(all.flatMap(({ mutedBy }) => mutedBy))],
  };
}

export function isOpen({ state, isSnoozed }: Pick<Incident, "state" | "isSnoozed">): boolean {
  return state === "open" && !isSnoozed;
}
