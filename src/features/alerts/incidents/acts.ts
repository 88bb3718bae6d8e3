import { PrismError } from "../../../core/errors.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import type { PolicyStep, StepSettings } from "../policies/policy.ts";
import { type Incident, type IncidentRow, released, unassigned } from "./incident.ts";
import { close, type Facts, IncidentWork, reopen, type Turn } from "./machine.ts";

/* What people do with an incident, see machine.ts; whom they name is in responders.ts. */

/** Nobody acts on it any more. */
export function resolvedError({ number }: Pick<IncidentRow, "number">): PrismError {
  return new PrismError("INVALID_STATE", `Incident ${number} is resolved`);
}

/**
 * A person acknowledges. With fewer acknowledgements than `ackQuorum` only those users receive
 * nothing more.
 */
export function acknowledge(
  incident: Incident,
  userId: string,
  facts: Facts,
  settings: StepSettings,
  now: EpochMs,
): Turn {
  const work = new IncidentWork(incident, facts, settings, now);
  const held = facts.acks.find((each) => each.userId === userId);
  if (incident.state === "resolved" || (held && held.expiresAt === null)) return work.done();
  work.incident.reachedAt ??= now;
  const ack = {
    userId,
    at: held?.at ?? now,
    expiresAt: settings.ackExpiresMs === null ? null : now + settings.ackExpiresMs,
  };
  work.setAcks([...facts.acks.filter((each) => each !== held), ack]);
  const given = work.acks.length;
  work.log("acknowledged", { given, quorum: settings.ackQuorum });
  if (incident.state === "acknowledged" || given < settings.ackQuorum) return work.done();
  const stopped = { stepAt: null, repeatAt: null, snoozedUntil: null };
  Object.assign(work.incident, { ...stopped, state: "acknowledged", acknowledgedAt: now });
  work.event("incident.acknowledged", { users: work.acks.map((each) => each.userId) });
  return work.done();
}

/** Removes all acknowledgements. */
export function unacknowledge(incident: Incident, facts: Facts, settings: StepSettings, now: EpochMs): Turn {
  const work = new IncidentWork(incident, facts, settings, now);
  if (incident.state === "resolved" || facts.acks.length === 0) return work.done();
  work.setAcks([]);
  work.log("unacknowledged");
  if (incident.state !== "acknowledged") return work.done();
  work.event("incident.unacknowledged", { reason: "person" });
  const until = incident.snoozedUntil;
  reopen(work);
  work.incident.assigned = unassigned(work.incident.assigned);
  if (until !== null) Object.assign(work.incident, { snoozedUntil: until, stepAt: null });
  return work.done();
}

export function snooze(incident: Incident, until: EpochMs, facts: Facts, settings: StepSettings, now: EpochMs): Turn {
  const work = new IncidentWork(incident, facts, settings, now);
  if (incident.state === "resolved") return work.done();
  Object.assign(work.incident, { snoozedUntil: until, stepAt: null, repeatAt: null });
  work.log("snoozed", { until });
  work.event("incident.snoozed", { until });
  return work.done();
}

/** Ends a snooze now; as at its end, acknowledgements are removed. */
export function unsnooze(incident: Incident, facts: Facts, settings: StepSettings, now: EpochMs): Turn {
  const work = new IncidentWork(incident, facts, settings, now);
  if (incident.state === "resolved" || incident.snoozedUntil === null) return work.done();
  work.log("unsnoozed");
  work.setAcks([]);
  reopen(work);
  return work.done();
}

/** A person resolves the incident. */
export function resolve(incident: Incident, by: string, facts: Facts, settings: StepSettings, now: EpochMs): Turn {
  const work = new IncidentWork(incident, facts, settings, now);
  if (incident.state !== "resolved") close(work, by);
  return work.done();
}

/** Types of steps that reach people. */
const NOTIFYING: ReadonlySet<PolicyStep["type"]> = new Set(["notify", "webhook", "channel"]);

export function isNotifying({ type }: PolicyStep): boolean {
  return NOTIFYING.has(type);
}

/**
 * The next step that notifies is due now, whatever precedes it. An acknowledged or snoozed incident
 * is open again. After the last step the first one follows.
 */
export function escalate(incident: Incident, facts: Facts, settings: StepSettings, now: EpochMs): Turn {
  const work = new IncidentWork(incident, facts, settings, now);
  const { steps } = settings;
  const notifying = steps.flatMap((step, index) => (isNotifying(step) ? [index] : []));
  const next = notifying.find((index) => index >= incident.step);
  const [first] = notifying;
  if (incident.state === "resolved" || first === undefined) return work.done();
  work.setAcks([]);
  reopen(work);
  const round = next === undefined ? incident.round + 1 : incident.round;
  const assigned = released(work.incident.assigned);
  Object.assign(work.incident, { step: next ?? first, round, stepAt: now, assigned });
  work.log("escalated", { step: next ?? first });
  return work.done();
}
