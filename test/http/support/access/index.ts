import { AUDIT } from "./audit.ts";
import { AUTH } from "./auth.ts";
import { EVENTS } from "./events.ts";
import { JOBS } from "./jobs.ts";
import { MESSAGES } from "./messages.ts";
import { MODULES } from "./modules.ts";
import { NOTIFICATIONS } from "./notifications.ts";
import { OPERATIONS } from "./operations.ts";
import { PROJECTS } from "./projects.ts";
import { REALTIME } from "./realtime.ts";
import { ROLES } from "./roles.ts";
import type { Table } from "./row.ts";
import { RULES } from "./rules.ts";
import { SCHEDULES } from "./schedules.ts";
import { TASKS } from "./tasks.ts";
import { TIME } from "./time.ts";
import { USERS } from "./users.ts";
import { WORKERS } from "./workers.ts";

/** Who may call what, from the contract's tables (4.3 to 4.12, 5.3) and not from the code, by method and canonical path. */
export const ACCESS: Table = {
  ...OPERATIONS,
  ...AUTH,
  ...USERS,
  ...ROLES,
  ...PROJECTS,
  ...EVENTS,
  ...RULES,
  ...NOTIFICATIONS,
  ...TIME,
  ...MESSAGES,
  ...TASKS,
  ...JOBS,
  ...SCHEDULES,
  ...WORKERS,
  ...MODULES,
  ...AUDIT,
  ...REALTIME,
};
