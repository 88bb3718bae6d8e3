/** What other features may use of `notifications`. */

export type { SoundUrlOf } from "../sounds/index.ts";
export { Announcer, type Observer } from "./announcer.ts";
export { NOTIFY_EVENT, readBusNotify } from "./bus-notify.ts";
export { DeliveryMarks } from "./delivery-marks.ts";
export { requireLink } from "./links.ts";
export { Action, CHANNELS, ChannelList, DEFAULT_CHANNELS, requireServed } from "./message-parts.ts";
export { Notifier, type NotifyInput } from "./notifier.ts";
export { RuleNotices } from "./rule-notices.ts";
export { type StormParts, Storms } from "./storms.ts";
export { eventJson, type NotificationFacts, notificationView, type RecipientFacts } from "./views.ts";
