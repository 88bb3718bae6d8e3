/** The part of `receivers` that other features may use. */
export { acceptMail, type MailContext, mailReceiver } from "./mail.ts";
