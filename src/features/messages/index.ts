/** The part of `messages` that other features may use. */

export { MESSAGE_SWEEPS, type MessageRow, mayUseMessages, messageView } from "./queries.ts";
