import { ALERTMANAGER } from "./alertmanager.ts";
import { ALERTS } from "./alerts.ts";
import { AUDIT } from "./audit.ts";
import { AUTH } from "./auth.ts";
import { BACKUPS } from "./backups.ts";
import { BUCKETS } from "./buckets.ts";
import { CHANNELS } from "./channels.ts";
import { CLUSTER } from "./cluster.ts";
import { CONFIGURATION } from "./configuration.ts";
import { EVENTS } from "./events.ts";
import { EXPLAIN } from "./explain.ts";
import { GOTIFY } from "./gotify.ts";
import { HEARTBEATS } from "./heartbeats.ts";
import { INCIDENTS } from "./incidents.ts";
import { INTEGRATIONS } from "./integrations.ts";
import { JOBS } from "./jobs.ts";
import { MESSAGES } from "./messages.ts";
import { MIRROR } from "./mirror.ts";
import { MODULES } from "./modules.ts";
import { NOTIFICATIONS } from "./notifications.ts";
import { NTFY } from "./ntfy.ts";
import { ONCALL } from "./oncall.ts";
import { OPERATIONS } from "./operations.ts";
import { OPERATOR } from "./operator.ts";
import { PROJECTS } from "./projects.ts";
import { PUSHER } from "./pusher.ts";
import { REALTIME } from "./realtime.ts";
import { RECEIVERS } from "./receivers.ts";
import { REPORTS } from "./reports.ts";
import { ROLES } from "./roles.ts";
import type { Row, Table } from "./row.ts";
import { RULES } from "./rules.ts";
import { SCHEDULES } from "./schedules.ts";
import { SETTINGS } from "./settings.ts";
import { SILENCES } from "./silences.ts";
import { SOUNDS } from "./sounds.ts";
import { STATUS_PAGE } from "./status-page.ts";
import { TASKS } from "./tasks.ts";
import { TIME } from "./time.ts";
import { USERS } from "./users.ts";
import { WEBHOOKS } from "./webhooks.ts";
import { WORKERS } from "./workers.ts";

const TABLE: Table = {
  ...OPERATIONS,
  ...AUTH,
  ...USERS,
  ...ROLES,
  ...PROJECTS,
  ...ALERTMANAGER,
  ...EVENTS,
  ...ALERTS,
  ...RULES,
  ...NOTIFICATIONS,
  ...EXPLAIN,
  ...TIME,
  ...MESSAGES,
  ...MIRROR,
  ...REPORTS,
  ...TASKS,
  ...JOBS,
  ...HEARTBEATS,
  ...INTEGRATIONS,
  ...RECEIVERS,
  ...GOTIFY,
  ...STATUS_PAGE,
  ...NTFY,
  ...SCHEDULES,
  ...CHANNELS,
  ...CLUSTER,
  ...WEBHOOKS,
  ...WORKERS,
  ...MODULES,
  ...BACKUPS,
  ...INCIDENTS,
  ...SILENCES,
  ...CONFIGURATION,
  ...SETTINGS,
  ...AUDIT,
  ...SOUNDS,
  ...PUSHER,
  ...BUCKETS,
  ...REALTIME,
  ...ONCALL,
  ...OPERATOR,
};

/**
 * Who may call what, from the contract's tables (4.3 to 4.12, 5.3) and not from the code, by method
 * and canonical path.
 */
export const ACCESS: Readonly<Record<string, readonly Row[]>> = Object.fromEntries(
  Object.entries(TABLE).map(([key, rows]) => [key, [rows].flat()]),
);
