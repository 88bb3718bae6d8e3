import { operatorFeature } from "../features/access/operator/feature.ts";
import { projectsFeature } from "../features/access/projects/feature.ts";
import { rolesFeature } from "../features/access/roles/feature.ts";
import { authFeature } from "../features/access/sessions/feature.ts";
import { usersFeature } from "../features/access/users/feature.ts";
import { alertmanagerFeature } from "../features/alertmanager/feature.ts";
import { alertsFeature } from "../features/alerts/book/feature.ts";
import { errorAlertFeature } from "../features/alerts/errors/feature.ts";
import { incidentsFeature } from "../features/alerts/incidents/feature.ts";
import { policiesFeature } from "../features/alerts/policies/feature.ts";
import { silencesFeature } from "../features/alerts/silences/feature.ts";
import { auditFeature } from "../features/audit/feature.ts";
import { backupsFeature } from "../features/backup/feature.ts";
import { transferBucketsFeature } from "../features/buckets/feature.ts";
import { channelsFeature } from "../features/channels/feature.ts";
import { consoleFeature } from "../features/console/feature.ts";
import { preferencesFeature } from "../features/delivery/feature.ts";
import { deliveriesFeature } from "../features/delivery/operate/feature.ts";
import { webhooksFeature } from "../features/delivery/webhooks/feature.ts";
import { digestFeature } from "../features/digest/feature.ts";
import { drillFeature } from "../features/drill/feature.ts";
import { eventsFeature } from "../features/events/feature.ts";
import { explainFeature } from "../features/explain/feature.ts";
import { gotifyFeature } from "../features/gotify/feature.ts";
import { heartbeats } from "../features/heartbeats/feature.ts";
import { integrationsFeature } from "../features/integrations/feature.ts";
import { jobsFeature } from "../features/jobs/feature.ts";
import { workersFeature } from "../features/jobs/workers/feature.ts";
import { mailInFeature } from "../features/mail-in/feature.ts";
import { messagesFeature } from "../features/messages/feature.ts";
import { notificationsFeature } from "../features/notifications/feature.ts";
import { ntfyFeature } from "../features/ntfy/feature.ts";
import { onCallFeature } from "../features/oncall/feature.ts";
import { overviewFeature } from "../features/overview/feature.ts";
import { modulesFeature } from "../features/plugins/feature.ts";
import { pusherFeature } from "../features/pusher/feature.ts";
import { receiversFeature } from "../features/receivers/feature.ts";
import { rulesFeature } from "../features/rules/feature.ts";
import { schedulesFeature } from "../features/schedules/feature.ts";
import { settingsFeature } from "../features/settings/feature.ts";
import { soundsFeature } from "../features/sounds/feature.ts";
import { operationsFeature } from "../features/status/feature.ts";
import { statusPageFeature } from "../features/statuspage/feature.ts";
import { realtimeFeature } from "../features/streams/feature.ts";
import { tasksFeature } from "../features/tasks/feature.ts";
import { timeFeature } from "../features/timers/feature.ts";
import type { OpenableFeature } from "../module/feature.ts";

/** The features, in the order in which they open and start; those that one needs come before it. */
export const FEATURES: readonly OpenableFeature[] = [
  operatorFeature,
  projectsFeature,
  rolesFeature,
  authFeature,
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
  eventsFeature,
  explainFeature,
  gotifyFeature,
  integrationsFeature,
  jobsFeature,
  workersFeature,
  mailInFeature,
  messagesFeature,
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
];
