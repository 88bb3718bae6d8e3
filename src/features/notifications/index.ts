/** The part of `notifications` that other features may use. */

export type { Announcer } from "./announcer.ts";
export { markNotificationDelivered } from "./announcer.ts";
export {
  NOTIFY_EVENT,
  type NotificationInput,
  type Notifier,
  readBusNotify,
  type ScheduledNotification,
  type Scheduling,
} from "./notifier.ts";
export { DeliveryView, eventJson, notificationView, UNTOUCHED } from "./schema.ts";
