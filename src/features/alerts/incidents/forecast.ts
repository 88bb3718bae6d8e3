import { uuidv7 } from "../../../core/ids.ts";
import { DAY_MS, type EpochMs } from "../../../core/time/clock.ts";
import type { ReadDb } from "../../../store/database.ts";
import { StoredAlert } from "../book/alert-book.ts";
import { checkLabels, fingerprintOf, type LabelRecord, sortedLabels } from "../model/labels.ts";
import type { PolicyRef } from "../policies/policies.ts";
import type { StepSettings } from "../policies/policy.ts";
import type { RouteMatch } from "../policies/routing.ts";
import type { Withheld } from "../silences/withholding.ts";
import type { AlertView } from "../types.ts";
import type { IncidentParts } from "./context.ts";
import { acksOf, type FactParts, IncidentFacts, membersOf } from "./facts.ts";
import { type Incident, type IncidentRow, namedSeverity } from "./incident.ts";
import { type Action, dueAt, type Facts, joined, type Member, opened, repeatMsOf } from "./machine.ts";
import { candidatesOf, reachableOf } from "./notices.ts";
import { incidentsOfAlert, notifiedUsers, settingsOf, unresolvedOf } from "./store.ts";
import { turn } from "./turn.ts";

/* Forecast of incidents if nothing changes. Nothing is stored. */

/** An action that the incident takes if nothing changes. */
export interface Forecast {
  readonly at: EpochMs;
  readonly action: Action;
  /** The action is repeated after each such time, until someone is reached. */
  readonly everyMs?: number;
  /** The steps that it asks again. */
  readonly again?: readonly Action[];
}

const MAX_TURNS = 200;
const MAX_ACTIONS = 50;
const AHEAD_MS = 7 * DAY_MS;
/** Later entries only repeat it. */
const LAST: ReadonlySet<string> = new Set(["withheld", "incident.resolved"]);

export interface ForecastParts
  extends Omit<FactParts, "alerts">,
    Pick<IncidentParts, "policies" | "reachable" | "users" | "projects" | "onCall"> {
  readonly db: ReadDb;
  readonly alerts: ReturnType<FactParts["alerts"]>;
  /** Everyone is reached: for comparisons of many alerts. */
  readonly waysWork?: true;
}

/** The next actions of a stored incident. */
export async function forecastOf(parts: ForecastParts, row: IncidentRow): Promise<Forecast[]> {
  const now = parts.clock.now();
  const known = { members: await membersOf(parts.db, row.id), acks: await acksOf(parts.db, row.id) };
  const facts = new IncidentFacts({ ...parts, alerts: () => parts.alerts }, row, known, now);
  return forecast(row, facts, settingsOf(parts.policies, row), { parts, projectId: row.projectId, now });
}

/** Forecast of one route for an alert. */
export interface Trial {
  readonly match: RouteMatch;
  readonly policy: PolicyRef;
  /** The policy opens no incidents: the alert is only listed. */
  readonly isListedOnly: boolean;
  /** The unresolved incident that it would join; null: it would open one. */
  readonly incident: IncidentRow | null;
  readonly withheld: Withheld;
  readonly actions: readonly Forecast[];
}

/** An alert that is not stored. @throws VALIDATION_FAILED */
export function trialAlert(projectId: string, given: LabelRecord, now: EpochMs): AlertView {
  const labels = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== ""));
  checkLabels(labels);
  const fingerprint = fingerprintOf(sortedLabels(labels));
  const times = { startsAt: now, firesAt: null, endsAt: null, lastAt: now, resolvedAt: null };
  return new StoredAlert({
    ...{ id: uuidv7(), projectId, key: `api:${fingerprint}`, fingerprint, source: "api", sourceId: null, sender: null },
    ...{ labels: JSON.stringify(labels), annotations: "{}", generatorUrl: null, severity: null, state: "firing" },
    ...{ ...times, timedOut: 0, isTimeoutEnd: 0, count: 1 },
  });
}

/**
 * Forecasts of each route that matches the alert. @param at another time than now: no incident is
 * open then
 */
export async function tryAlert(parts: ForecastParts, alert: AlertView, at?: EpochMs): Promise<Trial[]> {
  const matches = parts.policies.routingOf(alert.projectId).match(alert.labels);
  const trials: Trial[] = [];
  for (const match of matches) trials.push(await tryRoute(parts, alert, match, at));
  return trials;
}

