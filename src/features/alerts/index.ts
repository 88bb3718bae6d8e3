/** The part of `alerts` that other features may use. */
import type { Alerts } from "./book/alerts.ts";

export { Alerts } from "./book/alerts.ts";
export { alertSweep } from "./book/retention.ts";
export { reporterOf } from "./book/senders.ts";
export { Incidents } from "./incidents/engine.ts";
export { type Forecast, forecastOf, peopleOf, type Trial, trialAlert, tryAlert } from "./incidents/forecast.ts";
export { PRIORITY as INCIDENT_PRIORITY, pagedChannels } from "./incidents/notices.ts";
export { lastPages, type NoticeOutcome, withOutcomes } from "./incidents/page-view.ts";
export { mayRead as mayReadIncident } from "./incidents/paged.ts";
export { summariesOf, type WithheldParts, withheldOf as withheldIncidents } from "./incidents/requests.ts";
export { incidentSweep } from "./incidents/retention.ts";
export { type IncidentRow, incidentsOfAlert, notifiedUsers } from "./incidents/store.ts";
export { candidatesOf } from "./incidents/targets.ts";
export { ACKNOWLEDGED_RANK, attentionRank, isUnresolved } from "./incidents/view.ts";
export {
  checkLabels,
  compareInGroup,
  compareLabels,
  compareText,
  type LabelRecord,
  type Labels,
  labelsOf,
} from "./model/labels.ts";
export { isSameMatcher, type Matcher, matcherText, parseMatcher, parseMatchers } from "./model/matchers.ts";
export { compileMatchers, type LabelsTest, matchesEmpty, patternTest } from "./model/matching.ts";
export { parseTimeInterval } from "./model/time-intervals.ts";
export { durationText, parseAlertTime, parsePrometheusDuration } from "./model/times.ts";
export { Policies, policiesWithChannel, policiesWithSchedule } from "./policies/policies.ts";
export { DEFAULT_POLICY, type PolicyStep } from "./policies/policy.ts";
export type { RouteMatch, RouteNode, RoutingDocument } from "./policies/routing.ts";
export { type SilenceAt, type SilenceDraft, silenceAt } from "./silences/live-silence.ts";
export { silenceSweep } from "./silences/queries.ts";
export { Silences } from "./silences/silences.ts";
export { type Withheld, Withholding } from "./silences/withholding.ts";
export type {
  AlertInput,
  AlertRow,
  AlertView,
} from "./types.ts";
export { PagingWarningNotices } from "./ways/warning-notices.ts";
export type { WarningParts } from "./ways/warnings.ts";

declare module "../../module/feature.ts" {
  interface Offers {
    alerts: Alerts;
  }
}
