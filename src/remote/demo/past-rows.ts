import type { App } from "../../app/start.ts";
import { uuidOf } from "../../core/ids.ts";
import { SAMPLE_DOMAIN } from "../../core/text/vocabulary.ts";
import { DAY_MS, type EpochMs, HOUR_MS } from "../../core/time/clock.ts";
import { compareText, fingerprintOf, sortedLabels } from "../../features/alerts/model/labels.ts";
import { insertLater, later, type Trx } from "../../store/database.ts";
import { PAST_DAYS, type PastIncident, type PastTable } from "./past.ts";

/*
 * Rows of the past as the server would have written them. They go into the database of the server that the
 * command runs itself: no request can open an incident of last month.
 */

/** Incidents of one transaction. */
const AT_ONCE = 40;
const ACCEPTED_MS = 4000;
/** From the start of an alert to the incident. */
const NOTICED_MS = 30_000;

export interface PastPlace {
  readonly projectId: string;
  readonly policies: ReadonlyMap<string, { readonly id: string; readonly version: number }>;
  /** By id. */
  readonly usernames: ReadonlyMap<string, string>;
  /** Who made the silences. */
  readonly adminId: string;
}

type Base = App["parts"]["base"];

/** Stores incidents with their alerts, timelines and pages. */
export async function storePast(
  { database }: Pick<Base, "database">,
  place: PastPlace,
  incidents: readonly PastIncident[],
): Promise<void> {
  for (let from = 0; from < incidents.length; from += AT_ONCE)
    await database.write(async (trx) => {
      for (const [at, incident] of incidents.slice(from, from + AT_ONCE).entries())
        storeIncident(trx, place, incident, from + at + 1);
    });
}

/** When heartbeats were down, and since when they are watched. @param ids by name */
export async function storeDowns(
  { database }: Pick<Base, "database">,
  downs: PastTable["heartbeats"],
  ids: ReadonlyMap<string, string>,
  now: EpochMs,
): Promise<void> {
  const watchedAt = now - PAST_DAYS * DAY_MS;
  await database.write(async (trx) => {
    for (const [name, heartbeatId] of ids) {
      later(trx, "update heartbeats set createdAt = ? where id = ?", [watchedAt, heartbeatId]);
      later(trx, "update heartbeat_flips set at = ?, foundAt = ? where heartbeatId = ? and fromStatus = 'new'", [
        ...[watchedAt, watchedAt, heartbeatId],
      ]);
      for (const [hoursAgo, hours] of downs[name] ?? []) {
        const [downAt, upAt] = [now - hoursAgo * HOUR_MS, now - (hoursAgo - hours) * HOUR_MS].map(Math.round);
        const flip = (at = 0, fromStatus: "up" | "down", status: "up" | "down", reason: string) =>
          insertLater(trx, "heartbeat_flips", {
            ...{ id: uuidOf(at, heartbeatId), heartbeatId, at, foundAt: at, fromStatus, status, reason },
          });
        flip(downAt, "up", "down", "timeout");
        flip(upAt, "down", "up", "ping");
      }
    }
  });
}

