import { uuidv7 } from "../../../core/ids.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import { insertLater, type Trx } from "../../../store/database.ts";
import type { Urgency } from "../../../store/schema/alerts.ts";
import { appendOwnEvents } from "../../events/index.ts";
import { StoredAlert } from "../book/alert-book.ts";
import { fingerprintOf, sortedLabels } from "../model/labels.ts";
import type { PolicyRef } from "../policies/policies.ts";
import { rootSettings } from "../policies/routing.ts";
import type { AlertView } from "../types.ts";
import type { IncidentParts } from "./context.ts";
import { type Assigned, type Direct, directOf, type IncidentRow } from "./incident.ts";
import { opened } from "./machine.ts";
import type { Named } from "./responders.ts";
import { addLog, nextNumber } from "./store.ts";
import { incidentEvent } from "./view.ts";

/* Incidents that a person opens to page others. They have no alerts: a person ends them. */

export interface DirectPage extends Named {
  readonly projectId: string;
  readonly title: string;
  readonly message: string;
  readonly urgency: Urgency;
  /** Follows if it is not acknowledged; at once if no one is named. */
  readonly policy: PolicyRef;
  /** A user's id and name, or `operator`. */
  readonly by: Pick<Direct, "by" | "byName">;
}

/** Receivers of Alertmanager's webhooks read alerts only: an alert that says what a person wrote. */
export function pagedAlert({ id, projectId, title, urgency, direct, openedAt, resolvedAt }: IncidentRow): AlertView {
  const labels = { alertname: title, severity: urgency === "high" ? "critical" : "warning" };
  const annotations = { summary: title, description: directOf(direct)?.message ?? "" };
  const fingerprint = fingerprintOf(sortedLabels({ ...labels, incident: id }));
  const times = { startsAt: openedAt, firesAt: null, endsAt: null, lastAt: openedAt, resolvedAt };
  return new StoredAlert({
    ...{
      id,
      projectId,
      key: `page:${id}`,
      fingerprint,
      source: "api",
      sourceId: null,
      sender: null,
      generatorUrl: null,
    },
    ...{ labels: JSON.stringify(labels), annotations: JSON.stringify(annotations), severity: labels.severity },
    ...{ state: resolvedAt === null ? "firing" : "resolved", ...times, timedOut: 0, isTimeoutEnd: 0, count: 1 },
  });
}

/** Stores the incident; no one is paged yet. */
export async function insertDirect(
  { policies }: Pick<IncidentParts, "policies">,
  trx: Trx,
  page: DirectPage,
  now: EpochMs,
): Promise<IncidentRow> {
  const { projectId, title, message, users, schedules, urgency, policy, by } = page;
  const id = uuidv7();
  const root = rootSettings(policies.routingOf(projectId));
  const route = { ...root, policy: policy.name, path: [], muteIntervals: [], activeIntervals: [], labels: {} };
  const settings = { ...policies.definitionOf(policy), ...route, autoResolveMs: null };
  const direct: Direct = { message, ...by };
  const assigned: Assigned = { by: "page", users, schedules, urgency, phase: "due" };
  const row: IncidentRow = {
    id,
    number: await nextNumber(trx, projectId),
    projectId,
    policyId: policy.id,
    policyVersion: policy.version,
    groupKey: `{}:{page="${id}"}`,
    groupLabels: "{}",
    route: JSON.stringify(route),
    title,
    notices: 0,
    alerts: 0,
    firing: 0,
    severity: null,
    firingSince: now,
    forPeople: 1,
    version: 1,
    updatedAt: now,
    ...opened(now, settings, now),
    urgency,
    flushAt: null,
    direct: JSON.stringify(direct),
    assigned: users.length + schedules.length === 0 ? null : JSON.stringify(assigned),
  };
  insertLater(trx, "incidents", row);
  const data = { policyId: policy.id, policyVersion: policy.version, alerts: 0, text: message };
  addLog(trx, id, [{ kind: "opened", actor: by.by, data }], now);
  const event = incidentEvent(row, "incident.opened", "warn", { message, actor: by.by });
  await appendOwnEvents(trx, [event], { source: "prism:alerts", now });
  return row;
}