/** A first page later than this is no reason to be silent until then. */
const SOON_MS = 5 * 60_000;

/** Services that handle alerts of incidents. */
export interface AlertPeople {
  /** The alerts fire, and silences match all of them. */
  readonly areSilenced: boolean;
  /** Users whom their incidents have notified, or notify soon. */
  readonly people: ReadonlySet<string>;
}

/** @param alerts at least one; ended ones count for those whom their incident has notified */
export async function peopleOf(parts: ForecastParts, alerts: readonly AlertView[]): Promise<AlertPeople> {
  const { db, clock } = parts;
  const people = new Set<string>();
  let areSilenced = alerts.some(({ state }) => state === "firing");
  for (const alert of alerts) {
    const trials = alert.state === "firing" ? await tryAlert(parts, alert) : [];
    // Afterwards: what was notified meanwhile is no longer ahead.
    const notified = await notifiedOf(db, alert.id);
    for (const id of notified) people.add(id);
    if (alert.state !== "firing") continue;
    areSilenced &&= trials.length > 0 && trials.every(({ withheld }) => withheld.silencedBy.length > 0);
    if (notified.length > 0) continue;
    for (const { actions } of trials) {
      const first = actions.find(({ action }) => action.kind === "page");
      if (first?.action.kind !== "page" || first.at > clock.now() + SOON_MS) continue;
      const { users } = await candidatesOf(parts, db, alert.projectId, first.action.notify, first.at);
      for (const id of users) people.add(id);
    }
  }
  return { areSilenced, people };
}

/** Whom the newest incident of an alert has notified. */
async function notifiedOf(db: ReadDb, alertId: string): Promise<string[]> {
  const [row] = await incidentsOfAlert(db, alertId, 1);
  return row ? notifiedUsers(db, [row.id]) : [];
}

async function tryRoute(parts: ForecastParts, alert: AlertView, match: RouteMatch, at?: EpochMs): Promise<Trial> {
  const { db, policies, clock } = parts;
  const { projectId } = alert;
  const now = at ?? clock.now();
  const policy = policies.named(projectId, match.settings.policy);
  const { muteIntervals, activeIntervals } = match.settings;
  const withheld = parts.withheldBy(alert, { projectId, muteIntervals, activeIntervals }, now);
  if (!policies.definitionOf(policy).opensIncidents)
    return { match, policy, isListedOnly: true, incident: null, withheld, actions: [] };
  const group = { projectId, policyId: policy.id, groupKey: match.groupKey };
  const incident = at === undefined ? ((await unresolvedOf(db, group)) ?? null) : null;
  const settings = incident
    ? settingsOf(policies, incident)
    : { ...policies.definitionOf(policy), ...timesOf(match.settings) };
  const route = incident?.route ?? JSON.stringify(match.settings);
  const known = {
    members: [...(incident ? await membersOf(db, incident.id) : []), newMember(alert.id, namedSeverity(alert), now)],
    acks: incident ? await acksOf(db, incident.id) : [],
  };
  const alerts = { find: (id: string) => (id === alert.id ? alert : parts.alerts.find(id)) };
  const facts = new IncidentFacts({ ...parts, alerts: () => alerts }, { projectId, route }, known, now);
  const start = incident ? joined(incident, settings, now) : opened(now, settings, now);
  const actions = await forecast(start, facts, settings, { parts, projectId, now });
  return { match, policy, isListedOnly: false, incident, withheld, actions };
}

/** An alert that fires, of which no one was notified. */
function newMember(alertId: string, severity: Member["severity"], addedAt: EpochMs): Member {
  return {
    ...{ alertId, severity, addedAt, isFiring: true, hasTimedOut: false, hasLeft: false, hasFormer: false },
    ...{ firingNotifiedAt: null, resolvedNotifiedAt: null, toldSeverity: null, toldAt: null },
  };
}

/** The actions of an incident that opens at an instant, and that nothing withholds. */
export function forecastOfPolicy(
  parts: ForecastParts,
  projectId: string,
  settings: StepSettings,
  at: EpochMs,
): Promise<Forecast[]> {
  const known = { members: [newMember("", null, at)], acks: [] };
  // Without its alert no silence, inhibition or route is asked.
  const alerts = () => ({ find: () => null });
  const facts = new IncidentFacts({ ...parts, alerts }, { projectId, route: "" }, known, at);
  return forecast(opened(at, settings, at), facts, settings, { parts, projectId, now: at });
}

