/** The part of `timers` that other features may use. */

export { scheduledRoutes } from "./feature.ts";
export { type PendingTimers, pendingTimers } from "./pending-timers.ts";
export { TimeService } from "./time.ts";
export type { TimerSettings } from "./timer-action.ts";
export { handleScheduledNotifications, scheduleNotification } from "./timer-firing.ts";
export { type Timer, type TimerService, timerService } from "./timers.ts";
