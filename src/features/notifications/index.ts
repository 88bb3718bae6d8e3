/** The part of `notifications` that other features may use. */

export { Announcer, DeliveryMarks, type Observer } from "./announcer.ts";
export { NOTIFY_EVENT, Notifier, type NotifyInput, readBusNotify, type ScheduledNotification } from "./notifier.ts";
export { handleRecipients, markNotificationDelivered } from "./recipients.ts";
export { notificationSweep } from "./retention.ts";
export { DeliveryView, eventJson, notificationView, UNTOUCHED } from "./schema.ts";
export { handleStorms } from "./storms.ts";
