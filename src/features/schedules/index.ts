/** What other features may use of `schedules`. */
export { readCron } from "./cron/recurrence.ts";
export { openSchedules } from "./open-schedules.ts";
export { type Schedule, scheduleOf } from "./schedule-definition.ts";
export type { Schedules } from "./schedules.ts";
