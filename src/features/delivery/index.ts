/** What other features may use of `delivery`. */
export { readUnsubscribeToken, UNSUBSCRIBE_PATH, type Unsubscription } from "./channels/mail/unsubscribe.ts";
export { URGENT_PRIORITY } from "./channels/push/push-body.ts";
export { HostUnknown, OutsideHosts, outsideRulesOf, type ResolvedAddress } from "./channels/webhook/outside-hosts.ts";
export { SafeFetch } from "./channels/webhook/safe-fetch.ts";
export { secretPlace } from "./channels/webhook/webhook-secrets.ts";
export type { Circuits } from "./circuits.ts";
export type { DeliveryMemory } from "./delivery.ts";
export { DELIVERY_SWEEPS } from "./delivery-retention.ts";
export { enqueueMail, mailPlace } from "./mails.ts";
export { type DeliveryServices, openDelivery } from "./open-delivery.ts";
export { NOTIFICATION_KINDS, Preferences, wantsMail, withoutMail } from "./preferences.ts";
export { type Accepted, type Attempt, ProviderDown, type Sender, type Target } from "./sender.ts";
export { Senders } from "./senders.ts";
