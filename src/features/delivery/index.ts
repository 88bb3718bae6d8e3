/** What other features may use of `delivery`. */
export { UNSUBSCRIBE_PATH } from "./channels/mail/unsubscribe.ts";
export { secretPlace } from "./channels/webhook/message.ts";
export { HostUnknown, OutsideHosts, outsideRulesOf } from "./channels/webhook/outside-hosts.ts";
export { SafeFetch } from "./channels/webhook/safe-fetch.ts";
export { Channels } from "./channels.ts";
export type { Circuits } from "./circuits.ts";
export { enqueueMail, mailPlace } from "./mails.ts";
export { type DeliveryMemory, type DeliveryServices, openDelivery } from "./open.ts";
export { DELIVERY_SWEEPS } from "./retention.ts";
