import type { Alert, IncidentDetail as ApiIncident, Incident } from "../../../src/client/api-types.gen.ts";
import { me } from "../../app/session.ts";
import type { DraftStep } from "../policies/policy-types.ts";

export type AlertOfIncident = ApiIncident["alertList"][number];
export type LogEntry = ApiIncident["timeline"][number];

/** Defaults of the policy are filled in. */
export type PolicyStep =
  | Required<Extract<DraftStep, { type: "notify" | "onlyIn" }>>
  | Exclude<DraftStep, { type: "notify" | "onlyIn" }>;

export interface IncidentDetail extends ApiIncident {
  readonly steps: readonly PolicyStep[];
}

/** The state in a word, for a badge. */
export function stateOf({
  state,
  resolvedBy,
  isSnoozed,
  urgency,
}: Pick<Incident, "state" | "resolvedBy" | "isSnoozed" | "urgency">) {
  if (state === "resolved" && resolvedBy === "moved") return { text: "moved", tone: "plain" } as const;
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

/** Silences, alerts and intervals that apply to all firing alerts of an incident; null: one notifies, or none fires. */
export function withheldOf({ alertList, firing }: IncidentDetail): Alert["withheld"] {
  const alerts = alertList.filter(({ state, leftAt }) => state === "firing" && leftAt === null);
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
