/** The part of `streams` that other features may use. */

export { liveSockets } from "./live-sockets.ts";
export type { NewEntry, StreamService } from "./realtime-service.ts";
export { deleteEntries, endStream, forgetEnd, noteRemoved, TableHistory } from "./stream-history.ts";
