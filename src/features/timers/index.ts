/** What other features may use of `timers`. */
export { type PendingTimers, pendingTimers } from "./pending-timers.ts";
export { handleScheduledNotifications, scheduleNotification } from "./scheduled-notifications.ts";
export { scheduledRoutes } from "./scheduled-routes.ts";
export { TimeService } from "./time.ts";
export type { TimerSettings } from "./timer-creator.ts";
export { type Timer, type TimerService, timerService } from "./timers.ts";
