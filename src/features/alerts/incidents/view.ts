import { type SelectQueryBuilder, sql } from "kysely";
import * as v from "valibot";
import { toRfc3339, toRfc3339OrNull } from "../../../core/clock.ts";
import type { Level } from "../../../core/vocabulary.ts";
import type { PageRequest } from "../../../http/pagination.ts";
import { doc, named, selfChanging } from "../../../http/shapes.ts";
import { addEffect, type Trx } from "../../../store/database.ts";
import type { OwnEventDraft } from "../../events/index.ts";
import { WithheldNow } from "../book/schema.ts";
import type { Policies } from "../policies/policies.ts";
import { assignedOf, directOf } from "./assigned.ts";
import { dueAt, type IncidentEventType, type NoticeReason } from "./machine.ts";
import { SEVERITIES } from "./notice-text.ts";
import { NoticeOutcome } from "./page-view.ts";
import type { IncidentRow } from "./store.ts";

/* Incidents as others see them: in events, in memory, in answers. */

/** The event of a change. */
export function incidentEvent(
  row: IncidentRow,
  type: IncidentEventType,
  level: Level,
  data: Readonly<Record<string, unknown>>,
): OwnEventDraft {
  const { id, number, projectId, title, state, urgency, policyId, policyVersion, alerts, firing } = row;
  const facts = { incidentId: id, number, title, state, urgency, policyId, policyVersion, alerts, firing };
  const groupLabels = JSON.parse(row.groupLabels) as unknown;
  return { projectId, type, level, correlationId: id, payload: { ...facts, groupLabels, ...data } };
}

/** Whether alerts were withheld when the incident was last looked at, by what waited for them. */
export type Holds = Partial<Readonly<Record<"flush" | "step" | "repeat", boolean>>>;

/** Updates the memory with incidents that the transaction changes. */
export function noteChanged(
  trx: Trx,
  rows: readonly IncidentRow[],
  { holds = {}, sent = {} }: { readonly holds?: Holds; readonly sent?: Partial<Record<NoticeReason, number>> } = {},
): void {
  if (rows.length === 0) return;
  const incidents = rows.map((row) => ({
    id: row.id,
    projectId: row.projectId,
    state: row.state === "open" && row.snoozedUntil !== null ? ("snoozed" as const) : row.state,
    dueAt: dueAt(row),
    holds,
  }));
  addEffect(trx, { type: "incidents-changed", incidents, sent });
}

const STATES = ["open", "acknowledged", "resolved"] as const;

export const IncidentView = named(
  "Incident",
  "What people are notified of: a group of alerts of one policy",
  v.object({
    id: v.string(),
    number: doc(v.number(), "Counts from 1 in each project"),
    projectId: v.string(),
    title: v.string(),
    state: v.picklist(STATES),
    isSnoozed: v.boolean(),
    urgency: v.picklist(["high", "low"]),
    severity: doc(
      v.nullable(v.picklist(SEVERITIES)),
      "The highest severity of its alerts; null: they name none. Words such as `page` and `high` are translated",
    ),
    firingSince: doc(v.string(), "Start of its earliest alert; of one without alerts: when it was opened"),
    notifiesPeople: doc(v.boolean(), "Its policy notifies people or channels; otherwise it only calls webhooks"),
    policy: v.object({ id: v.string(), name: v.string(), version: v.number() }),
    groupKey: doc(v.string(), "Identity of the group, in Alertmanager's form"),
    groupLabels: v.record(v.string(), v.string()),
    alerts: doc(v.number(), "Number of alerts that joined"),
    firing: doc(v.number(), "Number of those that fire"),
    openedAt: v.string(),
    acknowledgedAt: v.nullable(v.string()),
    snoozedUntil: v.nullable(v.string()),
    resolvedAt: v.nullable(v.string()),
    resolvedBy: doc(
      v.nullable(v.string()),
      "A user's id, `alerts`, `timeout` (its alerts are no longer reported), `auto` or `policy`",
    ),
    sourceIncidentId: doc(
      v.nullable(v.string()),
      "The incident that reports that its source is silent, in place of its own end",
    ),
    notifiedAt: doc(v.nullable(v.string()), "When its steps started"),
    reachedAt: selfChanging(
      doc(v.nullable(v.string()), "When a notice was first accepted outside of the app, or a person answered one"),
    ),
    step: doc(v.number(), "Index of the next step of the policy"),
    round: doc(v.number(), "Rounds of all steps so far, from 0"),
    nextStepAt: selfChanging(doc(v.nullable(v.string()), "When the next step runs; null while it waits for people")),
    nextDueAt: selfChanging(doc(v.nullable(v.string()), "When the incident does something next")),
    direct: doc(
      v.nullable(v.object({ message: v.string(), by: v.string(), byName: v.string() })),
      "Of an incident that a person opened to page others: `by` is a user's id or `operator`",
    ),
    assigned: doc(
      v.nullable(
        v.object({
          by: doc(
            v.picklist(["page", "reassign"]),
            "`page`: it was opened to page them. `reassign`: it was given to them",
          ),
          users: v.array(v.string()),
          schedules: v.array(v.object({ id: v.string(), who: v.picklist(["current", "next", "both"]) })),
          urgency: v.picklist(["high", "low"]),
          phase: doc(
            v.picklist(["due", "waiting", "over"]),
            "`waiting`: they were paged, and the steps start with `nextStepAt`; `over`: the steps run",
          ),
        }),
      ),
      "Who is paged before the steps of the policy, as a person named them",
    ),
    version: v.number(),
    updatedAt: v.string(),
  }),
);
export type IncidentView = v.InferOutput<typeof IncidentView>;

