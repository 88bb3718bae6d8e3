/** What other features may use of `notifications`. */

export { Announcer, type Observer } from "./announcer.ts";
export { NOTIFY_EVENT, readBusNotify } from "./bus-notify.ts";
export { DeliveryMarks } from "./delivery-marks.ts";
export { Notifier, type NotifyInput } from "./notifier.ts";
export { handleRecipients, markNotificationDelivered } from "./recipients.ts";
export { handleStorms } from "./storms.ts";
export { eventJson, type NotificationFacts, notificationView, type RecipientFacts } from "./views.ts";
