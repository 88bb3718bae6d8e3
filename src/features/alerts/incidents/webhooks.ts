import { type EpochMs, toRfc3339, toRfc3339OrNull } from "../../../core/clock.ts";
import { PrismError } from "../../../core/errors.ts";
import { VERSION } from "../../../core/runtime.ts";
import type { Trx } from "../../../store/database.ts";
import { PermanentError, type RunningJob } from "../../jobs/index.ts";
import type { PolicyStep } from "../policies/policy.ts";
import type { RouteSettings } from "../policies/routing.ts";
import type { AlertView } from "../types.ts";
import type { IncidentParts } from "./context.ts";
import type { NoticeReason } from "./machine.ts";
import { isUnreported } from "./notice-text.ts";
import { findIncident, type IncidentRow } from "./store.ts";

/* Webhook steps: jobs that post the state of an incident. Their addresses may hold secrets, so jobs,
 * the timeline and errors name the step and the host only. */

const WEBHOOK_JOB = "incident.webhook";
/** Alerts in one body; the number of the others is `truncatedAlerts`. */
const MAX_ALERTS = 1000;
const NEVER = "0001-01-01T00:00:00Z";

/** As Alertmanager's `notification_reason`. */
const REASONS: Readonly<Record<NoticeReason, string>> = {
  step: "first notification",
  "new-alerts": "new alerts added to group",
  "some-resolved": "some alerts resolved",
  repeat: "repeat interval elapsed",
  resolved: "all alerts resolved",
};

interface WebhookPayload {
  readonly incidentId: string;
  readonly step: number;
  readonly reason: NoticeReason;
  readonly at: EpochMs;
}

type WebhookStep = Extract<PolicyStep, { type: "webhook" }>;

/** @param number of the notice, so that a repeated request can be recognised */
export async function enqueueWebhook(
  { jobs }: IncidentParts,
  trx: Trx,
  { id }: IncidentRow,
  call: { readonly step: number; readonly reason: NoticeReason; readonly number: number; readonly now: EpochMs },
): Promise<void> {
  const { step, reason, number, now } = call;
  const payload: WebhookPayload = { incidentId: id, step, reason, at: now };
  const dedupeKey = `incident:${id}:${number}:webhook:${step}`;
  const kind = { queue: "notification-delivery", kind: WEBHOOK_JOB } as const;
  await jobs.enqueue({ ...kind, payload, runAt: now, priority: 800, dedupeKey, correlationId: id }, { trx });
}

export function handleWebhooks(parts: IncidentParts): void {
  parts.runner.handle(WEBHOOK_JOB, (job, signal) => call(parts, job, signal));
}

async function call(parts: IncidentParts, job: RunningJob, signal: AbortSignal): Promise<unknown> {
  const payload = job.payload as WebhookPayload;
  const row = await findIncident(parts.db.read, payload.incidentId);
  const step = row && webhookOf(parts, row, payload.step);
  if (!row || !step) return { skipped: "the incident or its webhook is gone" };
  const alerts = await alertsFor(parts, row, payload.at);
  const content = { row, alerts, reason: payload.reason, at: payload.at, id: job.id };
  const body = step.format === "alertmanager" ? alertmanagerBody(parts, content) : prismBody(parts, content);
  const agent = step.format === "alertmanager" ? "Alertmanager/0.28.0" : `Prism/${VERSION}`;
  const headers = { "Content-Type": "application/json", "User-Agent": agent, "webhook-id": job.id };
  const request = { headers, body: Buffer.from(JSON.stringify(body)), signal };
  const { status } = await parts.callWebhook(step.url, request).catch((error: unknown) => {
    throw withoutAddress(error, step);
  });
  return requireAccepted(status, step);
}

/** The step as the incident keeps it. */
export function webhookOf(
  { policies }: IncidentParts,
  { policyId, policyVersion }: IncidentRow,
  step: number,
): WebhookStep | undefined {
  const found = policies.definitionOf({ id: policyId, version: policyVersion }).steps[step];
  return found?.type === "webhook" ? found : undefined;
}

export function hostOf({ url }: WebhookStep): string {
  return URL.canParse(url) ? new URL(url).host : "";
}

function requireAccepted(status: number, step: WebhookStep): { readonly status: number } {
  if (status >= 200 && status < 300) return { status };
  const message = `${hostOf(step)} answered ${status}`;
  const isFinal = status >= 400 && status < 500 && status !== 408 && status !== 429;
  throw isFinal ? new PermanentError(message) : new Error(message);
}

