/** What other features may use of `messages`. */

export { contentPlace, type MessageRow, messageView } from "./queries.ts";
export { MESSAGE_SWEEPS } from "./retention.ts";
export { mayUseMessages } from "./transition.ts";
