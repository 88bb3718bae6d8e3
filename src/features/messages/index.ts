/** What other features may use of `messages`. */

export { contentPlace, type MessageRow, mayUseMessages, messageView } from "./queries.ts";
export { MESSAGE_SWEEPS } from "./retention.ts";
