/** What other features may use of `streams`. */
export { announceEntry } from "./announce-entry.ts";
export { liveSockets } from "./live-sockets.ts";
export { realtimeAccess } from "./realtime-access.ts";
export { type NewEntry, RealtimeService } from "./realtime-service.ts";
export { RealtimeTickets } from "./realtime-tickets.ts";
export { STREAM_SWEEPS } from "./retention.ts";
export { noteRemoved } from "./stream-gaps.ts";
export { TableHistory } from "./stream-history.ts";
