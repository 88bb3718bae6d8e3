import * as v from "valibot";
import { SEVERITY_OF_LEVEL } from "../../../core/text/vocabulary.ts";
import { wordsFor } from "../../../core/text/words.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import {
  type AnswerOf,
  column,
  computed,
  json,
  orNull,
  type RowOf,
  resource,
  stored,
  time,
} from "../../../http/api/resource.ts";
import { doc, selfChanging } from "../../../http/api/shapes.ts";
import { later, type Trx } from "../../../store/database.ts";
import type { Urgency } from "../../../store/schema/alerts.ts";
import { StoredAlert } from "../book/alert-book.ts";
import type { LabelRecord } from "../model/labels.ts";
import type { ScheduleTarget } from "../policies/policy.ts";
import type { AlertView } from "../types.ts";

declare module "../../../store/schema.ts" {
  interface Schema {
    incidents: IncidentRow;
  }
}

/** From the highest to the lowest. */
export const SEVERITIES = ["critical", "error", "warning", "info"] as const;
export const INCIDENT_STATES = ["open", "acknowledged", "resolved"] as const;
const urgency = v.picklist(["high", "low"]);

/** A group of alerts of one policy. */
export const IncidentItem = resource(
  "Incident",
  "What people are notified of: a group of alerts of one policy",
  "incidents",
  () => ({
    id: stored(v.string()),
    number: stored(doc(v.number(), "Counts from 1 in each project")),
    projectId: stored(v.string()),
    title: stored(v.string()),
    state: stored(v.picklist(INCIDENT_STATES)),
    isSnoozed: computed(v.boolean()),
    urgency: stored(urgency),
    severity: stored(
      doc(
        v.nullable(v.picklist(SEVERITIES)),
        "The highest severity of its alerts; null: they name none. Words such as `page` and `high` are translated",
      ),
    ),
    firingSince: stored(
      doc(v.string(), "Start of its earliest alert; of one without alerts: when it was opened"),
      time,
    ),
    notifiesPeople: computed(
      doc(v.boolean(), "Its policy notifies people or channels; otherwise it only calls webhooks"),
    ),
    policy: computed(v.object({ id: v.string(), name: v.string(), version: v.number() })),
    groupKey: stored(doc(v.string(), "Identity of the group, in Alertmanager's form")),
    groupLabels: stored(v.record(v.string(), v.string()), json()),
    alerts: stored(doc(v.number(), "Number of alerts that joined")),
    firing: stored(doc(v.number(), "Number of firing ones")),
    openedAt: stored(v.string(), time),
    acknowledgedAt: stored(v.nullable(v.string()), orNull(time)),
    snoozedUntil: stored(v.nullable(v.string()), orNull(time)),
    resolvedAt: stored(v.nullable(v.string()), orNull(time)),
    resolvedBy: stored(
      doc(
        v.nullable(v.string()),
        "A user's id, `alerts`, `timeout` (its alerts are no longer reported), `moved` (its alerts have another route, and fire in another incident), `mirror` (someone in the system beside a mirror), `auto` or `policy`",
      ),
    ),
    sourceIncidentId: stored(
      doc(v.nullable(v.string()), "The incident that reports that its source is silent, in place of its own end"),
    ),
    notifiedAt: stored(doc(v.nullable(v.string()), "When its steps started"), orNull(time)),
    reachedAt: stored(
      selfChanging(
        doc(v.nullable(v.string()), "When a notice was first accepted outside of the app, or a person answered one"),
      ),
      orNull(time),
    ),
    step: stored(doc(v.number(), "Index of the next step of the policy")),
    round: stored(doc(v.number(), "Rounds of all steps so far, from 0")),
    nextStepAt: computed(
      selfChanging(doc(v.nullable(v.string()), "When the next step runs; null while it waits for people")),
    ),
    nextDueAt: computed(selfChanging(doc(v.nullable(v.string()), "When the incident does something next"))),
    direct: stored(
      doc(
        v.nullable(v.object({ message: v.string(), by: v.string(), byName: v.string() })),
        "Of an incident that a person opened to page others: `by` is a user's id or `operator`",
      ),
      orNull(json()),
    ),
    assigned: stored(
      doc(
        v.nullable(
          v.object({
            by: doc(
              v.picklist(["page", "reassign"]),
              "`page`: it was opened to page them. `reassign`: it was given to them",
            ),
            users: v.array(v.string()),
            schedules: v.array(v.object({ id: v.string(), who: v.picklist(["current", "next", "both"]) })),
            urgency,
            phase: doc(
              v.picklist(["due", "waiting", "over"]),
              "`waiting`: they were paged, and the steps start with `nextStepAt`; `over`: the steps run",
            ),
          }),
        ),
        "Who is paged before the steps of the policy, as a person named them",
      ),
      orNull(json()),
    ),
    version: stored(v.number()),
    updatedAt: stored(v.string(), time),
    policyId: column(v.string()),
    policyVersion: column(v.number()),
    /** The route's settings when the incident was opened. */
    route: column(v.string()),
    /** Number of notifications so far, for their dedupe keys. */
    notices: column(v.number()),
    /** The tick of the last look at its alerts: ticks are `groupIntervalMs` apart, from the first look on. */
    lastFlushAt: column(v.nullable(v.number())),
    flushAt: column(v.nullable(v.number())),
    stepAt: column(v.nullable(v.number())),
    repeatAt: column(v.nullable(v.number())),
    ackExpiresAt: column(v.nullable(v.number())),
    autoResolveAt: column(v.nullable(v.number())),
    /** When the last step that notifies was executed. */
    steppedAt: column(v.nullable(v.number())),
    /** 0: its policy only calls webhooks. */
    forPeople: column(v.picklist([0, 1])),
  }),
);
export type IncidentRow = RowOf<typeof IncidentItem>;
export type IncidentView = AnswerOf<typeof IncidentItem>;