/** Errors of a client may hold the whole address. */
function withoutAddress(error: unknown, step: WebhookStep): Error {
  const isRefused = error instanceof PermanentError || (error instanceof PrismError && error.code === "URL_REFUSED");
  if (isRefused) return new PermanentError(`requests to ${hostOf(step)} are refused`);
  const code = Object(error) as { readonly code?: unknown; readonly name?: unknown };
  return new Error(`${hostOf(step)} was not reached (${String(code.code ?? code.name ?? "error")})`);
}

interface Content {
  readonly row: IncidentRow;
  readonly alerts: readonly AlertView[];
  readonly reason: NoticeReason;
  readonly at: EpochMs;
  readonly id: string;
}

/** Alerts that fire, and those with their end reported at this time. */
async function alertsFor({ db, alerts }: IncidentParts, { id }: IncidentRow, at: EpochMs): Promise<AlertView[]> {
  const rows = await db.read
    .selectFrom("incident_alerts")
    .select("alertId")
    .where("incidentId", "=", id)
    .where("firingNotifiedAt", "is not", null)
    .where((e) => e.or([e("resolvedNotifiedAt", "is", null), e("resolvedNotifiedAt", ">=", at)]))
    .orderBy("addedAt")
    .limit(MAX_ALERTS)
    .execute();
  return alerts().read(rows.map(({ alertId }) => alertId));
}

function prismBody({ policies }: IncidentParts, { row, alerts, reason, at, id }: Content) {
  const { name } = policies.definitionOf({ id: row.policyId, version: row.policyVersion });
  return {
    type: "incident",
    id,
    reason,
    timestamp: toRfc3339(at),
    incident: {
      id: row.id,
      number: row.number,
      projectId: row.projectId,
      title: row.title,
      state: row.state,
      urgency: row.urgency,
      policy: name,
      groupLabels: JSON.parse(row.groupLabels) as unknown,
      openedAt: toRfc3339(row.openedAt),
      acknowledgedAt: toRfc3339OrNull(row.acknowledgedAt),
      resolvedAt: toRfc3339OrNull(row.resolvedAt),
      timedOut: isUnreported(row),
      alerts: row.alerts,
      firing: row.firing,
    },
    alerts: alerts.map((alert) => ({
      id: alert.id,
      fingerprint: alert.fingerprint,
      state: alert.state,
      labels: alert.labels,
      annotations: alert.annotations,
      startsAt: toRfc3339(alert.startsAt),
      resolvedAt: toRfc3339OrNull(alert.resolvedAt),
      timedOut: alert.timedOut,
      generatorUrl: alert.generatorUrl,
    })),
  };
}

/** https://prometheus.io/docs/alerting/latest/configuration/#webhook_config, version 4 */
function alertmanagerBody({ policies, publicUrl }: IncidentParts, { row, alerts, reason }: Content) {
  const { name } = policies.definitionOf({ id: row.policyId, version: row.policyVersion });
  const route = JSON.parse(row.route) as RouteSettings;
  const shown = alerts.map(alertmanagerAlert);
  return {
    receiver: name,
    status: shown.some(({ status }) => status === "firing") ? "firing" : "resolved",
    alerts: shown,
    notification_reason: REASONS[reason],
    groupLabels: JSON.parse(row.groupLabels) as unknown,
    commonLabels: commonOf(alerts.map(({ labels }) => labels)),
    commonAnnotations: commonOf(alerts.map(({ annotations }) => annotations)),
    routeLabels: route.labels,
    externalURL: publicUrl() ?? "",
    version: "4",
    groupKey: row.groupKey,
    truncatedAlerts: shown.length < MAX_ALERTS ? 0 : Math.max(0, row.firing - shown.length),
  };
}

function alertmanagerAlert(alert: AlertView) {
  return {
    status: alert.state === "firing" ? "firing" : "resolved",
    labels: alert.labels,
    annotations: alert.annotations,
    startsAt: toRfc3339(alert.startsAt),
    endsAt: alert.state === "firing" ? NEVER : toRfc3339(alert.resolvedAt ?? alert.lastAt),
    generatorURL: alert.generatorUrl ?? "",
    fingerprint: alert.fingerprint,
    // Alertmanager has no such member: there a silent source looks like an end.
    ...(alert.timedOut && { timedOut: true }),
  };
}

/** The pairs that all of them have. */
function commonOf(all: readonly Readonly<Record<string, string>>[]): Readonly<Record<string, string>> {
  const [first = {}, ...rest] = all;
  return Object.fromEntries(
    Object.entries(first).filter(([name, value]) => rest.every((each) => each[name] === value)),
  );
}