function timesOf({ groupWaitMs, groupIntervalMs, repeatMs }: RouteMatch["settings"]) {
  return { groupWaitMs, groupIntervalMs, repeatMs };
}

interface Place {
  readonly parts: ForecastParts;
  readonly projectId: string;
  readonly now: EpochMs;
}

/**
 * The incident's next actions of a week if no person acts, no alert changes, and ways work: the
 * machine runs ahead of time. It ends with the first repetition of the last notification.
 */
async function forecast(incident: Incident, facts: Facts, settings: StepSettings, place: Place): Promise<Forecast[]> {
  const { now } = place;
  const found: Forecast[] = [];
  let [current, acks, members, repeats] = [incident, facts.acks, facts.members, false];
  for (let left = MAX_TURNS; left > 0 && found.length < MAX_ACTIONS; left -= 1) {
    const due = dueAt(current);
    if (due === null || due > now + AHEAD_MS) break;
    const at = Math.max(due, now);
    const next = turn(current, { ...bound(facts), members, acks }, settings, at);
    const { actions, isAgain } = withoutRepeated(next.actions, settings, at, repeats);
    found.push(...actions);
    if (next.actions.some(isLast)) break;
    const notified = new Set(next.firingNotified);
    const told = new Map(next.told.map(({ alertId, severity }) => [alertId, severity]));
    members = members.map((each) => ({
      ...each,
      firingNotifiedAt: notified.has(each.alertId) ? at : each.firingNotifiedAt,
      toldSeverity: told.get(each.alertId) ?? each.toldSeverity,
      toldAt: told.has(each.alertId) ? at : each.toldAt,
      hasFormer: false,
    }));
    [current, acks, repeats] = [next.incident, next.acks, repeats || isAgain];
    if (current.reachedAt === null && (await reaches(place, actions)))
      current = { ...current, reachedAt: at, repeatAt: current.repeatAt === null ? null : at + settings.repeatMs };
    else if (repeats && current.reachedAt === null) current = { ...current, repeatAt: null };
  }
  return found;
}

/** Steps that are asked again, as they reached no one, are one action. */
function withoutRepeated(
  actions: readonly Action[],
  settings: StepSettings,
  at: EpochMs,
  isKnown: boolean,
): { readonly actions: readonly Forecast[]; readonly isAgain: boolean } {
  const start = actions.findIndex((action) => action.kind === "log" && action.entry === "looked-again");
  const again = actions[start];
  if (!again)
    return { actions: actions.flatMap((action) => (isSent(action, settings) ? { at, action } : [])), isAgain: false };
  const before = actions.slice(0, start).map((action) => ({ at, action }));
  const everyMs = repeatMsOf({ reachedAt: null }, settings);
  const repeated = { at, action: again, everyMs, again: actions.slice(start + 1) };
  return { actions: isKnown ? before : [...before, repeated], isAgain: true };
}

/** Whether there is anyone, or anything, that an action notifies again. */
function isSent(action: Action, { steps }: StepSettings): boolean {
  return action.kind !== "webhooks" || steps.some(({ type }) => type === "webhook" || type === "channel");
}

/** Whether an action is expected to reach someone outside of the app. */
async function reaches({ parts, projectId }: Place, actions: readonly Forecast[]): Promise<boolean> {
  for (const { at, action } of actions) {
    if (action.kind === "webhook" || action.kind === "channel") return true;
    if (action.kind !== "page") continue;
    const { users } = await candidatesOf(parts, parts.db, projectId, action.notify, at);
    if (parts.waysWork && users.length > 0) return true;
    const found = await reachableOf(parts, parts.db, { projectId }, users, action.notify.urgency);
    if (found.size > 0) return true;
  }
  return false;
}

function bound(facts: Facts): Pick<Facts, "hasWays" | "isWithheld" | "isWithin" | "opensAt"> {
  return {
    hasWays: facts.hasWays,
    isWithheld: (alertId) => facts.isWithheld(alertId),
    isWithin: (interval, at) => facts.isWithin(interval, at),
    opensAt: (interval, after) => facts.opensAt(interval, after),
  };
}

function isLast(action: Action): boolean {
  if (action.kind === "renotify") return action.reason === "repeat";
  return LAST.has(action.kind) || (action.kind === "event" && LAST.has(action.type));
}
