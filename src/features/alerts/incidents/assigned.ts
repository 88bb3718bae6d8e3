import type { Urgency } from "../../../store/schema/alerts.ts";
import type { ScheduleTarget } from "../policies/policy.ts";

/*
 * People whom a person names for an incident. They are paged before the steps of the policy, which
 * follow after a time without an acknowledgement:
 *
 *   due ─ they are paged ─▶ waiting ─ ASSIGNED_MS, an escalation ─▶ over: the steps run
 *   waiting, over ─ the incident is open again ─▶ due
 *
 * `reassign` ends where `page` is `over`, and when a person removes the acknowledgements.
 */

/** After this time without an acknowledgement, an incident continues with its policy. */
export const ASSIGNED_MS = 600_000;

export interface Assigned {
  /** `page`: the incident was opened to page them. `reassign`: it was taken from those notified before. */
  readonly by: "page" | "reassign";
  readonly users: readonly string[];
  readonly schedules: readonly ScheduleTarget[];
  readonly urgency: Urgency;
  readonly phase: "due" | "waiting" | "over";
}

/** Why people are paged without a step of the policy. */
export type PagedBy = Assigned["by"] | "responder";

/** The text of a person who opened an incident without alerts. */
export interface Direct {
  readonly message: string;
  /** A user's id, or `operator`. */
  readonly by: string;
  readonly byName: string;
}

/** @param stored the column `assigned` */
export function assignedOf(stored: string | null): Assigned | null {
  return stored === null ? null : (JSON.parse(stored) as Assigned);
}

/** @param stored the column `direct`; null: alerts opened the incident */
export function directOf(stored: string | null): Direct | null {
  return stored === null ? null : (JSON.parse(stored) as Direct);
}

function inPhase(assigned: Assigned, phase: Assigned["phase"]): string {
  return JSON.stringify({ ...assigned, phase });
}

/** They have been paged. */
export function waiting(assigned: Assigned): string {
  return inPhase(assigned, "waiting");
}

/** The incident is open again: they are paged first. */
export function dueAgain(stored: string | null): string | null {
  const assigned = assignedOf(stored);
  return assigned && inPhase(assigned, "due");
}

/** The steps of the policy run. */
export function released(stored: string | null): string | null {
  const assigned = assignedOf(stored);
  return assigned?.by === "page" ? inPhase(assigned, "over") : null;
}

/** The incident is no longer another person's than its policy says. */
export function unassigned(stored: string | null): string | null {
  return assignedOf(stored)?.by === "page" ? stored : null;
}

/** Users to whom the incident was reassigned; null: the policy applies. */
export function holdersOf(stored: string | null): ReadonlySet<string> | null {
  const assigned = assignedOf(stored);
  return assigned?.by === "reassign" && assigned.phase !== "over" ? new Set(assigned.users) : null;
}

/** Whether there is anything to notify of: an alert fires, or a person opened the incident. */
export function isBurning({ firing, direct }: { readonly firing: number; readonly direct: string | null }): boolean {
  return firing > 0 || direct !== null;
}
