/** What other features may use of `timers`. */
export { type PendingRow, type PendingTimers, pendingTimers } from "./pending-timers.ts";
export {
  handleScheduledNotifications,
  type ScheduledNotification,
  scheduleNotification,
} from "./scheduled-notifications.ts";
export { epochOf, type Moment, TimeService } from "./time.ts";
export { MASK, mayReadWords, withoutWords } from "./timer-action.ts";
export type { TimerSettings } from "./timer-creator.ts";
export { creatorIdOf } from "./timer-creator.ts";
export { type Timer, type TimerService, timerService } from "./timers.ts";
