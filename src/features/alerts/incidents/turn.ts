import { assertNever } from "../../../core/errors.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import type { PolicyStep, StepSettings } from "../policies/policy.ts";
import { type AlertSeverity, highestSeverity, type Incident, isHigher, isMoreUrgent } from "./incident.ts";
import { close, type Facts, IncidentWork, isUnended, type Member, reopen, type Turn, tickUpTo } from "./machine.ts";
import { pageAssignedAgain, runAssigned } from "./responders.ts";

/* Actions of an incident when one of its times is due, see machine.ts. */

/** After its last step a round waits at least this long for an answer. */
const ROUND_GAP_MS = 60_000;
/** An incident without alerts, which have moved, ends so long after the first look at the other one. */
const AFTER_OTHER_MS = 1000;

/** Does what is due at `now`. Running it again changes nothing. */
export function turn(incident: Incident, facts: Facts, settings: StepSettings, now: EpochMs): Turn {
  const work = new IncidentWork(incident, facts, settings, now);
  if (incident.state === "resolved") return work.done();
  if (work.isDue(incident.autoResolveAt)) close(work, "auto");
  else {
    expireAcks(work);
    if (work.isDue(work.incident.snoozedUntil)) {
      work.log("snooze-ended");
      work.setAcks([]);
      reopen(work);
    }
    if (work.isDue(work.incident.flushAt)) flush(work);
    runSteps(work);
    repeat(work);
  }
  return work.done();
}

function expireAcks(work: IncidentWork): void {
  const { incident, acks } = work;
  if (!work.isDue(incident.ackExpiresAt)) return;
  const expired = acks.filter(({ expiresAt }) => work.isDue(expiresAt));
  work.setAcks(acks.filter((each) => !expired.includes(each)));
  work.log("ack-expired", { users: expired.map(({ userId }) => userId) });
  if (incident.state !== "acknowledged" || work.acks.length >= work.settings.ackQuorum) return;
  reopen(work);
  work.event("incident.unacknowledged", { reason: "expired" });
}

function flush(work: IncidentWork): void {
  const { incident, facts, settings, now } = work;
  const tick = tickUpTo(incident.lastFlushAt ?? now, settings, now);
  incident.flushAt = null;
  incident.lastFlushAt = tick;
  if (facts.members.length > 0 && work.firing.length === 0) {
    end(work);
    return;
  }
  const { worse } = work;
  const gone = takeRaisedElsewhere(work);
  const isWaiting = (each: Member): boolean =>
    !work.isNotified(each) || work.isLeftOut(each.alertId) || worse.includes(each);
  const waiting = [...work.firing.filter(isWaiting), ...gone];
  const withheld = waiting.filter(({ alertId }) => facts.isWithheld(alertId)).map(({ alertId }) => alertId);
  if (withheld.length > 0) {
    work.actions.push({ kind: "withheld", alertIds: withheld, holds: "flush" });
    incident.flushAt = Math.min(
      incident.flushAt ?? Number.POSITIVE_INFINITY,
      unmutedBefore(tick + settings.groupIntervalMs, facts),
    );
  }
  const raised = [...worse, ...gone, ...work.urgentNew].filter(({ alertId }) => !facts.isWithheld(alertId));
  if (raised.length > 0) work.raise(raised);
  notifyPartlyResolved(work);
  showAgain(work);
  if (raised.length > 0) tellWorse(work, raised);
  const { fresh } = work;
  if (fresh.length > 0 && incident.notifiedAt === null) notifyFirst(work, fresh);
  // The notice of the raised severity has them, too.
  else if (raised.length > 0) work.markFiringNotified(fresh);
  else if (fresh.length > 0) notifyNew(work, fresh);
  countAgain(work);
}

/**
 * Alerts whose severity rose while they moved to another incident. That one notifies its people first: until its
 * first look they are left for a later flush of this incident, which is set here.
 */
function takeRaisedElsewhere({ worseElsewhere: gone, facts, incident, now }: IncidentWork): readonly Member[] {
  const { firstLookAt = null } = facts.movedTo ?? {};
  if (gone.length === 0 || firstLookAt === null) return gone;
  incident.flushAt = Math.max(firstLookAt, now) + AFTER_OTHER_MS;
  return [];
}

/** No alert fires in it any more. */
function end(work: IncidentWork): void {
  const { incident, facts, now } = work;
  if (!facts.members.some(({ hasLeft }) => hasLeft)) {
    close(work, facts.members.some(({ hasTimedOut }) => hasTimedOut) ? "timeout" : "alerts");
    return;
  }
  const { firstLookAt = null } = facts.movedTo ?? {};
  if (incident.notifiedAt === null || firstLookAt === null) {
    close(work, "moved");
    return;
  }
  // People read where its alerts are once the other incident has reported them; webhooks at once what labels are gone.
  if (facts.members.some(({ hasFormer }) => hasFormer)) notifyPartlyResolved(work);
  incident.flushAt = Math.max(firstLookAt, now) + AFTER_OTHER_MS;
}

