/** What other features may use of `timers`. */

export { openTimers } from "./open-timers.ts";
export type { PendingRow, PendingTimers } from "./pending-timers.ts";
export {
  handleScheduledNotifications,
  type ScheduledNotification,
  scheduleNotification,
} from "./scheduled-notifications.ts";
export { epochOf, type Moment, type TimeService } from "./time.ts";
export { MASK, mayReadWords, TimerActionBody, withoutWords } from "./timer-action.ts";
export type { TimerSettings } from "./timer-creator.ts";
export { creatorIdOf } from "./timer-creator.ts";
export type { Timer, TimerService } from "./timers.ts";
