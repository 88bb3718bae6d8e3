import type { EpochMs } from "../../../core/time/clock.ts";
import type { Urgency } from "../../../store/schema/alerts.ts";
import type { PolicyStep, ScheduleTarget, StepSettings } from "../policies/policy.ts";
import {
  ASSIGNED_MS,
  type Assigned,
  assignedOf,
  holdersOf,
  type Incident,
  type PagedBy,
  released,
  waiting,
} from "./incident.ts";
import { type Facts, IncidentWork, reopen, type Turn } from "./machine.ts";

/* People whom a person names for an incident, see assigned.ts: part of the machine. */

/** People, and schedules whose current users are asked when they are paged. */
export interface Named {
  readonly users: readonly string[];
  readonly schedules: readonly ScheduleTarget[];
}

function notifyOf({ users, schedules }: Named, urgency: Urgency): Extract<PolicyStep, { type: "notify" }> {
  return { type: "notify", users, roles: [], schedules, members: false, urgency, roundRobin: false };
}

function page(work: IncidentWork, named: Named, by: PagedBy, isAgain: boolean): void {
  const { round, urgency } = work.incident;
  work.actions.push({ kind: "page", step: null, by, round, notify: notifyOf(named, urgency), isAgain });
}

function pageAssigned(work: IncidentWork, assigned: Assigned): void {
  const { incident, now } = work;
  incident.urgency = assigned.urgency;
  page(work, assigned, assigned.by, false);
  incident.assigned = waiting(assigned);
  incident.steppedAt = now;
  incident.stepAt = now + ASSIGNED_MS;
  work.notified();
}

/** What is due of those who come before the steps. @returns false: the next step of the policy is due */
export function runAssigned(work: IncidentWork): boolean {
  const { incident } = work;
  const assigned = assignedOf(incident.assigned);
  if (assigned?.phase === "due") {
    pageAssigned(work, assigned);
    return true;
  }
  incident.assigned = released(incident.assigned);
  return false;
}

/** No one was reached so far. @returns whether those who were asked by the policy are left alone */
export function pageAssignedAgain(work: IncidentWork): boolean {
  const assigned = assignedOf(work.incident.assigned);
  if (assigned && assigned.phase !== "due") page(work, assigned, assigned.by, true);
  return holdersOf(work.incident.assigned) !== null;
}

/** A person opened the incident: those whom the person named are paged now, or the policy starts. */
export function start(incident: Incident, facts: Facts, settings: StepSettings, now: EpochMs): Turn {
  const work = new IncidentWork(incident, facts, settings, now);
  work.incident.notifiedAt = now;
  work.incident.stepAt = now;
  runAssigned(work);
  return work.done();
}

/**
 * The incident is these people's: they are paged now, and the others only if it is not
 * acknowledged within {@link ASSIGNED_MS}; then the policy starts from its first step. An
 * acknowledged or snoozed incident is open again.
 */
export function reassign(incident: Incident, named: Named, facts: Facts, settings: StepSettings, now: EpochMs): Turn {
  const work = new IncidentWork(incident, facts, settings, now);
  if (incident.state === "resolved") return work.done();
  work.setAcks([]);
  reopen(work);
  work.incident.notifiedAt ??= now;
  work.markFiringNotified(work.fresh);
  work.log("reassigned", { users: named.users });
  work.event("incident.reassigned", { users: named.users });
  pageAssigned(work, { ...named, urgency: incident.urgency, by: "reassign", phase: "due" });
  return work.done();
}

/** These people are paged now, besides those of the steps. */
export function addResponders(
  incident: Incident,
  named: Named,
  facts: Facts,
  settings: StepSettings,
  now: EpochMs,
): Turn {
  const work = new IncidentWork(incident, facts, settings, now);
  if (incident.state === "resolved") return work.done();
  work.log("responders-added", { users: named.users, schedules: named.schedules.map(({ id }) => id) });
  page(work, named, "responder", false);
  return work.done();
}