/**
 * A raised severity is reported to all who know of the incident, whatever the policy says about new alerts. If it is more
 * urgent an acknowledgement or a snooze ends, and the steps start again; not for an alert that is elsewhere now. While
 * the incident is paused it must be above all that was reported of any of its alerts within a repetition: else each new
 * alert that rises would end the pause again.
 */
function tellWorse(work: IncidentWork, raised: readonly Member[]): void {
  const { incident, settings, acks } = work;
  const { pausedBy } = work;
  const highest = pausedBy ? highestToldLately(work) : null;
  const isUrgent = raised.some(
    ({ severity, toldSeverity, hasLeft }) =>
      !hasLeft && isMoreUrgent(severity, toldSeverity) && isHigher(severity, highest),
  );
  if (isUrgent) {
    work.log("steps-restarted", { endedBy: "severity", ...(pausedBy && { paused: pausedBy }) });
    if (incident.state === "acknowledged") work.event("incident.unacknowledged", { reason: "severity" });
    if (acks.length > 0) work.setAcks([]);
    reopen(work);
    const first = settings.steps.find(({ type }) => type === "notify");
    if (first?.type === "notify" && first.urgency === "high") incident.urgency = "high";
  }
  if (incident.notifiedAt !== null) work.renotify("severity-raised", incident.urgency);
}

function highestToldLately({ facts, settings, now }: IncidentWork): AlertSeverity | null {
  const since = now - settings.repeatMs;
  return highestSeverity(
    facts.members.map(({ toldSeverity, toldAt }) => ((toldAt ?? 0) > since ? toldSeverity : null)),
  );
}

/** The step `ifCount` waits for more alerts: those that flap are among them, though none is new. */
function countAgain(work: IncidentWork): void {
  const { incident, settings, now } = work;
  if (!work.isEscalating || incident.notifiedAt === null || incident.stepAt !== null) return;
  const step = settings.steps[incident.step];
  if (step?.type === "ifCount" && hasEnough(work, step)) incident.stepAt = now;
}

function hasEnough({ facts, now }: IncidentWork, { alerts, windowMs }: Extract<PolicyStep, { type: "ifCount" }>) {
  return facts.members.filter(({ addedAt }) => addedAt > now - windowMs).length >= alerts;
}

/** Alerts that webhooks left out are in the next ones: a receiver may take their absence for an end. */
function showAgain(work: IncidentWork): void {
  const { firing, returned, facts, incident } = work;
  if (returned.length === 0 || incident.snoozedUntil !== null) return;
  const left = firing.filter(({ alertId }) => work.isLeftOut(alertId) && facts.isWithheld(alertId));
  work.log("left-out", { alerts: left.length, alertIds: left.map(({ alertId }) => alertId) });
  work.actions.push({ kind: "webhooks", reason: "new-alerts" });
}

function notifyFirst(work: IncidentWork, fresh: readonly Member[]): void {
  const { incident, now } = work;
  if (!work.isEscalating) {
    work.log("not-notified", { reason: work.pausedBy, alerts: fresh.length });
    // Those who paused it have seen how bad it is.
    work.markTold(fresh);
    return;
  }
  incident.notifiedAt = now;
  incident.step = 0;
  incident.round = 0;
  incident.stepAt = now;
  work.markFiringNotified(fresh);
}

/** Alerts that joined after the first notification. */
function notifyNew(work: IncidentWork, fresh: readonly Member[]): void {
  const { incident, settings } = work;
  const isAcknowledged = incident.state === "acknowledged" && incident.snoozedUntil === null;
  if (work.isEscalating && incident.reachedAt === null && incident.step > 0) {
    tryAgain(work);
    work.markFiringNotified(fresh);
  } else if (!settings.renotifyOnNew || !(work.isEscalating || isAcknowledged)) {
    work.log("not-notified", { reason: work.pausedBy ?? "renotifyOnNew", alerts: fresh.length });
    if (work.isEscalating || isAcknowledged) work.markFiringNotified(fresh);
    else work.markTold(fresh);
  } else {
    work.renotify("new-alerts", isAcknowledged ? "low" : incident.urgency);
    work.markFiringNotified(fresh);
  }
}

function notifyPartlyResolved(work: IncidentWork): void {
  // An alert that left with a raised severity is first reported as raised, not as resolved.
  const { worseElsewhere } = work;
  const resolved = work.facts.members.filter(
    (each) => !each.isFiring && isUnended(each) && !worseElsewhere.includes(each),
  );
  const hasFormer = work.facts.members.some((each) => each.hasFormer);
  if (resolved.length === 0 && !hasFormer) return;
  work.markResolvedNotified(resolved);
  work.markFormerNotified();
  if (resolved.length > 0) work.log("some-resolved", { alerts: resolved.length, firing: work.firing.length });
  if (work.settings.sendResolved) work.actions.push({ kind: "webhooks", reason: "some-resolved" });
}