export const SHOWN_TIMELINE = 500;
export const SHOWN_ALERTS = 100;
const AlertOfIncident = v.object({
  id: v.string(),
  fingerprint: v.string(),
  state: v.picklist(["pending", "firing", "resolved"]),
  severity: v.nullable(v.string()),
  labels: v.record(v.string(), v.string()),
  annotations: v.record(v.string(), v.string()),
  generatorUrl: v.nullable(v.string()),
  startsAt: v.string(),
  resolvedAt: v.nullable(v.string()),
  timedOut: doc(v.boolean(), "It was resolved because it was not sent again in time"),
  addedAt: v.string(),
  notifiedAt: doc(
    v.nullable(v.string()),
    "Null: its alerts were silenced, inhibited or muted, or no user was notified",
  ),
  withheld: WithheldNow,
});

const MayAct = selfChanging(
  doc(v.boolean(), "Whether the caller may act on it: by `incidents:act`, or as a person who was notified of it"),
);

export const IncidentDetail = named(
  "IncidentDetail",
  "An incident with its alerts, people and timeline",
  v.object({
    ...IncidentView.entries,
    alertList: doc(v.array(AlertOfIncident), `The last ${SHOWN_ALERTS} alerts, firing ones first`),
    acknowledgements: v.array(
      v.object({
        userId: v.string(),
        name: v.nullable(v.string()),
        at: v.string(),
        expiresAt: v.nullable(v.string()),
        via: v.string(),
      }),
    ),
    ackQuorum: doc(v.number(), "Acknowledgements that stop the steps"),
    audience: doc(
      v.array(
        v.object({
          userId: v.string(),
          name: v.string(),
          notifications: v.number(),
          firstAt: v.string(),
          lastAt: v.string(),
          acknowledged: doc(v.boolean(), "Whether the user acknowledged one of them"),
        }),
      ),
      "Who was notified, and when",
    ),
    mayAct: MayAct,
    notices: selfChanging(doc(v.array(NoticeOutcome), "The last 500 notices with their outcomes, oldest first")),
    steps: doc(v.array(v.unknown()), "The steps of the policy as the incident keeps them"),
    timeline: doc(
      v.array(
        v.object({
          seq: v.number(),
          at: v.string(),
          kind: v.string(),
          actor: doc(v.nullable(v.string()), "Id of the user; null: the server"),
          data: v.record(v.string(), v.unknown()),
        }),
      ),
      `The last ${SHOWN_TIMELINE} entries, oldest first`,
    ),
  }),
);

/** Firing alerts of an incident in a list that are examined. */
export const LOOKED_AT = 20;

export const SUMMARY_LENGTH = 300;