function storeIncident(trx: Trx, place: PastPlace, incident: PastIncident, number: number): void {
  const { kind, openedAt, resolvedAt, pages, ack, silence, isEndedByPerson } = incident;
  const { projectId } = place;
  const id = uuidOf(openedAt, `${kind.name} incident`);
  const policy = place.policies.get(kind.policy);
  if (!policy) return;
  const group = Object.fromEntries(
    [...kind.groupBy].sort(compareText).map((name) => [name, name === "alertname" ? kind.name : kind.labels[name]]),
  );
  const pairs = Object.entries(group).map(([name, value]) => `${name}="${value}"`);
  const groupKey = `${kind.path.join("/")}:{${pairs.join(", ")}}`;
  const more = Object.entries(group).filter(([name]) => name !== "alertname");
  const named = more.map(([name, value]) => `${name}=${value}`).join(", ");
  const severity = kind.labels["severity"] as "critical";
  const alertIds = storeAlerts(trx, place, incident, id);
  const lastStep = pages.at(-1)?.step;
  const notifiedAt = pages[0]?.at ?? null;
  insertLater(trx, "incidents", {
    ...{ id, number, projectId, policyId: policy.id, policyVersion: policy.version, groupKey },
    groupLabels: JSON.stringify(group),
    route: JSON.stringify({
      ...{ policy: kind.policy, groupBy: kind.groupBy, groupWaitMs: 0, groupIntervalMs: 60_000, repeatMs: 14_400_000 },
      ...{ muteIntervals: [], activeIntervals: [], labels: {}, path: kind.path },
    }),
    title: named === "" ? kind.name : `${kind.name} (${named})`,
    ...{ urgency: "high", state: "resolved", severity, openedAt, firingSince: openedAt - NOTICED_MS },
    ...{ acknowledgedAt: ack?.at ?? null, resolvedAt, resolvedBy: isEndedByPerson && ack ? ack.userId : "alerts" },
    ...{ snoozedUntil: null, sourceIncidentId: null, direct: null, assigned: null, forPeople: 1 },
    ...{ step: (lastStep?.step ?? -1) + 1, round: lastStep?.round ?? 0, notices: pages.length },
    ...{ alerts: alertIds.length, firing: 0, lastFlushAt: openedAt, notifiedAt, steppedAt: pages.at(-1)?.at ?? null },
    reachedAt: notifiedAt === null ? null : notifiedAt + ACCEPTED_MS,
    ...{ flushAt: null, stepAt: null, repeatAt: null, ackExpiresAt: null, autoResolveAt: null },
    ...{ version: 1, updatedAt: resolvedAt },
  });
  const told = [...new Map(pages.flatMap(({ users }) => [...users])).keys()];
  const log: { at: EpochMs; kind: string; actor?: string; data: object }[] = [
    {
      ...{ at: openedAt, kind: "opened" },
      data: { policyId: policy.id, policyVersion: policy.version, groupKey, alerts: alertIds.length },
    },
  ];
  for (const { step, at, users } of pages)
    log.push({
      ...{ at, kind: "notified" },
      data: {
        ...{ reason: "step", step: step.step, round: step.round, urgency: "high", users: [...users.keys()] },
        ...{ count: users.size, through: Object.fromEntries(users), shifts: {} },
      },
    });
  if (silence) {
    const silenceId = storeSilence(trx, place, incident, silence);
    const none = { inhibitedBy: [], intervals: [], inhibited: {} };
    log.push({
      ...{ at: openedAt, kind: "withheld" },
      data: { holds: "flush", alerts: alertIds.length, alertIds, silences: [silenceId], ...none },
    });
    for (const alertId of alertIds)
      insertLater(trx, "silence_hits", { silenceId, alertId, incidentId: id, at: openedAt });
  }
  if (ack) {
    insertLater(trx, "incident_acks", { incidentId: id, userId: ack.userId, at: ack.at, expiresAt: null, via: "app" });
    log.push({ at: ack.at, kind: "acknowledged", actor: ack.userId, data: { given: 1, quorum: 1, via: "app" } });
    if (incident.note !== null)
      log.push({
        ...{ at: ack.at + (resolvedAt - ack.at) / 2, kind: "note", actor: ack.userId },
        data: { text: incident.note, via: "app" },
      });
  }
  log.push(
    isEndedByPerson && ack
      ? { at: resolvedAt, kind: "resolved", actor: ack.userId, data: { by: ack.userId, via: "app" } }
      : { at: resolvedAt, kind: "resolved", data: { by: "alerts" } },
  );
  if (told.length > 0)
    log.push({
      ...{ at: resolvedAt, kind: "notified" },
      data: { reason: "resolved", urgency: "high", users: told, count: told.length, isUnreported: false },
    });
  for (const [seq, { at, kind: what, actor = null, data }] of log.entries())
    insertLater(trx, "incident_log", {
      ...{ incidentId: id, seq: seq + 1, at: Math.round(at), kind: what, actor, data: JSON.stringify(data) },
    });
  for (const page of pages)
    for (const userId of page.users.keys())
      storePage(trx, place, id, {
        ...{ userId, step: page.step.step, round: page.step.round, at: page.at, reason: "step" },
        isMissed: page.missed.has(userId),
      });
  for (const userId of told)
    storePage(trx, place, id, { userId, step: null, round: 0, at: resolvedAt, reason: "resolved", isMissed: false });
}

