import { createHash } from "node:crypto";
import type { EventInput, Json, Level } from "prism/module";

/** An alert as an event of Prism: `alert.firing` or `alert.resolved`. */
export interface AlertEvent extends EventInput {
  readonly type: "alert.firing" | "alert.resolved";
  readonly dedupeKey: string;
}

/** One state of one rule of Grafana's legacy alerting, without a start time or a counter. */
export interface LegacyAlert {
  readonly rule: string;
  readonly state: string;
  /** @param episode counts the changes of the rule's state. */
  toEvent(episode: number): AlertEvent;
}

export type Payload =
  | { readonly kind: "alerts"; readonly events: readonly AlertEvent[] }
  | { readonly kind: "legacy"; readonly alert: LegacyAlert };

/** The body is not from Alertmanager or Grafana. */
export class UnknownPayload extends Error {}

type JsonObject = { readonly [name: string]: Json };

/** Limit of alerts per request; real notifications contain far fewer. */
const MAX_ALERTS = 1000;

/** Levels by common values of the label `severity`. */
const LEVELS: Readonly<Record<string, Level>> = {
  critical: "fatal",
  page: "fatal",
  emergency: "fatal",
  fatal: "fatal",
  error: "error",
  high: "error",
  major: "error",
  warning: "warn",
  warn: "warn",
  minor: "warn",
  low: "info",
  info: "info",
  none: "info",
};

/**
 * Parses the body of a webhook: Alertmanager (version 4), Grafana's unified alerting (the same
 * format with more members), or Grafana's legacy alerting. @throws UnknownPayload
 */
export function readPayload(body: unknown): Payload {
  if (!isObject(body)) throw new UnknownPayload("the body is no JSON object");
  if (Array.isArray(body["alerts"])) return { kind: "alerts", events: readGroup(body, body["alerts"]) };
  if (typeof body["ruleName"] === "string" && typeof body["state"] === "string")
    return { kind: "legacy", alert: readLegacy(body, body["ruleName"], body["state"]) };
  throw new UnknownPayload(
    "the body has neither alerts (Alertmanager, Grafana) nor ruleName and state (legacy Grafana)",
  );
}

/** A group of alerts: one event for each alert. */
function readGroup(group: JsonObject, alerts: readonly Json[]): AlertEvent[] {
  if (alerts.length > MAX_ALERTS)
    throw new UnknownPayload(`more than ${MAX_ALERTS} alerts; set max_alerts on the receiver`);
  const sender = "orgId" in group ? "grafana" : "alertmanager";
  return alerts.map((alert, i) => {
    if (!isObject(alert)) throw new UnknownPayload(`alerts.${i} is no object`);
    return readAlert(alert, group, sender);
  });
}

function readAlert(alert: JsonObject, group: JsonObject, sender: string): AlertEvent {
  const labels = textsOf(alert["labels"]);
  const annotations = textsOf(alert["annotations"]);
  const isResolved = alert["status"] === "resolved";
  const startsAt = timeOf(alert["startsAt"]);
  const endsAt = isResolved ? timeOf(alert["endsAt"]) : null;
  const fingerprint = textOf(alert["fingerprint"]) ?? fingerprintOf(labels);
  const severity = labels["severity"]?.toLowerCase() ?? null;
  return {
    type: isResolved ? "alert.resolved" : "alert.firing",
    level: isResolved ? "info" : ((severity === null ? undefined : LEVELS[severity]) ?? "error"),
    source: sender,
    // A firing alert is sent repeatedly while it lasts: that is one event, and its end is another.
    dedupeKey: `${sender}:${fingerprint}:${startsAt ?? "-"}:${isResolved ? "resolved" : "firing"}`,
    ...((endsAt ?? startsAt) === null ? {} : { occurredAt: endsAt ?? startsAt ?? "" }),
    payload: {
      alertname: labels["alertname"] ?? "alert",
      status: isResolved ? "resolved" : "firing",
      severity,
      summary: annotations["summary"] ?? annotations["message"] ?? labels["alertname"] ?? "alert",
      description: annotations["description"] ?? null,
      labels,
      annotations,
      startsAt,
      endsAt,
      fingerprint,
      receiver: textOf(group["receiver"]),
      groupKey: textOf(group["groupKey"]),
      url: textOf(alert["generatorURL"]) ?? textOf(group["externalURL"]),
      dashboardUrl: textOf(alert["dashboardURL"]),
      silenceUrl: textOf(alert["silenceURL"]),
      values: isObject(alert["values"]) ? alert["values"] : null,
    },
  };
}

function readLegacy(body: JsonObject, ruleName: string, state: string): LegacyAlert {
  const rule = `${body["orgId"] ?? 1}:${body["ruleId"] ?? ruleName}`;
  const labels = textsOf(body["tags"]);
  const severity = labels["severity"]?.toLowerCase() ?? null;
  const isResolved = state === "ok";
  return {
    rule,
    state,
    toEvent: (episode) => ({
      type: isResolved ? "alert.resolved" : "alert.firing",
      level: isResolved
        ? "info"
        : ((severity === null ? undefined : LEVELS[severity]) ?? (state === "no_data" ? "warn" : "error")),
      source: "grafana",
      dedupeKey: `grafana-legacy:${hash(rule)}:${episode}:${state}`,
      payload: {
        alertname: ruleName,
        status: isResolved ? "resolved" : "firing",
        state,
        severity,
        summary: textOf(body["title"]) ?? ruleName,
        description: textOf(body["message"]),
        labels,
        annotations: {},
        url: textOf(body["ruleUrl"]),
        values: Array.isArray(body["evalMatches"]) ? body["evalMatches"] : [],
      },
    }),
  };
}

/** Identifies alerts without a fingerprint. */
function fingerprintOf(labels: Readonly<Record<string, string>>): string {
  return hash(JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))));
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

/** Go's zero time means unset. */
function timeOf(value: Json | undefined): string | null {
  if (typeof value !== "string" || value.startsWith("0001-") || Number.isNaN(Date.parse(value))) return null;
  return new Date(value).toISOString();
}

function textOf(value: Json | undefined): string | null {
  return typeof value === "string" && value !== "" ? value : null;
}

function textsOf(value: Json | undefined): Record<string, string> {
  if (!isObject(value)) return {};
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, each]) => (typeof each === "string" ? [[name, each] as const] : [])),
  );
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