export const ListedIncident = named(
  "ListedIncident",
  "An incident in a list",
  v.object({
    ...IncidentView.entries,
    summary: doc(
      v.nullable(v.string()),
      `Annotation \`summary\`, \`description\` or \`message\` of its first alert, at most ${SUMMARY_LENGTH} characters`,
    ),
    acknowledgedBy: doc(
      v.array(v.object({ userId: v.string(), name: v.nullable(v.string()) })),
      "Users with a valid acknowledgement, the earliest first",
    ),
    isWithheld: selfChanging(
      doc(
        v.boolean(),
        `Whether all its firing alerts are silenced, inhibited or muted now; false with more than ${LOOKED_AT}`,
      ),
    ),
    withheldAs: selfChanging(
      doc(
        v.nullable(v.picklist(["silenced", "inhibited", "muted"])),
        "With `isWithheld`: by silences, other alerts or time intervals; null without it",
      ),
    ),
    mayAct: MayAct,
  }),
);

export function incidentView(policies: Policies, row: IncidentRow): IncidentView {
  const definition = policies.definitionOf({ id: row.policyId, version: row.policyVersion });
  return {
    id: row.id,
    number: row.number,
    projectId: row.projectId,
    title: row.title,
    state: row.state,
    isSnoozed: row.snoozedUntil !== null,
    urgency: row.urgency,
    severity: row.severity,
    firingSince: toRfc3339(row.firingSince),
    notifiesPeople: row.assigned !== null || row.forPeople === 1,
    policy: { id: row.policyId, name: definition.name, version: row.policyVersion },
    groupKey: row.groupKey,
    groupLabels: JSON.parse(row.groupLabels) as Record<string, string>,
    alerts: row.alerts,
    firing: row.firing,
    openedAt: toRfc3339(row.openedAt),
    acknowledgedAt: toRfc3339OrNull(row.acknowledgedAt),
    snoozedUntil: toRfc3339OrNull(row.snoozedUntil),
    resolvedAt: toRfc3339OrNull(row.resolvedAt),
    resolvedBy: row.resolvedBy,
    sourceIncidentId: row.sourceIncidentId,
    notifiedAt: toRfc3339OrNull(row.notifiedAt),
    reachedAt: toRfc3339OrNull(row.reachedAt),
    step: row.step,
    round: row.round,
    nextStepAt: toRfc3339OrNull(row.state === "resolved" ? null : row.stepAt),
    nextDueAt: toRfc3339OrNull(dueAt(row)),
    direct: directOf(row.direct),
    assigned: assignedView(row.assigned),
    version: row.version,
    updatedAt: toRfc3339(row.updatedAt),
  };
}

function assignedView(stored: string | null): IncidentView["assigned"] {
  const assigned = assignedOf(stored);
  return assigned && { ...assigned, users: [...assigned.users], schedules: [...assigned.schedules] };
}

/* The order in which unresolved incidents need people. */

/**
 * Open ones before acknowledged, snoozed, and those that wait for no person, each by severity. The expression is that
 * of the index `incidents_attention`, which serves it for rows that are {@link isUnresolved}.
 */
export const attentionRank = sql<number>`(case when forPeople = 0 and assigned is null then 300 when snoozedUntil is not null then 200 when state = 'acknowledged' then 100 else 0 end
    + case severity when 'critical' then 0 when 'error' then 1 when 'warning' then 3 when 'info' then 4 else iif(urgency = 'high', 2, 5) end)`;

/** The first rank after those that wait for an acknowledgement. */
export const ACKNOWLEDGED_RANK = 100;

export const isUnresolved = sql<boolean>`state <> 'resolved'`;

/** Those of one rank with the earliest alert first. @param after rank, start of the earliest alert, id */
export function inAttentionOrder<DB, TB extends keyof DB, O>(
  query: SelectQueryBuilder<DB, TB, O>,
  { after, limit, offset }: PageRequest,
): SelectQueryBuilder<DB, TB, O> {
  const rows = after
    ? query.where(sql<boolean>`(${attentionRank}, firingSince, id) > (${sql.join([...after])})`)
    : query;
  return rows
    .orderBy(attentionRank)
    .orderBy(sql`firingSince`)
    .orderBy(sql`id`)
    .limit(limit + 1)
    .offset(offset);
}
