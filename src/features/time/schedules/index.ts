/** The part of `schedules` that other features may use. */
export { Recurrence, readCron, recurrenceOf } from "./cron/recurrence.ts";
export { type Schedule, scheduleOf } from "./schedule-definition.ts";
export type { Schedules } from "./schedules.ts";
