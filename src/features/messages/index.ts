/** What other features may use of `messages`. */

export { contentPlace, MESSAGE_SWEEPS, type MessageRow, mayUseMessages, messageView } from "./queries.ts";
