/** What other features may use of `messages`. */

export { mayUseMessages } from "./message-rights.ts";
export { contentPlace, type MessageRow, messageView } from "./message-view.ts";
export { MESSAGE_SWEEPS } from "./retention.ts";