/** The columns that the state machine decides about. */
const DECIDED = [
  "state",
  "urgency",
  "openedAt",
  "acknowledgedAt",
  "resolvedAt",
  "resolvedBy",
  "sourceIncidentId",
  "snoozedUntil",
  "step",
  "round",
  "lastFlushAt",
  "notifiedAt",
  "reachedAt",
  "steppedAt",
  "flushAt",
  "stepAt",
  "repeatAt",
  "ackExpiresAt",
  "autoResolveAt",
  "direct",
  "assigned",
] as const;
export type Incident = Readonly<Pick<IncidentRow, (typeof DECIDED)[number]>>;

/** The columns that the machine decides about. */
export function decidedColumns(incident: Incident): Incident {
  return columnsOf(incident, DECIDED) as Incident;
}

/** Columns of indexes: SQLite writes each index of a column that a statement names, also with the same value. */
const INDEXED: ReadonlySet<string> = new Set([
  "state",
  "urgency",
  "openedAt",
  "resolvedAt",
  "snoozedUntil",
  "assigned",
] satisfies (typeof DECIDED)[number][]);
const NOT_INDEXED = DECIDED.filter((column) => !INDEXED.has(column));

/** {@link decidedColumns} without those of indexes if none of them changes. @param stored the row before */
export function columnsToStore(stored: Incident, incident: Incident): Partial<Incident> {
  const isSame = DECIDED.every((column) => !INDEXED.has(column) || stored[column] === incident[column]);
  return columnsOf(incident, isSame ? NOT_INDEXED : DECIDED);
}

function columnsOf(incident: Incident, names: readonly (typeof DECIDED)[number][]): Partial<Incident> {
  return Object.fromEntries(names.map((column) => [column, incident[column]]));
}

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

/* Severities of alerts: what they mean, and which one is worse. */

export type AlertSeverity = (typeof SEVERITIES)[number];

const WORDS = wordsFor("alerts");

/** What the word of a sender means; null: nothing. */
export function severityNamed(given: string): AlertSeverity | null {
  const level = WORDS.get(given.toLowerCase())?.level;
  return level === undefined ? null : SEVERITY_OF_LEVEL[level];
}

/** The severity that an alert names, by whatever word; null: it names none. */
export function namedSeverity(alert: Pick<AlertView, "severity" | "label">): AlertSeverity | null {
  return severityNamed(alert.severity ?? alert.label("severity"));
}

