/** What other features may use of `notifications`. */

export { Announcer, type Observer } from "./announcer.ts";
export { DeliveryMarks } from "./delivery-marks.ts";
export { NOTIFY_EVENT, Notifier, type NotifyInput, readBusNotify, type ScheduledNotification } from "./notifier.ts";
export { handleRecipients, markNotificationDelivered } from "./recipients.ts";
export { notificationSweep } from "./retention.ts";
export { handleStorms } from "./storms.ts";
export { eventJson, notificationView } from "./views.ts";
