/** The part of `mail-in` that the application uses. */
export { MailListener } from "./listener.ts";
