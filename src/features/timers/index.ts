/** What other features may use of `timers`. */
export { creatorIdOf } from "./creator.ts";
export { MASK, mayReadWords, withoutWords } from "./hidden-words.ts";
export { openTimers } from "./open-timers.ts";
export type { PendingRow, PendingTimers } from "./pending-timers.ts";
export { type ScheduledNotification, ScheduledNotifications } from "./scheduled-notifications.ts";
export { epochOf, type Moment, type TimeService } from "./time.ts";
export { TimerActionBody } from "./timer-action.ts";
export type { TimerSettings } from "./timer-limits.ts";
export type { Timer, TimerService } from "./timers.ts";