/** Executes steps up to the next wait. */
function runSteps(work: IncidentWork): void {
  const { incident, settings } = work;
  if (!work.isEscalating || !work.isDue(incident.stepAt) || isHeld(work, "step")) return;
  // Alerts that joined later are notified at the next check: a step may reach others, or no one. None is due for
  // those that a check passed over while the incident was snoozed.
  if (incident.notifiedAt === null || incident.flushAt === null) work.markFiringNotified(work.fresh);
  incident.notifiedAt ??= work.now;
  // A round that ends starts the next one at once; the limit stops rounds without any wait.
  for (let left = 2 * settings.steps.length + 2; left > 0 && work.isDue(incident.stepAt); left -= 1) runStep(work);
}

function runStep(work: IncidentWork): void {
  const { incident, settings, facts, now } = work;
  if (runAssigned(work)) return;
  const index = incident.step;
  const step = settings.steps[index];
  if (!step) {
    endRound(work);
    return;
  }
  incident.step = index + 1;
  switch (step.type) {
    case "notify":
      incident.urgency = step.urgency;
      work.actions.push({ kind: "page", step: index, round: incident.round, notify: step, isAgain: false });
      incident.steppedAt = now;
      work.notified();
      break;
    case "webhook":
    case "channel":
      work.actions.push({ kind: step.type, step: index });
      incident.steppedAt = now;
      work.notified();
      break;
    case "wait":
      incident.stepAt = now + step.ms;
      break;
    case "onlyIn":
      if (!facts.isWithin(step.interval, now)) outside(work, step, index);
      break;
    case "ifCount":
      if (hasEnough(work, step)) break;
      incident.step = index;
      incident.stepAt = null;
      work.log("too-few-alerts", { step: index, wanted: step.alerts });
      return;
    case "resolve":
      close(work, "policy");
      return;
    default:
      assertNever(step);
  }
  if (incident.step === settings.steps.length && incident.stepAt !== null)
    incident.stepAt = Math.max(incident.stepAt, now + ROUND_GAP_MS);
}

/** `skip` passes over the next step, `hold` waits until the interval opens. */
function outside(work: IncidentWork, step: Extract<PolicyStep, { type: "onlyIn" }>, index: number): void {
  const { incident, facts, settings, now } = work;
  work.log("outside-interval", { step: index, interval: step.interval, otherwise: step.otherwise });
  if (step.otherwise === "skip") {
    incident.step = Math.min(index + 2, settings.steps.length);
    return;
  }
  incident.step = index;
  incident.stepAt = facts.opensAt(step.interval, now);
}

function endRound(work: IncidentWork): void {
  const { incident, settings, now } = work;
  incident.stepAt = null;
  if (settings.steps.length === 0) {
    incident.steppedAt = now;
    work.notified();
    return;
  }
  if (incident.round < settings.repeat) {
    incident.round += 1;
    incident.step = 0;
    incident.stepAt = now;
    return;
  }
  // No person is meant to acknowledge it.
  if (incident.assigned === null && !settings.steps.some(({ type }) => type === "notify")) return;
  work.log("exhausted");
  work.event("incident.exhausted", { rounds: incident.round + 1 });
}

function repeat(work: IncidentWork): void {
  const { incident } = work;
  if (!work.isEscalating || !work.isDue(incident.repeatAt) || isHeld(work, "repeat")) return;
  if (incident.reachedAt === null) tryAgain(work);
  else work.renotify("repeat", incident.urgency);
  work.markTold(work.firing.filter(({ severity, toldSeverity }) => severity !== null && severity === toldSeverity));
}

/**
 * No one was reached so far: the targets of the executed steps are asked again, because another
 * person may be on call, or a way may work by now. Steps to come keep their times.
 */
function tryAgain(work: IncidentWork): void {
  const { incident, settings, facts, now } = work;
  work.log("looked-again");
  const isTheirs = pageAssignedAgain(work);
  for (let index = 0; index < incident.step && !isTheirs; index += 1) {
    const step = settings.steps[index];
    if (step?.type === "onlyIn" && !facts.isWithin(step.interval, now)) index += 1;
    else if (step?.type === "notify")
      work.actions.push({ kind: "page", step: index, round: incident.round, notify: step, isAgain: true });
    else if (step?.type === "webhook" || step?.type === "channel") work.actions.push({ kind: step.type, step: index });
  }
  work.notified();
}

/** No event tells that a time interval ends: the look is due then, if that is sooner. */
function unmutedBefore(at: EpochMs, facts: Facts): EpochMs {
  return Math.min(at, facts.unmutedAt?.() ?? at);
}

/** While no alert fires, or all that fire are withheld, the incident notifies no one. */
function isHeld(work: IncidentWork, holds: "step" | "repeat"): boolean {
  const { incident, firing, facts, settings, now } = work;
  if (incident.direct !== null || firing.some(({ alertId }) => !facts.isWithheld(alertId))) return false;
  const again =
    firing.length === 0
      ? Math.max(incident.flushAt ?? 0, now + 1)
      : unmutedBefore(now + settings.groupIntervalMs, facts);
  if (holds === "step") incident.stepAt = again;
  else incident.repeatAt = again;
  if (firing.length === 0) incident.flushAt ??= again;
  else work.actions.push({ kind: "withheld", alertIds: firing.map(({ alertId }) => alertId), holds });
  return true;
}
