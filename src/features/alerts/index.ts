/** The part of `alerts` that other features may use. */
export type { Alerts } from "./book/alerts.ts";
export { reporterOf } from "./book/senders.ts";
export { staysIn } from "./incidents/changes/rerouting.ts";
export type { ChannelsOfIncidents, IncidentMessage, WebhookAccess } from "./incidents/context.ts";
export { countUnresolved } from "./incidents/counts.ts";
export type { Incidents } from "./incidents/engine.ts";
export {
  type Forecast,
  type ForecastParts,
  forecastOf,
  forecastOfPolicy,
  type Trial,
  trialAlert,
  tryAlert,
} from "./incidents/forecast.ts";
export type { IncidentRow } from "./incidents/incident.ts";
export {
  CONTACT_NAMES,
  candidatesOf,
  PRIORITY as INCIDENT_PRIORITY,
  pagedChannels,
  waysTo,
} from "./incidents/notices.ts";
export { lastPages, withOutcomes } from "./incidents/page-view.ts";
export { IS_BRIEF, projectsShowingPeople } from "./incidents/reported.ts";
export { getIncident, summariesOf, withheldOf as withheldIncidents } from "./incidents/requests.ts";
export { incidentsOfAlert, notifiedUsers, unresolvedOfAlert } from "./incidents/store.ts";
export { ACKNOWLEDGED_RANK, attentionRank, isUnresolved, mayRead as mayReadIncident } from "./incidents/view.ts";
export {
  checkLabels,
  compareInGroup,
  compareLabels,
  compareText,
  fingerprintOf,
  type LabelRecord,
  type Labels,
  labelsOf,
  sortedLabels,
} from "./model/labels.ts";
export { isSameMatcher, type Matcher, matcherText, parseMatcher, parseMatchers } from "./model/matchers.ts";
export {
  compileMatchers,
  type LabelsTest,
  MAX_DOCUMENT_SIZE,
  matchesEmpty,
  preparePatterns,
} from "./model/matching.ts";
export { parseTimeInterval } from "./model/time-intervals.ts";
export { durationText, parseAlertTime, parsePrometheusDuration } from "./model/times.ts";
export { type PlannedAlerting, PlannedPolicies, readPlannedAlerting } from "./policies/planned-policies.ts";
export {
  DEFAULT_POLICY,
  definitionEntries,
  maskedStep,
  type PolicyDefinition,
  type PolicyStep,
  UNSET as UNSET_POLICY,
} from "./policies/policy.ts";
export {
  type RouteMatch,
  type RouteNode,
  type RouteSettings,
  RoutingDocument,
  rootSettings,
} from "./policies/routing.ts";
export { definitionFrom } from "./policies/service.ts";
export { type SilenceAt, type SilenceDraft, silenceAt } from "./silences/live-silence.ts";
export type { Silences } from "./silences/silences.ts";
export { isWithheld, type Withheld, Withholding } from "./silences/withholding.ts";
export type {
  AlertInput,
  AlertOutcome,
  AlertRow,
  AlertView,
} from "./types.ts";
