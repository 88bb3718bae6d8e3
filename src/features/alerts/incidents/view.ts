import { type SelectQueryBuilder, sql } from "kysely";
import * as v from "valibot";
import type { Principal } from "../../../core/caller.ts";
import { once } from "../../../core/once.ts";
import type { Level } from "../../../core/text/vocabulary.ts";
import { toRfc3339OrNull } from "../../../core/time/clock.ts";
import { doc, named, type PageRequest, selfChanging } from "../../../http/api/shapes.ts";
import { addEffect, type ReadDb, type Trx } from "../../../store/database.ts";
import type { Projects } from "../../access/index.ts";
import type { OwnEventDraft } from "../../events/index.ts";
import { WithheldNow } from "../book/schema.ts";
import type { Policies } from "../policies/policies.ts";
import { IncidentItem, type IncidentRow, type IncidentView } from "./incident.ts";
import { dueAt, type IncidentEventType, type NoticeReason } from "./machine.ts";
import { NoticeOutcome } from "./page-view.ts";
import { SilenceOfIncident } from "./silenced.ts";

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
  leftAt: doc(v.nullable(v.string()), "When it got another route: here it has ended, and may fire in another incident"),
  withheld: WithheldNow,
});

const MayAct = selfChanging(
  doc(v.boolean(), "Whether the caller may act on it: by `incidents:act`, or as a person who was notified of it"),
);

export const IncidentDetail = once(() =>
  named(
    "IncidentDetail",
    "An incident with its alerts, people and timeline",
    v.object({
      ...IncidentItem.shown,
      alertList: doc(
        v.array(AlertOfIncident),
        `The last ${SHOWN_ALERTS} alerts: firing ones first, those that have left last`,
      ),
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
            seenAt: doc(v.nullable(v.string()), "When the user first read or acknowledged one of them"),
            acknowledged: doc(v.boolean(), "Whether the user acknowledged one of them"),
          }),
        ),
        "Who was notified, and when",
      ),
      mayAct: MayAct,
      notices: selfChanging(doc(v.array(NoticeOutcome), "The last 500 notices with their outcomes, oldest first")),
      silences: selfChanging(
        doc(
          v.array(SilenceOfIncident),
          "The silences that withhold its alerts now, or did when they were to be notified",
        ),
      ),
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
  ),
);

/** Firing alerts of an incident in a list that are examined. */
export const LOOKED_AT = 20;

export const SUMMARY_LENGTH = 300;

export const ListedIncident = once(() =>
  named(
    "ListedIncident",
    "An incident in a list",
    v.object({
      ...IncidentItem.shown,
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
  ),
);

export function incidentView(policies: Policies, row: IncidentRow): IncidentView {
  const { name } = policies.definitionOf({ id: row.policyId, version: row.policyVersion });
  return IncidentItem.view(row, {
    isSnoozed: row.snoozedUntil !== null,
    notifiesPeople: row.assigned !== null || row.forPeople === 1,
    policy: { id: row.policyId, name, version: row.policyVersion },
    nextStepAt: toRfc3339OrNull(row.state === "resolved" ? null : row.stepAt),
    nextDueAt: toRfc3339OrNull(dueAt(row)),
  });
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

/** In each rank the earliest alert first. @param after rank, start of the earliest alert, id */
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

/*
 * The right of a paged person: a user who received a notification of an incident may read it, and act on
 * it until it is resolved, with any role, as long as the project's rules reach the user.
 */

type Incident = Pick<IncidentRow, "id" | "projectId" | "state">;

/** The incidents on which the caller may act: by a right in the project, or because of a page. */
export async function actingOn(
  projects: Projects,
  db: ReadDb | Trx,
  principal: Principal,
  incidents: readonly Incident[],
): Promise<ReadonlySet<string>> {
  const may = new Set<string>();
  const asked: string[] = [];
  for (const { id, projectId, state } of incidents) {
    if (projects.has(principal, projectId, "incidents:act")) may.add(id);
    else if (state !== "resolved" && projects.mayBeGiven(principal, projectId, "incidents:act")) asked.push(id);
  }
  if (asked.length === 0 || principal.kind === "apiKey") return may;
  for (const id of await pagedOf(db, principal.userId ?? "", asked)) may.add(id);
  return may;
}

/** Whether the caller could act on the incident until it was resolved, because of a page. */
export async function couldAct(
  projects: Projects,
  db: ReadDb | Trx,
  principal: Principal,
  incident: Incident,
): Promise<boolean> {
  if (incident.state !== "resolved") return false;
  return (await actingOn(projects, db, principal, [{ ...incident, state: "open" }])).has(incident.id);
}

/** Whether the caller may read the incident: by a right in the project, or because of a page. */
export async function mayRead(
  projects: Projects,
  db: ReadDb | Trx,
  principal: Principal,
  { id, projectId }: Pick<IncidentRow, "id" | "projectId">,
): Promise<boolean> {
  if (projects.has(principal, projectId, "events:read")) return true;
  if (principal.kind === "apiKey" || !projects.mayBeGiven(principal, projectId, "events:read")) return false;
  return (await pagedOf(db, principal.userId ?? "", [id])).length > 0;
}

/** {@link mayRead} for an alert: by an incident that it is in. */
export async function mayReadAlert(
  projects: Projects,
  db: ReadDb | Trx,
  principal: Principal,
  { id, projectId }: { readonly id: string; readonly projectId: string },
): Promise<boolean> {
  if (projects.has(principal, projectId, "events:read")) return true;
  if (principal.kind === "apiKey" || !projects.mayBeGiven(principal, projectId, "events:read")) return false;
  const row = await db
    .selectFrom("incident_alerts as m")
    .innerJoin("notifications as n", "n.incidentId", "m.incidentId")
    .innerJoin("notification_recipients as r", "r.notificationId", "n.id")
    .select("m.alertId")
    .where("m.alertId", "=", id)
    .where("r.userId", "=", principal.userId ?? "")
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** The incidents that the user was notified of. */
async function pagedOf(db: ReadDb | Trx, userId: string, ids: readonly string[]): Promise<string[]> {
  const rows = await db
    .selectFrom("notifications as n")
    .innerJoin("notification_recipients as r", "r.notificationId", "n.id")
    .select("n.incidentId")
    .distinct()
    .where("n.incidentId", "in", ids)
    .where("r.userId", "=", userId)
    .execute();
  return rows.flatMap(({ incidentId }) => incidentId ?? []);
}
