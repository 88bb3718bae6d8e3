/** The part of `messages` that other features may use. */

export { mayUseMessages, messageView } from "./queries.ts";
export type { MessageRow } from "./schema.ts";
