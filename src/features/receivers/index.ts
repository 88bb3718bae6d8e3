/** The part of `receivers` that other features may use. */
export { acceptMail, type MailContext, mailReceiver } from "./mail.ts";
export { Preparing } from "./preparing.ts";
export { Presets } from "./presets.ts";
export { Receivers } from "./receivers.ts";
export { RECEIVER_SWEEPS } from "./retention.ts";
