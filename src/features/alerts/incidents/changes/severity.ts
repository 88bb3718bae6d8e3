import { SEVERITY_OF_LEVEL } from "../../../../core/text/vocabulary.ts";
import { wordsFor } from "../../../../core/text/words.ts";
import type { AlertView } from "../../types.ts";
import { type IncidentRow, SEVERITIES } from "../incident.ts";

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
