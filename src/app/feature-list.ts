import { oidcFeature } from "../features/access/oidc/feature.ts";
import { operatorFeature } from "../features/access/operator/feature.ts";
import { projectsFeature } from "../features/access/projects/feature.ts";
import { rolesFeature } from "../features/access/roles/feature.ts";
import { authFeature } from "../features/access/sessions/feature.ts";
import { usersFeature } from "../features/access/users/feature.ts";
import { alertsFeature } from "../features/alerts/book/feature.ts";
import { errorAlertFeature } from "../features/alerts/errors/feature.ts";
import { incidentsFeature } from "../features/alerts/incidents/feature.ts";
import { policiesFeature } from "../features/alerts/policies/feature.ts";
import { silencesFeature } from "../features/alerts/silences/feature.ts";
import { transferBucketsFeature } from "../features/buckets/feature.ts";
import { channelsFeature } from "../features/channels/feature.ts";
import { preferencesFeature } from "../features/delivery/feature.ts";
import { deliveriesFeature } from "../features/delivery/operate/feature.ts";
import { webhooksFeature } from "../features/delivery/webhooks/feature.ts";
import { eventsFeature } from "../features/events/feature.ts";
import { realtimeFeature } from "../features/events/streams/feature.ts";
import { explainFeature } from "../features/explain/feature.ts";
import { clusterFeature } from "../features/health/cluster/feature.ts";
import { consoleFeature } from "../features/health/console/feature.ts";
import { emergencyFeature } from "../features/health/emergency/feature.ts";
import { overviewFeature } from "../features/health/overview/feature.ts";
import { operationsFeature } from "../features/health/status/feature.ts";
import { watchFeature } from "../features/health/watch/feature.ts";
import { heartbeats } from "../features/heartbeats/feature.ts";
import { forwardFeature } from "../features/intake/forward/feature.ts";
import { mailInFeature } from "../features/intake/mail-in/feature.ts";
import { receiversFeature } from "../features/intake/receivers/feature.ts";
import { mirrorFeature } from "../features/mirror/feature.ts";
import { digestFeature } from "../features/notifications/digest/feature.ts";
import { notificationsFeature } from "../features/notifications/feature.ts";
import { messagesFeature } from "../features/notifications/messages/feature.ts";
import { soundsFeature } from "../features/notifications/sounds/feature.ts";
import { drillFeature } from "../features/oncall/drill/feature.ts";
import { onCallFeature } from "../features/oncall/feature.ts";
import { modulesFeature } from "../features/plugins/feature.ts";
import { alertmanagerFeature } from "../features/protocols/alertmanager/feature.ts";
import { gotifyFeature } from "../features/protocols/gotify/feature.ts";
import { integrationsFeature } from "../features/protocols/integrations/feature.ts";
import { ntfyFeature } from "../features/protocols/ntfy/feature.ts";
import { pusherFeature } from "../features/protocols/pusher/feature.ts";
import { auditFeature } from "../features/records/audit/feature.ts";
import { backupsFeature } from "../features/records/backup/feature.ts";
import { configurationFeature } from "../features/records/configuration/feature.ts";
import { retentionFeature } from "../features/records/retention/feature.ts";
import { settingsFeature } from "../features/records/settings/feature.ts";
import { reportsFeature } from "../features/reports/feature.ts";
import { rulesFeature } from "../features/rules/feature.ts";
import { statusPageFeature } from "../features/statuspage/feature.ts";
import { jobsFeature } from "../features/time/jobs/feature.ts";
import { workersFeature } from "../features/time/jobs/workers/feature.ts";
import { schedulesFeature } from "../features/time/schedules/feature.ts";
import { tasksFeature } from "../features/time/tasks/feature.ts";
import { timeFeature } from "../features/time/timers/feature.ts";
import type { OpenableFeature } from "../module/feature.ts";

/** The features, in the order in which they open and start; those that one needs come before it. */
export const FEATURES: readonly OpenableFeature[] = [
  operatorFeature,
  projectsFeature,
  rolesFeature,
  authFeature,
  oidcFeature,
  usersFeature,
  alertmanagerFeature,
  alertsFeature,
  errorAlertFeature,
  incidentsFeature,
  policiesFeature,
  silencesFeature,
  auditFeature,
  backupsFeature,
  transferBucketsFeature,
  channelsFeature,
  consoleFeature,
  deliveriesFeature,
  preferencesFeature,
  webhooksFeature,
  digestFeature,
  drillFeature,
  clusterFeature,
  eventsFeature,
  explainFeature,
  forwardFeature,
  gotifyFeature,
  integrationsFeature,
  jobsFeature,
  workersFeature,
  mailInFeature,
  messagesFeature,
  mirrorFeature,
  notificationsFeature,
  ntfyFeature,
  heartbeats,
  onCallFeature,
  overviewFeature,
  modulesFeature,
  pusherFeature,
  receiversFeature,
  rulesFeature,
  schedulesFeature,
  settingsFeature,
  soundsFeature,
  operationsFeature,
  statusPageFeature,
  realtimeFeature,
  tasksFeature,
  timeFeature,
  reportsFeature,
  retentionFeature,
  emergencyFeature,
  watchFeature,
  configurationFeature,
];