function storeAlerts(trx: Trx, { projectId }: PastPlace, incident: PastIncident, incidentId: string): string[] {
  const { kind, instances, openedAt, resolvedAt, pages } = incident;
  const severity = kind.labels["severity"] as "critical";
  return instances.map((instance) => {
    const id = uuidOf(openedAt, `${kind.name} ${instance}`);
    const labels = { alertname: kind.name, instance, prism_demo: "true", ...kind.labels };
    const fingerprint = fingerprintOf(sortedLabels(labels));
    const annotations = { summary: kind.summary, runbook_url: `https://wiki.prism.example/runbooks/${kind.name}` };
    insertLater(trx, "alerts", {
      ...{ id, projectId, key: `api:${fingerprint}`, fingerprint, labels: JSON.stringify(labels) },
      ...{ annotations: JSON.stringify(annotations), generatorUrl: null, severity, source: "api", sourceId: null },
      ...{ state: "resolved", startsAt: openedAt - NOTICED_MS, firesAt: null, endsAt: null, isTimeoutEnd: 0 },
      ...{ timedOut: 0, lastAt: resolvedAt, count: 2, resolvedAt, sender: null },
    });
    const firingNotifiedAt = pages[0]?.at ?? null;
    insertLater(trx, "incident_alerts", {
      ...{ incidentId, alertId: id, addedAt: openedAt, firingNotifiedAt, severity, severityAt: firingNotifiedAt },
      ...{ resolvedNotifiedAt: firingNotifiedAt === null ? null : resolvedAt, leftAt: null, former: null },
    });
    return id;
  });
}

interface PageOfPerson {
  readonly userId: string;
  readonly step: number | null;
  readonly round: number;
  readonly at: EpochMs;
  readonly reason: "step" | "resolved";
  readonly isMissed: boolean;
}

function storePage(
  trx: Trx,
  { projectId, usernames }: PastPlace,
  incidentId: string,
  { userId, step, round, at, reason, isMissed }: PageOfPerson,
): void {
  const target = `email ${userId} ${usernames.get(userId)}@${SAMPLE_DOMAIN}`;
  const endedAt = at + ACCEPTED_MS;
  const answered = isMissed
    ? { outcome: "failed", failedAt: endedAt, deliveredAt: null, lastError: "The mailbox is full", answer: null }
    : { outcome: "delivered", failedAt: null, deliveredAt: endedAt, lastError: null, answer: "250 OK" };
  insertLater(trx, "pages", {
    ...{ id: uuidOf(at, `${incidentId} ${userId} ${reason} ${step} ${round}`), incidentId, projectId },
    ...{ kind: "delivery", way: target, target, provider: "email", owner: userId, userId, channel: "email", step },
    ...{ notificationId: null, reason, urgency: "high", isEnd: reason === "resolved" ? 1 : 0, attempts: 1 },
    ...{ ...(answered as { outcome: "delivered" }), firstAttemptAt: at + 500, note: null, heldUntil: null },
    ...{ createdAt: at, updatedAt: endedAt, endedAt, lostAt: null },
  });
}

function storeSilence(
  trx: Trx,
  { projectId, adminId }: PastPlace,
  { kind, openedAt }: PastIncident,
  { of, startsAt, endsAt }: NonNullable<PastIncident["silence"]>,
): string {
  const id = uuidOf(startsAt, of.comment);
  insertLater(trx, "silences", {
    ...{ id, projectId, kind: "silence", startsAt, endsAt, recurrence: null, createdBy: adminId, comment: of.comment },
    matchers: JSON.stringify([{ name: "alertname", operator: "=", value: kind.name }]),
    ...{ annotations: "{}", createdAt: startsAt, updatedAt: startsAt, reportedUntil: endsAt, hits: 1 },
    ...{ lastHitAt: openedAt, version: 1 },
  });
  return id;
}
