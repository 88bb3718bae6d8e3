/** What other features may use of `messages`. */
export { MESSAGE_SWEEPS } from "./message-retention.ts";
export { mayUseMessages } from "./message-rights.ts";
export { contentPlace, type MessageRow, messageView } from "./message-view.ts";
