import * as v from "valibot";
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
        "A user's id, `alerts`, `timeout` (its alerts are no longer reported), `moved` (its alerts have another route, and fire in another incident), `auto` or `policy`",
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
  return Object.fromEntries(DECIDED.map((column) => [column, incident[column]])) as Incident;
}
