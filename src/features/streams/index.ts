/** The part of `streams` that other features may use. */

export { liveSockets } from "./live-sockets.ts";
export { RealtimeTickets, realtimeAccess } from "./realtime-access.ts";
export { type NewEntry, RealtimeService } from "./realtime-service.ts";
export { STREAM_SWEEPS } from "./retention.ts";
export { noteRemoved, TableHistory } from "./stream-history.ts";
