/** What other features may use of `schedules`. */
export { readCron } from "./cron/recurrence.ts";
export { type Schedule, scheduleOf } from "./schedule-definition.ts";
export { Schedules } from "./schedules.ts";