export function highestSeverity(named: readonly (AlertSeverity | null)[]): AlertSeverity | null {
  return SEVERITIES.find((each) => named.includes(each)) ?? null;
}

/** What readers see: the highest of the severities; without one the urgency decides. */
export function shownSeverity(
  urgency: IncidentRow["urgency"],
  named: readonly (AlertSeverity | null)[],
): AlertSeverity {
  return highestSeverity(named) ?? (urgency === "high" ? "critical" : "warning");
}

/** {@link shownSeverity} of the alerts. */
export function severityOf(urgency: IncidentRow["urgency"], alerts: readonly AlertView[]): AlertSeverity {
  return shownSeverity(urgency, alerts.map(namedSeverity));
}

/** Whether the first is worse. Null is below all. */
export function isHigher(severity: AlertSeverity | null, other: AlertSeverity | null): boolean {
  if (severity === null) return false;
  return other === null || SEVERITIES.indexOf(severity) < SEVERITIES.indexOf(other);
}

/** Whether the urgency rises with the severity: errors are urgent, as in PagerDuty, warnings are not. */
export function isMoreUrgent(severity: AlertSeverity | null, before: AlertSeverity | null): boolean {
  return isUrgent(severity) && !isUrgent(before);
}

function isUrgent(severity: AlertSeverity | null): boolean {
  return severity === "critical" || severity === "error";
}

/*
 * Labels that webhooks have named an alert by before it got others under the same key, or before it moved to another
 * incident. To a receiver of Alertmanager's format these are other alerts: it gets their end.
 */

/** So many are kept for an alert: one that flaps has the same labels again. */
const KEPT = 20;

/** As they were at `at`, when they ended. */
export interface Former {
  readonly fingerprint: string;
  readonly labels: LabelRecord;
  readonly annotations: LabelRecord;
  readonly severity: string | null;
  readonly startsAt: EpochMs;
  readonly at: EpochMs;
  /** The look that reported their end; null: none yet. */
  readonly toldAt: EpochMs | null;
}

/** @param stored the column `former` */
export function formersOf(stored: string | null): readonly Former[] {
  return stored === null ? [] : (JSON.parse(stored) as Former[]);
}

/** @param stored the column `former`. @returns its new value, with the labels that the alert has lost */
export function withFormer(stored: string | null, alert: AlertView, now: EpochMs): string {
  const { fingerprint, labels, annotations, severity, startsAt } = alert;
  const others = formersOf(stored).filter((each) => each.fingerprint !== fingerprint);
  const added: Former = { fingerprint, labels, annotations, severity, startsAt, at: now, toldAt: null };
  return JSON.stringify([...others, added].slice(-KEPT));
}

const TELL = `update incident_alerts set former = (
    select json_group_array(json_set(value, '$.toldAt', coalesce(value ->> '$.toldAt', ?))) from json_each(former))
  where incidentId = ? and former is not null and alertId in (select value from json_each(?))`;

/** The ends of the former labels of these alerts are reported now. */
export function markFormer(trx: Trx, incidentId: string, alertIds: readonly string[], now: EpochMs): void {
  if (alertIds.length > 0) later(trx, TELL, [now, incidentId, JSON.stringify(alertIds)]);
}

/** Labels that the alert `a` has lost, whose end is not reported yet. */
export const HAS_FORMER = `former is not null and exists (select 1 from json_each(former) f
  where f.value ->> 'toldAt' is null and f.value ->> 'fingerprint' <> a.fingerprint)`;

/** The alert as it was: over since it got other labels. */
export function formerView(alert: AlertView, { labels, annotations, ...former }: Omit<Former, "toldAt">): AlertView {
  const { id, projectId, key, generatorUrl, source, sourceId, sender, count } = alert;
  const { fingerprint, severity, startsAt, at } = former;
  return new StoredAlert({
    ...{ id, projectId, key, generatorUrl, source, sourceId, sender, count, fingerprint, severity, startsAt },
    ...{ labels: JSON.stringify(labels), annotations: JSON.stringify(annotations), state: "resolved" },
    ...{ firesAt: null, endsAt: null, isTimeoutEnd: 0, timedOut: 0, lastAt: at, resolvedAt: at },
  });
}
